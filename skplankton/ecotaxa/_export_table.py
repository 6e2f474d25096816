"""A table of EcoTaxa's exports → rows of text, and columns of what they mean."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from skplankton._utils.csv_rows import csv_rows
from skplankton._utils.reports import Problems
from skplankton.ecotaxa._columns import (
    ALWAYS_TEXT,
    EXPORT_ONLY,
    FILE_NAME,
    NUMBER,
    OBJECT_ID,
    RANK,
    TEXT,
)

# The names of the columns that reading adds.
ADDED = ("label", "status", "image")
_IN_BRACKETS = re.compile(r"\[[^\]]*\]")
_BLOCK = 2**20
_GUESSED = "columns that hold numbers alone are taken as numbers"


class TableFile(NamedTuple):
    """Rows of stripped text, as wide as the header; types are None where unknown."""

    path: Path
    shown: str
    header: list[str]
    types: list[str | None]
    rows: list[list[str]]
    lines: list[int]


def read_table_file(path: Path, shown: str, problems: Problems) -> TableFile:
    """Read one table; `shown` is what messages call it."""
    records = _records(path, shown)
    _, header = next(records, (1, []))
    header = [name.lower() for name in header]  # as EcoTaxa does
    _check_header(header, shown)
    rows: list[list[str]] = []
    lines: list[int] = []
    types: list[str | None] | None = None
    for line, cells in records:
        if types is None:
            types, is_type_row = _types(
                header, cells, f"{shown}, line {line}", problems
            )
            if is_type_row:
                if FILE_NAME not in header:
                    problems.add(
                        f"{shown} is an import table without a column {FILE_NAME!r}, "
                        f"only {header[:10]}. Add it, or read an export.",
                        "the table's objects get no image",
                    )
                continue
        if len(cells) != len(header):
            problems.add(
                f"{shown}, line {line}: expected {len(header)} cells, as in the first "
                f"row, got {len(cells)}. A text with a tab or a line break in it needs "
                'quotes (") around it.',
                "the row is left out",
            )
        elif not cells[header.index(OBJECT_ID)]:
            problems.add(
                f"{shown}, line {line}, column {OBJECT_ID!r}: the cell is empty. Give "
                "the object its id.",
                "the row is left out",
            )
        else:
            rows.append(cells)
            lines.append(line)
    unknown: list[str | None] = [None] * len(header)
    return TableFile(path, shown, header, types or unknown, rows, lines)


def _encoding(path: Path, shown: str) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open(path, "rb") as file:
        block = file.read(_BLOCK)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError(
                f"{shown} is in UTF-16; expected UTF-8 or Latin-1. Save it anew as "
                "'CSV UTF-8' or the like, with tabs between the cells."
            )
        try:
            while block:
                decoder.decode(block)
                block = file.read(_BLOCK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"


def _records(path: Path, shown: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank: its line, and its cells without blanks around."""
    with open(path, encoding=_encoding(path, shown), newline="") as lines:
        for line, cells in csv_rows(lines, shown, "\t"):
            cells = [cell.strip() for cell in cells]
            if any(cells):
                yield line, cells


def _check_header(header: list[str], shown: str) -> None:
    if not header:
        raise ValueError(
            f"{shown} is empty; expected a first row that names the columns, "
            f"{OBJECT_ID!r} among them."
        )
    where = f"{shown}, line 1"
    if OBJECT_ID not in header:
        raise ValueError(
            f"{where}: no column {OBJECT_ID!r}, only {header[:10]}. Expected an "
            "EcoTaxa table, with tabs between the cells and names in its first row."
        )
    for i, name in enumerate(header):
        if not name:
            raise ValueError(
                f"{where}: column {i + 1} has no name. Name it, or delete the column."
            )
        if name in ADDED:
            raise ValueError(
                f"{where}: a column named {name!r}, which is the name of one that "
                "reading adds. Rename it: EcoTaxa wants names that begin with object_, "
                "acq_, process_ or sample_."
            )
        if name in header[:i]:
            raise ValueError(
                f"{where}: the column {name!r} is there twice. Rename one."
            )


