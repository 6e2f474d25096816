"""A user's CSV file about samples → the table of samples."""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from skplankton._utils.csv_rows import spreadsheet_table
from skplankton.datasets._samples.table import (
    COLUMNS,
    COUNTS,
    NO_VOLUME,
    PLACE,
    PREFIXES,
    positive_number,
    samples_table,
    utc_time,
    with_metadata,
)

# Other names of columns -> those of the table.
_MEANINGS = {
    "volume_ml": ("analyzed_volume_ml",),
    "date": ("object_date",),
    "time": ("object_time",),
    "depth": ("depth_min", "depth_max"),
    **{name: (plain,) for plain, name in PLACE.items()},
}
_OF_PARTICLES = re.compile(
    r"object_(id|annotation_.*|score|familiarity|similarity|neighbor_\d+)"
)
_DATES = {
    r"\d{8}": "%Y%m%d",
    r"\d{4}-\d\d?-\d\d?": "%Y-%m-%d",
    r"\d\d?\.\d\d?\.\d{4}": "%d.%m.%Y",  # with points, the day always is first
}
_TIMES = {
    r"\d{5,6}": "%H%M%S",
    r"\d\d?:\d\d": "%H:%M",
    r"\d\d?:\d\d:\d\d": "%H:%M:%S",
}
_MOST_DIGITS = 15  # of a whole number that is exact as a float
# Not "007", which is an identifier.
_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_COMMA_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*),\d+([eE][-+]?\d+)?")


