"""Read the text and the rows of a CSV file, each row with its line number."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_SEPARATOR = re.compile(r"\Asep=.(?=\r?\n)")


def csv_text(path: Path) -> str:
    """The text of a CSV file, or a ValueError that says what is wrong with it."""
    content = path.read_bytes()
    if content.startswith(b"PK\x03\x04"):
        raise ValueError(
            f"{path} is a zip archive or a file of a spreadsheet program; expected a "
            "CSV file. Save the table as 'CSV UTF-8', or unpack the archive. An export "
            "of EcoTaxa is opened by skplankton.ecotaxa.read_ecotaxa."
        )
    try:
        # Spreadsheet programs write a byte-order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: the text is not UTF-8 ({error.reason}). Save the "
            "table again as 'CSV UTF-8'."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"{path}, line {line}: a NUL byte: the file is damaged, or not a CSV file. "
            "Copy it again, or save it again as 'CSV UTF-8'."
        )
    return text


def delimiter_of(text: str) -> str:
    """The sign that separates the values, which is most frequent in the first row."""
    header = text.lstrip("\r\n").partition("\n")[0]
    return max(",;\t", key=header.count)


def csv_rows(
    lines: Iterable[str], name: str, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number at which a row begins, from 1, and its values.

    Empty lines are skipped. `name` is the name of the file in error messages.
    """
    # Strict: a quote that is never closed would swallow the rest of the file.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{name}, line {line}: the quotes do not match up ({error}). A text in "
                'quotes (") ends with one, and a quote within it is written twice.'
            ) from None
        if values not in ([], [""]):
            yield line, values
        line = reader.line_num + 1


class SpreadsheetTable(NamedTuple):
    """A table saved as CSV: column names; line number and values of each row."""

    names: list[str]
    rows: Iterator[tuple[int, list[str]]]
    decimal: str  # the decimal sign


def spreadsheet_table(path: Path) -> SpreadsheetTable:
    """Read a table as spreadsheet programs save it.

    They separate by commas, or by ";" where the comma is the decimal sign, and may
    write empty rows at the end, which are skipped, and so is a first line such as
    "sep=;".
    """
    text = _SEPARATOR.sub("", csv_text(path))
    delimiter = delimiter_of(text)
    records = csv_rows(io.StringIO(text, newline=""), str(path), delimiter)
    _, names = next(records, (1, []))
    names = [name.strip() for name in names]
    rows = _whole_rows(records, str(path), len(names), delimiter)
    return SpreadsheetTable(names, rows, "," if delimiter == ";" else ".")


def _whole_rows(
    records: Iterator[tuple[int, list[str]]], name: str, n_columns: int, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    for line, values in records:
        if not any(value.strip() for value in values):
            continue
        if len(values) != n_columns:
            raise ValueError(
                f"{name}, line {line}: expected {n_columns} values, as in the header, "
                f"got {len(values)}. A text with a {delimiter!r} must be in quotes "
                '(").'
            )
        yield line, values
