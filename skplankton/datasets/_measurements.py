"""Tables with an image file and measurements per particle, of any instrument."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skplankton._utils.csv_rows import csv_rows, csv_text, delimiter_of
from skplankton._utils.reports import Problems
from skplankton._views.entries import is_missing
from skplankton._views.images import FORMATS, image_size
from skplankton._views.stored import StoredImage
from skplankton.datasets._lab.reader import _existing_files
from skplankton.datasets._table import vector_table

_TYPE_OF_ECOTAXA = re.compile(r"\[[tf]\]")
_NO_NUMBER = "a value that is not a number is treated as missing"
_NO_CROP = "an image that is not within its collage is treated as missing"


def load_measurements(
    table: str | os.PathLike | pd.DataFrame,
    *,
    columns: Sequence[str],
    images: str | os.PathLike | None = None,
    image_column: str = "img_file_name",
    id_column: str | None = None,
    crop_columns: Sequence[str] | None = None,
    errors: str = "raise",
) -> pd.DataFrame:
    """Open a table with an image file and measurements per particle.

    Many instruments and programs give such tables. The measurements become the
    `profile`, a vector. Two examples are in the notes.

    Parameters
    ----------
    table : path-like or DataFrame
        A CSV file in UTF-8, separated by commas, semicolons or tabs, whose first row
        has the names of the columns; or such a table. The row of types of EcoTaxa's
        import tables is skipped.
    columns : list of str
        The columns of the measurements, in order. Empty values are missing (NaN).
        Leave out the position and the size of the image in the table, in pixels: the
        image has its size, so that they would tell which image and which measurements
        belong together.
    images : path-like, default=None
        The folder that the names of image files are relative to; by default that of
        the table, or the current one for a DataFrame.
    image_column : str, default="img_file_name"
        The column with the names of image files. An empty value is a missing image.
    id_column : str, default=None
        The column that tells the particles of a sample apart. By default, the name of
        the image file without its suffix. A column "object_id" is used as it is
        instead, if there is one and `id_column` is None.
    crop_columns : list of str, default=None
        Four columns with the left and upper edge, width and height of the particle in
        its image file, in pixels, if the files are collages of many particles.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about an image file that does not exist, a value that is not a
        number, or a position that is not in the collage. "raise" raises an error with
        the file and the line. "warn" treats them as missing and warns once, at the end.
        "coerce" does the same, but logs to the logger "skplankton" instead.

    Returns
    -------
    DataFrame of shape (n_particles, 7)
        One row per row of the table, with the following columns. The names of the
        measurements are in ``attrs["measurements"]``.

        image : the path of a file, or the place in a collage; None if missing.

        profile : ndarray of shape (n_measurements,), dtype float32; None if all
        measurements are missing.

        object_id : "<sample_id>_<id>", or the column of this name.

        sample_id : the column of this name or, if there is none, the name of the table
        without its suffix ("table" for a DataFrame).

        particle_id : the position of the row, from 0.

        instrument : None.

        has_image : whether the table names an image.

    Raises
    ------
    FileNotFoundError
        If the table does not exist; or, with ``errors="raise"``, an image file.
    TypeError
        If `columns` or `crop_columns` is not a list of names.
    ValueError
        If the table is empty or cannot be read, a column does not exist or occurs
        twice, a row has more or fewer values than the header, ids are missing or occur
        twice; or, with ``errors="raise"``, if a value is not a number or a position is
        not in the collage.

    See Also
    --------
    load_ifcb : Bins of an Imaging FlowCytobot.
    load_particles : Profiles in files of their own.

    Notes
    -----
    FlowCam: VisualSpreadsheet exports a table whose column "Image File" names a
    collage, with the position of the particle in it::

        load_measurements(
            "run.csv",
            columns=["Ch1 Peak", "Ch2 Peak", "Average Red", "Average Green"],
            image_column="Image File",
            id_column="Particle ID",
            crop_columns=["Image X", "Image Y", "Image Width", "Image Height"],
        )

    ZooProcess and other programs write tables for EcoTaxa, whose image files are in
    "img_file_name", which is the default::

        load_measurements(
            "ecotaxa_scan.tsv", columns=["object_mean", "object_skew", "object_fractal"]
        )

    Measurements of the image alone, such as its mean gray value, add nothing to an
    image, but they can be compared where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skplankton.datasets import load_measurements
    >>> table = pd.DataFrame({"object_id": ["a", "b"], "img_file_name": [None, None],
    ...                       "object_area": [12, 7], "object_mean": [200.5, None]})
    >>> particles = load_measurements(table, columns=["object_area", "object_mean"])
    >>> np.stack(particles["profile"]).tolist()
    [[12.0, 200.5], [7.0, nan]]
    """
    problems = Problems(errors)
    names = _checked_names(columns, "columns", None)
    crop = None
    if crop_columns is not None:
        crop = _checked_names(crop_columns, "crop_columns", 4)
    if isinstance(table, pd.DataFrame):
        source, folder = _Table(table.columns, table, "table"), Path.cwd()
    else:
        path = Path(table)
        source, folder = _read_table(path), path.parent
    folder = folder if images is None else Path(images)
    vectors = np.stack([source.numbers(name, problems) for name in names], axis=1)
    files = source.texts(image_column)
    samples, ids = _ids(source, files, id_column, is_collage=crop is not None)
    entries = _image_entries(source, files, ids, folder, crop, problems)
    problems.report(source.name)
    rows: dict[str, Any] = {
        "image": entries,
        "profile": [None if np.isnan(v).all() else v for v in vectors],
        "object_id": ids,
        "sample_id": samples,
        "particle_id": range(len(ids)),
        "instrument": [None] * len(ids),
        "has_image": [bool(file) for file in files],
    }
    return vector_table(rows, names)


class _Table:
    """The columns of a table, and how its rows are named in messages."""

    def __init__(self, header: Any, rows: Any, name: str, lines: Any = None):
        self.header, self.name = [str(name) for name in header], name
        self._rows, self._lines = rows, lines

    def where(self, row: int) -> str:
        if self._lines is None:
            return f"{self.name}, row {row} (counted from 0)"
        return f"{self.name}, line {self._lines[row]}"

    def column(self, name: str) -> list[Any]:
        if self.header.count(name) != 1:
            problem = "occurs twice" if name in self.header else "does not exist"
            raise ValueError(
                f"{self.name}: the column {name!r} {problem}; the columns are "
                f"{self.header}."
            )
        position = self.header.index(name)
        if isinstance(self._rows, pd.DataFrame):
            return self._rows.iloc[:, position].tolist()
        return [values[position] for values in self._rows]

    def texts(self, name: str) -> list[str]:
        """The values as text, "" if missing."""
        values = self.column(name)
        return ["" if is_missing(v) else str(v).strip() for v in values]

    def numbers(self, name: str, problems: Problems) -> np.ndarray:
        """The values as float32, NaN if missing."""
        numbers = np.full(len(self.column(name)), np.nan, dtype=np.float32)
        for row, value in enumerate(self.column(name)):
            try:
                numbers[row] = _number(value)
            except (TypeError, ValueError, OverflowError):
                problems.add(
                    f"{self.where(row)}: {name} is {str(value)[:60]!r}; expected a "
                    "number, with a decimal point, or nothing.",
                    _NO_NUMBER,
                )
        return numbers


def _number(value: Any) -> float | np.float32:
    """A finite number, or NaN where there is none."""
    if is_missing(value):
        return np.nan
    if isinstance(value, str):
        text = value.strip()
        if text.casefold() in ("", "nan", "na"):
            return np.nan
        if not text.isascii() or "_" in text:  # which float would take
            raise ValueError
        value = text
    with np.errstate(over="ignore"):  # overflow becomes infinite
        number = np.float32(float(value))
    if np.isinf(number):
        raise ValueError
    return number


def _checked_names(names: Any, parameter: str, length: int | None) -> list[str]:
    is_list = isinstance(names, Sequence) and not isinstance(names, str | bytes)
    if not is_list or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{parameter}={names!r}; expected a list of names of columns.")
    if (
        not names
        or len(set(names)) < len(names)
        or len(names) != (length or len(names))
    ):
        expected = "four names" if length else "each name once, and at least one"
        raise ValueError(f"{parameter}={list(names)!r}; expected {expected}.")
    return list(names)


def _read_table(path: Path) -> _Table:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; expected a CSV file.")
    text = csv_text(path)
    delimiter = delimiter_of(text)
    records = csv_rows(io.StringIO(text, newline=""), str(path), delimiter)
    _, header = next(records, (1, []))
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, values in records:
        if not any(value.strip() for value in values):
            continue  # as spreadsheet programs end a table
        if len(values) != len(header):
            raise ValueError(
                f"{path}, line {line}: expected {len(header)} values, as in the "
                f"header, got {len(values)}. A text with a {delimiter!r} must be in "
                'quotes (").'
            )
        if rows or not all(map(_TYPE_OF_ECOTAXA.fullmatch, values)):
            rows.append(values)
            lines.append(line)
    if not rows:
        raise ValueError(
            f"{path} has no rows; expected a header, and one row per particle."
        )
    return _Table([name.strip() for name in header], rows, str(path), lines)


def _ids(
    source: _Table, files: list[str], id_column: str | None, *, is_collage: bool
) -> tuple[list[str], list[str]]:
    """The samples' and the particles' ids."""
    samples = [Path(source.name).stem] * len(files)
    if "sample_id" in source.header:
        samples = source.texts("sample_id")
    if id_column is None and "object_id" in source.header:
        ids = source.texts("object_id")
    else:
        if id_column is not None:
            within = source.texts(id_column)
        elif is_collage:
            raise ValueError(
                f"{source.name} has no column object_id, and a collage shows several "
                f"particles. Pass id_column, one of {source.header}."
            )
        else:
            within = [Path(file.replace("\\", "/")).stem for file in files]
        ids = [f"{s}_{i}" if i else "" for s, i in zip(samples, within, strict=True)]
    column = id_column or "object_id"
    first: dict[str, int] = {}
    for row, particle in enumerate(ids):
        if not particle:
            raise ValueError(
                f"{source.where(row)}: the particle has no id. Add a column object_id, "
                "or pass id_column."
            )
        if first.setdefault(particle, row) != row:
            raise ValueError(
                f"{source.where(row)}: the id {particle!r} is that of another particle "
                f"as well, {source.where(first[particle])}. Expected each once in "
                f"{column}."
            )
    return samples, ids


def _image_entries(
    source: _Table,
    files: list[str],
    ids: list[str],
    folder: Path,
    crop: list[str] | None,
    problems: Problems,
) -> list[str | StoredImage | None]:
    paths = _existing_files(
        files, os.path.realpath(folder), "image", Path(source.name), problems
    )
    if crop is None:
        return list(paths)
    boxes = np.stack([source.numbers(name, problems) for name in crop], axis=1)
    collages: dict[str, tuple[int, int, int]] = {}
    entries: list[str | StoredImage | None] = []
    for row, (path, box) in enumerate(zip(paths, boxes, strict=True)):
        if path is None:
            entries.append(None)
            continue
        try:
            if path not in collages:
                content = Path(path).read_bytes()
                collages[path] = len(content), *image_size(content, FORMATS)
            n_bytes, width, height = collages[path]
            place = _place(box, width, height)
        except ValueError as error:
            problems.add(f"{source.where(row)}: {path}: {error}.", _NO_CROP)
            entries.append(None)
        else:
            entries.append(StoredImage(path, 0, n_bytes, ids[row], place))
    return entries


def _place(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height, if they lie within the collage."""
    is_whole = (box == np.floor(box)).all()  # false of NaN
    within = is_whole and box.min() >= 0 and box[2:].min() >= 1
    if not (within and box[0] + box[2] <= width and box[1] + box[3] <= height):
        raise ValueError(
            f"the particle has the left and upper edge, width and height "
            f"{box.tolist()}, in an image of {width} × {height} pixels"
        )
    left, top, columns, rows = map(int, box)
    return left, top, columns, rows
