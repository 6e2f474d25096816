"""What a model says of the particles → columns of an import table."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from skplankton._views.cells import is_missing
from skplankton.ecotaxa._columns import CATEGORY, DATE, NUMBER, STATUS, TEXT, TIME
from skplankton.ecotaxa._import_columns import Column, number_text

# Probabilities of single precision may add up to a bit more than 1.
_ROUNDING = 1e-5


def annotation_columns(
    predictions: ArrayLike, ids: Sequence[str], date: datetime.datetime | None
) -> list[Column]:
    """The names, with the status "predicted" and its date."""
    names = np.asarray(predictions, dtype=object)
    if names.ndim != 1:
        raise ValueError(
            f"predictions: expected one name a row, got the shape {names.shape}."
        )
    _check_length("predictions", len(names), len(ids))
    if date is None:
        date = datetime.datetime.now(datetime.timezone.utc)
    elif date.tzinfo is not None:
        date = date.astimezone(datetime.timezone.utc)
    texts = ["" if is_missing(name) else str(name) for name in names]
    for name, text, object_id in zip(names, texts, ids, strict=True):
        if text != text.strip() or (not text and not is_missing(name)):
            raise ValueError(
                f"The prediction for the object {object_id!r} is {name!r}; expected a "
                "name without blanks around it, or None for no name."
            )

    def where_named(text: str) -> list[str]:
        # A status, or the date of one, needs a category.
        return [text if name else "" for name in texts]

    return [
        Column(CATEGORY, TEXT, texts),
        Column(STATUS, TEXT, where_named("predicted")),
        Column(DATE, TEXT, where_named(f"{date:%Y%m%d}")),
        Column(TIME, TEXT, where_named(f"{date:%H%M%S}")),
    ]


def score_columns(proba: ArrayLike | None, n_samples: int) -> list[Column]:
    """How sure the names are."""
    if proba is None:
        return []
    values = np.asarray(proba)
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2) or not values.size:
        raise ValueError(
            "proba: expected numbers of shape (n_samples,) or (n_samples, n_classes), "
            f"got {values.dtype} of shape {values.shape}."
        )
    _check_length("proba", len(values), n_samples)
    scores = values if values.ndim == 1 else values.max(axis=1)
    if (scores < 0).any() or (scores > 1 + _ROUNDING).any():
        raise ValueError(
            f"proba: expected probabilities from 0 to 1, got {np.nanmin(scores)} to "
            f"{np.nanmax(scores)}."
        )
    return [Column("object_score", NUMBER, [number_text(score) for score in scores])]


def neighbor_columns(neighbors: ArrayLike | None, n_samples: int) -> list[Column]:
    """The labelled particles that a name comes from."""
    if neighbors is None:
        return []
    names = np.asarray(neighbors, dtype=object)
    if names.ndim != 2:
        raise ValueError(
            "neighbors: expected object ids of shape (n_samples, n_neighbors), got the "
            f"shape {names.shape}."
        )
    _check_length("neighbors", len(names), n_samples)
    return [
        Column(
            f"object_neighbor_{k + 1}",
            TEXT,
            ["" if is_missing(name) else str(name) for name in names[:, k]],
        )
        for k in range(names.shape[1])
    ]


def _check_length(what: str, length: int, n_samples: int) -> None:
    if length != n_samples:
        raise ValueError(
            f"{what}: expected one entry for each of the {n_samples} rows of the "
            f"table, got {length}."
        )
