"""Biovolume → carbon."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skplankton._views.entries import is_missing

# Menden-Deuer and Lessard 2000: pgC per cell = a · (µm³)^b.
_COEFFICIENTS = {
    "diatom": (0.288, 0.811),
    "dinoflagellate": (0.760, 0.819),
    "protist": (0.216, 0.939),
}


def carbon(biovolume: ArrayLike, group: ArrayLike) -> np.ndarray:
    """Convert the biovolume of cells to carbon, by their group.

    Parameters
    ----------
    biovolume : array-like of shape (n_samples,) or float
        Volumes of single cells in µm³; NaN where unknown.
    group : {"diatom", "dinoflagellate", "protist"} or array-like of these
        The group, or the group of each cell. "protist" is all other protist plankton.
        Where it is missing (None or NaN), so is the carbon.

    Returns
    -------
    ndarray of shape (n_samples,)
        Carbon in pg per cell; NaN where the volume or the group is missing.

    Raises
    ------
    ValueError
        If a volume is negative or infinite, a group is unknown, or there is not one
        group for each volume.

    See Also
    --------
    measure_particles : Measure biovolumes.

    Notes
    -----
    Carbon is :math:`a V^b` with the coefficients of [1]_: a = 0.288 and b = 0.811 for
    diatoms, 0.760 and 0.819 for dinoflagellates, 0.216 and 0.939 for protist plankton
    other than diatoms. They were measured on cells, and b is below 1: for a chain or
    colony, convert the volume of one cell, and multiply by the number of cells. The
    volume of a whole chain yields too little carbon.

    References
    ----------
    .. [1] Menden-Deuer and Lessard, "Carbon to volume relationships for
       dinoflagellates, diatoms, and other protist plankton", Limnology and
       Oceanography 45(3):569-579, 2000, doi:10.4319/lo.2000.45.3.0569.

    Examples
    --------
    >>> from skplankton.size import carbon
    >>> carbon([1000.0, 1000.0, 1000.0], ["diatom", "protist", None]).round(1)
    array([ 78.1, 141.7,   nan])
    """
    volumes = np.asarray(biovolume, dtype=float)
    wrong = np.flatnonzero(np.ravel((volumes < 0) | np.isinf(volumes)))
    if len(wrong):
        raise ValueError(
            f"biovolume: expected volumes in µm³, from 0, got {volumes.flat[wrong[0]]} "
            f"at position {wrong[0]}."
        )
    groups = np.asarray(group, dtype=object)
    if groups.ndim and groups.shape != volumes.shape:
        raise ValueError(
            f"group has the shape {groups.shape} and biovolume {volumes.shape}; "
            "expected one group for each volume, or a single one."
        )
    pairs = [
        (np.nan, np.nan) if is_missing(name) else _coefficients(name)
        for name in groups.flat
    ]
    factor, exponent = np.array(pairs).reshape(*groups.shape, 2).T
    return factor.T * volumes**exponent.T


def _coefficients(name: object) -> tuple[float, float]:
    if name not in _COEFFICIENTS:
        raise ValueError(
            f"group: expected one of {list(_COEFFICIENTS)}, got {name!r}. Map your "
            "labels to these groups; None leaves the carbon out."
        )
    return _COEFFICIENTS[name]  # type: ignore[index]
