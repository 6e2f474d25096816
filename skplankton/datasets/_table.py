"""The table of particles: as loaders of instruments return it, and writers take it."""

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


def check_particles(X: Any) -> None:
    """Raise unless X is a table of particles that can be written."""
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            "Expected a DataFrame with the columns 'image' and 'profile', got "
            f"{type(X).__name__}."
        )
    for name in ("image", "profile"):
        if name not in X:
            raise ValueError(
                f"X has no column {name!r}, only {X.columns.tolist()}. If no particle "
                f"has that modality, set X[{name!r}] = None."
            )


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