def read_samples(
    path: str | os.PathLike, *, samples: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Read volumes, times and places of samples from a CSV file.

    For what the instrument's file does not say, or for particles that are only images
    and profiles in a folder.

    Parameters
    ----------
    path : path-like
        The file, UTF-8, as spreadsheet programs save it (commas, semicolons or tabs),
        with one row per sample. Numbers have a decimal point or, with semicolons, a
        decimal comma. An empty value is a missing one. Its columns, in any order and of
        which only the first is required:

        sample_id : the id of the sample, such as the name of its file without suffix.

        volume_ml (or analyzed_volume_ml) : the volume in mL that the particles of the
        sample were in.

        date, time : when it was taken, in UTC, such as 2025-07-01 (or 1.7.2025) and
        09:30; or both in a column start, such as 2025-07-01T09:30+02:00.

        latitude, longitude : decimal degrees, south and west negative.

        depth, or depth_min and depth_max : in m, positive downwards.

        duration_s, pumped_volume_ml, n_particles, n_images, n_read, instrument,
        is_partial, volume_problem : as in the result of :func:`load_cyz_json`. A
        ``samples.csv`` written by ``python -m skplankton classify`` has all of them.

        Any name that begins with ``object_``, ``acq_``, ``process_`` or ``sample_``:
        further columns for EcoTaxa. EcoTaxa's own names (``object_lat``,
        ``object_date``, …) may be used instead of those above, as in the
        ``meta/samples.csv`` of CytoProcess.
    samples : DataFrame of shape (n_samples, n_columns), default=None
        A table of samples, as from :func:`load_cyz_json`, to which the file's values
        are added by `sample_id`. They replace the instrument's. Rows of other samples
        are left out.

    Returns
    -------
    DataFrame of shape (n_samples, n_columns)
        One row per sample: the columns of the samples of :func:`load_cyz_json`, and
        those of the file among `latitude`, `longitude`, `depth_min`, `depth_max`, the
        date and time as ``object_date`` and ``object_time``, and further ones. Without
        `samples`, `n_read` is NaN and `is_partial` False unless the file has them.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    TypeError
        If `samples` is not a table of samples.
    ValueError
        If a column is missing, unknown or occurs twice, or is one of particles, not of
        samples; two rows have one sample_id; a value is not what its column needs (a
        volume that is zero or negative, a date in another form, a latitude above 90);
        or none of the rows belongs to `samples`.

    See Also
    --------
    load_cyz_json : Particles and samples from CytoSense measurements.
    skplankton.ecotaxa.write_ecotaxa : Writes these columns for EcoTaxa.
    skplankton.exports.to_darwin_core : Exports them as events.

    Notes
    -----
    A date without a time gives a `start` at the beginning of the day. It does not
    replace the start of a measurement that is in `samples`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.datasets import read_samples
    >>> table = "sample_id,volume_ml,date,latitude\\nLAB,2.5,2025-07-01,48.4\\n"
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "stations.csv")
    ...     _ = path.write_text(table, encoding="utf-8")
    ...     samples = read_samples(path)
    >>> samples[["sample_id", "analyzed_volume_ml", "latitude", "object_date"]]
      sample_id  analyzed_volume_ml  latitude object_date
    0       LAB                 2.5      48.4    20250701
    """
    path = Path(path)
    if samples is not None:
        _check_samples(samples)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not a file. Expected a CSV file with a column sample_id, and "
            "one row per sample."
        )
    names, records, decimal = spreadsheet_table(path)
    columns = _columns(names, path)
    rows: dict[str, dict[str, Any]] = {}
    line_of: dict[str, int] = {}
    for line, texts in records:
        if decimal == ",":
            texts = _with_points(columns, texts)
        row = _row(columns, texts, f"{path}, line {line}")
        sample = row["sample_id"]
        if sample in rows:
            raise ValueError(
                f"{path}, line {line}: the sample {sample!r} has a row already, in "
                f"line {line_of[sample]}. Keep one of the two."
            )
        rows[sample], line_of[sample] = row, line
    if not rows:
        raise ValueError(f"{path} has no row below the column names.")
    metadata = _with_numbers(samples_table(rows.values()))
    if samples is None:
        return metadata
    if not metadata["sample_id"].isin(samples["sample_id"]).any():
        raise ValueError(
            f"{path}: none of its {len(metadata)} rows belongs to the samples: it has "
            f"{metadata['sample_id'].tolist()[:5]}, the samples are "
            f"{samples['sample_id'].tolist()[:5]}."
        )
    return with_metadata(samples, metadata)


def _check_samples(samples: Any) -> None:
    missing = [name for name in COLUMNS if name not in getattr(samples, "columns", ())]
    if missing:
        raise TypeError(
            "samples: expected the table of samples that load_cyz_json and other "
            f"loaders return, got {type(samples).__name__} without a column "
            f"{missing[0]!r}."
        )


def _columns(names: list[str], path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """The name of each column, and what it stands for; all checked."""
    columns = [(name, _meaning(name.lower(), f"{path}, line 1")) for name in names]
    meanings = [meaning for _, many in columns for meaning in many]
    for meaning in meanings:
        if meanings.count(meaning) > 1:
            same = [name for name, many in columns if meaning in many]
            raise ValueError(
                f"{path}, line 1: the columns {same} are the same. Remove one."
            )
    if "sample_id" not in meanings:
        raise ValueError(
            f"{path}, line 1: no column 'sample_id', only {names[:10]}. Expected one "
            "row per sample, each with its id."
        )
    return columns


def _meaning(name: str, where: str) -> tuple[str, ...]:
    if name in _MEANINGS:
        return _MEANINGS[name]
    if _OF_PARTICLES.fullmatch(name):
        raise ValueError(
            f"{where}: the column {name!r} describes particles; expected one row per "
            "sample. Remove the column."
        )
    prefix, separator, rest = name.partition("_")
    if name in COLUMNS or name in PLACE or (prefix in PREFIXES and separator and rest):
        return (name,)
    raise ValueError(
        f"{where}: the column {name!r} is unknown. Expected some of "
        f"{[*COLUMNS, *PLACE, *_MEANINGS]}; or, for further columns of EcoTaxa, a name "
        f"that begins with object_, acq_, process_ or sample_, such as sample_{name}. "
        "Rename or remove it."
    )


def _with_points(
    columns: list[tuple[str, tuple[str, ...]]], texts: list[str]
) -> list[str]:
    """The values of a row, its numbers with a point where they have a comma."""
    return [
        text.replace(",", ".")
        if _has_numbers(meanings[0]) and _COMMA_NUMBER.fullmatch(text.strip())
        else text
        for (_, meanings), text in zip(columns, texts, strict=True)
    ]


def _has_numbers(meaning: str) -> bool:
    """Whether the column may have numbers; of other levels, EcoTaxa has texts."""
    return meaning in _VALUES or meaning.startswith("object_")


def _row(
    columns: list[tuple[str, tuple[str, ...]]], texts: list[str], where: str
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for (name, meanings), text in zip(columns, texts, strict=True):
        text = text.strip()
        for meaning in meanings:
            try:
                row[meaning] = _VALUES.get(meaning, str)(text) if text else None
            except ValueError as error:
                raise ValueError(f"{where}, column {name!r}: {error}.") from None
    if row["sample_id"] is None:
        raise ValueError(
            f"{where}: the sample_id is missing. Write it, or remove the row."
        )
    shallow, deep = row.get("depth_min"), row.get("depth_max")
    if shallow is not None and deep is not None and shallow > deep:
        raise ValueError(
            f"{where}: depth_min is {shallow:g}, more than depth_max, {deep:g}. Depths "
            "are in m, positive downwards."
        )
    date, time = row.get("object_date"), row.get("object_time")
    if time is not None and date is None:
        raise ValueError(f"{where}: a time without a date. Add the date.")
    if row.get("start") is None and date is not None:
        row["start"] = _start(date, time or "000000", where)
    has_volume = row.get("analyzed_volume_ml") is not None
    problem = row.get("volume_problem") or NO_VOLUME
    row["volume_problem"] = "" if has_volume else problem
    row["is_partial"] = bool(row.get("is_partial"))
    return row


def _start(date: str, time: str, where: str) -> pd.Timestamp:
    moment = datetime.datetime.strptime(date + time, "%Y%m%d%H%M%S")
    try:
        return utc_time(moment)
    except ValueError as error:
        raise ValueError(f"{where}, the date {date}: {error}.") from None


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The table, with numbers where columns of objects contain nothing else.

    Of the other levels, EcoTaxa stores texts.
    """
    for name in table.columns[len(COLUMNS) :]:
        texts = [str(value) for value in table[name].dropna()]
        may_be_number = name.startswith("object_") and name not in _TEXTS
        is_number = texts and all(map(_NUMBER.fullmatch, texts))
        if name in PLACE or (may_be_number and is_number):
            table[name] = table[name].astype("float64")
    return table


