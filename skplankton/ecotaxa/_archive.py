"""A zip archive unpacked into a folder, without trusting what it says."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path

# Against archives made to fill the disk. Images are compressed already, and the tables
# of real exports shrink 10 to 50 times.
MAX_UNPACKED_BYTES = 64 * 2**30
MAX_RATIO = 200
# Below this size no ratio does harm: a table of equal rows shrinks a lot.
RATIO_COUNTS_FROM_BYTES = 64 * 2**20

_DRIVE = re.compile(r"[A-Za-z]:")
# What zipfile raises when the content is broken, encrypted or packed in unknown ways.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


def unpack(archive: Path, cache: str | os.PathLike | None) -> Path:
    """Unpack an archive and return the folder that holds its content.

    In `cache`, the folder's name depends on the content, and one that is there already
    is used again. Without, the folder is removed when this process ends.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [m for m in content.infolist() if not m.is_dir()]
            _check_members(members, archive)
            if cache is None:
                folder = _temporary_folder()
                _unpack_into(content, members, folder, archive)
                return folder
            Path(cache).mkdir(parents=True, exist_ok=True)
            folder = Path(cache) / f"{archive.stem}-{_fingerprint(members)}"
            if not folder.is_dir():
                _unpack_whole(content, members, folder, archive)
            return folder
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{archive} is no zip archive that can be read ({error}). Copy or download "
            "it anew."
        ) from None


def _check_members(members: list[zipfile.ZipInfo], archive: Path) -> None:
    for member in members:
        parts = _parts(member)
        mode = stat.S_IFMT(member.external_attr >> 16)
        if ".." in parts or parts[0] == "" or any(map(_DRIVE.match, parts)):
            problem = "would be written outside the folder it is unpacked into"
        elif mode not in (0, stat.S_IFREG):
            problem = "is a link or a special file, not a plain one"
        else:
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


def _fingerprint(members: list[zipfile.ZipInfo]) -> str:
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{member.filename}\0{member.CRC}\0{member.file_size}\0".encode())
    return digest.hexdigest()[:16]


def _unpack_whole(
    content: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    folder: Path,
    archive: Path,
) -> None:
    """Unpack beside `folder` first, so that a killed run leaves no part of it."""
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        _unpack_into(content, members, part, archive)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # or else another process was faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack_into(
    content: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    folder: Path,
    archive: Path,
) -> None:
    for member in members:
        target = folder.joinpath(*_parts(member))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with content.open(member) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file)
        except _BROKEN as error:
            raise ValueError(
                f"{archive}: its member {member.filename!r} cannot be unpacked "
                f"({error}). Copy or download the archive anew."
            ) from None


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="skplankton-ecotaxa-"))
    maker = os.getpid()

    def remove() -> None:
        # A forked worker ends earlier, and must leave the folder to the others.
        if os.getpid() == maker:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
