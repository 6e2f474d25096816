"""The trained module: two encoders, their projections, and the temperature.

Temperature and encoders are in one module, so that saving or restoring the weights
(early stopping, pickling) includes both.
"""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skplankton._nn.encoders import MLP, build_encoder, measure_width
from skplankton._nn.measurements import Measurements

FEATURE_DROPOUT = 0.2  # Kareinen et al. 2026 (arXiv:2603.16427)
LARGEST_LOGIT_SCALE = 100.0  # Radford et al. 2021 (arXiv:2103.00020), section 2.5

# Weight of the projection relative to the encoder's own features in "both": enough to
# rank across modalities, and so little that the encoder's features, which were the most
# accurate within one modality in benchmarks/accuracy.py, decide there.
PROJECTION_WEIGHT = 0.2

# Rows per pass of inference: enough to use the device fully, few enough for its memory.
ROWS_PER_PASS = {"cpu": 64, "accelerator": 512}


class StandardizedEncoder(nn.Module):
    """One modality: standardize, encode, append the original size.

    `n_marked` is None, or for vectors of measurements the number of those that are
    partly missing: :class:`Measurements` then standardizes them.
    """

    mean: Tensor
    std: Tensor
    size_mean: Tensor
    size_std: Tensor
    feature_mean: Tensor
    measurements: Measurements | None

    def __init__(
        self,
        modality: str,
        encoder: str | Callable[..., nn.Module],
        encoder_params: dict | None,
        sample_shape: tuple[int, ...],
        n_sizes: int,
        n_marked: int | None = None,
    ):
        super().__init__()
        self.measurements = None
        if n_marked is not None:
            (n_measurements,) = sample_shape
            self.measurements = Measurements(n_measurements, n_marked)
            sample_shape = (n_measurements + n_marked,)
        # An image has one scale for all its pixels; a profile one per channel, a flat
        # vector one per column.
        n_scales = sample_shape[0]
        self.register_buffer("mean", torch.zeros(n_scales))
        self.register_buffer("std", torch.ones(n_scales))
        self.register_buffer("size_mean", torch.zeros(n_sizes))
        self.register_buffer("size_std", torch.ones(n_sizes))
        self.sample_shape = tuple(sample_shape)
        encoder = build_encoder(encoder, modality, sample_shape, encoder_params)
        # Convolutions over images are faster on CPUs with the channels last.
        self.encoder = encoder.to(memory_format=torch.channels_last)
        width = measure_width(self.encoder, modality, sample_shape)
        self.n_features = width + n_sizes
        self.register_buffer("feature_mean", torch.zeros(self.n_features))

    def set_scales(self, values, sizes, all_rows: Callable = lambda rows: rows) -> None:
        """Learn the standardization from the arrays of the training pairs.

        If they are the share of one of several processes, `all_rows` returns the rows
        of all of them from this one's.
        """
        if self.measurements is not None:
            self.measurements.set_scales(all_rows(values))
        else:
            axes = (0, *range(2, values.ndim))
            _learn_scale(self.mean, self.std, values, axes, all_rows)
        if sizes is not None:
            _learn_scale(self.size_mean, self.size_std, sizes, (0,), all_rows)

    def encode(self, values: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Features and standardized sizes, of shape (n, n_features)."""
        measurements = getattr(self, "measurements", None)  # not in former models
        if measurements is not None:
            values = measurements(values)
        broadcast = (-1, *[1] * (values.ndim - 2))
        mean, std = self.mean.view(broadcast), self.std.view(broadcast)
        features = self.encoder((values.to(mean.dtype) - mean) / std)
        if sizes is not None:
            sizes = (sizes - self.size_mean) / self.size_std
            features = torch.cat([features, sizes.to(features.dtype)], dim=1)
        return features


class ViewEncoder(StandardizedEncoder):
    """One modality, and its projection into the space shared by both."""

    def __init__(self, *args, n_components: int, **kwargs):
        super().__init__(*args, **kwargs)
        self.dropout = nn.Dropout(FEATURE_DROPOUT)
        self.projection = nn.Linear(self.n_features, n_components, bias=False)

    def project(self, features: Tensor) -> Tensor:
        """L2-normalized embedding, of shape (n, n_components), in float32 at least."""
        return F.normalize(
            _at_least_float32(self.projection(self.dropout(features))), dim=1
        )

    def forward(self, values: Tensor, sizes: Tensor | None = None) -> Tensor:
        return self.project(self.encode(values, sizes))


class DualEncoder(nn.Module):
    """An image encoder and a profile encoder with a shared embedding space."""

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
        # Only the sigmoid loss uses it, and only then does it get a gradient.
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
        """The device of the weights."""
        return self.log_logit_scale.device

    @property
    def temperature(self) -> float:
        """The current temperature."""
        return 1.0 / self.logit_scale.item()

    def n_features_out(self, features: str) -> int:
        """Width of the embeddings returned by :meth:`embed`."""
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
        both_ways: bool = False,
        encoder: ViewEncoder | None = None,
    ) -> Tensor:
        """Embed one modality in the space shared by both, as unit vectors.

        The two encoders' own features are unrelated, so in the shared space each has
        its own columns, with zeros in the other's: embeddings of one modality are
        compared by the features of its encoder, embeddings of different modalities by
        the projection alone. With `both_ways`, each of these blocks is the mean of the
        sample's and of that of its mirror image (or reversed profile); a flat vector
        has no orientation. `encoder` is by default that of the modality.
        """
        encoder = encoder or getattr(self, modality)
        # Columns of pixels and time samples are the last axis.
        turns = both_ways and values.ndim > 2
        ways = (values, values.flip(-1)) if turns else (values,)
        encoded = [encoder.encode(way, sizes) for way in ways]
        blocks = []
        if features in ("encoder", "both"):
            centered = [_at_least_float32(e) - encoder.feature_mean for e in encoded]
            own = _mean_direction([F.normalize(e, dim=1) for e in centered])
            for name in ("image", "profile"):
                width = getattr(self, name).n_features
                is_own = name == modality
                blocks.append(own if is_own else own.new_zeros(len(own), width))
        if features in ("projection", "both"):
            weight = PROJECTION_WEIGHT if features == "both" else 1.0
            projected = _mean_direction([encoder.project(e) for e in encoded])
            blocks.append(math.sqrt(weight) * projected)
        return F.normalize(torch.cat(blocks, dim=1), dim=1)

    def embed_rows(
        self, modality: str, values, sizes, features: str, both_ways: bool = False
    ):
        """Apply :meth:`embed` to arrays of any number of rows, in float32."""
        encoder = for_inference(getattr(self, modality))

        def embed(values, sizes):
            return self.embed(modality, values, sizes, features, both_ways, encoder)

        return map_rows(embed, values, sizes, self.device)

    def set_feature_means(self, batches: Iterator[dict]) -> None:
        """Learn the mean of each encoder's features from the training pairs."""
        encoders = {"image": self.image, "profile": self.profile}
        totals = {
            name: torch.zeros_like(e.feature_mean) for name, e in encoders.items()
        }
        n = 0
        for batch in batches:
            for name, encoder in encoders.items():
                encoded = encoder.encode(batch[name], batch.get(f"{name}_size"))
                totals[name] += encoded.float().sum(0)
            n += len(batch["image"])
        for name, encoder in encoders.items():
            encoder.feature_mean.copy_(totals[name] / n)


Encoder = TypeVar("Encoder", bound=StandardizedEncoder)


def for_inference(encoder: Encoder) -> Encoder:
    """The encoder, or for flat vectors on a CPU, a copy of it in float64.

    An MLP costs little, and in float64 the other rows of a pass no longer change the
    last digits of an embedding: scikit-learn's estimator checks require that.
    """
    on_cpu = encoder.mean.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    if on_cpu and isinstance(encoder.encoder, MLP) and len(encoder.sample_shape) == 1:
        return deepcopy(encoder).double()
    return encoder


def map_rows(embed: Callable[[Tensor, Tensor | None], Tensor], values, sizes, device):
    """Embed any number of rows of an array into a float32 array.

    The other rows of a pass change an embedding only by float32 rounding: the kernels
    of linear algebra depend on the number of rows.
    """
    device = torch.device(device)
    n_rows = ROWS_PER_PASS["cpu" if device.type == "cpu" else "accelerator"]

    def tensor(array, start: int) -> Tensor:
        return torch.from_numpy(array[start : start + n_rows]).to(device)

    outputs = []
    for start in range(0, len(values), n_rows):
        pass_sizes = None if sizes is None else tensor(sizes, start)
        outputs.append(embed(tensor(values, start), pass_sizes).float())
    return torch.cat(outputs).cpu().numpy()  # reading a result waits for the device


def _mean_direction(units: list[Tensor]) -> Tensor:
    """The mean of unit vectors, scaled to unit length."""
    return (
        units[0] if len(units) == 1 else F.normalize(torch.stack(units).sum(0), dim=1)
    )


def _at_least_float32(x: Tensor) -> Tensor:
    """Convert 16-bit values of autocast to float32."""
    return x if x.dtype == torch.float64 else x.float()


def _learn_scale(
    mean: Tensor, std: Tensor, values, axes: tuple[int, ...], all_rows: Callable
) -> None:
    """Mean and standard deviation over `axes`; a constant keeps a scale of one."""

    def total(own):
        return all_rows(own[None]).sum(axis=0)

    n = total(np.array(math.prod(values.shape[axis] for axis in axes)))
    center = total(values.sum(axis=axes, dtype="float64")) / n
    spread = (total(_sum_of_squares(values, center, axes)) / n) ** 0.5
    spread[spread < 1e-6 * (abs(center) + 1e-30)] = 1.0
    mean.copy_(torch.as_tensor(center))
    std.copy_(torch.as_tensor(spread))


def _sum_of_squares(values, center, axes, chunk=1024):
    """Of the deviations, a chunk of rows at a time (never a float64 copy)."""
    broadcast = (1, -1, *[1] * (values.ndim - 2))
    center = center.reshape(broadcast)
    total = 0.0
    for start in range(0, len(values), chunk):
        deviation = values[start : start + chunk] - center
        total = total + (deviation * deviation).sum(axis=axes)
    return total
