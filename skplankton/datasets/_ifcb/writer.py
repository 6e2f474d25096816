"""Write particles as a bin of an Imaging FlowCytobot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skplankton._utils.files import check_free, unfinished
from skplankton._views.entries import image_pixels, is_missing, located_errors
from skplankton.datasets._ifcb.bins import files_of
from skplankton.datasets._ifcb.dialects import (
    MISSING_TIME_OF_FLIGHT,
    NEW,
    OLD,
    Dialect,
)
from skplankton.datasets._ifcb.names import parse_bin
from skplankton.datasets._table import check_particles


def write_ifcb(
    X: pd.DataFrame,
    path: str | os.PathLike,
    *,
    run_time: float = 1200.0,
    inhibit_time: float = 0.0,
    overwrite: bool = False,
) -> Path:
    """Write particles as a bin of an Imaging FlowCytobot (IFCB).

    It is meant for examples and tests, and to pass particles to other programs that
    read such files. Each row becomes one trigger.

    Parameters
    ----------
    X : DataFrame of shape (n_particles, n_columns)
        Columns `image` and `profile`. Images are gray, with 8 bits per pixel, of any
        kind that :class:`~skplankton.CrossModalEmbedder` reads; None is a trigger
        without an image. Profiles are vectors of all measurements that
        :func:`load_ifcb` lists, ten or, for the first instruments, four. A time of
        flight may be NaN. Other columns are not written: particles are numbered from 1.
    path : path-like
        The path of the bin, without suffix. Its name determines the instrument, the
        start and the form of the .adc file: D20220522T003051_IFCB134 or, of the first
        instruments, IFCB5_2012_028_081515. The folder is made if necessary.
    run_time : float, default=1200.0
        Duration of the measurement in s, over which the triggers are spread evenly.
    inhibit_time : float, default=0.0
        The part of it, in s, in which no particle could trigger. The first instruments
        do not record it.
    overwrite : bool, default=False
        Whether to replace existing files.

    Returns
    -------
    pathlib.Path
        The .adc file. The .roi and .hdr files are beside it.

    Raises
    ------
    FileExistsError
        If one of the files exists and ``overwrite`` is False.
    OSError
        If the disk is full.
    TypeError
        If X is not a DataFrame, or a value has an unknown type.
    ValueError
        If a column is missing, a profile is missing or not such a vector, an image has
        colors or more than 8 bits, the name is not that of a bin, or the times are not
        0 <= inhibit_time < run_time.

    See Also
    --------
    load_ifcb : Read such files.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skplankton.datasets import write_ifcb
    >>> image = np.zeros((8, 12), np.uint8)
    >>> X = pd.DataFrame({"image": [image] * 3, "profile": [np.arange(10.0)] * 3})
    >>> with TemporaryDirectory() as folder:
    ...     print(write_ifcb(X, f"{folder}/D20220522T003051_IFCB134").name)
    D20220522T003051_IFCB134.adc
    """
    bin = Path(path)
    try:
        dialect = OLD if parse_bin(bin.name).is_old else NEW
    except ValueError as error:
        raise ValueError(f"path={str(path)!r}: {error}.") from None
    if not 0 <= inhibit_time < run_time:
        raise ValueError(
            f"run_time={run_time!r}, inhibit_time={inhibit_time!r}; expected 0 <= "
            "inhibit_time < run_time."
        )
    targets = files_of(bin)
    for target in targets:
        check_free(target, overwrite)
    check_particles(X)
    with unfinished(bin, folder=bin.parent) as part:
        part.mkdir()
        parts = [part / target.name for target in targets]
        sizes = _write_images(X, parts[2])
        _write_rows(X, sizes, parts[0], dialect, run_time, inhibit_time)
        n_images = sum(size != (0, 0) for size in sizes)
        header = _header(dialect, len(X), n_images, run_time, inhibit_time)
        parts[1].write_text(header, encoding="latin-1", newline="\n")
        for written, target in zip(parts, targets, strict=True):
            os.replace(written, target)
    return targets[0]


def _write_images(X: pd.DataFrame, path: Path) -> list[tuple[int, int]]:
    """Write the pixels one after the other; return heights and widths, 0 if none."""
    sizes = []
    with open(path, "xb") as file:
        for row, entry in enumerate(X["image"]):
            if is_missing(entry):
                sizes.append((0, 0))
                continue
            where = f"X['image'], row {row} (counted from 0)"
            with located_errors(where):
                pixels = image_pixels(entry)
            if pixels.ndim != 2 or pixels.dtype != np.uint8:
                raise ValueError(
                    f"{where}: expected a gray image of 8 bits per pixel, got the "
                    f"shape {pixels.shape} and the type {pixels.dtype}."
                )
            file.write(np.ascontiguousarray(pixels).tobytes())
            sizes.append(pixels.shape)
    return sizes


def _write_rows(
    X: pd.DataFrame,
    sizes: list[tuple[int, int]],
    path: Path,
    dialect: Dialect,
    run_time: float,
    inhibit_time: float,
) -> None:
    start = 0
    with open(path, "x", encoding="ascii", newline="\n") as file:
        for row, (entry, (height, width)) in enumerate(
            zip(X["profile"], sizes, strict=True)
        ):
            share = (row + 1) / len(X)
            seconds = repr(run_time * share)
            values = dict.fromkeys(dialect.columns, "0")
            values["trigger#"] = str(row + 1)
            values["ADCtime"] = seconds
            values["TriggerOpenTime" if dialect is OLD else "GrabTimeStart"] = seconds
            values["FrameGrabTime" if dialect is OLD else "GrabTimeEnd"] = seconds
            values[dialect.width], values[dialect.height] = str(width), str(height)
            values[dialect.start_byte] = str(start)
            values.update(_measurements(entry, row, dialect))
            # The first instruments have the state of a valve, and end with a comma.
            end = ["0", ""] if dialect is OLD else [seconds, repr(inhibit_time * share)]
            file.write(",".join([*values.values(), *end]) + "\n")
            start += height * width


def _measurements(entry: Any, row: int, dialect: Dialect) -> dict[str, str]:
    names, where = dialect.measurements, f"X['profile'], row {row} (counted from 0)"
    vector = np.asarray(entry)
    if vector.dtype.kind not in "fiu":
        raise TypeError(f"{where}: expected numbers, got {type(entry).__name__}.")
    if vector.shape != (len(names),):
        raise ValueError(
            f"{where}: expected the {len(names)} measurements {', '.join(names)}, got "
            f"an array of the shape {vector.shape}."
        )
    texts = dict(zip(names, map(str, vector.astype(np.float32)), strict=True))
    if texts.get("TimeOfFlight") == "nan":
        texts["TimeOfFlight"] = str(MISSING_TIME_OF_FLIGHT)
    invalid = [name for name, text in texts.items() if not np.isfinite(float(text))]
    if invalid:
        raise ValueError(
            f"{where}: {invalid[0]} is {texts[invalid[0]]}; expected a number. Only "
            "TimeOfFlight may be NaN."
        )
    return texts


def _header(
    dialect: Dialect, n_triggers: int, n_images: int, run_time: float, inhibit: float
) -> str:
    if dialect is OLD:
        return '"Imaging FlowCytobot Acquisition Software version 1.0"\n'
    columns = ", ".join([*NEW.columns, "RunTime", "InhibitTime"])
    return (
        "SoftwareVersion: 2.0.0.0\n"
        f"triggerCount: {n_triggers}\n"
        f"roiCount: {n_images}\n"
        f"runTime: {run_time!r}\n"
        f"inhibitTime: {inhibit!r}\n"
        f"ADCFileFormat: {columns}\n"
    )
