"""Embeddings of the form [image | profile] → their views, some of them missing."""

import numpy as np
from sklearn.utils import gen_batches

from skplankton._utils.reports import listed

# Number of rows checked for NaN and infinite values at a time.
_N_CHECKED = 4096


def split_views(X: np.ndarray, n_modalities: int = 2) -> np.ndarray:
    """Split embeddings of the form [image | profile] into their views.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The embeddings. Where a view is missing, its columns are all NaN.
    n_modalities : {1, 2}, default=2
        With 1, all columns are one view.

    Returns
    -------
    ndarray of shape (n_samples, n_modalities, n_features // n_modalities)
        A view of X: no copy is made.

    Raises
    ------
    ValueError
        If the columns cannot be split, or if a view is partly NaN or infinite.
    """
    if X.shape[1] % n_modalities:
        raise ValueError(
            f"X has {X.shape[1]} columns, which n_modalities=2 cannot split into "
            "an image half and a profile half. Pass embeddings of the form "
            "[image | profile], of equal width, or set n_modalities=1."
        )
    views = X.reshape(len(X), n_modalities, -1)
    partly, infinite = _partly_missing_and_infinite(views)
    halves = ("The image half of X", "The profile half of X")
    parts = halves if n_modalities == 2 else ("X",)
    for block, part in enumerate(parts):
        if partly[:, block].any():
            hint = " Set n_modalities=2 if X is [image | profile]."
            raise ValueError(
                f"{part} is partly NaN in {row_names(partly[:, block])}. "
                "A missing view is all NaN; fill in or drop a view with gaps."
                f"{hint if n_modalities == 1 else ''}"
            )
    if infinite.any():
        raise ValueError(
            f"X is infinite in {row_names(infinite)}. Expected finite embeddings, or a "
            "half that is all NaN where the view is missing."
        )
    return views


def _partly_missing_and_infinite(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which views are partly NaN, and which rows have an infinite value."""
    partly = np.empty(views.shape[:2], dtype=bool)
    infinite = np.empty(len(views), dtype=bool)
    for batch in gen_batches(len(views), _N_CHECKED):  # not a mask as large as X
        missing = np.isnan(views[batch])
        partly[batch] = missing.any(axis=2) & ~missing.all(axis=2)
        infinite[batch] = np.isinf(views[batch]).any(axis=(1, 2))
    return partly, infinite


def present_views(views: np.ndarray) -> np.ndarray:
    """Which views are present, of shape (n_samples, n_views)."""
    return ~np.isnan(views[:, :, 0])  # a view is all NaN or has no NaN


def row_names(mask: np.ndarray) -> str:
    """The rows of X where `mask` is True, counted from 0, for messages."""
    rows = np.flatnonzero(mask)
    return ("row " if len(rows) == 1 else "rows ") + listed(map(str, rows.tolist()))
