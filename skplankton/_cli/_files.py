"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from skplankton._utils.files import (
    UNFINISHED,
    disk_errors,
    remove,
    unfinished,
    write_synced,
)


def write_whole(path: Path, content: bytes, scratch: Path) -> None:
    """Write a file that has its name only when complete, even after a power cut.

    `scratch` is a folder on the same disk; an interruption may leave a part there.
    """
    with unfinished(path, folder=scratch) as part:
        write_synced(part, content)
        replace(part, path)


def replace(part: Path, path: Path) -> None:
    """Give a finished file its name."""
    try:
        os.replace(part, path)
    except PermissionError as error:
        raise PermissionError(
            f"{path} cannot be replaced ({error.strerror}). Close it where it is open, "
            "and run the command again."
        ) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left, in subfolders too."""
    for part in list(folder.rglob(f".*{UNFINISHED}")):
        remove(part)


def make_folder(path: Path, option: str) -> None:
    """Make a folder that can be written to, or raise an OSError with the reason."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{option} {path} is a file; expected a folder.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OSError(
            error.errno,
            f"{option} {path} cannot be written ({error.strerror}). Choose another "
            "folder, or make this one writable.",
        ) from error


@contextmanager
def reserved(folder: Path, n_bytes: int, purpose: str) -> Iterator[None]:
    """Reserve disk space during the block; raise an OSError if there is too little."""
    block = os.urandom(2**20)  # zeros take no space on some disks
    advice = (
        f"{n_bytes / 1e6:.0f} MB {purpose}: free some space, or choose another disk."
    )
    path = folder / f".{secrets.token_hex(8)}{UNFINISHED}"
    try:
        with disk_errors(folder, advice=advice), open(path, "xb") as file:
            for _ in range(0, n_bytes, len(block)):
                file.write(block)
        yield
    finally:
        path.unlink(missing_ok=True)


def json_bytes(value: Any) -> bytes:
    """A value as JSON that a person can read."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    # Invalid Unicode, possible in file names, becomes \udc.., which is valid JSON.
    return text.encode(errors="backslashreplace")


def csv_bytes(table: Any) -> bytes:
    """A DataFrame as CSV."""
    text = table.to_csv(index=False, lineterminator="\n")
    # Without a byte-order mark, spreadsheet programs spoil letters beyond ASCII.
    return text.encode("utf-8-sig")


def read_json(path: Path) -> Any:
    """The value in a file; None if it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


@contextmanager
def locked(file: Path, busy: str) -> Iterator[None]:
    """Keep other processes out; raise an OSError with the text `busy` if one is in.

    The system releases the lock when the process ends, for any reason.
    """
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise OSError(busy) from None
    except PermissionError:
        raise  # the file is another user's: nobody would be kept out
    except (OSError, NotImplementedError):
        pass  # a disk without locks: files are written whole even so
    try:
        yield
    finally:
        lock.release()
