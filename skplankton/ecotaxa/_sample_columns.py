"""The table of samples → columns of each object, as EcoTaxa's import table has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skplankton.datasets._samples.table import COUNTS, PLACE, PREFIXES

SAMPLE_ID = "sample_id"
DATE, TIME = "object_date", "object_time"
# Columns of the samples that describe the acquisition.
OF_ACQUISITION = (
    "instrument",
    "duration_s",
    "analyzed_volume_ml",
    "pumped_volume_ml",
    "n_particles",
    "n_images",
    "is_partial",
)


def with_sample_columns(table: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns of each particle's sample.

    A value of the table itself is kept. Columns without any value are left out: in an
    update, EcoTaxa would empty them.
    """
    _check(table, samples)
    columns = _columns(samples.set_index(SAMPLE_ID))
    added = columns.reindex(table[SAMPLE_ID]).set_index(table.index)
    if DATE in table:  # a date and its time belong together
        has_own = table[DATE].notna()
        added = added.assign(
            **{name: _filled(None, added[name], has_own) for name in (DATE, TIME)}
        )
    result = table.copy(deep=False)
    for name, values in added.items():
        if name in table:
            result[name] = _filled(table[name], values, table[name].notna())
        elif values.notna().any():
            result[name] = values
    return _with_parents(result)


def _filled(first: Any, second: pd.Series, is_first: pd.Series) -> pd.Series:
    """The values of the first where `is_first`, and elsewhere of the second."""
    # Series.where would change the type of objects.
    chosen = np.where(is_first, np.asarray(first, object), np.asarray(second, object))
    return pd.Series(chosen, second.index, dtype=object)


def _check(table: pd.DataFrame, samples: Any) -> None:
    if not isinstance(samples, pd.DataFrame) or SAMPLE_ID not in samples:
        raise TypeError(
            "samples: expected a DataFrame with a column 'sample_id', as load_cyz_json "
            f"and read_samples return, got {type(samples).__name__}."
        )
    if SAMPLE_ID not in table:
        raise ValueError(
            "The table has no column 'sample_id', which says to which of the samples a "
            "particle belongs. Add it, or leave out samples."
        )
    twice = samples[SAMPLE_ID][samples[SAMPLE_ID].duplicated()]
    if len(twice):
        raise ValueError(
            f"samples has {twice.iloc[0]!r} twice; expected one row per sample."
        )
    unknown = table[SAMPLE_ID][~table[SAMPLE_ID].isin(samples[SAMPLE_ID])]
    if len(unknown):
        raise ValueError(
            f"samples has no row for {unknown.iloc[0]!r}, to which {len(unknown)} of "
            f"the particles belong; it has {samples[SAMPLE_ID].tolist()[:5]}. Add it, "
            "with missing values if nothing is known."
        )


def _columns(samples: pd.DataFrame) -> pd.DataFrame:
    """What EcoTaxa stores of each sample, by its id."""
    columns = pd.DataFrame(index=samples.index)
    nothing = pd.Series(None, samples.index, dtype=object)
    start = samples.get("start", nothing)
    date, time = samples.get(DATE, nothing), samples.get(TIME, nothing)
    # The start does not complete a date without a time of day.
    columns[DATE] = _filled(date, start, date.notna())
    columns[TIME] = _filled(time, start, date.notna())
    for name in OF_ACQUISITION:
        if name in samples:
            columns[f"acq_{name}"] = _written(samples[name])
    for name in PLACE:
        if name in samples:
            columns[PLACE[name]] = samples[name]
    for name, values in samples.items():
        is_for_ecotaxa = isinstance(name, str) and name.partition("_")[0] in PREFIXES
        if is_for_ecotaxa and name not in (DATE, TIME):
            if name in columns:
                values = _filled(values, columns[name], values.notna())
            columns[name] = values
    return columns


def _written(values: pd.Series) -> pd.Series:
    if values.name in COUNTS and (values.dropna() % 1 == 0).all():
        return values.astype("Int64")
    return values.astype(str) if values.name == "is_partial" else values


def _with_parents(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ids of acquisitions and processes, where it has columns of them.

    A sample has one acquisition and one process unless the table says otherwise.
    """
    for prefix, parent in (("acq", SAMPLE_ID), ("process", "acq_id")):
        has_columns = any(str(name).startswith(f"{prefix}_") for name in table)
        if has_columns and f"{prefix}_id" not in table:
            source = parent if parent in table else SAMPLE_ID
            table[f"{prefix}_id"] = table[source]
    return table
