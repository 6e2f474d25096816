"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

UNFINISHED = ".part"


def write_whole(path: Path, content: bytes, scratch: Path) -> None:
    """Write a file that has its name only when it is complete, also after a power cut.

    `scratch` is a folder on the same disk; an interruption may leave a part there.
    """
    part = scratch / f"{path.name}.{secrets.token_hex(4)}{UNFINISHED}"
    try:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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
    for part in folder.rglob(f"*{UNFINISHED}"):
        part.unlink(missing_ok=True)


def json_bytes(value: Any) -> bytes:
    """A value as JSON that a person can read."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """The value in a file; None if there is none that can be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


@contextmanager
def locked(file: Path, busy: str) -> Iterator[None]:
    """Keep other processes out; raise an OSError that says `busy` if one is in.

    The system gives the lock back when the process ends, however it ends.
    """
    with open(file, "ab") as handle:
        try:
            _lock(handle)
        except BlockingIOError:
            raise OSError(busy) from None
        except OSError:
            pass  # a disk that knows no locks: files are whole all the same
        yield


def _lock(handle: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
