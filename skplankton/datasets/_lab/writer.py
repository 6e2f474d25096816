"""Write particles as files, in the layout of the published data sets."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skplankton._utils.files import check_free, unfinished
from skplankton._views.contents import is_missing, is_path, is_url
from skplankton._views.images import png_bytes
from skplankton.datasets._lab.reader import (
    CLASS,
    FOLDERS,
    TABLE_NAME,
    check_no_empty_row,
)
from skplankton.datasets._simulator.cytometer import CHANNEL_NAMES
from skplankton.datasets._table import check_particles


def write_particles(
    X: pd.DataFrame,
    y: ArrayLike | None,
    path: str | os.PathLike,
    *,
    overwrite: bool = False,
) -> Path:
    """Write particles as files in the LAB layout.

    Writes ``images/*.png``, ``profiles/*.csv`` and, last, ``annotations.csv`` with the
    columns (unnamed index), `image`, `profile` and `class`.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_columns)
        Its columns `image` and `profile` are written, others are not. A value is an
        array, the path of a file to copy, or missing (None, NaN, NaT).
        Images: (height, width), uint8 or uint16, or (height, width, 3), uint8, written
        losslessly; or (height, width), float in [0, 1], written as 16-bit PNG
        (rounded to 1/65535). Pillow cannot write deeper colors.
        Profiles: (length, n_channels) numbers in mV, written with full precision. The
        header has the names of the six published channels, or numbers for any others.
    y : array-like of shape (n_samples,) or None
        Labels, written as text. None and NaN mean unlabeled; with ``y=None`` all are.
    path : path-like
        The folder, made if necessary.
    overwrite : bool, default=False
        Whether to replace an existing ``annotations.csv``. Files of the same names are
        replaced with it, others are left.

    Returns
    -------
    pathlib.Path
        The path of ``annotations.csv``.

    Raises
    ------
    FileExistsError
        If there is an ``annotations.csv`` and ``overwrite`` is False.
    FileNotFoundError
        If a file to copy does not exist.
    OSError
        If the disk is full. What was in the folder before stays.
    TypeError
        If X is not a DataFrame, or a value has an unknown type.
    ValueError
        If a column is missing, a row has neither image nor profile, an array has the
        wrong shape or values out of range, a label is an empty text, y has another
        length than X, or a file to copy lies in the folders that are written.

    See Also
    --------
    load_particles : Open such a folder.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.datasets import make_particles, write_particles
    >>> X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     print(write_particles(X, y, folder).name)
    annotations.csv
    """
    folder = Path(path)
    table_path = folder / TABLE_NAME
    check_free(table_path, overwrite)
    labels = _labels_as_text(y, X)
    # Everything is checked before anything is written.
    entries = _checked_entries(X, folder)
    with unfinished(folder, folder=folder) as part:
        part.mkdir()
        table = {CLASS: labels}
        for modality in FOLDERS:
            rows = enumerate(entries[modality])
            table[modality] = [
                _write_entry(entry, modality, i, part) for i, entry in rows
            ]
        pd.DataFrame(table, columns=[*FOLDERS, CLASS]).to_csv(
            part / TABLE_NAME, encoding="utf-8"
        )
        _move_files(part, folder)
    return table_path


def _move_files(part: Path, folder: Path) -> None:
    # No table exists while some files are old and some are new.
    (folder / TABLE_NAME).unlink(missing_ok=True)
    for file in part.glob("*/*"):
        target = folder / file.relative_to(part)
        target.parent.mkdir(exist_ok=True)
        os.replace(file, target)
    os.replace(part / TABLE_NAME, folder / TABLE_NAME)


def _labels_as_text(y: ArrayLike | None, X: pd.DataFrame) -> list[str]:
    labels = np.full(len(X), None) if y is None else np.asarray(y, dtype=object)
    if labels.shape != (len(X),):
        found = f"{len(labels)} labels" if labels.ndim == 1 else f"shape {labels.shape}"
        raise ValueError(f"X has {len(X)} rows but y has {found}.")
    texts = ["" if is_missing(label) else str(label) for label in labels]
    for i, (label, text) in enumerate(zip(labels, texts, strict=True)):
        if not text.strip() and not is_missing(label):
            raise ValueError(
                f"Label {i} is an empty text, which would be read back as unlabeled. "
                "Use None for unlabeled."
            )
        if "\0" in text or "\r" in text:
            raise ValueError(
                f"Label {i} is {text!r}; expected a text without NUL and carriage "
                "return, which cannot be read back from a CSV file."
            )
    return texts


