"""A table of EcoTaxa's exports → rows of text → typed columns."""

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

# Names of the columns that read_ecotaxa adds.
ADDED = ("label", "status", "image")
_IN_BRACKETS = re.compile(r"\[[^\]]*\]")
_BLOCK = 2**20
_GUESSED = "columns that contain only numbers are taken as numbers"


class TableFile(NamedTuple):
    """Rows of stripped text, as long as the header; types are None where unknown."""

    path: Path
    shown: str
    header: list[str]
    types: list[str | None]
    rows: list[list[str]]
    lines: list[int]


def read_table_file(path: Path, shown: str, problems: Problems) -> TableFile:
    """Read one table; messages refer to it as `shown`."""
    records = _records(path, shown)
    _, header = next(records, (1, []))
    header = [name.lower() for name in header]  # as EcoTaxa does
    _check_header(header, shown)
    rows: list[list[str]] = []
    lines: list[int] = []
    types: list[str | None] | None = None
    for line, entries in records:
        if types is None:
            types, is_type_row = _types(
                header, entries, f"{shown}, line {line}", problems
            )
            if is_type_row:
                if FILE_NAME not in header:
                    problems.add(
                        f"{shown} is an import table without a column {FILE_NAME!r}, "
                        f"only {header[:10]}. Add it, or read an export.",
                        "the table's objects get no image",
                    )
                continue
        if len(entries) != len(header):
            problems.add(
                f"{shown}, line {line}: expected {len(header)} values, as in the first "
                f"row, got {len(entries)}. A text with a tab or a line break must be "
                'in quotes (").',
                "the row is left out",
            )
        elif not entries[header.index(OBJECT_ID)]:
            problems.add(
                f"{shown}, line {line}, column {OBJECT_ID!r}: the value is missing. "
                "Add the object's id.",
                "the row is left out",
            )
        else:
            rows.append(entries)
            lines.append(line)
    unknown: list[str | None] = [None] * len(header)
    return TableFile(path, shown, header, types or unknown, rows, lines)


def _encoding(path: Path, shown: str) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open(path, "rb") as file:
        block = file.read(_BLOCK)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError(
                f"{shown} is in UTF-16; expected UTF-8 or Latin-1. Save it again as "
                "'CSV UTF-8' or similar, with values separated by tabs."
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
    """The line number and stripped values of each row that is not blank."""
    with open(path, encoding=_encoding(path, shown), newline="") as lines:
        for line, entries in csv_rows(lines, shown, "\t"):
            entries = [entry.strip() for entry in entries]
            if any(entries):
                yield line, entries


def _check_header(header: list[str], shown: str) -> None:
    if not header:
        raise ValueError(
            f"{shown} is empty; expected a first row with the names of the "
            f"columns, including {OBJECT_ID!r}."
        )
    where = f"{shown}, line 1"
    if OBJECT_ID not in header:
        raise ValueError(
            f"{where}: no column {OBJECT_ID!r}, only {header[:10]}. Expected an "
            "EcoTaxa table, separated by tabs, with column names in its first row."
        )
    for i, name in enumerate(header):
        if not name:
            raise ValueError(
                f"{where}: column {i + 1} has no name. Add one, or delete the column."
            )
        if name in ADDED:
            raise ValueError(
                f"{where}: a column named {name!r}, like a column that read_ecotaxa "
                "adds. Rename it: names in EcoTaxa begin with object_, acq_, process_ "
                "or sample_."
            )
        if name in header[:i]:
            raise ValueError(f"{where}: the column {name!r} occurs twice. Rename one.")


def _types(
    header: list[str], entries: list[str], where: str, problems: Problems
) -> tuple[list[str | None], bool]:
    """The types of the columns, and whether `entries` was the row of types."""
    words = [entry.lower() for entry in entries]
    unknown: list[str | None] = [None] * len(header)
    # A row of only t and f, without brackets, is an invalid row of types as well.
    if not any(map(_IN_BRACKETS.fullmatch, words)) and set(words) - {"t", "f"}:
        if not set(EXPORT_ONLY) & set(header):
            problems.add(
                f"{where}: expected the row of types, {TEXT} (text) or {NUMBER} "
                f"(number) for each column, got {entries[:5]}. EcoTaxa cannot import "
                "a table without it. (Exports have none; they are identified by a "
                f"column {' or '.join(map(repr, EXPORT_ONLY))}.)",
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
                f"{NUMBER} (number), got {entries[i]!r}.",
                _GUESSED,
            )
    return [word if word in (TEXT, NUMBER) else None for word in words], True


# Texts that EcoTaxa takes for a missing value of a numeric column.
_NO_NUMBER = {"", "nan", "na"}
_LEADING_ZERO = re.compile(r"[-+]?0\d")


class Entries:
    """All rows of some tables, as text, with their positions."""

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
        """File, line and column, for messages."""
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
        """Texts, None where the value or the column is missing."""
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
                    "Correct or delete the value (decimals with a point), or change "
                    f"the column's type to {TEXT}.",
                    "the value is taken as missing",
                )
        return numbers


def _number(text: str) -> float:
    if text.lower() in _NO_NUMBER:
        return np.nan
    if "_" in text:  # Python reads 1_000 as a number
        raise ValueError(text)
    return float(text)


def _guessed_numbers(texts: pd.Series) -> np.ndarray | None:
    """Numbers, or None if a column of unknown type contains anything else.

    Exports may have decimal commas; and 007 is text.
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
