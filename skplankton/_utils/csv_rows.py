"""Read the rows of a CSV file, each with its line number."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator


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
