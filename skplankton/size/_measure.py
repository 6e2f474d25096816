"""A table of particles → a table of their sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from skplankton._utils.extras import import_extra
from skplankton._utils.jobs import local_jobs
from skplankton._utils.reports import Problems
from skplankton._views.decoding import LUMA, cropped_pixels
from skplankton._views.entries import is_missing
from skplankton._views.table import (
    ENTRIES_PER_TASK,
    add_unreadable,
    as_table_or_array,
    decode_entries,
    row_label,
)
from skplankton.size._geometry import Geometry, measure_silhouette
from skplankton.size._silhouette import find_silhouette, touches_border

# The columns of lengths, areas and volumes, by the power of a pixel in each.
_COLUMNS = {
    "area_um2": 2,
    "equivalent_diameter_um": 1,
    "major_axis_um": 1,
    "minor_axis_um": 1,
    "biovolume_um3": 3,
}

NO_IMAGE = "no image"
UNREADABLE = "unreadable image"
NO_SILHOUETTE = "no silhouette"
CUT_OFF = "touches the border"


class Measured(NamedTuple):
    """The sizes of a particle in pixels, or a note why there are none."""

    geometry: Geometry | None
    note: str = ""


def measure_particles(
    X: pd.DataFrame,
    *,
    pixel_size: float,
    crop_top: int = 0,
    crop_bottom: int = 0,
    n_jobs: int | None = None,
    errors: str = "raise",
) -> pd.DataFrame:
    """Measure the size and biovolume of particles in their images.

    A particle is what is darker than its background, if only along its outline; its
    silhouette is measured. Needs scikit-image: ``pip install 'skplankton[size]'``.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_columns)
        The particles. Only the column `image` is used: arrays, paths, URLs, bytes,
        images stored in an instrument's file, or missing. Dark on a bright background,
        gray or color, uneven lighting included.
    pixel_size : float
        Size of a pixel in µm, from the instrument's calibration. One instrument at a
        time.
    crop_top, crop_bottom : int, default=0
        Rows to remove from the top and bottom of each image, such as a scale bar.
    n_jobs : int, default=None
        Number of processes of this machine. None means 1 unless in a
        `joblib.parallel_config` context, -1 means all cores. Nothing is sent to a
        cluster.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about an image that cannot be read. "raise" stops at the first.
        Otherwise its `note` says so, and one report at the end lists them: in a
        warning, or with "coerce" in the logger ``skplankton``.

    Returns
    -------
    DataFrame of shape (n_samples, 7)
        With the index of X, and these columns. Numbers are NaN and `method` is None
        where nothing could be measured.

        area_um2
            Area of the silhouette in µm², holes filled.
        equivalent_diameter_um
            Diameter in µm of a sphere with that silhouette (ESD).
        major_axis_um, minor_axis_um
            Axes in µm of the ellipse with the silhouette's second moments.
        biovolume_um3
            Volume in µm³.
        method
            How it was estimated: ``"solid of revolution"`` or ``"distance map"``.
        note
            ``"no image"``; ``"unreadable image"``; ``"no silhouette"`` if nothing is
            darker than the background; ``"touches the border"`` if the particle may go
            on beyond the image; otherwise empty.

    Raises
    ------
    FileNotFoundError
        With ``errors="raise"``, if an image file does not exist.
    ImportError
        If scikit-image is not installed.
    TypeError
        If X is not a table, or an image has an unknown type.
    ValueError
        If X has no column `image`, a parameter is out of range, or with
        ``errors="raise"`` an image cannot be read.

    Warns
    -----
    UserWarning
        With ``errors="warn"``, if images cannot be read.

    See Also
    --------
    carbon : Convert the biovolume to carbon.

    Notes
    -----
    Compact silhouettes are turned around their major axis. Where they are branched,
    bent or concave, the third dimension follows from the distance of each pixel to the
    outline [1]_. The method, the rule that decides and its thresholds are those of the
    Imaging FlowCytobot's software [2]_.

    Both assume circular cross sections. A flat particle that turns its broad side to
    the camera has a smaller volume: the silhouette does not show it.

    Of several particles in an image, the one that absorbs most light is measured.

    References
    ----------
    .. [1] Moberg and Sosik, "Distance maps to estimate cell volume from two-dimensional
       plankton images", Limnology and Oceanography: Methods 10:278-288, 2012,
       doi:10.4319/lom.2012.10.278.
    .. [2] https://github.com/hsosik/ifcb-analysis, feature_extraction/biovolume.

    Examples
    --------
    >>> from skplankton.datasets import make_particles
    >>> from skplankton.size import measure_particles
    >>> particles = make_particles(6, random_state=0)
    >>> particles.data.loc[5, "image"] = None
    >>> sizes = measure_particles(particles.data, pixel_size=particles.pixel_size)
    >>> sizes["biovolume_um3"].round(-3).tolist()
    [27000.0, 18000.0, 12000.0, 12000.0, 14000.0, nan]
    >>> sizes["note"].tolist()
    ['', '', '', '', '', 'no image']
    """
    import_skimage()
    X = as_table_or_array(X)
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            f"X is a {type(X).__name__}; expected a table of particles, "
            "pandas.DataFrame({'image': images})."
        )
    if "image" not in X.columns:
        raise ValueError(
            f"X has no column 'image'; got the columns {list(X.columns)[:10]}. Rename "
            "yours, e.g. X.rename(columns={...})."
        )
    pixel_size = _positive("pixel_size", pixel_size)
    cropped = {"crop_top": crop_top, "crop_bottom": crop_bottom}
    for name, n in cropped.items():
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 0:
            raise ValueError(
                f"{name}={n!r}: expected a number of rows, an integer from 0."
            )
    problems = Problems(errors)
    measure = partial(_measure_entry, **cropped)
    measured = _measure_all(X["image"], measure, n_jobs, problems)
    problems.report("X")
    columns: dict[str, Any] = {
        column: [
            np.nan
            if m.geometry is None
            else float(m.geometry[place]) * pixel_size**power
            for m in measured
        ]
        for place, (column, power) in enumerate(_COLUMNS.items())
    }
    methods = [None if m.geometry is None else m.geometry.method for m in measured]
    columns["method"] = np.array(methods, dtype=object)
    columns["note"] = np.array([m.note for m in measured], dtype=object)
    return pd.DataFrame(columns, index=X.index).astype(dict.fromkeys(_COLUMNS, float))


def _measure_all(
    images: pd.Series,
    measure: Callable[[Any], Measured],
    n_jobs: int | None,
    problems: Problems,
) -> list[Measured]:
    """Measure images of any kind; the note of an unreadable one says so."""
    entries = images.to_numpy(dtype=object)
    stop_at_error = problems.errors == "raise"
    n_processes, backend = local_jobs(n_jobs)
    n_per_round = n_processes * ENTRIES_PER_TASK
    measured: list[Measured] = []
    # In rounds, so that an error is raised after the first that has one.
    with Parallel(n_jobs=n_processes, backend=backend) as parallel:
        for start in range(0, len(entries), n_per_round):
            some = entries[start : start + n_per_round]
            chunks = parallel(
                delayed(decode_entries)(measure, task, stop_at_error)
                for task in np.array_split(some, min(n_processes, len(some)))
            )
            for result in (result for chunk in chunks for result in chunk):
                row = len(measured)
                measured.append(_checked(result, images, row, problems))
    return measured


def _checked(
    result: Measured | Exception, images: pd.Series, row: int, problems: Problems
) -> Measured:
    """The sizes, with the note of an unreadable image in place of its error."""
    if isinstance(result, Measured):
        return result
    add_unreadable(
        problems,
        row_label(images.index, row),
        "image",
        images.iloc[row],
        result,
        "a particle whose image cannot be read is not measured",
    )
    return Measured(None, UNREADABLE)


def _measure_entry(entry: Any, *, crop_top: int, crop_bottom: int) -> Measured:
    if is_missing(entry):
        return Measured(None, NO_IMAGE)
    pixels = cropped_pixels(entry, crop_top, crop_bottom)
    gray = pixels if pixels.ndim == 2 else pixels @ LUMA
    silhouette = find_silhouette(gray / 255 if pixels.dtype == np.uint8 else gray)
    if not silhouette.any():
        return Measured(None, NO_SILHOUETTE)
    if touches_border(silhouette):
        return Measured(None, CUT_OFF)
    return Measured(measure_silhouette(silhouette))


def import_skimage() -> None:
    import_extra("skimage.measure", "size", "measure_particles needs scikit-image")


def _positive(name: str, value: Any) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 < value < np.inf):
        raise ValueError(
            f"{name}={value!r}: expected µm per pixel, a number above 0. It is in the "
            "instrument's calibration or settings."
        )
    return float(value)
