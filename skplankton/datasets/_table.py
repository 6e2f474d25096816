"""The table of particles that the loaders of instruments return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

# Columns and their types: object where a value may be None.
COLUMNS = {
    "image": object,
    "profile": object,
    "object_id": "str",
    "sample_id": "str",
    "particle_id": "int64",
    "instrument": object,
    "has_image": bool,
}


def vector_table(
    rows: Mapping[str, Sequence[Any]], measurements: Sequence[str]
) -> pd.DataFrame:
    """A table whose profiles are vectors of these measurements."""
    table = pd.DataFrame(
        {name: _series(rows[name], dtype) for name, dtype in COLUMNS.items()}
    )
    table.attrs["measurements"] = list(measurements)
    return table


def _series(entries: Sequence[Any], dtype: Any) -> pd.Series:
    if dtype is not object:
        return pd.Series(entries, dtype=dtype)
    # One by one: numpy would make one array of vectors of the same length.
    column = np.empty(len(entries), dtype=object)
    for i, entry in enumerate(entries):
        column[i] = entry
    return pd.Series(column, dtype=object)
