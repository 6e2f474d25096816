"""Contrastive losses: functions of two batches of embeddings only.

Row i of the image embeddings and row i of the profile embeddings come from the same
particle; every other pairing is a negative. Rows must be L2-normalized, so that
their products are cosines. Both losses are computed in float32 for any dtype of the
embeddings, and are symmetric: swapping the two modalities does not change them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["clip_loss", "siglip_loss"]


def clip_loss(
    image_embeddings: Tensor, profile_embeddings: Tensor, logit_scale: Tensor | float
) -> Tensor:
    """Symmetric InfoNCE loss.

    Each image is classified among the profiles of the batch, and each profile among the
    images; the loss is the mean of the two cross-entropies, in nats.

    Parameters
    ----------
    image_embeddings : Tensor of shape (n_pairs, n_components)
        L2-normalized image embeddings.
    profile_embeddings : Tensor of shape (n_pairs, n_components)
        L2-normalized profile embeddings, row i from the same particle as image row i.
    logit_scale : Tensor of shape () or float
        Factor on the cosines: one over the temperature.

    Returns
    -------
    Tensor of shape ()
        The loss; ``log(n_pairs)`` when nothing has been learned.

    Raises
    ------
    TypeError
        If a batch is not a Tensor.
    ValueError
        If the two batches differ in shape.

    References
    ----------
    Radford et al. 2021, "Learning transferable visual models from natural language
    supervision", figure 3 (arXiv:2103.00020).

    Examples
    --------
    >>> import torch
    >>> from skplankton.losses import clip_loss
    >>> matched = torch.eye(4)
    >>> round(clip_loss(matched, matched, logit_scale=10.0).item(), 4)
    0.0001
    """
    logits = _scaled_cosines(image_embeddings, profile_embeddings, logit_scale)
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def siglip_loss(
    image_embeddings: Tensor,
    profile_embeddings: Tensor,
    logit_scale: Tensor | float,
    bias: Tensor | float,
) -> Tensor:
    """Pairwise sigmoid loss.

    Every image-profile pair of the batch is classified as the same particle or not; the
    loss is the sum of the binary cross-entropies over the number of particles.

    Parameters
    ----------
    image_embeddings : Tensor of shape (n_pairs, n_components)
        L2-normalized image embeddings.
    profile_embeddings : Tensor of shape (n_pairs, n_components)
        L2-normalized profile embeddings, row i from the same particle as image row i.
    logit_scale : Tensor of shape () or float
        Factor on the cosines: one over the temperature.
    bias : Tensor of shape () or float
        Added to every logit; negative, since most pairs do not match.

    Returns
    -------
    Tensor of shape ()
        The loss.

    Raises
    ------
    TypeError
        If a batch is not a Tensor.
    ValueError
        If the two batches differ in shape.

    References
    ----------
    Zhai et al. 2023, "Sigmoid loss for language image pre-training", algorithm 1
    (arXiv:2303.15343).

    Examples
    --------
    >>> import torch
    >>> from skplankton.losses import siglip_loss
    >>> matched = torch.eye(4)
    >>> round(siglip_loss(matched, matched, logit_scale=20.0, bias=-10.0).item(), 4)
    0.0002
    """
    logits = _scaled_cosines(image_embeddings, profile_embeddings, logit_scale) + bias
    # -log sigmoid(-x) for the n² pairs taken as negatives; the n matching ones are
    # then corrected: -log sigmoid(x) = -log sigmoid(-x) - x.
    all_negative = F.softplus(logits).sum()
    return (all_negative - logits.diagonal().sum()) / len(logits)


def _scaled_cosines(
    image_embeddings: Tensor, profile_embeddings: Tensor, logit_scale: Tensor | float
) -> Tensor:
    for name, batch in (
        ("image_embeddings", image_embeddings),
        ("profile_embeddings", profile_embeddings),
    ):
        if not isinstance(batch, Tensor):
            raise TypeError(
                f"{name} is a {type(batch).__name__}; expected a Tensor, such as "
                "torch.as_tensor(array)."
            )
    if image_embeddings.shape != profile_embeddings.shape or image_embeddings.ndim != 2:
        raise ValueError(
            "image_embeddings and profile_embeddings must both have the shape "
            f"(n_pairs, n_components); got {tuple(image_embeddings.shape)} and "
            f"{tuple(profile_embeddings.shape)}."
        )
    # bfloat16 keeps 8 bits: at a scale of 100 the logits would be off by one half.
    cosines = image_embeddings.float() @ profile_embeddings.float().T
    return logit_scale * cosines
