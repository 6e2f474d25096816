"""Paths → the bins there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from skplankton.datasets._ifcb.names import EXPECTED, is_bin, parse_bin

SUFFIXES = (".adc", ".hdr", ".roi")


def find_bins(path: Any) -> list[Path]:
    """The paths of bins, without suffix, ordered by name."""
    if isinstance(path, str | os.PathLike):
        found = _bins_at(Path(path))
    elif isinstance(path, Sequence) and not isinstance(path, bytes):
        if not len(path):
            raise ValueError("path is an empty list; expected at least one IFCB bin.")
        found = [bin for entry in path for bin in _bins_at(Path(entry))]
    else:
        raise TypeError(
            f"path is {type(path).__name__}; expected the path of an IFCB bin or of a "
            "folder, or a list of them."
        )
    found = sorted(found, key=lambda bin: (bin.name, bin))
    for bin, after in pairwise(found):
        if bin.name == after.name:
            raise ValueError(
                f"The bin {bin.name} occurs twice: {bin} and {after}. Its particles "
                "would have the same object_id; pass it once."
            )
    return found


def files_of(bin: Path) -> tuple[Path, Path, Path]:
    """The .adc, the .hdr and the .roi file."""
    adc, hdr, roi = (bin.with_name(bin.name + suffix) for suffix in SUFFIXES)
    return adc, hdr, roi


def _bins_at(path: Path) -> list[Path]:
    if path.is_dir():
        return _bins_in(path)
    bin = path.with_suffix("") if path.suffix in SUFFIXES else path
    files = [path] if path != bin else list(files_of(bin))
    if not any(map(Path.is_file, files)):
        raise FileNotFoundError(
            f"{path} does not exist; expected an IFCB bin, which is a .adc, a .hdr and "
            "a .roi file, or a folder with bins."
        )
    _check_name(bin)
    return [bin]


def _bins_in(folder: Path) -> list[Path]:
    bins = set()
    for file in folder.rglob("*.*"):
        # Hidden files are those that macOS leaves beside each file on other disks.
        if file.suffix not in SUFFIXES or file.name.startswith("."):
            continue
        bin = file.with_suffix("")
        if file.suffix == ".adc":
            _check_name(bin)
        if is_bin(bin.name):  # other instruments have .hdr files, too
            bins.add(bin)
    if not bins:
        found = sorted(entry.name for entry in folder.iterdir())[:5]
        raise ValueError(
            f"{folder} and its subfolders contain no IFCB bin, only {found}. Expected "
            f".adc, .hdr and .roi files with names such as {EXPECTED}."
        )
    return list(bins)


def _check_name(bin: Path) -> None:
    try:
        parse_bin(bin.name)
    except ValueError as error:
        raise ValueError(
            f"{files_of(bin)[0]}: {error}. The name is the start and "
            "the instrument of the bin; give it back to its files."
        ) from None
