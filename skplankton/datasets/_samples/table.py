"""The table of samples: what turns counts into concentrations, one row per sample."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from reprlib import repr as shown  # short, for values of any length and depth
from typing import Any

import pandas as pd

UTC = "datetime64[ns, UTC]"
# The columns and their types. Counts are floats, as NaN is an unknown one.
COLUMNS = {
    "sample_id": "str",
    "instrument": object,
    "start": UTC,
    "duration_s": "float64",
    "analyzed_volume_ml": "float64",
    "pumped_volume_ml": "float64",
    "n_particles": "float64",
    "n_images": "float64",
    "n_read": "float64",
    "is_partial": bool,
    "volume_problem": "str",
}
COUNTS = ("n_particles", "n_images", "n_read")
# Facts about what was read, which nobody can know better than the reader.
OF_READING = ("sample_id", "n_read", "is_partial", "volume_problem")
# Each column of EcoTaxa begins with one of them.
PREFIXES = ("object", "acq", "process", "sample")
# Columns that a table may have besides -> the same of each object in EcoTaxa.
PLACE = {
    "latitude": "object_lat",
    "longitude": "object_lon",
    "depth_min": "object_depth_min",
    "depth_max": "object_depth_max",
}
NO_VOLUME = "no volume is given"
# A date with or without a time of day and a time zone.
_ISO_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?"
)


def samples_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of samples from one mapping per row; what a row lacks is unknown.

    `start` is text that `utc_time` takes, a Timestamp or missing. Keys that are not in
    `COLUMNS` become columns of objects, behind the others.
    """
    rows = [{"is_partial": False, "volume_problem": ""} | dict(row) for row in rows]
    others = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    table = {}
    for name, dtype in (COLUMNS | dict.fromkeys(others, object)).items():
        values = [row.get(name) for row in rows]
        if name == "start":
            values = [pd.NaT if value is None else utc_time(value) for value in values]
        table[name] = pd.Series(values, dtype=dtype)
    return pd.DataFrame(table)


def utc_time(value: Any) -> pd.Timestamp:
    """A Timestamp in UTC, or NaT as it is; a ValueError for anything else.

    Text is a date in ISO 8601, perhaps with a time of day and a time zone; without a
    time zone it is taken as UTC.
    """
    # pandas would also take "now", numbers, and dates in any order.
    is_text = isinstance(value, str) and _ISO_TIME.fullmatch(value)
    if is_text or isinstance(value, datetime.datetime):
        with suppress(ValueError):  # 30 February, or a year that pandas cannot have
            time = pd.Timestamp(value)
            if time is pd.NaT:
                return time
            is_local = time.tzinfo is not None
            time = time.tz_convert("UTC") if is_local else time.tz_localize("UTC")
            return time.as_unit("ns")
    raise ValueError(
        "expected a time such as 2025-07-01T09:30Z, from 1678 to 2261, got "
        f"{shown(value)}"
    )


def positive_number(value: Any, name: str) -> tuple[float | None, str]:
    """The number, or None; and why there is none, as a text that begins with `name`."""
    if value is None:
        return None, f"{name} is missing"
    try:
        number = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        return None, f"{name} is {shown(value)}, not a number"
    if number <= 0:
        return None, f"{name} is {'zero' if number == 0 else f'negative, {number}'}"
    return number, ""


def with_metadata(samples: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """The samples with the values that `metadata` has for their ids.

    A value of `metadata` replaces that of the instrument; a missing one does not.
    """
    given = metadata.set_index("sample_id").reindex(samples["sample_id"])
    given.index = samples.index
    # A day does not replace the time at which the measurement started.
    keeps_start = _is_day(given) & samples["start"].notna()
    given["start"] = given["start"].mask(keeps_start)
    result = samples.copy()
    for name in given:
        if name in result and name not in OF_READING:
            result[name] = given[name].where(given[name].notna(), result[name])
        elif name not in result:
            result[name] = given[name]
    result.loc[given["analyzed_volume_ml"].notna(), "volume_problem"] = ""
    return result


def _is_day(metadata: pd.DataFrame) -> pd.Series:
    """Whether `start` is but a date, the beginning of the day."""
    is_midnight = metadata["start"] == metadata["start"].dt.normalize()
    if "object_time" in metadata:
        return is_midnight & metadata["object_time"].isna()
    return is_midnight


def as_texts(row: Mapping[str, Any]) -> dict[str, str]:
    """The values of a row of such a table that are not missing, as in a CSV file."""
    texts = {}
    for name, value in row.items():
        if pd.isna(value):
            continue
        if isinstance(value, pd.Timestamp):
            texts[name] = value.isoformat()
        elif isinstance(value, float) and value.is_integer() and name in COUNTS:
            texts[name] = str(int(value))
        else:
            texts[name] = str(value)
    return texts
