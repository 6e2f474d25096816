"""Samples → the events of Darwin Core: when and where."""

from __future__ import annotations

import datetime
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from skplankton._utils.reports import Problems, listed
from skplankton._views.entries import is_missing
from skplankton.exports._terms import EVENT_COLUMNS

_POSITION = {"latitude": 90.0, "longitude": 180.0}
_DEPTHS = ("depth_min", "depth_max")


def events_of(samples: pd.DataFrame, prefix: str, problems: Problems) -> pd.DataFrame:
    """One event per sample; a missing time or position is a problem."""
    ids = samples["sample_id"]
    columns: dict[str, Any] = {"eventID": [f"{prefix}{sample_id}" for sample_id in ids]}
    columns["eventDate"] = [_interval(row) for row in samples.to_dict("records")]
    lacking = {"start": np.array([not date for date in columns["eventDate"]])}
    for name, limit in _POSITION.items():
        values = numbers(samples, "samples", name, -limit, limit)
        columns[f"decimal{name.title()}"] = values
        lacking[name] = np.isnan(values)
    _report_missing(ids, lacking, problems)
    low, high = (numbers(samples, "samples", name) for name in _DEPTHS)
    upside_down = np.flatnonzero(low > high)
    if len(upside_down):
        row = upside_down[0]
        raise ValueError(
            f"samples, row {row} ({ids.iloc[row]!r}): depth_min={low[row]:g} is more "
            f"than depth_max={high[row]:g}. Depths are in m, positive downwards."
        )
    columns["minimumDepthInMeters"], columns["maximumDepthInMeters"] = low, high
    columns["eventRemarks"] = [_remarks(row) for row in samples.to_dict("records")]
    return pd.DataFrame(columns, columns=list(EVENT_COLUMNS))


def _report_missing(
    ids: pd.Series, lacking: dict[str, np.ndarray], problems: Problems
) -> None:
    gaps = [
        f"{lack.sum()} of {len(ids)} samples have no {name}: {shown(ids[lack])}."
        for name, lack in lacking.items()
        if lack.any()
    ]
    if gaps:
        problems.add(
            " ".join(gaps),
            "a sample without a start, latitude or longitude is exported without it, "
            "and OBIS does not accept it",
            count=int(np.any(list(lacking.values()), axis=0).sum()),
        )


def _interval(sample: dict[Hashable, Any]) -> str:
    """From start to end in ISO 8601, the start alone, or an empty text."""
    start, seconds = sample["start"], sample["duration_s"]
    if is_missing(start):
        return ""
    where = f"samples, sample {sample['sample_id']!r}"
    if not isinstance(start, datetime.datetime):
        raise ValueError(
            f"{where}: expected a time as start, got {start!r}. Convert the column "
            "with pandas.to_datetime."
        )
    start = pd.Timestamp(start)
    if start.tzinfo is not None:
        start = start.tz_convert("UTC").tz_localize(None)
    if is_missing(seconds):
        return _iso(start)
    return f"{_iso(start)}/{_iso(start + pd.Timedelta(seconds=seconds))}"


def _iso(time: pd.Timestamp) -> str:
    return f"{time.round('s').isoformat()}Z"


def numbers(
    table: pd.DataFrame,
    table_name: str,
    name: str,
    low: float = -np.inf,
    high: float = np.inf,
) -> np.ndarray:
    """A column of optional numbers between two limits; NaN where missing."""
    values = np.full(len(table), np.nan)
    if name not in table.columns:
        return values
    for row, value in enumerate(table[name]):
        if is_missing(value):
            continue
        try:
            values[row] = float(value)
        except (TypeError, ValueError):
            values[row] = np.inf
        if not low <= values[row] <= high or np.isinf(values[row]):
            limits = f" from {low:g}" if np.isfinite(low) else ""
            limits += f" to {high:g}" if np.isfinite(high) else ""
            raise ValueError(
                f"{table_name}, row {row} ({table['sample_id'].iloc[row]!r}): expected "
                f"a number{limits} as {name}, got {value!r}."
            )
    return values


def _remarks(sample: dict[Hashable, Any]) -> str:
    remarks = []
    partial, problem = sample.get("is_partial"), sample.get("volume_problem")
    if not is_missing(partial) and partial:
        remarks.append("Only a part of the sample was read.")
    if not is_missing(problem) and str(problem):
        remarks.append(f"Volume: {problem}")
    return " ".join(remarks)


def shown(values: Iterable) -> str:
    """The first values, for a message."""
    return listed((repr(str(value)) for value in values), most=10)
