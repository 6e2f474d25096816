"""Labels of particles, in the three forms in which the field keeps them."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skplankton._utils.csv_rows import csv_rows, csv_text
from skplankton.datasets._ifcb.names import is_bin, object_id, parse_object_id

UNCLASSIFIED = "unclassified"  # how the field writes "no label"
_EXPECTED = (
    "Expected folders of PNG files, each folder with the name of a class and files "
    "such as D20220522T003051_IFCB134_00003.png; or manual .mat files or .csv files "
    "with names of bins, such as D20220522T003051_IFCB134.mat"
)


def read_ifcb_labels(path: str | os.PathLike) -> pd.DataFrame:
    """Read labels of particles of an Imaging FlowCytobot (IFCB).

    Parameters
    ----------
    path : path-like
        A file, or a folder of such files, also in subfolders:

        - images named after their particle, D20220522T003051_IFCB134_00003.png, in
          folders named after their class. The images are not opened;
        - manual labels of MATLAB, D20220522T003051_IFCB134.mat, with the variables
          `classlist` and `class2use_manual`. Automatic labels in them are ignored;
        - predicted labels of a bin, D20220522T003051_IFCB134.csv, with the columns
          `file_name` and `class_name`. A single .csv file may have any name.

        Files with other names in a folder are ignored.

    Returns
    -------
    DataFrame of shape (n_particles, 2)
        The columns `object_id`, as in :func:`load_ifcb`, and `label`, None where a
        particle is "unclassified" or has no class. To join them with particles:
        ``particles.merge(labels, on="object_id", how="left")``.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If a file cannot be read, there is none in the folder, images are beside the
        folders of classes, or a particle has two labels.

    See Also
    --------
    load_ifcb : The particles.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.datasets import read_ifcb_labels
    >>> with TemporaryDirectory() as folder:
    ...     image = Path(folder, "Mesodinium", "D20220522T003051_IFCB134_00003.png")
    ...     image.parent.mkdir()
    ...     image.touch()
    ...     labels = read_ifcb_labels(folder)
    >>> labels.to_numpy().tolist()
    [['D20220522T003051_IFCB134_00003', 'Mesodinium']]
    """
    source = Path(path)
    _check_folders(source)
    labels: dict[str, str | None] = {}
    places: dict[str, Path] = {}
    for file in _files(source):
        for particle, text in _read(file):
            label = text if text and text.casefold() != UNCLASSIFIED else None
            known = labels.setdefault(particle, label)
            if known != label and known is not None and label is not None:
                raise ValueError(
                    f"{file}: the particle {particle} is labeled {label!r}, and "
                    f"{known!r} in {places[particle]}. Keep one of the two labels."
                )
            labels[particle] = label if known is None else known
            places.setdefault(particle, file)
    return pd.DataFrame(
        {
            "object_id": pd.Series(list(labels), dtype="str"),
            "label": pd.Series(list(labels.values()), dtype=object),
        }
    )


def _check_folders(folder: Path) -> None:
    """Raise if images lie beside the folders of classes, in none of them."""
    images = [file for file in folder.glob("*.[pP][nN][gG]") if has_labels(file)]
    if images and any(
        file.parent != folder and has_labels(file)
        for file in folder.rglob("*.[pP][nN][gG]")
    ):
        raise ValueError(
            f"{folder}: {len(images)} images, such as {min(images).name}, are in no "
            "folder of a class, and others are. Move them to the folder of their "
            f"class, to one named {UNCLASSIFIED!r}, or elsewhere."
        )


def _files(source: Path) -> list[Path]:
    if source.is_file():
        if source.suffix.lower() not in (".png", ".mat", ".csv"):
            raise ValueError(f"{source} has no labels that can be read. {_EXPECTED}.")
        return [source]
    if not source.is_dir():
        raise FileNotFoundError(f"{source} does not exist. {_EXPECTED}.")
    files = sorted(file for file in source.rglob("*.*") if has_labels(file))
    if not files:
        found = sorted(entry.name for entry in source.iterdir())[:5]
        raise ValueError(
            f"{source} and its subfolders contain no labels, only {found}. {_EXPECTED}."
        )
    return files


def has_labels(file: Path) -> bool:
    """By its name: folders of labels contain lists of classes, features and more."""
    if file.suffix.lower() != ".png":
        return file.suffix.lower() in (".mat", ".csv") and is_bin(file.stem)
    try:
        parse_object_id(file.stem)
    except ValueError:
        return False
    return True


def _read(file: Path) -> Iterator[tuple[str, str]]:
    """The ids of particles and their labels, "" if there is none."""
    suffix = file.suffix.lower()
    if suffix == ".mat":
        yield from _manual_labels(file)
    elif suffix == ".csv":
        yield from _class_table(file)
    else:
        yield (
            _checked_id(file.stem, str(file)),
            Path(os.path.realpath(file)).parent.name.strip(),
        )


def _checked_id(text: str, where: str) -> str:
    """The id, as load_ifcb writes it."""
    try:
        return object_id(*parse_object_id(text))
    except ValueError as error:
        raise ValueError(f"{where}: {error}.") from None


def _class_table(file: Path) -> Iterator[tuple[str, str]]:
    records = csv_rows(io.StringIO(csv_text(file), newline=""), str(file), ",")
    _, names = next(records, (1, []))
    header = [name.strip() for name in names]
    for column in ("file_name", "class_name"):
        if header.count(column) != 1:
            problem = "occurs twice" if column in header else "is missing"
            raise ValueError(
                f"{file}, line 1: the column {column} {problem}; the columns are "
                f"{header}. Expected a table separated by commas."
            )
    at, class_at = header.index("file_name"), header.index("class_name")
    for line, values in records:
        if not any(value.strip() for value in values):
            continue  # as spreadsheet programs end a table
        if len(values) != len(header):
            raise ValueError(
                f"{file}, line {line}: expected {len(header)} values, as in the "
                f"header, got {len(values)}."
            )
        name = values[at].strip().removesuffix(".png")
        yield _checked_id(name, f"{file}, line {line}"), values[class_at].strip()


def _manual_labels(file: Path) -> Iterator[tuple[str, str]]:
    if not is_bin(file.stem):
        raise ValueError(
            f"{file} must have the name of its bin, such as "
            "D20220522T003051_IFCB134.mat: the particles are numbered within it."
        )
    rows, classes = _variables(file)
    for i, (row, number) in enumerate(rows, start=1):
        if not (row >= 1 and row == np.floor(row) and row < 1e9):
            raise ValueError(
                f"{file}, classlist, row {i}: the number of the particle is {row:g}; "
                "expected a whole number from 1."
            )
        if np.isnan(number):
            label = ""
        elif number in range(1, len(classes) + 1):
            label = classes[int(number) - 1]
        else:
            raise ValueError(
                f"{file}, classlist, row {i}: the class is {number:g}; expected a "
                f"number from 1 to {len(classes)}, of class2use_manual."
            )
        yield object_id(file.stem, int(row)), label


def _variables(file: Path) -> tuple[np.ndarray, list[str]]:
    """Rows of particles' and classes' numbers, and the names of the classes."""
    from scipy.io import loadmat

    names = ("classlist", "class2use_manual")
    content = io.BytesIO(file.read_bytes())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a damaged file, too
            variables = loadmat(content, variable_names=names, chars_as_strings=True)
    except Exception as error:  # many kinds, if the file is damaged
        raise ValueError(
            f"{file} is not a .mat file that can be read ({error!r}). Save it in "
            "MATLAB with the option '-v7'."
        ) from error
    missing = [name for name in names if name not in variables]
    if missing:
        raise ValueError(
            f"{file} has no variable {missing[0]!r}; expected a file of manual labels, "
            f"with {' and '.join(names)}."
        )
    rows = np.asarray(variables["classlist"])
    if rows.ndim != 2 or rows.shape[1] < 2 or rows.dtype.kind not in "fiu":
        raise ValueError(
            f"{file}: classlist has the shape {rows.shape} and the type {rows.dtype}; "
            "expected numbers of particles and of classes, a row per particle."
        )
    return rows[:, :2].astype(np.float64), _texts(variables["class2use_manual"], file)


def _texts(cells: Any, file: Path) -> list[str]:
    """The texts of a cell array."""
    texts = []
    for cell in np.asarray(cells).ravel():
        value = np.asarray(cell).ravel()
        if len(value) > 1 or value.dtype.kind != "U":
            raise ValueError(
                f"{file}: class2use_manual has {str(cell)[:60]!r}; expected the names "
                "of classes."
            )
        texts.append(str(value[0]).strip() if len(value) else "")
    return texts
