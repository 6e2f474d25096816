"""The rows of a table of text, each with its line in the file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator


def csv_rows(
    lines: Iterable[str], name: str, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which a row begins, as an editor counts, and its cells.

    Lines without anything are skipped. `name` is what errors call the file.
    """
    # Strict: a quote that is never closed would swallow the rest of the file.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{name}, line {line}: the quotes do not match up ({error}). A text in "
                'quotes (") ends with one, and a quote within it is written twice.'
            ) from None
        if cells not in ([], [""]):
            yield line, cells
        line = reader.line_num + 1
