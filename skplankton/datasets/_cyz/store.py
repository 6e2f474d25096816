"""Views taken out of a large file, kept where each can be read alone.

A store is two files in a cache folder: the views' bytes, one after the other, and an
index that says where each begins. The name holds a digest of all that the content
follows from, so that a store is never changed, only added. The index comes last: a
store without it is not finished, and not used.
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

from skplankton._utils.files import temporary_folder, unfinished

FORMAT = 2  # raised with every change of what a store holds

# One folder a process: a process that was forked must not remove its parent's.
_temporary_folders: dict[int, Path] = {}


class Store(NamedTuple):
    """A finished store: the path of the views' bytes, and what the index says."""

    path: str
    facts: dict[str, Any]
    columns: dict[str, np.ndarray]


def cache_folder(cache: str | os.PathLike | None) -> Path:
    """Make the folder; None is one that goes when this process ends."""
    if cache is not None:
        folder = Path(os.path.realpath(cache))
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    process = os.getpid()
    if process not in _temporary_folders:
        _temporary_folders[process] = temporary_folder()
    return _temporary_folders[process]


def store_name(source: Path, settings: Mapping[str, Any]) -> str:
    """A name that changes with the source file's path, size and time, and settings."""
    state = source.stat()
    identity = [
        FORMAT,
        os.path.realpath(source),
        state.st_size,
        state.st_mtime_ns,
        dict(settings),
    ]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    # In bytes, a letter may be four, and a name at most 255.
    return f"{source.stem[:40]}-{digest}"


def open_store(folder: Path, name: str) -> Store | None:
    """The store of that name, or None if there is none or it is not finished."""
    path = folder / f"{name}.views"
    try:
        # np.load leaves a file that it cannot read open.
        with open(folder / f"{name}.index.npz", "rb") as file:
            index = np.load(file, allow_pickle=False)
            columns = {key: index[key] for key in index.files}
        facts = json.loads(str(columns.pop("facts")))
        is_whole = path.stat().st_size == facts["n_bytes"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Store(str(path), facts, columns) if is_whole else None


class StoreWriter:
    """Writes a store, in a block of `store_writer`."""

    def __init__(self, folder: Path, name: str, part: Path):
        self._folder, self._name, self._part = folder, name, part
        self.file = open(part / "views", "xb", buffering=2**20)  # noqa: SIM115
        self.n_bytes = 0

    def append(self, content: bytes) -> int:
        """Add some bytes; return where they begin."""
        offset = self.n_bytes
        self.file.write(content)
        self.n_bytes += len(content)
        return offset

    def finish(
        self, facts: Mapping[str, Any], columns: Mapping[str, np.ndarray]
    ) -> Store:
        """Put the store in its place."""
        self.file.close()
        facts = {**facts, "n_bytes": self.n_bytes}
        with open(self._part / "index", "xb") as file:
            arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts)), **columns}
            np.savez(file, **arrays)
        path = self._folder / f"{self._name}.views"
        # Whoever was first wrote the same, and its cells may be in use.
        if (finished := open_store(self._folder, self._name)) is not None:
            return finished
        os.replace(self._part / "views", path)
        os.replace(self._part / "index", self._folder / f"{self._name}.index.npz")
        return Store(str(path), facts, dict(columns))


@contextlib.contextmanager
def store_writer(folder: Path, name: str) -> Iterator[StoreWriter]:
    """Give a writer of a store; a block without its `finish` leaves nothing."""
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
            # Closing writes what is left, for which there may be no space; where that
            # matters, `finish` has done it.
            with contextlib.suppress(OSError):
                writer.file.close()
