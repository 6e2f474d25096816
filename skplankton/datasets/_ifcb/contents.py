"""The three files of a bin → its rows and images.

Images are not read: where they are is in the .adc file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skplankton._utils.reports import Problems
from skplankton._views.stored import StoredPixels
from skplankton.datasets._ifcb.bins import files_of
from skplankton.datasets._ifcb.dialects import NEW, Dialect, check_format
from skplankton.datasets._ifcb.header import number, read_header
from skplankton.datasets._ifcb.names import object_id
from skplankton.datasets._ifcb.triggers import Rows, read_rows


class Bin(NamedTuple):
    """What was read of a bin."""

    path: Path
    header: dict[str, str]
    dialect: Dialect
    rows: Rows
    images: list[StoredPixels | None]  # None if there is none, or it is missing

    @property
    def has_image(self) -> np.ndarray:
        """Whether an image was taken, by row."""
        dialect = self.dialect
        return self.column(dialect.width) * self.column(dialect.height) > 0

    def column(self, name: str) -> np.ndarray:
        """The values of a column, by the name in the dialect."""
        return self.rows.values[:, self.dialect.position(name)]

    def n_triggers(self) -> int:
        """The number of different triggers; several images may have one."""
        return len(np.unique(self.column("trigger#")))


def read_bin(path: Path, dialect: Dialect, problems: Problems) -> Bin:
    """Read a bin; what cannot be read is a problem."""
    adc, hdr, roi = files_of(path)
    header = read_header(hdr)
    none = Rows(np.empty(0, np.int64), np.empty((0, len(dialect.columns))), 0)
    bin = Bin(path, header, dialect, none, [])
    try:
        if dialect is NEW:
            check_format(header)
    except ValueError as error:
        problems.add(f"{hdr}: {error}.", "a bin with other columns is left out")
        return bin
    if not adc.is_file():
        problems.add(
            f"{adc} does not exist, and the bin has no particles without it. Copy it "
            "as well.",
            "a bin without .adc file is left out",
            error=FileNotFoundError,
        )
        return bin
    bin = bin._replace(rows=read_rows(adc, dialect, problems))
    if not bin.rows.n_broken:
        _check_count(bin, adc, problems)
    return bin._replace(images=_images(bin, roi, problems))


def _check_count(bin: Bin, adc: Path, problems: Problems) -> None:
    """Rows may be missing at the end, or all of them."""
    expected, n_read = number(bin.header, "triggerCount"), bin.n_triggers()
    if n_read < expected or (not n_read and expected != 0):
        count = "no number of them" if np.isnan(expected) else f"{expected:.0f}"
        problems.add(
            f"{adc} has {n_read} triggers, and the header has {count}. It is "
            "incomplete: copy it again.",
            "an incomplete .adc file is read as far as it goes",
        )


def _images(bin: Bin, roi: Path, problems: Problems) -> list[StoredPixels | None]:
    """The image of each row, None if there is none or it is missing."""
    ids = [object_id(bin.path.name, row) for row in bin.rows.numbers.tolist()]
    has_image = bin.has_image
    n_images = int(has_image.sum())
    if not n_images:
        return [None] * len(ids)
    if not roi.is_file():
        problems.add(
            f"{roi} does not exist, which has the {n_images} images of the bin. Copy "
            "it as well.",
            "the images of a bin without .roi file are missing",
            error=FileNotFoundError,
        )
        return [None] * len(ids)
    size = roi.stat().st_size
    start, width, height = (
        bin.column(name).astype(np.int64)
        for name in (bin.dialect.start_byte, bin.dialect.width, bin.dialect.height)
    )
    end = start + width * height
    is_beyond = has_image & (end > size)
    if is_beyond.any():
        first = int(np.flatnonzero(is_beyond)[0])
        n_beyond = int(is_beyond.sum())
        problems.add(
            f"{roi} has {size} bytes, but the image of row {bin.rows.numbers[first]} "
            f"of the .adc file ends at byte {end[first]}, and {n_beyond} of {n_images} "
            "images are beyond the end. It is incomplete: copy it again.",
            "the images beyond the end of a .roi file are missing",
        )
    path = os.path.realpath(roi)
    return [
        StoredPixels(path, at, (rows, columns), origin) if is_there else None
        for at, rows, columns, origin, is_there in zip(
            start.tolist(),
            height.tolist(),
            width.tolist(),
            ids,
            (has_image & ~is_beyond).tolist(),
            strict=True,
        )
    ]
