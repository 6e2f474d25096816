"""Images and profiles of particles → small pictures within a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from skplankton._views.entries import image_pixels
from skplankton._views.images import eight_bits

# Pixels of the longer side: on a page, 3 kB per image.
THUMBNAIL_SIZE = 96
_QUALITY = 75  # of JPEG

# Units of a sparkline, and the number of points of a line.
WIDTH, HEIGHT = 96, 32
_N_POINTS = 40


def thumbnail(entry: Any) -> tuple[str, str]:
    """An image as a data URI, and its original size as a text.

    Smaller images keep their size. Raises if the image cannot be read.
    """
    image = Image.fromarray(eight_bits(image_pixels(entry)))
    width, height = image.size
    image.thumbnail((THUMBNAIL_SIZE, THUMBNAIL_SIZE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_QUALITY)
    text = base64.b64encode(content.getvalue()).decode()
    return f"data:image/jpeg;base64,{text}", f"{width} × {height} pixels"


def level(samples: np.ndarray) -> np.ndarray:
    """Samples on a scale that shows weak signals beside strong ones."""
    return np.log1p(np.clip(samples, 0, None))


def sparkline(samples: np.ndarray, top: float) -> list[str]:
    """A profile as lines in the commands of an SVG path, one per channel.

    `samples` of (length, n_channels); one sample is drawn as bars. `top` is the `level`
    at the upper edge, the same for all particles that are to be compared.
    """
    values = level(np.asarray(samples, dtype=np.float64)) / (top or 1.0)
    if len(values) == 1:
        return [bars(values[0])]
    heights = _heights(values)
    n_points = min(_N_POINTS, len(heights))
    x = np.round(np.linspace(0, WIDTH, n_points)).astype(int)
    # The highest of the samples that one point stands for: peaks must not get lost.
    starts = np.linspace(0, len(heights), n_points, endpoint=False).astype(int)
    return [_line(x, y) for y in np.minimum.reduceat(heights, starts).T]


def _heights(shares: np.ndarray) -> np.ndarray:
    return np.round((1 - np.clip(shares, 0, 1)) * (HEIGHT - 2) + 1).astype(int)


def _line(x: np.ndarray, y: np.ndarray) -> str:
    steps = zip(np.diff(x).tolist(), np.diff(y).tolist(), strict=True)
    return f"M{x[0]} {y[0]}l" + " ".join(f"{dx} {dy}" for dx, dy in steps)


def bars(shares: np.ndarray) -> str:
    """Numbers from 0 to 1 as bars, in the commands of an SVG path; NaN has none."""
    is_known = ~np.isnan(shares)
    x = np.round((np.arange(len(shares)) + 0.5) * WIDTH / len(shares)).astype(int)
    heights = _heights(shares[is_known])
    pairs = zip(x[is_known].tolist(), heights.tolist(), strict=True)
    return "".join(f"M{column} {HEIGHT}V{height}" for column, height in pairs)
