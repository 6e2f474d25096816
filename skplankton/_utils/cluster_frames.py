"""Tables of Dask and Ray, not in memory → an error with what to do instead."""

from __future__ import annotations

from typing import Any

PAGE = "Large data and many machines"
# How each calls a function on one part of the table after another.
_PART_BY_PART = {
    "dask": "X.map_partitions(function)",
    "ray": 'X.map_batches(function, batch_format="pandas")',
}


def reject_cluster_frame(X: Any) -> None:
    """Raise a TypeError if X is a table of Dask or Ray; neither of them is imported."""
    for kind in type(X).__mro__:
        library = kind.__module__.partition(".")[0].partition("_")[0]  # dask_expr
        if library in _PART_BY_PART and hasattr(X, "columns"):  # no array of Dask
            raise TypeError(
                f"X is a {type(X).__name__} of {library.capitalize()}, which is not in "
                "memory as a whole; expected a table or an array that is. Fit on a "
                "part of it as a pandas table, and call transform or predict on one "
                f"part after the other: {_PART_BY_PART[library]}. The page {PAGE!r} of "
                "the user guide has the recipe."
            )
