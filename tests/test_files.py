"""A full disk during any kind of writing."""

import builtins
import errno
import io
import math
import shutil
import tempfile

import numpy as np
import pandas as pd
import pytest

from skplankton._utils.files import disk_errors, unfinished
from skplankton.datasets import load_cyz_json, write_cyz_json, write_particles
from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa

pytestmark = pytest.mark.once


class Disk:
    """Python's `open`, with a limited number of bytes for all files."""

    def __init__(self, room):
        self.room, self.n_written = room, 0

    def open(self, file, mode="r", buffering=-1, *text, **params):
        if set(mode).isdisjoint("wxa"):
            return OPEN(file, mode, buffering, *text, **params)
        raw = _File(self, file, "".join(set(mode) - set("bt")))
        kind = io.BufferedRandom if "+" in mode else io.BufferedWriter
        buffered = kind(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, *text, **params)


class _File(io.FileIO):
    def __init__(self, disk, file, mode):
        super().__init__(file, mode)
        self.disk = disk

    def write(self, content):
        if self.disk.n_written + len(content) > self.disk.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.disk.n_written += len(content)
        return super().write(content)


OPEN = open
PARTICLES = pd.DataFrame(
    {
        "object_id": [f"p{i}" for i in range(40)],
        "image": list(np.random.default_rng(0).integers(0, 256, (40, 9, 9), np.uint8)),
        "profile": list(np.random.default_rng(0).random((40, 50, 6), np.float32)),
    }
)
LABELS = ["a"] * len(PARTICLES)

# Each writes below a folder; its errors contain the name of the file or folder.
WRITERS = {
    "write_particles": (
        lambda folder: write_particles(PARTICLES, LABELS, folder / "LAB"),
        "LAB",
    ),
    "write_cyz_json": (
        lambda folder: write_cyz_json(PARTICLES, folder / "new.json"),
        "new.json",
    ),
    "load_cyz_json": (
        lambda folder: load_cyz_json(folder / "a.json", cache=folder / "cache"),
        "cache",
    ),
    "write_ecotaxa, folder": (
        lambda folder: write_ecotaxa(folder / "new", PARTICLES, LABELS),
        "new",
    ),
    "write_ecotaxa, archive": (
        lambda folder: write_ecotaxa(folder / "new.zip", PARTICLES, LABELS),
        "new.zip",
    ),
    "read_ecotaxa": (
        lambda folder: read_ecotaxa(folder / "a.zip", cache=folder / "cache"),
        "cache",
    ),
    "read_ecotaxa, temporary": (lambda folder: read_ecotaxa(folder / "a.zip"), "tmp"),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    write_cyz_json(PARTICLES, folder / "a.json")
    write_ecotaxa(folder / "a.zip", PARTICLES, LABELS)
    (folder / "tmp").mkdir()
    return folder


def on(disk, write, monkeypatch):
    with monkeypatch.context() as patch:
        for module in (builtins, io):
            patch.setattr(module, "open", disk.open)
        return write()


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.parametrize("writer", WRITERS)
def test_full_disk(sources, tmp_path, writer, monkeypatch):
    """The error contains the path and the advice, and nothing written is left."""
    write, name = WRITERS[writer]

    def write_on(disk, folder):
        shutil.copytree(sources, folder)
        monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        return on(disk, lambda: write(folder), monkeypatch)

    whole = Disk(math.inf)
    write_on(whole, tmp_path / "whole")
    assert contents(tmp_path / "whole") != contents(sources)
    # The last byte is written only when a file is closed.
    for room in (0, whole.n_written // 2, whole.n_written - 1):
        folder = tmp_path / str(room)
        words = rf"no space is left on the disk to write {folder / name}\b.* Free some"
        with pytest.raises(OSError, match=words) as raised:
            write_on(Disk(room), folder)
        assert raised.value.errno == errno.ENOSPC
        assert contents(folder) == contents(sources)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder, table, labels: write_particles(
            table, labels, folder, overwrite=True
        ),
        lambda folder, table, _: write_cyz_json(
            table, folder / "a.json", overwrite=True
        ),
        lambda folder, *table: write_ecotaxa(folder / "a", *table, overwrite=True),
        lambda folder, *table: write_ecotaxa(folder / "a.zip", *table, overwrite=True),
    ],
    ids=["write_particles", "write_cyz_json", "ecotaxa folder", "ecotaxa archive"],
)
def test_full_disk_keeps_the_existing_files(tmp_path, write, monkeypatch):
    write(tmp_path, PARTICLES[:3], LABELS[:3])
    before = contents(tmp_path)
    with pytest.raises(OSError, match="no space is left"):
        on(Disk(5000), lambda: write(tmp_path, PARTICLES, LABELS), monkeypatch)
    assert contents(tmp_path) == before


def test_message_contains_the_amount_written(tmp_path):
    part = tmp_path / "part"
    (part / "images").mkdir(parents=True)
    (part / "images" / "a").write_bytes(bytes(1_500_000))
    (part / "b").write_bytes(bytes(1_000_000))
    full = OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(OSError, match=r"a\.zip after 2\.5 MB\. What was") as raised:
        raise_in(disk_errors("a.zip", part=part), full)
    assert raised.value.errno == errno.EDQUOT
    with pytest.raises(OSError, match=r"write a\.zip\. Free some space, or write to"):
        raise_in(disk_errors("a.zip"), full)


def test_a_file_where_a_folder_is_expected(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(NotADirectoryError, match="a is a file; expected a folder"):
        raise_in(unfinished(tmp_path / "a" / "b" / "c.csv"), OSError())


def raise_in(context, error):
    with context:
        raise error


def test_the_innermost_path_is_reported_and_other_errors_pass():
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="write inner"), disk_errors("outer"):
        raise_in(disk_errors("inner"), full)
    denied = PermissionError(errno.EACCES, "denied")
    with pytest.raises(PermissionError) as raised:
        raise_in(disk_errors("a"), denied)
    assert raised.value is denied
