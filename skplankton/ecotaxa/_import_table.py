"""Particles and predictions → the columns of an import table of EcoTaxa."""

from __future__ import annotations

import datetime
import math
import numbers
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skplankton._views.entries import is_missing
from skplankton.datasets._samples.table import PREFIXES
from skplankton.ecotaxa._columns import (
    CATEGORY,
    DATE,
    MAX_FREE_COLUMNS,
    MAX_ID_LENGTH,
    MAX_TEXT_LENGTH,
    NUMBER,
    OBJECT_ID,
    PREDEFINED,
    STATUS,
    TEXT,
    TIME,
)

# Written from the predictions; a table read from EcoTaxa may have older ones.
_REPLACED = re.compile(r"object_(id|score|annotation_.*|neighbor_\d+)")


class Column(NamedTuple):
    """One column of an import table."""

    name: str
    type: str
    texts: list[str]


def object_ids(table: pd.DataFrame) -> list[str]:
    """The ids as text, checked."""
    if OBJECT_ID not in table:
        raise ValueError(
            f"The table has no column {OBJECT_ID!r}, only {list(table.columns)[:10]}. "
            "EcoTaxa needs an id for each object; CytoProcess uses "
            "'<sample>_<particleId>'."
        )
    ids = []
    for row, entry in enumerate(table[OBJECT_ID]):
        text = "" if is_missing(entry) else str(entry)
        if not text or text != text.strip() or len(text) > MAX_ID_LENGTH:
            raise ValueError(
                f"{OBJECT_ID!r}, row {row} (counted from 0): expected a text of 1 to "
                f"{MAX_ID_LENGTH} characters without blanks around it, got {entry!r}."
            )
        ids.append(text)
    twice = [text for text, count in Counter(ids).items() if count > 1]
    if twice:
        raise ValueError(
            f"{OBJECT_ID!r}: {len(twice)} ids occur more than once, first "
            f"{twice[0]!r}. EcoTaxa would take the rows for one object; give each its "
            "own id."
        )
    return ids


def carried_columns(table: pd.DataFrame, ids: Sequence[str]) -> list[Column]:
    """The columns of a table that EcoTaxa can store."""
    columns = []
    for name, entries in table.items():
        if not isinstance(name, str) or name.split("_")[0].lower() not in PREFIXES:
            continue
        written = name.lower()  # as EcoTaxa reads it
        if "_" not in name or _REPLACED.fullmatch(written):
            continue
        if re.search(r'[\x00-\x1f"=]', name) or name != name.strip():
            raise ValueError(
                f"The column {name!r} has a name that EcoTaxa cannot store. Rename it "
                'without quotes ("), equals signs, line breaks and blanks at its ends.'
            )
        columns.append(_column(written, entries, ids))
    names = Counter(column.name for column in columns)
    for name, count in names.items():
        if count > 1:
            raise ValueError(
                f"{count} columns are named {name!r}, as EcoTaxa ignores the case. "
                "Rename them."
            )
    _check_parents(columns)
    return columns


def check_limits(columns: Sequence[Column]) -> None:
    """Raise if a project of EcoTaxa cannot have so many free columns."""
    free: Counter[tuple[str, str | None]] = Counter()
    for column in columns:
        prefix = column.name.split("_")[0]
        if column.name not in PREDEFINED and prefix in PREFIXES:
            free[prefix, column.type if prefix == "object" else None] += 1
    for (prefix, type_), limit in MAX_FREE_COLUMNS.items():
        count = free[prefix, type_]
        if count > limit:
            kind = {TEXT: " of text", NUMBER: " of numbers"}.get(type_ or "", "")
            raise ValueError(
                f"{count} free columns{kind} begin with {prefix}_; EcoTaxa allows at "
                f"most {limit}. Drop some from the table."
            )


def number_text(value: Any) -> str:
    """The shortest text that reads back as the same number; '' if missing."""
    if is_missing(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, str):
        value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value}")
    return str(value)


def _column(name: str, entries: pd.Series, ids: Sequence[str]) -> Column:
    type_ = PREDEFINED.get(name) or (NUMBER if _is_numeric(entries) else TEXT)
    as_text = _WRITTEN.get(name) or (number_text if type_ == NUMBER else _free_text)
    if name in PREDEFINED and type_ == TEXT and name not in _WRITTEN:
        as_text = _known_text
    texts = []
    # A Series converts single precision to double, with meaningless digits.
    values = entries.to_numpy() if entries.dtype.kind == "f" else entries
    for entry, object_id in zip(values, ids, strict=True):
        try:
            texts.append("" if is_missing(entry) else as_text(entry))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The column {name!r}, object {object_id!r}: {error}."
            ) from None
    return Column(name, type_, texts)


def _is_numeric(entries: pd.Series) -> bool:
    if entries.dtype != object:
        return pd.api.types.is_numeric_dtype(entries.dtype)
    present = [entry for entry in entries if not is_missing(entry)]
    return bool(present) and all(isinstance(entry, numbers.Real) for entry in present)


def _free_text(entry: Any) -> str:
    text = str(entry)
    if len(text) > MAX_TEXT_LENGTH:
        raise ValueError(
            f"expected at most {MAX_TEXT_LENGTH} characters, got {len(text)}"
        )
    return text


