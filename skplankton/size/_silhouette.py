"""Gray image → the silhouette of its particle.

A particle is darker than its background, if only along its outline. Three difficulties
decide the steps: lighting is uneven; a cell is as good as transparent beside its
plastids, so that no one threshold suits both; and edges are blurred, so that a low
threshold makes particles too large.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# In pixels: blur against noise, frame of background, reach of an edge's blur, gaps in
# an outline, and width of appendages below which they are cut off.
_SMOOTHING, _FRAME, _EDGE, _GAP, _THREAD = 1.0, 3, 4, 3, 1
# Standard deviations of the background's noise: to belong to a particle, and for at
# least one pixel of it. The noise is at least a quarter of a gray level of 8 bits.
_NOISE_LEVELS, _PEAK_LEVELS, _LEAST_NOISE = 4.0, 6.0, 0.25 / 255
# Of the darkness of the image's darkest pixels (98th percentile): what is fainter is
# the particle's shade. Higher values lose horns, lower ones include shades.
_FAINTEST, _DARKEST = 0.15, 98
_FITS = 6  # of the background, each without the outliers of the one before


def find_silhouette(gray: np.ndarray) -> np.ndarray:
    """The pixels of the particle, holes filled.

    Parameters
    ----------
    gray : ndarray of shape (height, width)
        From 0, black, to 1, white.

    Returns
    -------
    ndarray of shape (height, width), bool
        All False if nothing is darker than the background. Of several particles, the
        one that absorbs most light.
    """
    smooth = ndimage.gaussian_filter(gray.astype(np.float64), _SMOOTHING)
    background, noise = _background(smooth)
    darkness = background - smooth
    noise = max(noise, _LEAST_NOISE)
    least = max(
        _NOISE_LEVELS * noise, _FAINTEST * float(np.percentile(darkness, _DARKEST))
    )
    # Where an edge is blurred, it lies at half of the darkness on its dark side.
    nearby = ndimage.maximum_filter(
        ndimage.gaussian_filter(darkness, 1.0), footprint=_disk(_EDGE)
    )
    dark = (darkness > least) & (darkness > nearby / 2)
    silhouette = _darkest_region(_filled(dark, _GAP), darkness)
    if not darkness[silhouette].max(initial=0) > _PEAK_LEVELS * noise:
        return np.zeros_like(silhouette)
    return _without_threads(silhouette, darkness)


def touches_border(silhouette: np.ndarray) -> bool:
    """Whether the particle may go on beyond the image."""
    edges = (silhouette[0], silhouette[-1], silhouette[:, 0], silhouette[:, -1])
    return any(edge.any() for edge in edges)


def _background(smooth: np.ndarray) -> tuple[np.ndarray, float]:
    """A quadratic surface through the image's frame, and the noise around it.

    The surface is fitted to the frame alone: inside, a translucent particle that fills
    most of an image would pass for the background.
    """
    height, width = smooth.shape
    y = np.linspace(-1, 1, height)[:, None]
    x = np.linspace(-1, 1, width)
    frame = np.ones(smooth.shape, dtype=bool)
    frame[_FRAME:-_FRAME, _FRAME:-_FRAME] = False
    light = smooth[frame]
    fx, fy = (np.broadcast_to(axis, frame.shape)[frame] for axis in (x, y))
    design = np.stack([np.ones_like(fx), fx, fy, fx * fx, fx * fy, fy * fy], axis=1)
    kept = light >= np.quantile(light, 0.25)  # most of a particle that is cut off
    for _ in range(_FITS):
        some = design[kept]
        # The normal equations are well conditioned: x and y run from -1 to 1.
        surface = np.linalg.pinv(some.T @ some) @ (some.T @ light[kept])
        residual = np.abs(light - design @ surface)
        noise = 1.4826 * float(np.median(residual[kept]))  # of a normal distribution
        kept = residual <= max(3 * noise, _LEAST_NOISE, np.median(residual))
    a, bx, by, cxx, cxy, cyy = surface
    return a + (bx + cxx * x) * x + (by + cyy * y + cxy * x) * y, noise


def _filled(dark: np.ndarray, gap: int) -> np.ndarray:
    """Close gaps of an outline, and fill what it encloses."""
    wide = np.pad(dark, gap)
    wide = ndimage.binary_closing(wide, _disk(gap))
    return ndimage.binary_fill_holes(wide[gap:-gap, gap:-gap])


def _darkest_region(regions: np.ndarray, darkness: np.ndarray) -> np.ndarray:
    labels, n_regions = ndimage.label(regions, np.ones((3, 3)))
    if n_regions < 2:
        return labels > 0
    total = ndimage.sum_labels(darkness, labels, np.arange(1, n_regions + 1))
    return labels == 1 + np.argmax(total)


def _without_threads(silhouette: np.ndarray, darkness: np.ndarray) -> np.ndarray:
    """Cut off hairs and spurs of noise, unless the particle itself is a thread."""
    wide = np.pad(silhouette, 1, mode="edge")
    opened = ndimage.binary_opening(wide, _disk(_THREAD))[1:-1, 1:-1]
    if 2 * opened.sum() <= silhouette.sum():
        return silhouette
    return _darkest_region(opened, darkness)


def _disk(radius: int) -> np.ndarray:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return x * x + y * y <= radius * radius
