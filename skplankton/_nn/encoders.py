"""Encoders: from the data of one modality to one row of features per particle.

An encoder is any torch module that maps a batch of shape (n, *sample_shape) to
(n, width). `sample_shape` is (1, height, width) for an image, (channels, length) for a
profile and (columns,) for a flat vector.
"""

import difflib
import importlib
import math
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skplankton._utils.extras import import_extra

# No encoder here uses batch normalization: the features of a particle do not depend on
# its batch, so that gradient caching is exact. Images are normalized by groups of
# channels, which removes brightness and contrast. In a profile the level of a channel
# distinguishes pigments: its channels keep one scale for all particles.
NORM_GROUPS = 8

# Variance of GELU(z) of a standard normal z.
GELU_VARIANCE = 0.345


def build_encoder(
    spec: str | Callable[..., nn.Module],
    modality: str,
    sample_shape: tuple[int, ...],
    params: dict | None = None,
) -> nn.Module:
    """Build the encoder `spec` for samples of `sample_shape`."""
    params = params or {}
    factory = find_factory(spec, modality, sample_shape)
    try:
        encoder = factory(sample_shape, **params)
    except TypeError as error:
        raise TypeError(
            f"{modality}_encoder={spec!r} could not be built with "
            f"{modality}_encoder_params={params!r}: {error}"
        ) from error
    if not isinstance(encoder, nn.Module):
        raise TypeError(
            f"{modality}_encoder={spec!r} returned a {type(encoder).__name__}; "
            "expected a torch module"
        )
    return encoder


def measure_width(
    encoder: nn.Module, modality: str, sample_shape: tuple[int, ...]
) -> int:
    """Width of the features, measured in a pass of two blank samples."""
    was_training = encoder.training
    name = f"The {modality} encoder {type(encoder).__name__}"
    samples = torch.zeros(2, *sample_shape)
    try:
        with torch.no_grad():
            features = encoder.eval()(samples)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f"{name} cannot take a batch of shape {tuple(samples.shape)}, two samples "
            f"of the {modality} as they are read: {error}"
        ) from error
    encoder.train(was_training)
    if not isinstance(features, Tensor):
        raise ValueError(
            f"{name} must return features of shape (n, width); it returned a "
            f"{type(features).__name__}."
        )
    if features.ndim != 2 or len(features) != 2:
        raise ValueError(
            f"{name} must return features of shape (n, width); it returned "
            f"{tuple(features.shape)} for n = 2."
        )
    return features.shape[1]


def find_factory(
    spec, modality: str, sample_shape: tuple[int, ...] | None = None
) -> Callable[..., nn.Module]:
    """The factory of the encoder; an unknown name raises, even without a shape."""
    structured = _STRUCTURED_ENCODERS[modality]
    n_columns = sample_shape[0] if sample_shape and len(sample_shape) == 1 else 0
    is_flat = n_columns > 0
    if isinstance(spec, str) and ":" in spec:
        spec = _import_factory(spec, modality)
    if isinstance(spec, nn.Module):
        raise TypeError(
            f"{modality}_encoder is a module that is built already, of the class "
            f"{type(spec).__name__}; expected the class itself, or a function that "
            "takes the sample shape and returns a module: each fit builds a new one."
        )
    if callable(spec) and not (is_flat and spec in structured.values()):
        return spec
    if spec == "auto":
        spec = "mlp" if is_flat else "cnn"
    if spec == "mlp":
        return MLP
    if is_flat:
        raise ValueError(
            f"{modality}_encoder={spec!r} needs a shape, but the {modality} is "
            f"{n_columns} flat columns. Set {modality}_shape if X is an array, or use "
            "'mlp', which a vector of measurements needs."
        )
    if spec in structured:
        return structured[spec]
    if modality == "image":
        return _timm_factory(spec)
    raise ValueError(
        f"Unknown profile_encoder={spec!r}. Expected 'auto', 'mlp', "
        f"{', '.join(map(repr, structured))} or an importable factory, "
        "'package.module:name'."
    )


def _import_factory(spec: str, modality: str) -> Callable[..., nn.Module]:
    module, _, name = spec.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:  # ValueError: ":name"
        raise ValueError(
            f"{modality}_encoder={spec!r} could not be imported: {error}. "
            "Expected 'package.module:name' of a callable that takes the sample shape "
            "and returns a torch module."
        ) from error


