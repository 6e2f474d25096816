import copy
import math
import sys

import pytest
import torch
from torch import nn

from skplankton._nn.encoders import (
    GELU_VARIANCE,
    DataScaled,
    ProfileCNN,
    _Conv1d,
    _GroupNorm,
    build_encoder,
    measure_width,
)

IMAGE, PROFILE, FLAT = (1, 32, 32), (6, 32), (10,)


class Pool(nn.Module):
    """A factory that the tests import by name."""

    def __init__(self, sample_shape, gain=1.0):
        super().__init__()
        self.gain = gain

    def forward(self, x):
        return self.gain * x.flatten(2).mean(dim=2)


class Unpooled(nn.Identity):
    def __init__(self, sample_shape):
        super().__init__()


class OfStates(nn.LSTM):
    def __init__(self, sample_shape):
        super().__init__(sample_shape[-1], 8)


class ForImages(nn.Conv2d):
    def __init__(self, sample_shape):
        super().__init__(1, 8, 3)


@pytest.mark.parametrize(
    ("spec", "modality", "sample_shape"),
    [
        ("auto", "image", IMAGE),
        ("auto", "profile", PROFILE),
        ("auto", "image", FLAT),
        ("mlp", "image", IMAGE),
        ("mlp", "profile", FLAT),
        ("cnn", "image", IMAGE),
        ("cnn", "profile", PROFILE),
        ("lstm", "profile", PROFILE),
        ("transformer", "profile", PROFILE),
        (Pool, "profile", PROFILE),
        (ProfileCNN, "profile", PROFILE),
        (f"{__name__}:Pool", "image", IMAGE),
        ("convnext_atto", "image", IMAGE),
        ("vit_tiny_patch16_224", "image", IMAGE),
    ],
)
def test_every_encoder_returns_a_row_of_features_that_depends_on_its_sample(
    spec, modality, sample_shape, monkeypatch
):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    encoder = build_encoder(spec, modality, sample_shape).eval()
    samples = torch.rand(3, *sample_shape)
    with torch.no_grad():
        features = encoder(samples)
        alone = encoder(samples[1:2])
    assert features.shape == (3, measure_width(encoder, modality, sample_shape))
    torch.testing.assert_close(features[1:2], alone, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(features[0], features[1])


@pytest.mark.parametrize("spec", ["cnn", "lstm", "transformer"])
def test_params_reach_the_encoder(spec):
    narrow = build_encoder(spec, "profile", PROFILE, {"width": 8})
    wide = build_encoder(spec, "profile", PROFILE, {"width": 16})
    assert measure_width(wide, "profile", PROFILE) == 2 * measure_width(
        narrow, "profile", PROFILE
    )


def test_auto_is_mlp_for_flat_vectors_and_cnn_otherwise():
    name = lambda *args: type(build_encoder("auto", *args)).__name__  # noqa: E731
    assert name("image", IMAGE) == "ImageCNN"
    assert name("profile", PROFILE) == "ProfileCNN"
    assert name("image", FLAT) == name("profile", FLAT) == "MLP"


def test_mlp_features_are_the_input_and_the_output_of_each_layer():
    encoder = build_encoder("mlp", "image", FLAT, {"width": 6, "depth": 2}).eval()
    x = torch.randn(4, *FLAT)
    layers = [nn.Sequential(*list(encoder)[:depth]) for depth in (5, 8)]
    first, last = (layer(x) for layer in layers)
    columns = x * math.sqrt(6 * GELU_VARIANCE / 10)
    torch.testing.assert_close(encoder(x), torch.cat([columns, first, last], dim=1))


def test_variance_of_gelu():
    grid = torch.linspace(-8, 8, 100_001, dtype=torch.float64)
    density = torch.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    values = nn.functional.gelu(grid)
    mean, square = (torch.trapezoid(v * density, grid) for v in (values, values**2))
    assert abs(float(square - mean**2) - GELU_VARIANCE) < 1e-3


def test_mlp_of_a_former_model_has_the_features_it_was_trained_with():
    encoder = build_encoder("mlp", "image", FLAT, {"width": 6, "depth": 2}).eval()
    del encoder.input_scale
    x = torch.randn(4, *FLAT)
    torch.testing.assert_close(encoder(x), nn.Sequential(*encoder)(x))


@pytest.mark.parametrize(
    ("spec", "modality", "sample_shape", "message"),
    [
        ("cnn", "image", FLAT, "is 10 flat columns. Set image_shape"),
        ("lstm", "profile", FLAT, "is 10 flat columns. Set profile_shape"),
        (ProfileCNN, "profile", FLAT, "needs a shape, but the profile is 10 flat"),
        ("skplankton._nn.encoders:ImageCNN", "image", FLAT, "needs a shape, but the"),
        ("gru", "profile", PROFILE, "Unknown profile_encoder='gru'. Expected 'auto'"),
        ("convnext_femtoo", "image", IMAGE, "Did you mean 'convnext_femto'"),
        ("lstm", "image", IMAGE, "Unknown image_encoder='lstm'"),
        ("no_such_package:net", "image", IMAGE, "could not be imported"),
        ("torch.nn:NoSuchNet", "image", IMAGE, "could not be imported"),
        (Unpooled, "profile", PROFILE, r"returned \(2, 6, 32\) for n = 2"),
        (OfStates, "profile", PROFILE, "OfStates must .* it returned a tuple"),
        (ForImages, "profile", PROFILE, r"The profile enc.* shape \(2, 6, 32\)"),
    ],
)
def test_what_cannot_be_built_says_what_to_do(spec, modality, sample_shape, message):
    with pytest.raises(ValueError, match=message):
        measure_width(
            build_encoder(spec, modality, sample_shape), modality, sample_shape
        )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (torch.nn.Flatten(), "built already, of the class Flatten; expected the class"),
        (lambda shape: 3, "image_encoder=.* returned a int; expected a torch module"),
    ],
    ids=["module", "number"],
)
def test_what_is_not_a_factory_of_modules_says_what_is(spec, message):
    with pytest.raises(TypeError, match=message):
        build_encoder(spec, "image", IMAGE)


