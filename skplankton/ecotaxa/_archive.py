"""Unpacking of untrusted zip archives into a folder."""

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

# Limits against archives made to fill the disk. Images are compressed already, and the
# tables of real exports shrink 10 to 50 times.
MAX_UNPACKED_BYTES = 64 * 2**30
MAX_RATIO = 200
# Below this size any ratio is harmless: a table of equal rows shrinks a lot.
RATIO_COUNTS_FROM_BYTES = 64 * 2**20

_DRIVE = re.compile(r"[A-Za-z]:")


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, or has the suffix of one."""
    with _zip_errors(f"{path} is not a readable zip archive"):
        return path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)


@contextmanager
def unpacked(archive: Path, cache: str | os.PathLike | None) -> Iterator[Path]:
    """Yield a folder with the archive's content.

    In `cache`, the folder's name depends on the content, and an existing one is reused.
    Otherwise the folder is removed when this process ends, or by an error in the block.
    """
    with _zip_errors(f"{archive} is not a readable zip archive"):
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
    """Raise the many kinds of errors of zipfile for a damaged archive as one."""
    try:
        yield
    except Exception as error:
        message = (
            f"{problem} ({error or type(error).__name__}). Copy or download it again."
        )
        # A seek to an impossible position is an error of the archive as well.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise OSError(error.errno, message) from None
        raise ValueError(message) from None


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
            problem = "occurs twice"
        elif _inner(member) in folders:
            problem = "is both a file and a folder"
        else:
            seen.add(_inner(member))
            continue
        raise ValueError(
            f"{archive}: its member {member.filename!r} {problem}. EcoTaxa does not "
            "write such archives; do not trust this one."
        )
    # zipfile unpacks no more of a member than its stated size: an upper bound.
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
