"""Bins of an Imaging FlowCytobot as a table of particles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skplankton._utils.reports import Problems
from skplankton.datasets._ifcb.bins import find_bins
from skplankton.datasets._ifcb.contents import Bin, read_bin
from skplankton.datasets._ifcb.dialects import (
    MISSING_TIME_OF_FLIGHT,
    NEW,
    OLD,
    Dialect,
    check_measurements,
    select_measurements,
)
from skplankton.datasets._ifcb.header import number
from skplankton.datasets._ifcb.names import BinName, object_id, parse_bin
from skplankton.datasets._ifcb.volume import volume_of
from skplankton.datasets._samples.table import samples_table
from skplankton.datasets._table import COLUMNS, vector_table


def load_ifcb(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    measurements: str | Sequence[str] = "auto",
    require_image: bool = True,
    return_samples: bool = False,
    errors: str = "raise",
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Open bins of an Imaging FlowCytobot (IFCB).

    A bin is the three files of one sample: the image of a particle is in the .roi file,
    and its scattering and fluorescence are in the .adc file. The latter are the
    `profile`, which for this instrument is a vector of measurements instead of
    signals over time. Images stay in the .roi files, and are read when needed.

    Parameters
    ----------
    path : path-like or list of path-like
        A bin (one of its files, or their path without suffix), or a folder with bins,
        also in subfolders such as ``2022/D20220522``; or a list of these. Bins are
        ordered by name. A bin is named like D20220522T003051_IFCB134 or, from the first
        instruments, IFCB5_2012_028_081515.
    measurements : "auto" or list of str, default="auto"
        The measurements in `profile`, in order. "auto" is all: PMTA, PMTB, PMTC, PMTD
        (integrals of the photomultipliers' signals, in V; the first two are usually
        scattering and chlorophyll fluorescence), PeakA, PeakB, PeakC, PeakD (their
        peaks, in V), TimeOfFlight and SignalLength. The first instruments have
        FluorescenceLow, FluorescenceHigh, ScatteringLow and ScatteringHigh.
    require_image : bool, default=True
        Whether to leave out triggers without an image.
    return_samples : bool, default=False
        Whether to return ``(particles, samples)`` instead of the particles.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about data that cannot be read: a missing .roi file, an image beyond
        its end, an invalid row of an .adc file, a missing or empty .adc file, unknown
        columns, or fewer triggers than the header counts. "raise" raises an error with
        the file and the row. "warn" leaves them out and warns once, at the end.
        "coerce" does the same, but logs to the logger "skplankton" instead.

    Returns
    -------
    particles : DataFrame of shape (n_particles, 7)
        One row per image (a trigger may have several) or trigger without an image, with
        the following columns. The names of the measurements are in
        ``particles.attrs["measurements"]``; pandas does not keep `attrs` in all
        operations.

        image : a value that :class:`~skplankton.CrossModalEmbedder` reads, or None if
        missing. Images are gray, with 8 bits per pixel.

        profile : ndarray of shape (n_measurements,), dtype float32. A time of flight
        of -999, which the instrument writes for a missing one, is NaN.

        object_id : "<sample_id>_<particle_id>", with at least five digits, as in
        D20220522T003051_IFCB134_00003.

        sample_id, particle_id : the name of the bin, and the row in its .adc file,
        counted from 1. Rows without an image count, too.

        instrument : such as "IFCB134".

        has_image : whether an image was taken, even if it is missing.
    samples : DataFrame of shape (n_bins, 11)
        Only if `return_samples` is True. One row per bin, with the following columns.

        sample_id, instrument : as above.

        start : the time in the name, in UTC.

        duration_s : runTime of the header, in seconds.

        analyzed_volume_ml : 0.25 mL per minute of runTime - inhibitTime. If the header
        does not have them, they are taken from the .adc file; for the first
        instruments, the time between images is added up. NaN if unknown.

        pumped_volume_ml : 0.25 mL per minute of runTime.

        n_particles : number of triggers, and n_images : number of images, which the
        header counts; or those in the .adc file, if it does not.

        n_read : number of triggers that could be read.

        is_partial : whether triggers, rows or images could not be read.

        volume_problem : why the volumes are unknown, or "".

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder; or, with ``errors="raise"``, no .adc or .roi
        file of a bin.
    TypeError
        If `path` or `measurements` is of another type.
    ValueError
        If a folder contains no bin, or an .adc file with another name; a bin occurs
        twice; a measurement does not exist; bins of the first instruments and of others
        are mixed; or, with ``errors="raise"``, if data cannot be read.

    See Also
    --------
    read_ifcb_labels : Labels of such particles.
    write_ifcb_class_scores : Predictions in the form that other programs read.
    write_ifcb : Write such files.

    Notes
    -----
    Position and size of the image are not measurements here: the encoders would
    recognize a pair by them instead of by the particle.

    Images of one trigger that overlap, as the first instruments took, are not stitched.

    The formats are those of pyifcb, https://github.com/joefutrelle/pyifcb.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skplankton.datasets import load_ifcb, write_ifcb
    >>> X = pd.DataFrame({
    ...     "image": [np.zeros((8, 12), np.uint8), None, np.ones((9, 7), np.uint8)],
    ...     "profile": [np.arange(10.0)] * 3,
    ... })
    >>> with TemporaryDirectory() as folder:
    ...     path = write_ifcb(X, f"{folder}/D20220522T003051_IFCB134")
    ...     particles, samples = load_ifcb(folder, return_samples=True)
    >>> particles["object_id"].tolist()
    ['D20220522T003051_IFCB134_00001', 'D20220522T003051_IFCB134_00003']
    >>> particles.attrs["measurements"][:2]
    ['PMTA', 'PMTB']
    >>> samples["analyzed_volume_ml"].tolist()
    [5.0]
    """
    problems = Problems(errors)
    measurements = check_measurements(measurements)
    bins = find_bins(path)
    names = {bin: parse_bin(bin.name) for bin in bins}
    dialect = _one_dialect(names)
    try:
        columns = select_measurements(dialect, measurements)
    except ValueError as error:
        raise ValueError(f"{bins[0]}: {error}.") from None
    rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    samples = []
    for bin, name in names.items():
        contents = read_bin(bin, dialect, problems)
        _append_particles(rows, contents, name, columns, require_image)
        samples.append(_sample(contents, name))
    more = "" if len(bins) == 1 else f", or one of {len(bins) - 1} other bins,"
    problems.report(f"{bins[0]}{more}")
    particles = vector_table(rows, list(columns))
    if not return_samples:
        return particles
    return particles, samples_table(samples)


