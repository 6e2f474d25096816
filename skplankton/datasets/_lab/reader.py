"""Tables of particle files in the layout of the published LAB, SEA and UTO data sets.

A CSV table lists an image file and a profile file per particle. The data sets are at
doi 10.23729/fd-470acabc-afb8-39cb-a86e-0f81872e7443, described in arXiv:2603.16427.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skplankton._utils.csv_rows import csv_rows, csv_text
from skplankton._utils.reports import Problems

TABLE_NAME = "annotations.csv"
CLASS = "class"
OBJECT_ID = "object_id"  # of which only the commands make use
# Modality (a column of the table) -> the folder of its files.
FOLDERS = {"image": "images", "profile": "profiles"}
_USED = (*FOLDERS, CLASS, OBJECT_ID)

_DESCRIPTION = """Particles in files
------------------

Read from {path}: {n_samples} particles, {n_images} with an image and {n_profiles} with
a profile, {n_labeled} labeled. Values are file paths, opened only when needed.
"""


def load_particles(
    path: str | os.PathLike, *, errors: str = "raise", return_X_y: bool = False
) -> Bunch | tuple[pd.DataFrame, np.ndarray]:
    """Open a table of particle files in the LAB layout, without reading the files.

    The table lists the names of the files. Their existence is checked here; their
    contents are read when an estimator needs them.

    Parameters
    ----------
    path : path-like
        A folder with ``annotations.csv``, or such a CSV file itself (for instance
        ``fold1/train.csv`` of the published splits). It has the columns `image`,
        `profile` and, if there are labels, `class`; others are ignored. File names are
        relative to the CSV file's own folder. An empty value is a missing image or
        profile, or no label. Blanks around a label are ignored, and so are empty rows.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about a file that does not exist. Unless "raise", it is treated as
        missing and reported once, at the end: by a warning, or with "coerce" by the
        logger ``skplankton``. A row without any file is kept, with both values None.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame of shape (n_samples, 2)
            Columns `image` and `profile`; values are absolute paths (str), or None if
            missing.
        target : ndarray of shape (n_samples,), dtype object
            Labels as str (numbers too); None where unlabeled.
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
        If there is no such table, or it lists a file that does not exist.
    ValueError
        If the table is empty, is not CSV in UTF-8 with commas, lacks a column or has it
        twice, has a column "label" instead of `class`, or has a row with more or fewer
        values than the header, or with neither image nor profile.

    See Also
    --------
    write_particles : Write a table in this layout.
    make_particles : Simulated particles, if there are no files yet.

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
    table = read_table(table_path)
    problems = Problems(errors)
    folder = os.path.realpath(table_path.parent)
    data = pd.DataFrame(
        {
            modality: existing_files(
                table[modality], folder, modality, table_path, problems
            )
            for modality in FOLDERS
        },
        dtype=object,
    )
    problems.report(str(table_path))
    if errors == "raise":
        check_no_empty_row(data, f"{table_path}: ")
    labels = table.get(CLASS, [""] * len(data))
    # With its blank, "x " would be another class than "x".
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
            f"{path} does not exist; expected a CSV file or a folder that contains "
            f"{TABLE_NAME}."
        )
    if not (path / TABLE_NAME).is_file():
        others = sorted(p.name for p in path.glob("*.csv"))[:5]
        raise FileNotFoundError(
            f"{path} contains no {TABLE_NAME}, only the CSV files {others}. Pass the "
            "path of the CSV file itself if it has another name."
        )
    return path / TABLE_NAME


def read_table(path: Path) -> dict[str, list[str]]:
    """The columns that are used, as text."""
    records = csv_rows(io.StringIO(csv_text(path), newline=""), str(path), ",")
    _, entries = next(records, (1, []))
    header = [name.strip() for name in entries]
    _check_header(header, path)
    rows = []
    for line, entries in records:
        if not any(entry.strip() for entry in entries):
            continue  # as spreadsheet programs end a table
        if len(entries) != len(header):
            raise ValueError(
                f"{path}, line {line}: expected {len(header)} values, as in the "
                f"header, got {len(entries)}. A text with a comma or a line break must "
                'be in quotes (").'
            )
        rows.append(entries)
    if not rows:
        raise ValueError(
            f"{path} has a header but no rows; expected one row per particle."
        )
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    return {name: list(columns[name]) for name in _USED if name in columns}


def _check_header(header: list[str], path: Path) -> None:
    if not any(header):
        raise ValueError(
            f"{path} is empty; expected a header with the columns 'image', 'profile' "
            "and, if there are labels, 'class'."
        )
    for sign in (";", "\t"):
        if len(header) == 1 and sign in header[0]:
            raise ValueError(
                f"{path}, line 1: the values are separated by {sign!r}; expected "
                "commas. To save the table again: pandas.read_csv(path, "
                f"sep={sign!r}, dtype=str).to_csv(path, index=False)"
            )
    missing = [modality for modality in FOLDERS if modality not in header]
    if missing:
        raise ValueError(
            f"{path} has no column {missing[0]!r}, only {header}; expected 'image' and "
            "'profile'. Leave the value empty where there is no file."
        )
    labels = [name for name in header if name.lower() in (CLASS, "label", "labels")]
    if labels and CLASS not in header:
        raise ValueError(
            f"{path} has no column {CLASS!r}, and one {labels[0]!r}. Rename it to "
            f"{CLASS!r} if it holds the labels, or to something else if not."
        )
    twice = [name for name in _USED if header.count(name) > 1]
    if twice:
        raise ValueError(
            f"{path}, line 1: the column {twice[0]!r} occurs "
            f"{header.count(twice[0])} times. Delete or rename the others."
        )


def existing_files(
    names: list[str], folder: str, modality: str, table_path: Path, problems: Problems
) -> list[str | None]:
    """Make the names absolute and check that the files exist.

    Folders are listed once: checking each file is slow for the hundreds of thousands of
    files of the published data, above all over a network.
    """
    listings: dict[str, tuple[str, set[str]]] = {}
    paths: list[str | None] = []
    missing: list[int] = []
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
        # Some file systems are not case-sensitive, but the listing is.
        if tail not in present and not os.path.isfile(full):
            missing.append(i)
        paths.append(full)
    if missing:
        first = missing[0]
        problems.add(
            f"{table_path}, row {first} (counted from 0): no {modality} file "
            f"{names[first]!r}, looked for as {paths[first]}. {len(missing)} of "
            f"{len(names)} {modality} files do not exist. Names are relative to "
            f"{folder}; leave the value empty if there is no {modality}.",
            f"the {modality} is missing",
            error=FileNotFoundError,
            count=len(missing),
        )
        for i in missing:
            paths[i] = None
    return paths


def _listing(folder: str) -> tuple[str, set[str]]:
    folder = os.path.realpath(folder)
    try:
        with os.scandir(folder) as entries:
            return folder, {entry.name for entry in entries}
    except PermissionError:
        raise
    except OSError:  # no such folder, or an invalid name
        return folder, set()


def check_no_empty_row(data: pd.DataFrame, where: str) -> None:
    """Raise if a row has neither image nor profile."""
    neither = np.flatnonzero(data.isna().all(axis=1))
    if len(neither):
        raise ValueError(
            f"{where}row {neither[0]} (counted from 0) has neither an image nor a "
            f"profile, like {len(neither)} of {len(data)} rows. Drop such rows."
        )