def _number(text: str, least: float = -math.inf, most: float = math.inf) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not least <= number <= most or not math.isfinite(number):
        limits = "" if math.isinf(most) else f" from {least:g} to {most:g}"
        comma = " with a decimal point" if "," in text else ""
        raise ValueError(f"expected a number{limits}{comma}, got {text!r}")
    return number


def _positive(text: str) -> float:
    number, problem = positive_number(_number(text), "the value")
    if number is None:
        raise ValueError(f"{problem}; expected a number above 0, or nothing")
    return number


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"expected True or False, got {text!r}")
    return text.lower() == "true"


def _date(text: str) -> str:
    examples = "a date such as 2025-07-01, 20250701 or 1.7.2025"
    if "/" in text:
        # A spreadsheet program shows, and saves, 2025-07-01 in this form.
        examples += " (with a '/', the day or the month may be first: give the column "
        examples += "the format yyyy-mm-dd, and save the table again)"
    return _rewritten(text, _DATES, "%Y%m%d", examples)


def _time(text: str) -> str:
    return _rewritten(text, _TIMES, "%H%M%S", "a time such as 09:30 or 093000")


def _rewritten(text: str, forms: dict[str, str], wanted: str, examples: str) -> str:
    # As pandas writes whole numbers among missing ones, CytoProcess too.
    digits = re.sub(r"(?<=\d)\.0$", "", text)
    for pattern, form in forms.items():
        # strptime alone would take digits in other numbers than these.
        if re.fullmatch(pattern, digits):
            # Spreadsheet programs drop the leading zero of 093000.
            whole = digits.zfill(6) if form == "%H%M%S" else digits
            with suppress(ValueError):
                return datetime.datetime.strptime(whole, form).strftime(wanted)
    raise ValueError(f"expected {examples}, got {text!r}")


def _latitude(text: str) -> float:
    return _number(text, -90, 90)


def _longitude(text: str) -> float:
    return _number(text, -180, 180)


_TEXTS = ("object_date", "object_time")
# How the text of a column is read; that of others remains text.
_VALUES: dict[str, Callable[[str], Any]] = {
    "start": utc_time,
    "duration_s": _positive,
    "analyzed_volume_ml": _positive,
    "pumped_volume_ml": _positive,
    **dict.fromkeys(COUNTS, _count),
    "is_partial": _truth,
    "latitude": _latitude,
    "longitude": _longitude,
    "depth_min": _number,
    "depth_max": _number,
    "object_date": _date,
    "object_time": _time,
}