def _one_dialect(names: dict[Path, BinName]) -> Dialect:
    """The form of all .adc files, or a ValueError."""
    first = {name.is_old: bin for bin, name in names.items()}
    if len(first) == 2:
        raise ValueError(
            f"{first[True]} is a bin of the first instruments, and {first[False]} is "
            "not. They have different measurements: load the two kinds separately."
        )
    return OLD if True in first else NEW


def _append_particles(
    rows: dict[str, list[Any]],
    bin: Bin,
    name: BinName,
    columns: dict[str, int],
    require_image: bool,
) -> None:
    """Add the rows of a bin to the columns of the table."""
    kept = np.flatnonzero(bin.has_image | (not require_image))
    positions = list(columns.values())
    vectors = bin.rows.values[kept][:, positions].astype(np.float32)
    if "TimeOfFlight" in columns:
        times = vectors[:, list(columns).index("TimeOfFlight")]
        times[times == MISSING_TIME_OF_FLIGHT] = np.nan
    numbers = bin.rows.numbers[kept].tolist()
    rows["image"] += [bin.images[row] for row in kept]
    rows["profile"] += list(vectors)
    rows["object_id"] += [object_id(bin.path.name, number) for number in numbers]
    rows["sample_id"] += [bin.path.name] * len(kept)
    rows["particle_id"] += numbers
    rows["instrument"] += [name.instrument] * len(kept)
    rows["has_image"] += bin.has_image[kept].tolist()


def _sample(bin: Bin, name: BinName) -> dict[str, Any]:
    """The row of a bin in the table of samples."""
    volume = volume_of(
        bin.header, bin.rows.values, is_old=name.is_old, name=bin.path.name
    )
    counts = [number(bin.header, key) for key in ("triggerCount", "roiCount")]
    found = [bin.n_triggers() + bin.rows.n_broken, int(bin.has_image.sum())]
    n_particles, n_images = (
        int(count) if count < 2**53 else other
        for count, other in zip(counts, found, strict=True)
    )
    n_read = bin.n_triggers()
    # A trigger may be missing, an image of it alone, or a row in between.
    n_shown = sum(image is not None for image in bin.images)
    is_partial = n_read < n_particles or n_shown < n_images or bin.rows.n_broken > 0
    return {
        "sample_id": bin.path.name,
        "instrument": name.instrument,
        "start": name.start,
        "duration_s": volume.duration,
        "analyzed_volume_ml": volume.analyzed,
        "pumped_volume_ml": volume.pumped,
        "n_particles": n_particles,
        "n_images": n_images,
        "n_read": n_read,
        "is_partial": is_partial,
        "volume_problem": volume.problem,
    }
