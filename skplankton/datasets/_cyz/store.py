"""Images and profiles extracted from a large file, each readable on its own.

A store is two files in a cache folder: the bytes of all images and profiles, one after
the other, and an index with their offsets. Its name contains a digest of all inputs, so
that a store is never changed, only added. The index is written last: a store without it
is unfinished, and not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skplankton._utils.files import make_folder, temporary_folder, unfinished

FORMAT = 3  # increased whenever the contents of a store change

# One folder per process: a forked process must not remove its parent's.
_temporary_folders: dict[int, Path] = {}


class Store(NamedTuple):
    """A finished store: the path of the data, and the contents of the index."""

    path: str
    metadata: dict[str, Any]
    columns: dict[str, np.ndarray]


def cache_folder(cache: str | os.PathLike | None) -> Path:
    """Make the folder; None is one that is removed when this process ends."""
    if cache is not None:
        folder = Path(os.path.realpath(cache))
        make_folder(folder)
        return folder
    process = os.getpid()
    if process not in _temporary_folders:
        _temporary_folders[process] = temporary_folder()
    return _temporary_folders[process]


def store_name(source: Path, settings: Mapping[str, Any]) -> str:
    """A name that depends on the source file's path, size, time, and settings."""
    state = source.stat()
    identity = [
        FORMAT,
        os.path.realpath(source),
        state.st_size,
        state.st_mtime_ns,
        dict(settings),
    ]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    # A character may take 4 bytes, and a file name has at most 255.
    return f"{source.stem[:40]}-{digest}"


def open_store(folder: Path, name: str) -> Store | None:
    """The store of that name, or None if it does not exist or is unfinished."""
    path = folder / f"{name}.views"
    try:
        # np.load does not close a file that it cannot read.
        with open(folder / f"{name}.index.npz", "rb") as file:
            index = np.load(file, allow_pickle=False)
            columns = {key: index[key] for key in index.files}
        metadata = json.loads(str(columns.pop("facts")))
        is_whole = path.stat().st_size == metadata["n_bytes"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Store(str(path), metadata, columns) if is_whole else None


class StoreWriter:
    """Writes a store, within a block of `store_writer`."""

    def __init__(self, folder: Path, name: str, part: Path):
        self._folder, self._name, self._part = folder, name, part
        self.file = open(part / "views", "xb", buffering=2**20)  # noqa: SIM115
        self.n_bytes = 0

    def append(self, content: bytes) -> int:
        """Append some bytes; return their offset."""
        offset = self.n_bytes
        self.file.write(content)
        self.n_bytes += len(content)
        return offset

    def finish(
        self, metadata: Mapping[str, Any], columns: Mapping[str, np.ndarray]
    ) -> Store:
        """Move the store to its final name."""
        self.file.close()
        metadata = {**metadata, "n_bytes": self.n_bytes}
        with open(self._part / "index", "xb") as file:
            arrays: dict[str, Any] = {
                "facts": np.array(json.dumps(metadata)),
                **columns,
            }
            np.savez(file, **arrays)
        path = self._folder / f"{self._name}.views"
        # Another process has written the same store, which may be in use.
        if (finished := open_store(self._folder, self._name)) is not None:
            return finished
        os.replace(self._part / "views", path)
        os.replace(self._part / "index", self._folder / f"{self._name}.index.npz")
        return Store(str(path), metadata, dict(columns))


@contextlib.contextmanager
def store_writer(folder: Path, name: str) -> Iterator[StoreWriter]:
    """Yield a writer of a store; a block without its `finish` leaves no file."""
    advice = (
        "Free some, or pass cache='a folder with more'; the images and profiles need "
        "at most as much as the JSON."
    )
    with unfinished(folder, folder=folder, advice=advice) as part:
        part.mkdir()
        writer = StoreWriter(folder, name, part)
        try:
            yield writer
        finally:
            # Closing flushes the buffer, for which there may be no space; where that
            # matters, `finish` has closed it.
            with contextlib.suppress(OSError):
                writer.file.close()
