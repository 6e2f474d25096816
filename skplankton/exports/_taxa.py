"""Labels → names and identifiers in the World Register of Marine Species."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from skplankton._utils.csv_rows import csv_rows, csv_text, delimiter_of
from skplankton._views.entries import is_missing

LABEL, APHIA_ID, NAME = "label", "AphiaID", "scientificName"
_LSID = "urn:lsid:marinespecies.org:taxname:{}"


class Taxon(NamedTuple):
    """A name, and its identifier (LSID) or an empty text."""

    name: str
    lsid: str


def read_taxa(taxa: str | os.PathLike | pd.DataFrame) -> dict[str, Taxon | None]:
    """The taxon of each label, or None for a label that is no taxon."""
    where, rows = _rows_of(taxa)
    found: dict[str, Taxon | None] = {}
    line_of: dict[str, str] = {}
    for line, row in rows:
        label = "" if is_missing(row[LABEL]) else str(row[LABEL]).strip()
        if not label:
            raise ValueError(f"{where}, {line}: the label is missing.")
        if label in found:
            raise ValueError(
                f"{where}, {line}: the label {label!r} occurs in {line_of[label]} "
                "already. Keep one of the two."
            )
        line_of[label] = line
        aphia_id = _aphia_id(row[APHIA_ID], f"{where}, {line}")
        name = row.get(NAME)
        if aphia_id is None:
            found[label] = None
        else:
            name = label if is_missing(name) or not str(name).strip() else name
            found[label] = Taxon(str(name).strip(), _LSID.format(aphia_id))
    return found


def _aphia_id(value: Any, where: str) -> int | None:
    text = "" if is_missing(value) else str(value).strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    # A column with empty cells holds its numbers as 109475.0.
    if not (number > 0 and number.is_integer() and text.isascii()) or "_" in text:
        raise ValueError(
            f"{where}, column {APHIA_ID!r}: expected a whole number above 0, as in "
            f"marinespecies.org, got {text!r}. Leave it empty if the label is no taxon."
        )
    return int(number)


def _rows_of(
    taxa: str | os.PathLike | pd.DataFrame,
) -> tuple[str, Iterable[tuple[str, dict[str, Any]]]]:
    """Where the rows are, for messages, and each row with its line."""
    if isinstance(taxa, pd.DataFrame):
        _check_columns(list(taxa.columns), "taxa")
        records = taxa.to_dict("records")
        return "taxa", ((f"row {row}", record) for row, record in enumerate(records))
    if not isinstance(taxa, str | os.PathLike):
        raise TypeError(
            "taxa: expected a DataFrame or the path of a CSV file, got "
            f"{type(taxa).__name__}."
        )
    path = Path(taxa)
    text = csv_text(path)
    # Where the comma is the decimal sign, spreadsheet programs separate by ";".
    delimiter = delimiter_of(text)
    lines = csv_rows(io.StringIO(text, newline=""), str(path), delimiter)
    _, names = next(lines, (1, []))
    names = [name.strip() for name in names]
    _check_columns(names, f"{path}, line 1")
    rows = []
    for line, values in lines:
        if not any(value.strip() for value in values):
            continue  # as spreadsheet programs end a table
        if len(values) != len(names):
            raise ValueError(
                f"{path}, line {line}: expected {len(names)} values, as in the header, "
                f"got {len(values)}."
            )
        rows.append((f"line {line}", dict(zip(names, values, strict=True))))
    return str(path), rows


def _check_columns(names: list, where: str) -> None:
    for name in (LABEL, APHIA_ID):
        if names.count(name) != 1:
            raise ValueError(
                f"{where}: expected one column {name!r}, got the columns {names[:10]}. "
                f"The table of taxa has the columns {LABEL}, {APHIA_ID} and, if you "
                f"like, {NAME}."
            )
