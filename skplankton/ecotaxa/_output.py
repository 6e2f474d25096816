"""Images and table → a folder or zip archive that appears whole, or not at all."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from skplankton._utils.files import unfinished
from skplankton._views.entries import image_pixels, is_path
from skplankton._views.images import png_bytes, read_image
from skplankton._views.stored import StoredImage

IMAGES = "images"
WITHOUT_IMAGE = "without_image.csv"
# The same input gives the same bytes, always. Zip knows no earlier year.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def is_zip(path: Path) -> bool:
    """Whether a zip archive is to be written, and not a folder."""
    return path.suffix.lower() == ".zip"


def table_name(path: Path) -> str:
    """The table's name, ``ecotaxa_….tsv``, after what it is written to."""
    stem = path.stem if is_zip(path) else path.name
    return f"ecotaxa_{safe_name(stem.removeprefix('ecotaxa_'))}.tsv"


def safe_name(text: str) -> str:
    """A text as part of a file name, on any system."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text)[:60]


def check_target(path: Path, overwrite: bool) -> None:
    """Raise if there is something that must not be replaced."""
    if not path.exists():
        return
    if path.is_dir() == is_zip(path):
        raise FileExistsError(
            f"{path} is a {'folder' if path.is_dir() else 'file'}; expected a path "
            "that ends in .zip for an archive, or else a folder. Choose another."
        )
    names = os.listdir(path) if path.is_dir() else []
    if path.is_dir() and not names:
        return
    if not overwrite:
        raise FileExistsError(
            f"{path} exists. Pass overwrite=True to replace it, or write elsewhere."
        )
    others = sorted(name for name in names if not _is_written_here(name))
    if others:
        raise FileExistsError(
            f"{path} holds more than is written here: {others[:5]}. It is not "
            "replaced; write to a folder of its own."
        )


def _is_written_here(name: str) -> bool:
    is_table = name.startswith("ecotaxa_") and name.endswith(".tsv")
    return is_table or name in (IMAGES, WITHOUT_IMAGE)


@contextmanager
def whole_output(path: Path, overwrite: bool) -> Iterator[Callable[[str, bytes], None]]:
    """Give a function that writes a named file into the folder or archive.

    All is written under another name beside `path`; it gets its own at the end.
    """
    with unfinished(path) as part:
        if is_zip(path):
            with zipfile.ZipFile(part, "x") as archive:
                yield _writer_into_zip(archive)
        else:
            part.mkdir()
            yield _writer_into_folder(part)
        check_target(path, overwrite)
        if path.is_dir():
            old = part.with_suffix(".old")
            path.rename(old)
            part.rename(path)
            shutil.rmtree(old)
        else:
            part.replace(path)


def _writer_into_zip(archive: zipfile.ZipFile) -> Callable[[str, bytes], None]:
    def write(name: str, content: bytes) -> None:
        member = zipfile.ZipInfo(name, _ZIP_TIME)
        member.create_system = _UNIX
        member.external_attr = 0o644 << 16
        is_image = name.startswith(f"{IMAGES}/")  # compressed already
        member.compress_type = zipfile.ZIP_STORED if is_image else zipfile.ZIP_DEFLATED
        archive.writestr(member, content)

    return write


def _writer_into_folder(folder: Path) -> Callable[[str, bytes], None]:
    def write(name: str, content: bytes) -> None:
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)

    return write


# EcoTaxa takes PNG, JPEG and GIF; GIF is left out, as it may hold many images.
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}


def image_file(cell: Any) -> tuple[str, bytes]:
    """The file's suffix and content.

    JPEG and PNG files are left as they are. All else becomes PNG, with 8 bits and no
    transparency: EcoTaxa and browsers show no more, and EcoTaxa's small images of 16
    bits are white.
    """
    content = None
    if isinstance(cell, StoredImage) and cell.crop is None:
        content = cell.read_bytes()
    elif is_path(cell):
        with open(cell, "rb") as file:
            content = file.read()
    if content is not None:
        cell = read_image(content)
        is_plain = cell.mode[0] not in "IF" and not cell.has_transparency_data
        if cell.format in SUFFIXES and is_plain:
            return SUFFIXES[cell.format], content
    pixels = image_pixels(cell)
    if pixels.dtype != np.uint8:
        pixels = np.round(pixels * np.iinfo(np.uint8).max).astype(np.uint8)
    return SUFFIXES["PNG"], png_bytes(pixels)
