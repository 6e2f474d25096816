"""Silhouette → area, axes and biovolume, in pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

# When a silhouette is simple enough to be turned around its axis: the rule of the IFCB
# software (ifcb-analysis, biovolume.m) for the two methods of Moberg and Sosik 2012.
_CONVEX, _ROUND, _COMPACT = 1.2, 0.8, 0.8

REVOLUTION, DISTANCE_MAP = "solid of revolution", "distance map"


class Geometry(NamedTuple):
    """Lengths in pixels; `method` is how the volume was estimated."""

    area: float
    equivalent_diameter: float
    major_axis: float
    minor_axis: float
    volume: float
    method: str


def measure_silhouette(silhouette: np.ndarray) -> Geometry:
    """Measure a silhouette of at least one pixel."""
    from skimage.measure import regionprops

    region = regionprops(silhouette.astype(np.uint8))[0]
    diameter = region.equivalent_diameter_area
    major = region.axis_major_length
    is_compact = region.eccentricity < _ROUND and diameter > _COMPACT * max(major, 1e-9)
    if is_compact or region.area_convex < _CONVEX * region.area:
        volume, method = solid_of_revolution(region), REVOLUTION
    else:
        volume, method = distance_map_volume(region.image), DISTANCE_MAP
    return Geometry(
        float(region.area),
        float(diameter),
        float(major),
        float(region.axis_minor_length),
        volume,
        method,
    )


def solid_of_revolution(region: Any) -> float:
    """Volume with circular cross sections along the major axis."""
    direction = np.array([np.cos(region.orientation), np.sin(region.orientation)])
    along = region.coords @ direction
    along -= along.min()
    # Each pixel is shared by the two nearest cross sections, which are 1 pixel apart.
    first = along.astype(int)
    share = along - first
    width = np.bincount(first, 1 - share, minlength=first.max() + 2)
    width[1:] += np.bincount(first, share, minlength=first.max() + 1)
    return float(np.pi / 4 * (width**2).sum())


def distance_map_volume(silhouette: np.ndarray) -> float:
    """Volume from each pixel's distance to the outline (Moberg and Sosik 2012).

    The distances are heights of two roofs, back to back, whose diamond cross sections
    are then replaced by circles around them. The first factor corrects for pixels: it
    is 1 for wide particles.
    """
    inside = np.pad(silhouette, 1)
    outline = inside & ~ndimage.binary_erosion(inside)
    distance = 1 + ndimage.distance_transform_edt(~outline)[inside]
    width = 4 * distance.mean() - 2  # of a representative transect
    pixels = width**2 / (width**2 + 2 * width + 0.5)
    return float(pixels * np.pi * distance.sum())