def _timm_factory(name: str) -> Callable[..., nn.Module]:
    need = (
        f"image_encoder={name!r} is not 'auto', 'mlp' or 'cnn', and as the name of a "
        "timm model it needs timm"
    )
    timm = import_extra("timm", "timm", need)
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(
            f"Unknown image_encoder={name!r}. Expected 'auto', 'mlp', 'cnn', a timm "
            f"model name or an importable factory, 'package.module:name'.{hint}"
        )

    def build(sample_shape, **params):
        # Vision transformers are built for one image size; other models take any.
        config = timm.models.get_pretrained_cfg(name)
        if config is not None and config.fixed_input_size:
            params.setdefault("img_size", sample_shape[1:])
        try:
            return timm.create_model(
                name, in_chans=sample_shape[0], num_classes=0, **params
            )
        except (OSError, RuntimeError) as error:  # of the hub and of timm
            if not params.get("pretrained"):
                raise
            raise OSError(
                f"The pretrained weights of {name!r} could not be loaded: {error}. "
                "Connect this machine, or copy the hub's cache (~/.cache/huggingface) "
                "from one with these weights; or train from scratch, without "
                "pretrained=True."
            ) from error

    return build


class DataScaled(nn.Module):
    """Scale each channel to mean 0 and variance 1 over its first training batch.

    The scale is then a parameter like any other ("actnorm", Kingma and Dhariwal 2018,
    "Glow: generative flow with invertible 1x1 convolutions", section 3.1).
    """

    is_scaled: Tensor
    # The same as a bool: to read the buffer is to wait for a GPU, in each step.
    _is_known_scaled = False

    def __init__(self, n_channels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_channels))
        self.shift = nn.Parameter(torch.zeros(n_channels))
        self.register_buffer("is_scaled", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        """Scale x, of shape (n, n_channels) or (n, n_channels, length)."""
        if self.training and not self._is_known_scaled:
            if not self.is_scaled:
                self._set_scale(x)
            self._is_known_scaled = True
        per_channel = (-1, *[1] * (x.ndim - 2))
        return x * self.scale.view(per_channel) + self.shift.view(per_channel)

    @torch.no_grad()
    def _set_scale(self, x: Tensor) -> None:
        std, mean = torch.std_mean(x, dim=(0, *range(2, x.ndim)))
        self.scale.copy_(1 / std.clamp(min=1e-5))
        self.shift.copy_(-mean * self.scale)
        self.is_scaled.fill_(True)


class MLP(nn.Sequential):
    """Hidden layers on the flattened sample; the features of all depths, side by side.

    Dropout of the input columns in training makes it robust: no single column can
    identify a pair. Without it, training soon overfits the pairs of a small table (see
    the accuracy page of the docs). Each layer keeps what the views share and loses some
    of what only one of them shows: that is why the input and the first layers are
    features too.
    """

    # In models that were saved before: the features are those of the last layer.
    input_scale: float | None = None

    def __init__(self, sample_shape, width=512, depth=2, input_dropout=0.3):
        n_columns = torch.Size(sample_shape).numel()
        widths = [n_columns, *[width] * depth]
        layers = [
            layer
            for n_in, n_out in pairwise(widths)
            for layer in (nn.Linear(n_in, n_out), DataScaled(n_out), nn.GELU())
        ]
        super().__init__(nn.Flatten(), nn.Dropout(input_dropout), *layers)
        # The standardized input counts as much as one layer, however many columns.
        self.input_scale = math.sqrt(width * GELU_VARIANCE / n_columns)

    def forward(self, x: Tensor) -> Tensor:
        depths = []
        for layer in self:
            x = layer(x)
            if isinstance(layer, nn.Dropout) and self.input_scale:
                depths.append(self.input_scale * x)
            elif isinstance(layer, nn.GELU):
                depths.append(x)
        return torch.cat(depths, dim=1) if self.input_scale else x


# The two layers below compute what torch's do, with the same weights, by other kernels
# for a CPU: benchmarks/layers.py compares them.


class _GroupNorm(nn.GroupNorm):
    """Normalize by groups of channels, of images with the channels last."""

    def __init__(self, n_channels: int):
        super().__init__(NORM_GROUPS, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        # With few channels to a group, torch's kernel for channels last is slow.
        x = super().forward(x.contiguous())
        return x.contiguous(memory_format=torch.channels_last)


class _Conv1d(nn.Conv1d):
    """Convolve short sequences, with the channels last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        (size,), (stride,), padding = (
            self.kernel_size,
            self.stride,
            int(self.padding[0]),
        )
        steps = F.pad(x.transpose(1, 2), (0, 0, padding, padding))
        windows = steps.unfold(1, size, stride).flatten(2)  # (n, length, n_in * size)
        return F.linear(windows, self.weight.flatten(1)).transpose(1, 2)


class _ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, in one or two dimensions.

    He et al. 2016, "Deep residual learning for image recognition", figure 2.
    """

    def __init__(self, conv, norm, n_in, n_out, stride):
        super().__init__()
        self.convolutions = nn.Sequential(
            conv(n_in, n_out, 3, stride=stride, padding=1, bias=False),
            norm(n_out),
            nn.ReLU(inplace=True),
            conv(n_out, n_out, 3, padding=1, bias=False),
            norm(n_out),
        )
        self.shortcut = (
            nn.Identity()
            if n_in == n_out and stride == 1
            else conv(n_in, n_out, 1, stride=stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.convolutions(x).add_(self.shortcut(x)).relu_()


class _ResidualCNN(nn.Module):
    """A strided stem, residual stages that halve the resolution, a global pool."""

    def __init__(self, conv, norm, pool, n_channels, width, n_stages, blocks_per_stage):
        super().__init__()
        if width % NORM_GROUPS:
            raise ValueError(
                f"width must be a multiple of {NORM_GROUPS}, got {width}: set it in "
                "the encoder's params."
            )
        self.stem = nn.Sequential(
            conv(n_channels, width, 7, stride=2, padding=3, bias=False),
            norm(width),
            nn.ReLU(inplace=True),
        )
        widths = [width, *(width * 2**stage for stage in range(n_stages))]
        blocks = []
        for stage, (n_in, n_out) in enumerate(pairwise(widths)):
            for block in range(blocks_per_stage):
                stride = 2 if block == 0 and stage > 0 else 1
                n_in_block = n_in if block == 0 else n_out
                blocks.append(_ResidualBlock(conv, norm, n_in_block, n_out, stride))
        self.stages = nn.Sequential(*blocks)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.stages(self.stem(x))).flatten(1)


class ImageCNN(_ResidualCNN):
    """A small 2-D residual network, mean pooled."""

    def __init__(self, sample_shape, width=16, n_stages=3, blocks_per_stage=1):
        super().__init__(
            nn.Conv2d,
            _GroupNorm,
            nn.AdaptiveAvgPool2d(1),
            sample_shape[0],
            width,
            n_stages,
            blocks_per_stage,
        )


class ProfileCNN(_ResidualCNN):
    """A 1-D residual network, max pooled; with two blocks per stage a ResNet-18."""

    def __init__(self, sample_shape, width=16, n_stages=4, blocks_per_stage=1):
        super().__init__(
            _Conv1d,
            DataScaled,
            nn.AdaptiveMaxPool1d(1),
            sample_shape[0],
            width,
            n_stages,
            blocks_per_stage,
        )


class ProfileLSTM(nn.Module):
    """A bidirectional LSTM; its features are the last state of each direction."""

    def __init__(self, sample_shape, width=128):
        super().__init__()
        self.lstm = nn.LSTM(sample_shape[0], width, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.permute(2, 0, 1)  # (length, n, channels)
        # On the CPU, oneDNN cannot train an LSTM in 16 bits: it stays in float32 there.
        on_cpu = x.device.type == "cpu"
        with torch.autocast(x.device.type, enabled=False) if on_cpu else nullcontext():
            _, (last_states, _) = self.lstm(steps.float() if on_cpu else steps)
        return last_states.transpose(0, 1).flatten(1)


class ProfileTransformer(nn.Module):
    """A transformer encoder over the time samples, with a class token."""

    def __init__(self, sample_shape, width=128, n_layers=6, n_heads=4, dropout=0.1):
        super().__init__()
        n_channels, length = sample_shape
        self.embed = nn.Linear(n_channels, width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.empty(1, length + 1, width))
        # The usual deviation of learned position embeddings (Dosovitskiy et al. 2021).
        nn.init.trunc_normal_(self.position, std=0.02)
        layer = nn.TransformerEncoderLayer(
            width,
            n_heads,
            dim_feedforward=4 * width,
            dropout=dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(
            layer, n_layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.transpose(1, 2))
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1)
        return self.layers(tokens + self.position)[:, 0]


_STRUCTURED_ENCODERS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "image": {"cnn": ImageCNN},
    "profile": {
        "cnn": ProfileCNN,
        "lstm": ProfileLSTM,
        "transformer": ProfileTransformer,
    },
}
