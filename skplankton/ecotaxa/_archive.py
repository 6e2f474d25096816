"""A zip archive unpacked into a folder, without trusting what it says."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skplankton._utils.files import remove, temporary_folder, unfinished

# Against archives made to fill the disk. Images are compressed already, and the tables
# of real exports shrink 10 to 50 times.
MAX_UNPACKED_BYTES = 64 * 2**30
MAX_RATIO = 200
# Below this size no ratio does harm: a table of equal rows shrinks a lot.
RATIO_COUNTS_FROM_BYTES = 64 * 2**20

_DRIVE = re.compile(r"[A-Za-z]:")


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, or is named like one."""
    with _zip_errors(f"{path} is no zip archive that can be read"):
        return path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)


@contextmanager
def unpacked(archive: Path, cache: str | os.PathLike | None) -> Iterator[Path]:
    """Give the folder that holds the archive's content.

    In `cache`, the folder's name depends on the content, and one that is there already
    is used again. Without, the folder is removed when this process ends, or by an error
    in the block.
    """
    with _zip_errors(f"{archive} is no zip archive that can be read"):
        content = zipfile.ZipFile(archive)
    with content:
        members = [m for m in content.infolist() if not _is_folder(m)]
        _check_members(members, archive)
        if cache is None:
            temporary = temporary_folder()
            folder = temporary / "unpacked"
        else:
            temporary = None
            folder = Path(cache, f"{archive.stem[:40]}-{_fingerprint(members)}")
        try:
            if not folder.is_dir():
                _unpack(content, members, folder, archive)
            yield folder
        except BaseException:
            if temporary is not None:
                remove(temporary)
            raise


@contextmanager
def _zip_errors(problem: str) -> Iterator[None]:
    """Raise what zipfile raises at a broken archive, errors of all kinds, as one."""
    try:
        yield
    except Exception as error:
        told = f"{problem} ({error or type(error).__name__}). Copy or download it anew."
        # A seek to where no file can have anything is the archive's fault as well.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise OSError(error.errno, told) from None
        raise ValueError(told) from None


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith(("/", "\\"))


def _check_members(members: list[zipfile.ZipInfo], archive: Path) -> None:
    seen: set[Path] = set()
    folders = {folder for member in members for folder in _inner(member).parents}
    for member in members:
        parts = _parts(member)
        mode = stat.S_IFMT(member.external_attr >> 16)
        if ".." in parts or parts[0] == "" or any(map(_DRIVE.match, parts)):
            problem = "would be written outside the folder it is unpacked into"
        elif mode not in (0, stat.S_IFREG):
            problem = "is a link or a special file, not a plain one"
        elif _inner(member) in seen:
            problem = "is there twice"
        elif _inner(member) in folders:
            problem = "is a file and a folder at once"
        else:
            seen.add(_inner(member))
            continue
        raise ValueError(
            f"{archive}: its member {member.filename!r} {problem}. EcoTaxa makes no "
            "such archives; do not trust this one."
        )
    # zipfile unpacks no more of a member than the size it states, so this is a bound.
    unpacked = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    is_bomb = unpacked > RATIO_COUNTS_FROM_BYTES and unpacked > MAX_RATIO * packed
    if is_bomb or unpacked > MAX_UNPACKED_BYTES:
        raise ValueError(
            f"{archive} would unpack to {unpacked / 2**30:.1f} GiB, "
            f"{unpacked / packed:.0f} times its size; at most "
            f"{MAX_UNPACKED_BYTES / 2**30:.0f} GiB and {MAX_RATIO} times are unpacked "
            "here. If you trust it, unpack it yourself and pass the folder."
        )


def _parts(member: zipfile.ZipInfo) -> list[str]:
    # Archives written on Windows may have backslashes.
    return member.filename.replace("\\", "/").split("/")


def _inner(member: zipfile.ZipInfo) -> Path:
    return Path(*_parts(member))


def _fingerprint(members: list[zipfile.ZipInfo]) -> str:
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{member.filename}\0{member.CRC}\0{member.file_size}\0".encode())
    return digest.hexdigest()[:16]


def _unpack(
    content: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    folder: Path,
    archive: Path,
) -> None:
    """Unpack beside `folder` first, so that a killed run leaves no part of it."""
    n_bytes = sum(member.file_size for member in members)
    advice = (
        f"Free some, or pass cache='a folder with more': {archive} needs "
        f"{n_bytes / 1e6:.1f} MB."
    )
    with unfinished(folder, advice=advice) as part:
        part.mkdir(mode=0o700)
        for member in members:
            _unpack_member(content, member, part, archive)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # or else another process was faster
                raise


def _unpack_member(
    content: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, archive: Path
) -> None:
    target = folder / _inner(member)
    with _zip_errors(f"{archive}: its member {member.filename!r} cannot be unpacked"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with content.open(member) as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)