def _checked_entries(X: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return images and profiles, checked; missing ones as None."""
    check_particles(X)
    entries = {
        modality: [None if is_missing(entry) else entry for entry in X[modality]]
        for modality in FOLDERS
    }
    entries = pd.DataFrame(entries, dtype=object)
    check_no_empty_row(entries, "X: ")
    written = {os.path.realpath(folder / name) for name in FOLDERS.values()}
    for modality, check in (("image", _check_image), ("profile", _check_profile)):
        for i, entry in enumerate(entries[modality]):
            where = f"X[{modality!r}], row {i} (counted from 0)"
            if is_path(entry):
                _check_source(entry, written, where)
            elif isinstance(entry, np.ndarray):
                check(entry, where)
            elif entry is not None:
                kind = "a URL" if is_url(entry) else type(entry).__name__
                raise TypeError(
                    f"{where}: expected an array, a path or None, got {kind}."
                )
    _check_one_channel_count(entries["profile"])
    return entries


def _check_source(source: str | os.PathLike, written: set[str], where: str) -> None:
    if not os.path.isfile(source):
        raise FileNotFoundError(f"{where}: no such file: {os.fspath(source)}")
    # Renumbering the files could replace one that is still to be copied.
    if os.path.dirname(os.path.realpath(source)) in written:
        raise ValueError(
            f"{where}: {os.fspath(source)} lies in a folder that is about to be "
            "written. Write to another folder."
        )


def _check_image(image: np.ndarray, where: str) -> None:
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)) or not image.size:
        raise ValueError(
            f"{where}: expected an image of shape (height, width) or (height, width, "
            f"3), got {image.shape}."
        )
    if image.ndim == 3 and image.dtype != np.uint8:
        raise TypeError(
            f"{where}: expected uint8 values of a color image, got {image.dtype}. "
            "PNG files of deeper colors cannot be written: convert it to gray or uint8."
        )
    if image.dtype.kind == "f":
        # This condition rejects NaN as well.
        if not (image.min() >= 0 and image.max() <= 1):
            raise ValueError(
                f"{where}: expected float values in [0, 1], got values from "
                f"{image.min()} to {image.max()}. Divide by the camera's full scale."
            )
    elif image.dtype not in (np.uint8, np.uint16):
        raise TypeError(
            f"{where}: expected uint8, uint16 or float values, got {image.dtype}."
        )


def _check_profile(profile: np.ndarray, where: str) -> None:
    if profile.ndim == 1:
        raise ValueError(
            f"{where}: expected a profile of shape (length, n_channels), got "
            f"{profile.shape}. Vectors of measurements have no files in this layout: "
            "save the table by X.to_pickle."
        )
    if profile.ndim != 2 or not profile.size:
        raise ValueError(
            f"{where}: expected a profile of shape (length, n_channels), got "
            f"{profile.shape}."
        )
    if profile.dtype.kind not in "fiu":
        raise TypeError(f"{where}: expected numbers in mV, got {profile.dtype}.")
    if not np.isfinite(profile).all():
        raise ValueError(f"{where}: the profile contains NaN or infinity.")


def _check_one_channel_count(profiles: Iterable[Any]) -> None:
    counts = {p.shape[1] for p in profiles if isinstance(p, np.ndarray)}
    if len(counts) > 1:
        raise ValueError(
            f"Profiles have {sorted(counts)} channels; expected the same number of "
            "channels in all rows."
        )


def _write_entry(entry: Any, modality: str, row: int, folder: Path) -> str:
    """Write one value's file and return its name in the table ('' if missing)."""
    if entry is None:
        return ""
    is_array = isinstance(entry, np.ndarray)
    default = ".png" if modality == "image" else ".csv"
    suffix = default if is_array else Path(entry).suffix
    name = f"{FOLDERS[modality]}/{row:06d}{suffix}"
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not is_array:
        shutil.copyfile(entry, target)
    elif modality == "image":
        target.write_bytes(png_bytes(entry))
    else:
        _write_profile(entry, target)
    return name


def _write_profile(profile: np.ndarray, target: Path) -> None:
    n_channels = profile.shape[1]
    names = list(CHANNEL_NAMES)
    if n_channels != len(names):
        names = [f"channel_{k}" for k in range(n_channels)]
    pd.DataFrame(profile, columns=names).to_csv(target, index=False)
