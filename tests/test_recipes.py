import sys

import numpy as np
import pytest
import timm
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skplankton.recipes import IMAGE_ENCODERS, PROFILE_ENCODERS, kareinen2026

TINY = {
    "image_size": 32,
    "profile_length": 32,
    "crop_top": 0,
    "max_epochs": 1,
    "early_stopping": False,
    "random_state": 0,
}
# Every encoder and both losses; the combination does not matter.
COMBINATIONS = [
    (image, profile, loss)
    for image, profile, loss in zip(
        IMAGE_ENCODERS, PROFILE_ENCODERS, ("clip", "siglip", "clip"), strict=True
    )
]


@pytest.mark.parametrize(("image", "profile", "loss"), COMBINATIONS)
def test_every_encoder_trains_a_step(X, image, profile, loss):
    embedder = kareinen2026(image, profile, loss=loss, pretrained=False, **TINY)
    few = X[:6]
    embedded = embedder.fit_transform(few)
    assert embedded.shape == (6, 512)
    assert np.isfinite(embedded).all()
    assert embedder.n_iter_ == 1
    # A step was taken with respect to the temperature, too.
    assert embedder.temperature_ != embedder.temperature


def test_the_papers_training(X, monkeypatch):
    """The parameters of the optimizer, and the epoch of the paper's peak rate."""
    groups = []
    step = torch.optim.SGD.step

    def spy(self, *args, **kwargs):
        groups.append(self.param_groups[0] | {"params": None})
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    kareinen2026(pretrained=False, **TINY | {"max_epochs": 7}).fit(X[:4])
    rates = [group["lr"] for group in groups]
    assert rates.index(max(rates)) in (4, 5)  # after five epochs of one step each
    assert max(rates) == pytest.approx(0.005, rel=0.1)
    for group in groups:
        assert group["weight_decay"] == 1e-3
        assert group["momentum"] == 0.9
        assert group["nesterov"]


def test_image_and_profile_are_mirrored_together_whatever_the_default(X, monkeypatch):
    flips = []

    def spy(image, profile, flip):
        flips.append(flip)
        return image, profile

    monkeypatch.setattr("skplankton._training.contrastive.augment_pairs", spy)
    kareinen2026(pretrained=False, **TINY).fit(X[:4])
    assert flips == ["shared"]


def test_the_profile_cnn_is_a_resnet_18_of_32_base_channels(X):
    profile = kareinen2026(pretrained=False, **TINY).fit(X[:4]).net_.module_.profile
    assert len(profile.encoder.stages) == 8  # blocks of two convolutions
    assert profile.n_features == 8 * 32 + 1  # with the length


def test_overrides():
    embedder = kareinen2026(
        "vit_tiny",
        profile_encoder="transformer",
        pretrained=False,
        image_encoder_params={"drop_path_rate": 0.1},
        profile_encoder_params={"n_layers": 2},
        batch_size=64,
    )
    assert embedder.image_encoder == "vit_tiny_patch16_224"
    assert embedder.image_encoder_params == {"drop_path_rate": 0.1}
    assert embedder.profile_encoder_params == {
        "width": 128,
        "n_layers": 2,
        "n_heads": 4,
    }
    assert embedder.batch_size == 64
    with pytest.raises(TypeError, match="'batchsize'"):
        kareinen2026(batchsize=64)
    kareinen2026("vit_tiny", "transformer").profile_encoder_params["width"] = 1
    assert PROFILE_ENCODERS["transformer"]["width"] == 128


def test_imagenet_weights_are_requested_and_used(X, monkeypatch):
    """A model of known weights replaces the hub."""
    create_model, requests = timm.create_model, []

    def published(name, pretrained=False, **params):
        requests.append((name, pretrained))
        model = create_model(name, **params)
        for parameter in model.parameters():
            parameter.data.fill_(0.5)
        return model

    monkeypatch.setattr(timm, "create_model", published)
    embedder = clone(kareinen2026(**TINY | {"learning_rate": 1e-12}))
    encoder = embedder.fit(X[:4]).net_.module_.image.encoder
    assert requests == [("convnext_femto", True)]
    weights = next(encoder.parameters()).detach().numpy()
    np.testing.assert_allclose(weights, 0.5, rtol=1e-5)
    assert_array_equal(
        embedder.transform(X[:4]).shape, (4, 512)
    )  # and transform requests nothing more
    assert len(requests) == 1


@pytest.mark.parametrize("error", [FileNotFoundError, ConnectionError, RuntimeError])
def test_no_connection_to_the_hub(X, monkeypatch, error):
    def unreachable(*args, **kwargs):
        raise error("cannot find the requested files")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(
        OSError,
        match=r"weights of 'convnext_femto' could not be loaded: cannot find the "
        r"requested files.*train from scratch, without pretrained=True",
    ):
        kareinen2026(**TINY).fit(X[:4])


def test_missing_extra(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[timm\]'"):
        kareinen2026(**TINY).fit(X[:4])


@pytest.mark.parametrize("name", ["image_encoder", "profile_encoder"])
def test_encoders_that_are_not_the_papers(name):
    with pytest.raises(ValueError, match=f"Unknown {name}='resnet50'.*{name}_params"):
        kareinen2026(**{name: "resnet50"})
