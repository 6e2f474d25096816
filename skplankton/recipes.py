"""Published configurations, as estimators with all parameters set."""

import math

__all__ = ["kareinen2026"]

# timm's names of the image encoders.
IMAGE_ENCODERS = {
    "convnext_femto": "convnext_femto",
    "efficientnet_b0": "efficientnet_b0",
    "vit_tiny": "vit_tiny_patch16_224",
}
PROFILE_ENCODERS = {
    "cnn": {"width": 32, "blocks_per_stage": 2},  # a 1-D ResNet-18
    "lstm": {"width": 128},
    "transformer": {"width": 128, "n_layers": 6, "n_heads": 4},
}


def kareinen2026(
    image_encoder="convnext_femto",
    profile_encoder="cnn",
    *,
    loss="clip",
    pretrained=True,
    **overrides,
):
    """Build the model of Kareinen et al. 2026, with their training.

    Images and profiles at 224 pixels and samples, an embedding 512 wide, 100 epochs of
    SGD in batches of 512 with a learned temperature, early stopping, and the projection
    as the embedding [1]_. It is meant for tens of thousands of particles and a GPU; the
    defaults of :class:`CrossModalEmbedder` are meant for fewer.

    Parameters
    ----------
    image_encoder : {"convnext_femto", "efficientnet_b0", "vit_tiny"}, \
            default="convnext_femto"
        The timm model for the images; needs ``pip install 'skplankton[timm]'``.
    profile_encoder : {"cnn", "lstm", "transformer"}, default="cnn"
        A 1-D ResNet-18 with 32 base channels, a bidirectional LSTM 128 wide, or a
        transformer 128 wide with 6 layers of 4 heads.
    loss : {"clip", "siglip"}, default="clip"
        Symmetric InfoNCE or pairwise sigmoid loss.
    pretrained : bool, default=True
        Start the image encoder from ImageNet weights, as in the paper. The first `fit`
        downloads them from the Hugging Face hub and keeps them in its cache; without a
        connection it raises OSError, after the hub's own retries.
    **overrides : dict
        Any other parameter of :class:`CrossModalEmbedder`, such as
        ``random_state=0``, in place of the paper's. `image_encoder_params` and
        `profile_encoder_params` are added to the paper's.

    Returns
    -------
    CrossModalEmbedder
        The unfitted embedder.

    Raises
    ------
    ValueError
        If an encoder is not one of the paper's.
    TypeError
        If :class:`CrossModalEmbedder` has no parameter of an override's name.

    See Also
    --------
    skplankton.model_selection.TrainValidationTestFolds : The paper's splits.
    skplankton.evaluation.cross_modal_benchmark : The paper's nine setups.

    Notes
    -----
    Where the published code and the paper differ, this recipe follows the paper:

    - The CLIP loss is symmetric. The code subtracts each row's maximum before the
      softmax over the columns too, so that swapping image and profile changes its loss.
    - A dropped band means "no signal". The code writes 0 after scaling to [-1, 1],
      where no signal is -1, and modifies its input array.

    and here the code, which produced the published figures:

    - The profile CNN is max pooled; the code's "avgpool" is a max pool.

    These components differ from the paper's, with the same purpose:

    - Gray values and profile channels are standardized by the mean and the standard
      deviation of the training set, a profile channel by channel, where the paper
      scales to [-1, 1], profiles by ``log(1 + x) / 8.9211 * 2 - 1``, whose constant is
      the largest value of its own data. Profiles are log-compressed here as well.
    - The original sizes are appended to the features as standardized logarithms, where
      the paper divides them by 224.
    - The 1-D CNN normalizes by groups of channels, not by batch, so that a particle's
      features do not depend on its batch.
    - Training views are cropped from the 224 pixels or samples, not from 236 resized
      ones; the crop's share is the paper's. One channel is dropped at most.
    - ``precision="auto"`` is bfloat16 on GPUs that have it, where the paper has
      float16.
    - Early stopping sets 5 % of the rows aside at random, as the paper does of
      unlabeled sets; of labeled ones it takes 5 % of all by class.

    References
    ----------
    .. [1] Kareinen et al. 2026, "Cross-modal learning for plankton recognition",
       arXiv:2603.16427.

    Examples
    --------
    >>> from skplankton.recipes import kareinen2026
    >>> embedder = kareinen2026("vit_tiny", "lstm", pretrained=False, batch_size=64)
    >>> embedder.n_components, embedder.batch_size, embedder.image_encoder
    (512, 64, 'vit_tiny_patch16_224')
    """
    from skplankton._embedding.cross_modal import CrossModalEmbedder

    for name, value, choices in (
        ("image_encoder", image_encoder, IMAGE_ENCODERS),
        ("profile_encoder", profile_encoder, PROFILE_ENCODERS),
    ):
        if value not in choices:
            raise ValueError(
                f"Unknown {name}={value!r}. Kareinen et al. 2026 have "
                f"{', '.join(map(repr, choices))}; for another one, "
                f"kareinen2026(pretrained=False).set_params({name}=..., "
                f"{name}_params=None)."
            )

    model = IMAGE_ENCODERS[image_encoder]
    image_params = overrides.pop("image_encoder_params", None) or {}
    profile_params = overrides.pop("profile_encoder_params", None) or {}
    if pretrained:
        image_params = {"pretrained": True, **image_params}
    parameters = {
        "n_components": 512,
        "image_encoder": model,
        "profile_encoder": profile_encoder,
        "image_encoder_params": image_params or None,
        "profile_encoder_params": PROFILE_ENCODERS[profile_encoder] | profile_params,
        "image_size": 224,
        "profile_length": 224,
        "crop_top": 25,
        "orientation": "shared",
        "loss": loss,
        "temperature": math.exp(-1),  # the logarithm of the logit scale starts at 1
        "learn_temperature": True,
        "features": "projection",
        "optimizer": "sgd",
        "learning_rate": 0.005,
        "weight_decay": 1e-3,
        "warmup_epochs": 5,
        "max_epochs": 100,
        "batch_size": 512,
        "early_stopping": True,
        "validation_fraction": 0.05,
        "patience": 30,
    }
    return CrossModalEmbedder(**parameters | overrides)
