"""Tables of particle files in the layout of the published LAB, SEA and UTO data sets.

A CSV table names, for each particle, an image file and a profile file; the data sets
are at doi 10.23729/fd-470acabc-afb8-39cb-a86e-0f81872e7443, described in
arXiv:2603.16427.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skplankton._utils.csv_rows import csv_rows
from skplankton._utils.reports import Problems

TABLE_NAME = "annotations.csv"
CLASS = "class"
# View (a column of the table) -> the folder that holds its files.
FOLDERS = {"image": "images", "profile": "profiles"}

_DESCRIPTION = """Particles in files
------------------

Read from {path}: {n_samples} particles, {n_images} with an image and {n_profiles} with
a profile, {n_labeled} labelled. Cells hold file paths, opened only when needed.
"""


def load_particles(
    path: str | os.PathLike, *, errors: str = "raise", return_X_y: bool = False
) -> Bunch | tuple[pd.DataFrame, np.ndarray]:
    """Open a table of particle files in the LAB layout, without reading the files.

    The table gives the names of the files; that they exist is checked here, once for
    all of them, and what they hold is read when an estimator needs it.

    Parameters
    ----------
    path : path-like
        A folder that holds ``annotations.csv``, or such a CSV file itself (for instance
        ``fold1/train.csv`` of the published splits). It has the columns `image`,
        `profile` and, if there are labels, `class`; others are ignored. File names are
        relative to the CSV file's own folder. An empty cell is a missing view, or no
        label. Blanks around a label do not count.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about a file that does not exist. Unless "raise", the view is missing
        and is told of once, at the end: by a warning, or with "coerce" by the logger
        ``skplankton``. A row with no view left keeps its place, with both cells None.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame of shape (n_samples, 2)
            Columns `image` and `profile`; cells are absolute paths (str), or None where
            the view is missing.
        target : ndarray of shape (n_samples,), dtype object
            Labels as str (numbers too); None where there is none.
        target_names : list of str
            The labels that occur, sorted.
        feature_names : list of str
            ``["image", "profile"]``.
        filename : str
            The CSV file that was read.
        DESCR : str
            A description of the data.
    (data, target) : tuple if ``return_X_y`` is True
        The two of the above.

    Raises
    ------
    FileNotFoundError
        If there is no such table, or it names a file that does not exist.
    ValueError
        If the table is empty, no CSV in UTF-8 with commas, lacks a column or has it
        twice, or has a row with more or fewer cells than the header, or neither view.

    See Also
    --------
    write_particles : Write a table in this layout.
    make_particles : Simulated particles, for when there are no files yet.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.datasets import load_particles, make_particles, write_particles
    >>> X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     table = write_particles(X, y, folder)
    ...     X_files, y_files = load_particles(folder, return_X_y=True)
    >>> X_files["profile"][0][-19:]
    'profiles/000000.csv'
    >>> bool((y_files == y).all())
    True
    """
    table_path = _find_table(Path(path))
    table = _read_table(table_path)
    problems = Problems(errors)
    folder = os.path.realpath(table_path.parent)
    data = pd.DataFrame(
        {
            view: _existing_files(table[view], folder, view, table_path, problems)
            for view in FOLDERS
        },
        dtype=object,
    )
    problems.report(str(table_path))
    if errors == "raise":
        check_some_view(data, f"{table_path}: ")
    labels = table.get(CLASS, [""] * len(data))
    # With a blank before or behind, "x " would be another class than "x".
    target = np.array([label.strip() or None for label in labels], dtype=object)
    if return_X_y:
        return data, target
    labeled = [label for label in target if label is not None]
    return Bunch(
        data=data,
        target=target,
        target_names=sorted(set(labeled)),
        feature_names=list(data.columns),
        filename=str(table_path),
        DESCR=_DESCRIPTION.format(
            path=table_path,
            n_samples=len(data),
            n_images=data["image"].notna().sum(),
            n_profiles=data["profile"].notna().sum(),
            n_labeled=len(labeled),
        ),
    )


def _find_table(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist; expected a CSV file or a folder that holds "
            f"{TABLE_NAME}."
        )
    if not (path / TABLE_NAME).is_file():
        others = sorted(p.name for p in path.glob("*.csv"))[:5]
        raise FileNotFoundError(
            f"{path} holds no {TABLE_NAME} (CSV files there: {others}). Pass the path "
            "of the CSV file itself if it has another name."
        )
    return path / TABLE_NAME


def _read_table(path: Path) -> dict[str, list[str]]:
    """The columns that are used, as text."""
    records = csv_rows(io.StringIO(_read_text(path), newline=""), str(path), ",")
    _, cells = next(records, (1, []))
    header = [name.strip() for name in cells]
    _check_header(header, path)
    rows = []
    for line, cells in records:
        if len(cells) != len(header):
            raise ValueError(
                f"{path}, line {line}: expected {len(header)} cells, as in the header, "
                f"got {len(cells)}. A text with a comma or a line break in it needs "
                'quotes (") around it.'
            )
        rows.append(cells)
    if not rows:
        raise ValueError(
            f"{path} has a header but no rows; expected one row a particle."
        )
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    return {name: list(columns[name]) for name in (*FOLDERS, CLASS) if name in columns}


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    try:
        # Spreadsheet programs put a byte-order mark.
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
            f"{path}, line {line}: a NUL byte, which no table of text has: the file is "
            "damaged, or no CSV file. Copy it again, or save it again as 'CSV UTF-8'."
        )
    return text


def _check_header(header: list[str], path: Path) -> None:
    if not any(header):
        raise ValueError(
            f"{path} is empty; expected a header with the columns 'image', 'profile' "
            "and, if there are labels, 'class'."
        )
    for sign in (";", "\t"):
        if len(header) == 1 and sign in header[0]:
            raise ValueError(
                f"{path}, line 1: the cells are separated by {sign!r}; expected "
                "commas. To save the table again: pandas.read_csv(path, "
                f"sep={sign!r}, dtype=str).to_csv(path, index=False)"
            )
    absent = [view for view in FOLDERS if view not in header]
    if absent:
        raise ValueError(
            f"{path} has no column {absent[0]!r}, only {header}; expected 'image' and "
            "'profile'. Leave cells empty where there is no file."
        )
    twice = [name for name in (*FOLDERS, CLASS) if header.count(name) > 1]
    if twice:
        raise ValueError(
            f"{path}, line 1: the column {twice[0]!r} is there "
            f"{header.count(twice[0])} times. Delete or rename the others."
        )


def _existing_files(
    names: list[str], folder: str, view: str, table_path: Path, problems: Problems
) -> list[str | None]:
    """Make the names absolute and check that the files are there.

    Folders are listed once: asking the file system about every file is slow for the
    hundreds of thousands of files of the published data, above all over a network.
    """
    listings: dict[str, tuple[str, set[str]]] = {}
    paths: list[str | None] = []
    absent: list[int] = []
    for i, name in enumerate(names):
        if not name:
            paths.append(None)
            continue
        # Tables written on Windows may have backslashes.
        head, _, tail = name.replace("\\", "/").rpartition("/")
        if head not in listings:
            listings[head] = _listing(os.path.join(folder, head + "/" if head else ""))
        where, present = listings[head]
        full = os.path.join(where, tail)
        # Some file systems do not tell upper from lower case; the listing does.
        if tail not in present and not os.path.isfile(full):
            absent.append(i)
        paths.append(full)
    if absent:
        first = absent[0]
        problems.add(
            f"{table_path}, row {first} (counted from 0): no {view} file "
            f"{names[first]!r}, looked for as {paths[first]}. {len(absent)} of "
            f"{len(names)} {view} files do not exist. Names are relative to the CSV "
            "file's folder; leave the cell empty if there is no such view.",
            f"the {view} is missing",
            error=FileNotFoundError,
            count=len(absent),
        )
        for i in absent:
            paths[i] = None
    return paths


def _listing(folder: str) -> tuple[str, set[str]]:
    folder = os.path.realpath(folder)
    try:
        with os.scandir(folder) as entries:
            return folder, {entry.name for entry in entries}
    except PermissionError:
        raise
    except OSError:  # no folder, or no name that a folder can have
        return folder, set()


def check_some_view(data: pd.DataFrame, where: str) -> None:
    neither = np.flatnonzero(data.isna().all(axis=1))
    if len(neither):
        raise ValueError(
            f"{where}row {neither[0]} (counted from 0) has neither an image nor a "
            f"profile, as have {len(neither)} of {len(data)} rows. Drop such rows."
        )