def _types(
    header: list[str], cells: list[str], where: str, problems: Problems
) -> tuple[list[str | None], bool]:
    """The types of the columns, and whether `cells` was the row of types."""
    words = [cell.lower() for cell in cells]
    unknown: list[str | None] = [None] * len(header)
    # Without brackets it is a wrong row of types as well, if it is nothing else.
    if not any(map(_IN_BRACKETS.fullmatch, words)) and set(words) - {"t", "f"}:
        if not set(EXPORT_ONLY) & set(header):
            problems.add(
                f"{where}: expected the row of types, {TEXT} (text) or {NUMBER} "
                f"(number) for each column, got {cells[:5]}. EcoTaxa imports no table "
                "without it. (Exports have none; they are known by a column "
                f"{' or '.join(map(repr, EXPORT_ONLY))}.)",
                _GUESSED,
            )
        return unknown, False
    if len(words) != len(header):
        problems.add(
            f"{where}: expected {len(header)} types, one for each column, got "
            f"{len(words)}.",
            _GUESSED,
        )
        return unknown, True
    for i, word in enumerate(words):
        if word not in (TEXT, NUMBER):
            problems.add(
                f"{where}, column {header[i]!r}: expected the type {TEXT} (text) or "
                f"{NUMBER} (number), got {cells[i]!r}.",
                _GUESSED,
            )
    return [word if word in (TEXT, NUMBER) else None for word in words], True


# What EcoTaxa takes for an empty cell of a numeric column.
_NO_NUMBER = {"", "nan", "na"}
_LEADING_ZERO = re.compile(r"[-+]?0\d")


class Cells:
    """All rows of some tables, as text, and where each of them stands."""

    def __init__(self, tables: Sequence[TableFile]):
        self._tables = tables
        columns = list(dict.fromkeys(name for t in tables for name in t.header))
        self.texts = pd.concat(
            [
                pd.DataFrame(table.rows, columns=table.header, dtype=object).reindex(
                    columns=columns, fill_value=""
                )
                for table in tables
            ],
            ignore_index=True,
        )
        self._table_of_row = np.repeat(
            np.arange(len(tables)), [len(table.rows) for table in tables]
        )
        self._lines = [line for table in tables for line in table.lines]

    def __len__(self) -> int:
        return len(self.texts)

    def table(self, row: int) -> TableFile:
        """The table that a row comes from."""
        return self._tables[self._table_of_row[row]]

    def where(self, row: int, column: str | None = None) -> str:
        """File, line and column, as messages name them."""
        place = f"{self.table(row).shown}, line {self._lines[row]}"
        return place if column is None else f"{place}, column {column!r}"

    def typed(self, column: str, problems: Problems) -> np.ndarray:
        """Numbers (float64, NaN where empty) or texts (object, None where empty)."""
        declared = {
            table.types[table.header.index(column)]
            for table in self._tables
            if column in table.header
        }
        if column != RANK:
            if column in ALWAYS_TEXT or TEXT in declared:
                return self.text(column)
            if NUMBER not in declared:
                numbers = _guessed_numbers(self.texts[column])
                return self.text(column) if numbers is None else numbers
        return self._numbers(column, problems)

    def text(self, column: str) -> np.ndarray:
        """Texts, None where the cell is empty or there is no such column."""
        if column not in self.texts:
            return np.full(len(self), None, dtype=object)
        texts = self.texts[column].to_numpy(dtype=object)
        return np.array([text or None for text in texts], dtype=object)

    def _numbers(self, column: str, problems: Problems) -> np.ndarray:
        numbers = np.full(len(self), np.nan)
        for row, text in enumerate(self.texts[column]):
            try:
                numbers[row] = _number(text)
            except ValueError:
                problems.add(
                    f"{self.where(row, column)}: expected a number, got {text!r}. "
                    "Correct or empty the cell (decimals with a point), or make the "
                    f"column's type {TEXT}.",
                    "the cell is taken as empty",
                )
        return numbers


def _number(text: str) -> float:
    if text.lower() in _NO_NUMBER:
        return np.nan
    if "_" in text:  # Python reads 1_000 as a number
        raise ValueError(text)
    return float(text)


def _guessed_numbers(texts: pd.Series) -> np.ndarray | None:
    """Numbers, or None if the column, whose type is not told, holds others.

    Exports have a choice of the decimal comma; and 007 is a name.
    """
    numbers = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        if _LEADING_ZERO.match(text):
            return None
        try:
            numbers[row] = _number(text if "." in text else text.replace(",", "."))
        except ValueError:
            return None
    return None if np.isnan(numbers).all() else numbers
