"""Measurements of any unit, some of them missing → columns of one scale, all finite."""

import numpy as np
import torch
from torch import Tensor, nn

IQR_OF_NORMAL = 1.349  # interquartile range of a normal distribution of variance 1
SMALLEST_SPREAD = 1e-6  # of the median's size: below it, differences are rounding


def partly_missing(values: np.ndarray) -> np.ndarray:
    """The columns of (n, n_measurements) in which some values are NaN, and not all."""
    n_missing = np.isnan(values).sum(axis=0)
    return np.flatnonzero((n_missing > 0) & (n_missing < len(values)))


class Measurements(nn.Module):
    """Scale the measurements robustly; fill in those that are missing, and mark them.

    The scale is the median and the interquartile range of the values known in training,
    and beyond it logarithmic (asinh): the signals of an instrument span decades, and
    one particle in the wrong place must not set the scale of all others. A missing
    value becomes the median. Measurements of which some are missing in training have
    another column, 1 where they are. Those that are constant or never known in training
    are 0 throughout, whatever comes later: nothing was learned about them.
    """

    median: Tensor
    scale: Tensor
    marked: Tensor

    def __init__(self, n_measurements: int, n_marked: int):
        super().__init__()
        self.register_buffer("median", torch.zeros(n_measurements))
        self.register_buffer("scale", torch.ones(n_measurements))
        self.register_buffer("marked", torch.zeros(n_marked, dtype=torch.long))

    def set_scales(self, values: np.ndarray) -> None:
        """Learn from the vectors of the training pairs, (n, n_measurements)."""
        self.marked.copy_(torch.from_numpy(partly_missing(values)))
        # Column by column: never a copy of all values.
        for column, known in enumerate(values.T):
            median, scale = _robust_scale(known[~np.isnan(known)].astype(np.float64))
            self.median[column], self.scale[column] = median, scale

    def forward(self, values: Tensor) -> Tensor:
        """Columns of (n, n_measurements + n_marked) from vectors with NaN."""
        missing = values.isnan()
        scaled = torch.asinh((values.to(self.median.dtype) - self.median) * self.scale)
        marks = missing[:, self.marked].to(scaled.dtype)
        return torch.cat([scaled.masked_fill(missing, 0.0), marks], dim=1)


def _robust_scale(known: np.ndarray) -> tuple[float, float]:
    """Median, and one over the spread; 0 of a constant, which is then 0 throughout."""
    if not len(known):
        return 0.0, 0.0
    low, median, high = np.quantile(known, [0.25, 0.5, 0.75])
    smallest = max(SMALLEST_SPREAD * abs(median), np.finfo(np.float32).tiny)
    spread = (high - low) / IQR_OF_NORMAL
    if spread <= smallest:  # half of the values or more are equal
        spread = known.std()
    return float(median), float(1 / spread) if spread > smallest else 0.0
