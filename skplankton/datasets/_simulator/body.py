"""A plankton body as a set of ellipsoids, whose projections are exact.

All that an instrument measures of a particle are integrals of its matter along lines
(the camera) or over planes across the flow (the laser). For an ellipsoid both have a
closed form, so one description of the body gives both image and profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_COLUMN_UM = 0.5  # small against a cell, about as wide as the thinnest threads


@dataclass(frozen=True)
class Body:
    """Ellipsoids in µm; x runs along the flow, y across it, z along the optical axis.

    Ellipsoids overlap by adding up, so that a hollow wall is an outer ellipsoid plus
    an inner one with negative content.

    Attributes
    ----------
    centers : ndarray of shape (n, 3)
        Centers in µm.
    shapes : ndarray of shape (n, 3, 3)
        Shape matrices in µm²: the surface is ``(p - c)ᵀ shape⁻¹ (p - c) = 1``.
    content : ndarray of shape (n, 4)
        Per unit volume, in the order of `CONTENT`.
    """

    centers: np.ndarray
    shapes: np.ndarray
    content: np.ndarray

    def transformed(self, matrix: np.ndarray) -> Body:
        """Apply a linear map; the content per unit volume does not change."""
        return Body(
            self.centers @ matrix.T, matrix @ self.shapes @ matrix.T, self.content
        )

    def half_extents(self) -> np.ndarray:
        """Return the half extents of each ellipsoid along the axes, (n, 3) in µm."""
        return np.sqrt(np.diagonal(self.shapes, axis1=1, axis2=2))

    def volume(self) -> float:
        """Return the volume within any of the ellipsoids in µm³, to about 1 %.

        Each ellipsoid is cut into columns along z, of ``_COLUMN_UM`` squared, and what
        overlaps in a column is counted once.
        """
        reach = self.half_extents()
        first = np.ceil((self.centers - reach)[:, :2] / _COLUMN_UM - 0.5).astype(int)
        stop = np.floor((self.centers + reach)[:, :2] / _COLUMN_UM + 0.5).astype(int)
        corner = first.min(axis=0)
        width = stop[:, 0].max() - corner[0]
        # Columns are put end to end on one line, too far apart to touch.
        spacing = 2 * (np.abs(self.centers[:, 2]) + reach[:, 2]).max() + 1.0
        shadow = np.linalg.inv(self.shapes[:, :2, :2])
        inverse = np.linalg.inv(self.shapes)
        starts, ends = [], []
        for k, center in enumerate(self.centers):
            x = np.arange(first[k, 0], stop[k, 0])
            y = np.arange(first[k, 1], stop[k, 1])[:, None]
            dx = (x + 0.5) * _COLUMN_UM - center[0]
            dy = (y + 0.5) * _COLUMN_UM - center[1]
            (xx, xy), (_, yy) = shadow[k]
            height = 1 - xx * dx * dx - 2 * xy * dx * dy - yy * dy * dy
            inside = height > 0
            xz, yz, zz = inverse[k, 2]
            middle = center[2] - (xz * dx + yz * dy) / zz
            column = x - corner[0] + width * (y - corner[1])
            middle = (middle + spacing * column)[inside]
            half = np.sqrt(height[inside] / zz)
            starts.append(middle - half)
            ends.append(middle + half)
        start, end = np.concatenate(starts), np.concatenate(ends)
        order = np.argsort(start)
        start, end = start[order], np.maximum.accumulate(end[order])
        start[1:] = np.maximum(start[1:], end[:-1])
        return float(_COLUMN_UM**2 * np.maximum(end - start, 0).sum())


# Optical properties per unit volume: `matter` scatters light forwards, `texture`
# sidewards, `pigment` fluoresces, `opacity` (1/µm) absorbs light in the camera's image.
CONTENT = ("matter", "texture", "pigment", "opacity")

WALL = np.array([1.0, 1.0, 0.0, 0.10])
CYTOPLASM = np.array([0.10, 0.05, 0.0, 0.010])
CHLOROPLAST = np.array([0.15, 0.35, 1.0, 0.075])
GRANULE = np.array([0.5, 1.2, 0.0, 0.12])
# Thinner than the optical resolution: little volume, yet it diffracts enough light out
# of the lens to appear as a dark line.
THREAD = np.array([0.12, 0.12, 0.0, 0.55])
MUCUS = np.array([0.001, 0.001, 0.0, 0.0025])


def join(bodies: Sequence[Body]) -> Body:
    """Put several bodies into one."""
    return Body(
        np.concatenate([body.centers for body in bodies]),
        np.concatenate([body.shapes for body in bodies]),
        np.concatenate([body.content for body in bodies]),
    )


def ellipsoids(centers: ArrayLike, semi_axes: ArrayLike, content: np.ndarray) -> Body:
    """Axis-aligned ellipsoids; arguments broadcast to (n, 3), (n, 3), (n, 4)."""
    middles = np.atleast_2d(np.asarray(centers, dtype=float))
    shapes = np.zeros((len(middles), 3, 3))
    shapes[:, [0, 1, 2], [0, 1, 2]] = np.square(np.asarray(semi_axes, dtype=float))
    return Body(middles, shapes, np.broadcast_to(content, (len(middles), 4)))


def needles(
    starts: ArrayLike, ends: ArrayLike, radius: float, content: np.ndarray
) -> Body:
    """Thin spindles from ``starts`` to ``ends``, each (n, 3) in µm."""
    origins = np.atleast_2d(np.asarray(starts, dtype=float))
    half = (np.atleast_2d(np.asarray(ends, dtype=float)) - origins) / 2
    # Along `half` the semi-axis is its length, across it `radius`.
    length2 = np.maximum((half**2).sum(axis=1), 1e-12)[:, None, None]
    outer = half[:, :, None] * half[:, None, :]
    shapes = radius**2 * (np.eye(3) - outer / length2) + outer
    return Body(origins + half, shapes, np.broadcast_to(content, (len(half), 4)))


def thread(points: np.ndarray, radius: float, content: np.ndarray) -> Body:
    """Join a curve's points, (n + 1, 3) in µm, by n overlapping spindles."""
    overlap = 0.3 * np.diff(points, axis=0)
    return needles(points[:-1] - overlap, points[1:] + overlap, radius, content)


