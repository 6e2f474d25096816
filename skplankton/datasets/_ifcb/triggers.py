"""Rows of an .adc file → arrays.

The files have no header, and a row per image, or per trigger without an image.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skplankton._utils.reports import Problems
from skplankton._views.images import MAX_PIXELS
from skplankton.datasets._ifcb.dialects import Dialect

BROKEN_ROW = "a row of an .adc file that cannot be read is left out"
_SHOWN = 60  # characters of a row, in an error


class Rows(NamedTuple):
    """The rows that could be read: their numbers, from 1, and their values."""

    numbers: np.ndarray  # (n,)
    values: np.ndarray  # (n, n_columns)
    n_broken: int


def read_rows(path: Path, dialect: Dialect, problems: Problems) -> Rows:
    """Read an .adc file; rows that cannot be read are problems."""
    # Not text: any byte is read, to be reported with the row that it is in.
    lines = path.read_bytes().decode("latin-1").splitlines()
    # The first instruments end rows with a comma.
    lines = [line.strip().removesuffix(",") for line in lines]
    lines = [line for line in lines if line]  # as pyifcb counts
    n_columns = _n_columns(lines, dialect)
    numbers, rows, faults = [], [], {}
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(_values(line, n_columns))
        except ValueError as error:
            faults[number] = str(error)
        else:
            numbers.append(number)
    values = np.array(rows, dtype=np.float64).reshape(len(rows), n_columns)
    kept = np.ones(len(rows), dtype=bool)
    for i, fault in _invalid_rows(values, dialect).items():
        faults[numbers[i]], kept[i] = fault, False
    for number in sorted(faults):
        problems.add(f"{path}, row {number}: {faults[number]}.", BROKEN_ROW)
    return Rows(np.array(numbers, dtype=np.int64)[kept], values[kept], len(faults))


def _n_columns(lines: list[str], dialect: Dialect) -> int:
    """Of most rows: the number differs between versions of the instrument."""
    counts = Counter(line.count(",") + 1 for line in lines).most_common(1)
    return max(counts[0][0] if counts else 0, len(dialect.columns))


def _values(line: str, n_columns: int) -> list[float]:
    texts = line.split(",")
    if len(texts) != n_columns:
        raise ValueError(
            f"expected {n_columns} values, got {len(texts)}: {line[:_SHOWN]!r}"
        )
    try:
        if not line.isascii() or "_" in line:  # which float would take
            raise ValueError
        return list(map(float, texts))
    except ValueError:
        raise ValueError(
            f"a value is not a number: {line[:_SHOWN]!r}, {n_columns} values"
        ) from None


def _invalid_rows(values: np.ndarray, dialect: Dialect) -> dict[int, str]:
    """Position -> what is wrong, of rows with impossible values."""
    names = ("trigger#", dialect.width, dialect.height, dialect.start_byte)
    whole = values[:, [dialect.position(name) for name in names]]
    with np.errstate(invalid="ignore", over="ignore"):
        is_whole = (whole >= 0) & (whole < 2**53) & (whole == np.floor(whole))
        is_large = whole[:, 1] * whole[:, 2] > MAX_PIXELS
        is_huge = np.isinf(values.astype(np.float32))
    faults = {}
    for i in np.flatnonzero(~is_whole.all(axis=1) | is_large | is_huge.any(axis=1)):
        if not is_whole[i].all():
            k = int(np.flatnonzero(~is_whole[i])[0])
            fault = f"{names[k]} is {whole[i, k]:g}; expected a whole number from 0"
        elif is_large[i]:
            width, height = whole[i, 1:3]
            fault = (
                f"the image has {width:.0f} × {height:.0f} pixels, and at most "
                f"{MAX_PIXELS / 1e6:.1f} million are decoded"
            )
        else:
            fault = "a value is infinite or too large for float32"
        faults[int(i)] = fault
    return faults
