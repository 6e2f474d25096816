"""The module that is trained: two encoders, their projections, and the temperature.

Temperature and encoders live in one module, so that whatever saves or restores the
weights (early stopping, pickling) does it for both.
"""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skplankton._nn.encoders import MLP, build_encoder, measure_width

FEATURE_DROPOUT = 0.2  # Kareinen et al. 2026 (arXiv:2603.16427)
LARGEST_LOGIT_SCALE = 100.0  # Radford et al. 2021 (arXiv:2103.00020), section 2.5

# What the projection weighs beside the encoder's own features in "both": enough to
# rank views of different kinds, little enough to leave views of one kind to what told
# them apart best in benchmarks/accuracy.py, the encoder's features.
PROJECTION_WEIGHT = 0.2

# Rows in a pass of inference: enough to keep the device busy, few enough to stay small.
ROWS_PER_PASS = {"cpu": 64, "accelerator": 512}


class StandardizedEncoder(nn.Module):
    """One view: standardize, encode, join the original size."""

    mean: Tensor
    std: Tensor
    size_mean: Tensor
    size_std: Tensor
    feature_mean: Tensor

    def __init__(
        self,
        modality: str,
        encoder: str | Callable[..., nn.Module],
        encoder_params: dict | None,
        sample_shape: tuple[int, ...],
        n_sizes: int,
    ):
        super().__init__()
        # An image has one scale for all its pixels; a profile one a channel, a flat
        # view one a column.
        n_scales = sample_shape[0]
        self.register_buffer("mean", torch.zeros(n_scales))
        self.register_buffer("std", torch.ones(n_scales))
        self.register_buffer("size_mean", torch.zeros(n_sizes))
        self.register_buffer("size_std", torch.ones(n_sizes))
        self.sample_shape = tuple(sample_shape)
        encoder = build_encoder(encoder, modality, sample_shape, encoder_params)
        # Convolutions over images are faster on CPUs with the channels last.
        self.encoder = encoder.to(memory_format=torch.channels_last)
        self.n_features = measure_width(self.encoder, sample_shape) + n_sizes
        self.register_buffer("feature_mean", torch.zeros(self.n_features))

    def set_scales(self, values, sizes) -> None:
        """Learn the standardization from the arrays of the training pairs."""
        axes = (0, *range(2, values.ndim))
        _learn_scale(self.mean, self.std, values, axes)
        if sizes is not None:
            _learn_scale(self.size_mean, self.size_std, sizes, (0,))

    def encode(self, values: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Features and standardized sizes, of shape (n, n_features)."""
        broadcast = (-1, *[1] * (values.ndim - 2))
        mean, std = self.mean.view(broadcast), self.std.view(broadcast)
        features = self.encoder((values.to(mean.dtype) - mean) / std)
        if sizes is not None:
            sizes = (sizes - self.size_mean) / self.size_std
            features = torch.cat([features, sizes.to(features.dtype)], dim=1)
        return features


class ViewEncoder(StandardizedEncoder):
    """One view, and its projection into the space that both views share."""

    def __init__(self, *args, n_components: int, **kwargs):
        super().__init__(*args, **kwargs)
        self.dropout = nn.Dropout(FEATURE_DROPOUT)
        self.projection = nn.Linear(self.n_features, n_components, bias=False)

    def project(self, features: Tensor) -> Tensor:
        """L2-normalized embedding, of shape (n, n_components), in float32 at least."""
        return F.normalize(_widened(self.projection(self.dropout(features))), dim=1)

    def forward(self, values: Tensor, sizes: Tensor | None = None) -> Tensor:
        return self.project(self.encode(values, sizes))


class DualEncoder(nn.Module):
    """An image encoder and a profile encoder that meet in one embedding space."""

    def __init__(
        self,
        image: dict,
        profile: dict,
        n_components: int,
        temperature: float,
        learn_temperature: bool,
        initial_bias: float,
    ):
        super().__init__()
        self.image = ViewEncoder("image", n_components=n_components, **image)
        self.profile = ViewEncoder("profile", n_components=n_components, **profile)
        # Learned as a logarithm: it stays positive, and a step is a relative change.
        self.log_logit_scale = nn.Parameter(
            torch.tensor(-math.log(temperature)), requires_grad=learn_temperature
        )
        # Only the sigmoid loss reads it, and only then does it get a gradient.
        self.logit_bias = nn.Parameter(torch.tensor(initial_bias))

    def forward(
        self,
        image: Tensor,
        profile: Tensor,
        image_size: Tensor | None = None,
        profile_size: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        return self.image(image, image_size), self.profile(profile, profile_size)

    @property
    def logit_scale(self) -> Tensor:
        """One over the temperature."""
        return self.log_logit_scale.exp().clamp(max=LARGEST_LOGIT_SCALE)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.log_logit_scale.device

    @property
    def temperature(self) -> float:
        """The temperature in use."""
        return 1.0 / self.logit_scale.item()

    def n_features_out(self, features: str) -> int:
        """Width of the space in which :meth:`embed` places a view."""
        n_encoder = self.image.n_features + self.profile.n_features
        n_projection = self.image.projection.out_features
        return {
            "projection": n_projection,
            "encoder": n_encoder,
            "both": n_encoder + n_projection,
        }[features]

    def embed(
        self,
        modality: str,
        values: Tensor,
        sizes: Tensor | None,
        features: str,
        view: ViewEncoder | None = None,
    ) -> Tensor:
        """Place one view in the space shared by both, as rows of unit length.

        The two encoders' own features have nothing in common, so in the shared space
        each takes columns of its own and leaves the other's at zero: two views of one
        kind are compared by what their encoder sees, views of different kinds by the
        projection alone. `view` is the encoder to use; by default the modality's.
        """
        view = view or getattr(self, modality)
        encoded = view.encode(values, sizes)
        blocks = []
        if features in ("encoder", "both"):
            own = F.normalize(_widened(encoded) - view.feature_mean, dim=1)
            for name in ("image", "profile"):
                width = getattr(self, name).n_features
                is_own = name == modality
                blocks.append(own if is_own else own.new_zeros(len(own), width))
        if features in ("projection", "both"):
            weight = PROJECTION_WEIGHT if features == "both" else 1.0
            blocks.append(math.sqrt(weight) * view.project(encoded))
        return F.normalize(torch.cat(blocks, dim=1), dim=1)

    def embed_rows(self, modality: str, values, sizes, features: str):
        """:meth:`embed` for arrays of any number of rows, as a float32 array."""

        view = for_inference(getattr(self, modality))

        def embed(values, sizes):
            return self.embed(modality, values, sizes, features, view)

        return map_rows(embed, values, sizes, self.device)

    def set_feature_means(self, batches: Iterator[dict]) -> None:
        """Learn the center of either encoder's features from the training pairs."""
        views = {"image": self.image, "profile": self.profile}
        totals = {name: torch.zeros_like(v.feature_mean) for name, v in views.items()}
        n = 0
        for batch in batches:
            for name, view in views.items():
                encoded = view.encode(batch[name], batch.get(f"{name}_size"))
                totals[name] += encoded.float().sum(0)
            n += len(batch["image"])
        for name, view in views.items():
            view.feature_mean.copy_(totals[name] / n)


Encoder = TypeVar("Encoder", bound=StandardizedEncoder)


def for_inference(view: Encoder) -> Encoder:
    """The view's encoder, or, for flat views on a CPU, a copy of it in float64.

    An MLP costs little, and in float64 the rows that share a pass no longer change the
    last digits of an embedding: scikit-learn's checks of an estimator ask for that.
    """
    on_cpu = view.mean.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    if on_cpu and isinstance(view.encoder, MLP) and len(view.sample_shape) == 1:
        return deepcopy(view).double()
    return view


def map_rows(embed: Callable[[Tensor, Tensor | None], Tensor], values, sizes, device):
    """Embed the rows of an array, however many there are, into a float32 array.

    Which rows share a pass changes an embedding by float32 rounding and no more: the
    kernels of linear algebra differ with the number of rows.
    """
    device = torch.device(device)
    n_rows = ROWS_PER_PASS["cpu" if device.type == "cpu" else "accelerator"]

    def tensor(array, start: int) -> Tensor:
        return torch.from_numpy(array[start : start + n_rows]).to(device)

    outputs = []
    for start in range(0, len(values), n_rows):
        pass_sizes = None if sizes is None else tensor(sizes, start)
        outputs.append(embed(tensor(values, start), pass_sizes).float().cpu())
    return torch.cat(outputs).numpy()


def _widened(x: Tensor) -> Tensor:
    """In float32, where autocast has made 16 bits of it."""
    return x if x.dtype == torch.float64 else x.float()


def _learn_scale(mean: Tensor, std: Tensor, values, axes: tuple[int, ...]) -> None:
    """Mean and standard deviation over `axes`; a constant keeps a scale of one."""
    n = math.prod(values.shape[axis] for axis in axes)
    center = values.sum(axis=axes, dtype="float64") / n
    spread = _mean_square(values, center, axes, n) ** 0.5
    spread[spread < 1e-6 * (abs(center) + 1e-30)] = 1.0
    mean.copy_(torch.as_tensor(center))
    std.copy_(torch.as_tensor(spread))


def _mean_square(values, center, axes, n, chunk=1024):
    """Mean squared deviation, a chunk of rows at a time (never a float64 copy)."""
    broadcast = (1, -1, *[1] * (values.ndim - 2))
    center = center.reshape(broadcast)
    total = 0.0
    for start in range(0, len(values), chunk):
        deviation = values[start : start + chunk] - center
        total = total + (deviation * deviation).sum(axis=axes)
    return total / n