def _known_text(entry: Any) -> str:
    # Ids that pandas has made floats, as in a column with missing values.
    is_whole = isinstance(entry, float | np.floating) and entry.is_integer()
    return str(int(entry)) if is_whole else str(entry)


def _degrees(limit: int) -> Callable[[Any], str]:
    def as_text(entry: Any) -> str:
        text = number_text(entry)
        if not -limit <= float(text) <= limit:
            raise ValueError(
                f"expected decimal degrees from -{limit} to {limit}, got {entry}"
            )
        return text

    return as_text


def _moment(format_: str, separator: str, wanted: str) -> Callable[[Any], str]:
    """Dates and times, also given as texts and numbers, in `format_`."""

    def as_text(entry: Any) -> str:
        if hasattr(entry, "strftime"):
            return entry.strftime(format_)
        text = _known_text(entry)
        if separator == ":" and ":" not in text:
            text = text.zfill(len(wanted))  # a number has lost its leading zeros
        text = text.replace(separator, "")
        try:
            if not re.fullmatch(rf"\d{{{len(wanted)}}}", text):
                raise ValueError(text)
            datetime.datetime.strptime(text, format_)
        except ValueError:
            raise ValueError(f"expected {wanted}, got {entry!r}") from None
        return text

    return as_text


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "object_lat": _degrees(90),
    "object_lon": _degrees(180),
    "object_date": _moment("%Y%m%d", "-", "yyyymmdd"),
    "object_time": _moment("%H%M%S", ":", "hhmmss"),
}


def _check_parents(columns: Sequence[Column]) -> None:
    """Raise for samples without an id, or an acquisition in two samples."""
    texts = {column.name: column.texts for column in columns}
    for name in texts:
        parent = f"{name.split('_')[0]}_id"
        if parent != OBJECT_ID and parent not in texts:
            raise ValueError(
                f"The column {name!r} needs a column {parent!r}, which EcoTaxa "
                "requires. Add it, or drop the other."
            )
    if {"sample_id", "acq_id"} <= set(texts):
        pairs = set(zip(texts["acq_id"], texts["sample_id"], strict=True))
        for acquisition, count in Counter(acq for acq, _ in pairs).items():
            if acquisition and count > 1:
                raise ValueError(
                    f"The acquisition {acquisition!r} ('acq_id') belongs to {count} "
                    "samples ('sample_id'). In EcoTaxa an acquisition belongs to one "
                    "sample; join the two ids, for instance."
                )


# Probabilities in single precision may add up to slightly more than 1.
_ROUNDING = 1e-5


def annotation_columns(
    predictions: ArrayLike, ids: Sequence[str], date: datetime.datetime | None
) -> list[Column]:
    """The predicted labels, with the status "predicted" and its date."""
    labels = np.asarray(predictions, dtype=object)
    if labels.ndim != 1:
        raise ValueError(
            f"predictions: expected one label per row, got the shape {labels.shape}."
        )
    _check_length("predictions", len(labels), len(ids))
    if date is None:
        date = datetime.datetime.now(datetime.timezone.utc)
    elif not isinstance(date, datetime.datetime):
        raise TypeError(
            f"date={date!r}; expected a datetime, such as pandas.Timestamp("
            "'2025-07-01 12:00')."
        )
    elif date.tzinfo is not None:
        date = date.astimezone(datetime.timezone.utc)
    texts = ["" if is_missing(label) else str(label) for label in labels]
    for label, text, object_id in zip(labels, texts, ids, strict=True):
        if text != text.strip() or (not text and not is_missing(label)):
            raise ValueError(
                f"The prediction for the object {object_id!r} is {label!r}; expected a "
                "label without blanks around it, or None for no label."
            )

    def where_predicted(text: str) -> list[str]:
        # A status, or the date of one, needs a category.
        return [text if category else "" for category in texts]

    return [
        Column(CATEGORY, TEXT, texts),
        Column(STATUS, TEXT, where_predicted("predicted")),
        Column(DATE, TEXT, where_predicted(f"{date:%Y%m%d}")),
        Column(TIME, TEXT, where_predicted(f"{date:%H%M%S}")),
    ]


def score_columns(proba: ArrayLike | None, n_samples: int) -> list[Column]:
    """The scores of the predicted labels."""
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
    """The labeled particles that a predicted label comes from."""
    if neighbors is None:
        return []
    neighbor_ids = np.asarray(neighbors, dtype=object)
    if neighbor_ids.ndim != 2:
        raise ValueError(
            "neighbors: expected object ids of shape (n_samples, n_neighbors), got the "
            f"shape {neighbor_ids.shape}."
        )
    _check_length("neighbors", len(neighbor_ids), n_samples)
    return [
        Column(
            f"object_neighbor_{k + 1}",
            TEXT,
            ["" if is_missing(i) else str(i) for i in neighbor_ids[:, k]],
        )
        for k in range(neighbor_ids.shape[1])
    ]


def _check_length(what: str, length: int, n_samples: int) -> None:
    if length != n_samples:
        raise ValueError(
            f"{what}: expected one value for each of the {n_samples} rows of the "
            f"table, got {length}."
        )
