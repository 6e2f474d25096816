"""Images and table → a folder or zip archive that appears whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skplankton._utils.files import unfinished
from skplankton._views.contents import open_source, source_of
from skplankton._views.entries import image_pixels
from skplankton._views.images import eight_bits, png_bytes, read_image
from skplankton._views.stored import StoredImage

IMAGES = "images"
WITHOUT_IMAGE = "without_image.csv"
# A fixed time, as the same input must give the same bytes. Zip has no earlier year.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def is_zip(path: Path) -> bool:
    """Whether to write a zip archive rather than a folder."""
    return path.suffix.lower() == ".zip"


def table_name(path: Path) -> str:
    """The table's name, ``ecotaxa_….tsv``, after the folder or archive."""
    stem = path.stem if is_zip(path) else path.name
    return f"ecotaxa_{safe_name(stem.removeprefix('ecotaxa_'))}.tsv"


def safe_name(text: str) -> str:
    """The text as part of a file name that is valid on any system."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text)[:60]


def image_name(object_id: str) -> str:
    """A file name, without suffix, that depends on the object's id alone.

    EcoTaxa recognizes an image that it has by this name and the object's id.
    """
    # Without the digest, ids that differ in case or in unsafe characters would share a
    # name on some systems.
    digest = hashlib.sha256(object_id.encode()).hexdigest()[:8]
    return f"{safe_name(object_id)}_{digest}"


def check_target(path: Path, overwrite: bool) -> None:
    """Raise if something exists that must not be replaced."""
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
            f"{path} contains files of other programs: {others[:5]}. It is not "
            "replaced; write to a separate folder."
        )


def _is_written_here(name: str) -> bool:
    is_table = name.startswith("ecotaxa_") and name.endswith(".tsv")
    return is_table or name in (IMAGES, WITHOUT_IMAGE)


@contextmanager
def whole_output(path: Path, overwrite: bool) -> Iterator[Callable[[str, bytes], None]]:
    """Yield a function that writes a named file into the folder or archive.

    All is written under another name beside `path`, and renamed at the end.
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


# EcoTaxa reads PNG, JPEG and GIF; GIF is left out, as it may contain many images.
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}


def image_file(entry: Any) -> tuple[str, bytes]:
    """The file's suffix and content.

    JPEG and PNG files are copied unchanged. All others become PNG, with 8 bits and
    without transparency: EcoTaxa and browsers show no more, and EcoTaxa's thumbnails of
    16-bit images are white.
    """
    content = None
    if isinstance(entry, StoredImage) and entry.crop is None:
        content = entry.read_bytes()
    elif (source := source_of(entry)) is not None:
        with open_source(source) as file:
            content = file.read()
    if content is not None:
        entry = read_image(content)
        is_plain = entry.mode[0] not in "IF" and not entry.has_transparency_data
        if entry.format in SUFFIXES and is_plain:
            return SUFFIXES[entry.format], content
    return SUFFIXES["PNG"], png_bytes(eight_bits(image_pixels(entry)))