def hollow(
    centers: ArrayLike,
    semi_axes: ArrayLike,
    thickness: float,
    inside: np.ndarray = CYTOPLASM,
    wall: np.ndarray = WALL,
) -> Body:
    """Walled ellipsoids, ``thickness`` in µm, filled with ``inside``."""
    inner = np.maximum(np.asarray(semi_axes, dtype=float) - thickness, thickness / 2)
    return join(
        [
            ellipsoids(centers, semi_axes, wall),
            ellipsoids(centers, inner, inside - wall),
        ]
    )


def scattered(
    rng: np.random.Generator,
    n: int,
    region: ArrayLike,
    radius: ArrayLike,
    content: np.ndarray,
    shell: tuple[float, float] = (0.45, 0.75),
    spread: float = 0.2,
) -> Body:
    """Place ``n`` blobs at random between two scaled copies of an ellipsoid.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where to draw from.
    n : int
        How many blobs.
    region : sequence of 3 floats
        Semi-axes of the ellipsoid, µm.
    radius : float or sequence of 3 floats
        Typical semi-axes of a blob, µm.
    content : ndarray of shape (4,)
        What they are made of.
    shell : (float, float)
        The two scales between which the centers lie.
    spread : float
        Standard deviation of the logarithm of a blob's size.

    Returns
    -------
    Body
        The blobs.
    """
    direction = rng.standard_normal((n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = rng.uniform(*shell, size=(n, 1))
    sizes = np.exp(spread * rng.standard_normal((n, 1))) * np.asarray(radius)
    return ellipsoids(direction * distance * np.asarray(region), sizes, content)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotate about x by ``roll``, then about y by ``pitch``, then about z by ``yaw``.

    Angles are in radians.
    """
    (cz, cy, cx), (sz, sy, sx) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    return about_z @ about_y @ about_x