def test_unknown_params_name_the_parameter():
    with pytest.raises(TypeError, match=r"image_encoder_params=\{'widht': 8\}"):
        build_encoder("cnn", "image", IMAGE, {"widht": 8})
    with pytest.raises(ValueError, match="width must be a multiple of 8, got 12"):
        build_encoder("cnn", "image", IMAGE, {"width": 12})


def test_missing_timm_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[timm\]'"):
        build_encoder("resnet18", "image", IMAGE)


def test_data_scaled_channels_take_their_scale_from_the_first_training_batch():
    layer = DataScaled(3)
    first = 5 + 2 * torch.randn(50, 3, 10)
    assert torch.equal(layer.eval()(first), first)  # a blank pass teaches nothing
    scaled = layer.train()(first)
    torch.testing.assert_close(
        scaled.mean(dim=(0, 2)), torch.zeros(3), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(scaled.std(dim=(0, 2)), torch.ones(3))
    # Later batches are scaled alike, so that a sample does not depend on its batch.
    torch.testing.assert_close(layer(first[:2] + 1), layer.eval()(first[:2] + 1))
    assert (layer(first + 1).mean(dim=(0, 2)) > 0.4).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lstm_trains_in_16_bits_on_the_cpu(dtype):
    """oneDNN does not: its states stay in float32."""
    encoder = build_encoder("lstm", "profile", PROFILE, {"width": 8})
    profiles = torch.rand(4, *PROFILE)
    expected = encoder(profiles)
    with torch.autocast("cpu", dtype=dtype):
        features = encoder(profiles)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, expected)
    features.sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize(
    ("modality", "sample_shape"),
    [("image", (1, 33, 20)), ("profile", (6, 31)), ("profile", (1, 8))],
)
def test_layers_compute_what_those_of_torch_do(modality, sample_shape):
    """With the same weights: models that were saved with those of torch stay valid."""
    torch.manual_seed(0)
    encoder = build_encoder("cnn", modality, sample_shape).double().train()
    x = torch.randn(5, *sample_shape, dtype=torch.float64)
    encoder(x)  # channels take their scale from data
    former = copy.deepcopy(encoder)
    replaced = {_GroupNorm: nn.GroupNorm, _Conv1d: nn.Conv1d}
    for module in former.modules():
        module.__class__ = replaced.get(type(module), type(module))
    assert not any(isinstance(m, tuple(replaced)) for m in former.modules())
    assert former.state_dict().keys() == encoder.state_dict().keys()
    torch.testing.assert_close(encoder(x), former(x))
    for each in (encoder, former):
        each(x).square().sum().backward()
    for ours, theirs in zip(encoder.parameters(), former.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_convolution_of_sequences(size, stride, padding):
    conv = _Conv1d(3, 4, size, stride=stride, padding=padding, bias=False)
    x = torch.randn(2, 3, 11)
    torch.testing.assert_close(conv(x), nn.Conv1d.forward(conv, x))
