"""The text of many tables → columns of numbers and texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from skplankton._utils.reports import Problems
from skplankton.ecotaxa._columns import ALWAYS_TEXT, NUMBER, RANK, TEXT
from skplankton.ecotaxa._table_file import TableFile

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
