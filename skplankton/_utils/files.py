"""Files and folders that are complete or absent, and temporary folders."""

from __future__ import annotations

import atexit
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".part"
FREE_SOME = "Free some space, or write to another disk."
_NO_SPACE = "no space is left on the disk"
_FULL = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: "the disk or a limit (ulimit -f) allows no file large enough",
}


@contextmanager
def unfinished(
    path: Path, *, folder: Path | None = None, advice: str = FREE_SOME
) -> Iterator[Path]:
    """Yield a path to write to, for a block that ends by moving it to `path`.

    A file or folder left there at the end of the block is removed: an error or an
    interruption leaves no incomplete file and replaces none. The error of a full disk
    contains `path`.

    Parameters
    ----------
    path : Path
        The path to write, for messages. Its folder is created if needed.
    folder : Path, default=None
        The folder of the yielded path, on the disk of `path`; by default its folder.
    advice : str
        What to do about a full disk.
    """
    folder = path.parent if folder is None else folder
    # Without the name of `path`, which may have the maximum length of a name.
    part = folder / f".{secrets.token_hex(8)}{UNFINISHED}"
    try:
        with disk_errors(path, part=part, advice=advice):
            make_folder(folder)
            yield part
    finally:
        if folder.is_dir():  # or else the error that it is none would be lost
            remove(part)


def make_folder(folder: Path) -> None:
    """Make a folder and those that it is in, unless it exists."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        places = (folder, *folder.parents)
        file = next((p for p in places if p.exists() and not p.is_dir()), folder)
        raise NotADirectoryError(
            f"{file} is a file; expected a folder. Write to another one."
        ) from error


def check_free(path: Path, overwrite: bool) -> None:
    """Raise if something exists where a file is to be written, unless it may go."""
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder; expected the path of a file.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists. Pass overwrite=True to replace it, or write elsewhere."
        )


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file that has its name only when complete, even after a power cut."""
    with unfinished(path) as part:
        write_synced(part, content)
        os.replace(part, path)


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Write a new file, which is on the disk when this returns."""
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    """Remove a file, or a folder with its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def temporary_folder() -> Path:
    """A new folder, removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="skplankton-"))
    creator = os.getpid()

    def remove_own() -> None:
        # A forked worker ends earlier, and must not remove the folder.
        if os.getpid() == creator:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove_own)
    return folder


@contextmanager
def disk_errors(
    path: str | os.PathLike,
    *,
    part: Path | None = None,
    advice: str = FREE_SOME,
) -> Iterator[None]:
    """Raise the error of a full disk, quota or file again, with `path` in its message.

    Parameters
    ----------
    path : path-like
        The file or folder to write, for messages.
    part : Path, default=None
        The file or folder with the incomplete data, which the caller removes. The
        error reports its size.
    advice : str
        What to do.

    Raises
    ------
    OSError
        With the same `errno`. Other errors are not changed, nor are those that this
        function has already raised again.
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
            f"{_FULL[error.errno]} to write {os.fspath(path)}{written}."
            f"{removed} {advice}",
        ) from error


def _n_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
