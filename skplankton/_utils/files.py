"""A full disk, in an error that says what was being written and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_errors(
    path: str | os.PathLike,
    *,
    part: Path | None = None,
    advice: str = "Free some space, or write to another disk.",
) -> Iterator[None]:
    """Raise the error of a full disk, or quota, again with the name of `path`.

    Parameters
    ----------
    path : path-like
        The file or folder that is written, as the user knows it.
    part : Path, default=None
        The file or folder that holds it as long as it is not complete, and that the
        caller removes. The error says how much was in it.
    advice : str
        What to do.

    Raises
    ------
    OSError
        With the same `errno`. Other errors pass, and those that have been raised again
        by another use of this function.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL or isinstance(error.__cause__, OSError):
            raise
        written = "" if part is None else f" after {_n_bytes(part) / 1e6:.1f} MB"
        removed = "" if part is None else " What was written is removed."
        raise OSError(
            error.errno,
            f"no space is left on the disk to write {os.fspath(path)}{written}."
            f"{removed} {advice}",
        ) from error


def _n_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
