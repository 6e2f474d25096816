"""A table → a CSV file that spreadsheet programs show as it is, and back."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pandas as pd

from skplankton._utils.csv_rows import csv_rows, csv_text, delimiter_of
from skplankton._utils.files import check_free, unfinished

# A spreadsheet program runs a cell that begins with one of these as a formula, even in
# quotes (CWE-1236); the apostrophe is here so that it can be taken off again.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_MARK = "'"
# Of ids such as 007, numbers would lose the zeros.
_TEXTS = ("sample_id", "object_id", "label")


def write_csv(
    path: str | os.PathLike, table: pd.DataFrame, *, overwrite: bool = False
) -> Path:
    """Write a table as a CSV file for spreadsheet programs.

    The file is UTF-8 with a byte-order mark, without which Excel shows ``é`` as ``Ã©``,
    separated by commas, and has no index.

    Parameters
    ----------
    path : path-like
        The file to write.
    table : DataFrame of shape (n_rows, n_columns)
        For example the abundances or the sizes of particles. Numbers are written with
        all their digits, times in ISO 8601, and missing values as empty cells.
    overwrite : bool, default=False
        Whether to replace an existing file.

    Returns
    -------
    pathlib.Path
        The file. It appears when it is complete.

    Raises
    ------
    FileExistsError
        If `path` exists and ``overwrite`` is False, or it is a folder.
    OSError
        If the disk is full.
    TypeError
        If `table` is not a DataFrame.

    See Also
    --------
    read_csv : Read such a file.

    Notes
    -----
    A label such as ``=HYPERLINK(…)`` would be a formula that a spreadsheet program
    runs. Texts that begin with ``=``, ``+``, ``-``, ``@``, a tab or a line break get an
    apostrophe in front, and so do texts that begin with an apostrophe: to have the
    original text, remove the first apostrophe of each text that begins with one.
    Numbers are not changed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from skplankton.exports import read_csv, write_csv
    >>> table = pd.DataFrame({"label": ["Öre", "=1+1"], "difference": [-0.5, 2.0]})
    >>> with TemporaryDirectory() as folder:
    ...     path = write_csv(Path(folder, "abundance.csv"), table)
    ...     print(path.read_text(encoding="utf-8-sig"))
    ...     read_csv(path).equals(table)
    label,difference
    Öre,-0.5
    '=1+1,2.0
    <BLANKLINE>
    True
    """
    path = Path(path)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"table: expected a DataFrame, got {type(table).__name__}.")
    check_free(path, overwrite)
    safe = pd.DataFrame(
        {place: _safe_column(table.iloc[:, place]) for place in range(table.shape[1])}
    )
    names = [_safe(str(name)) for name in table.columns]
    with unfinished(path) as part:
        # With both characters at the end of a line, texts with either get quotes.
        safe.to_csv(
            part,
            index=False,
            header=names,
            encoding="utf-8-sig",
            lineterminator="\r\n",
        )
        check_free(path, overwrite)
        part.replace(path)
    return path


def read_csv(path: str | os.PathLike) -> pd.DataFrame:
    """Read a file of `write_csv`, texts as they were.

    Parameters
    ----------
    path : path-like
        The file, UTF-8 with or without a byte-order mark.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        Columns of only numbers are numbers, but for `sample_id`, `object_id` and
        `label`, which are text; empty cells are NaN, and times are text.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not a CSV file in UTF-8, separated by commas, or its rows differ in
        length.

    See Also
    --------
    write_csv : Write such a file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.exports import read_csv
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.csv")
    ...     _ = path.write_text("label\\n'-\\n")
    ...     print(read_csv(path)["label"][0])
    -
    """
    text = csv_text(Path(path))
    _check_rows(text, str(path))
    table = pd.read_csv(
        io.StringIO(text, newline=""),
        keep_default_na=False,
        na_values=[""],
        dtype=dict.fromkeys(_TEXTS, "str"),
    )
    table.columns = [_plain(name) for name in table.columns]
    for place, name in enumerate(table.columns):
        column = table.iloc[:, place]
        if not pd.api.types.is_numeric_dtype(column):
            table.isetitem(place, column.map(_plain).rename(name))
    return table


def _check_rows(text: str, name: str) -> None:
    """Raise for what pandas reads as another table, without a word."""
    rows = csv_rows(io.StringIO(text, newline=""), name, ",")
    _, header = next(rows, (1, []))
    if not header:
        raise ValueError(f"{name} is empty; expected a table with a header.")
    if len(header) == 1 and delimiter_of(text) in header[0]:
        raise ValueError(
            f"{name}, line 1: the values are separated by {delimiter_of(text)!r}; "
            "expected commas, and decimal points, as write_csv writes them."
        )
    for line, values in rows:
        if len(values) != len(header):
            raise ValueError(
                f"{name}, line {line}: expected {len(header)} values, as in the "
                f"header, got {len(values)}."
            )


def _safe_column(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        times = [None if pd.isna(time) else time.isoformat() for time in column]
        return pd.Series(times, dtype=object)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.reset_index(drop=True)
    return pd.Series([_safe(value) for value in column], dtype=object)


def _safe(value: Any) -> Any:
    is_text = isinstance(value, str)
    return _MARK + value if is_text and value.startswith(_FORMULA) else value


def _plain(value: Any) -> Any:
    return value.removeprefix(_MARK) if isinstance(value, str) else value
