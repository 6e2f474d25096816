import os
import subprocess
import sys

import numpy as np
import pytest

from skplankton.datasets._cyz import store
from skplankton.datasets._cyz.store import (
    cache_folder,
    open_store,
    store_name,
    store_writer,
)

METADATA, COLUMNS = {"channels": ["A"]}, {"offset": np.array([0, 3])}


def write(folder, name="a", contents=(b"abc", b"defg")):
    with store_writer(folder, name) as writer:
        offsets = [writer.append(content) for content in contents]
        return writer.finish(METADATA, {"offset": np.array(offsets)})


def test_what_is_written_is_opened(tmp_path):
    store = write(tmp_path)
    again = open_store(tmp_path, "a")
    assert again.path == store.path
    assert again.metadata == store.metadata == {"channels": ["A"], "n_bytes": 7}
    np.testing.assert_array_equal(again.columns["offset"], [0, 3])
    with open(store.path, "rb") as file:
        assert file.read() == b"abcdefg"


def test_missing_store(tmp_path):
    assert open_store(tmp_path, "a") is None
    assert open_store(tmp_path / "nowhere", "a") is None


def interrupt(folder, error):
    with store_writer(folder, "a") as writer:
        writer.append(b"abc")
        raise error


def test_interrupted_writing_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path, KeyboardInterrupt())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["no views", "short views", "no index", "bad index"])
def test_an_unfinished_store_is_not_used(tmp_path, damage):
    write(tmp_path)
    suffix = ".views" if damage.endswith("views") else ".index.npz"
    path = tmp_path / f"a{suffix}"
    if damage.startswith("no"):
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    assert open_store(tmp_path, "a") is None
    write(tmp_path)
    assert open_store(tmp_path, "a") is not None


def test_of_two_that_write_the_same_the_first_stays(tmp_path):
    """The first may be in use, and some systems cannot replace open files."""
    with store_writer(tmp_path, "a") as second:
        second.append(b"abcdefg")
        first = write(tmp_path)
        before = os.stat(first.path)
        assert second.finish(METADATA, COLUMNS).path == first.path
    assert os.stat(first.path).st_ino == before.st_ino
    assert len(list(tmp_path.iterdir())) == 2


def test_name_follows_from_file_and_settings(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("1")
    os.utime(path, ns=(0, 10**18))
    name = store_name(path, {"channels": "auto"})
    assert name.startswith("a-")
    assert store_name(path, {"channels": "auto"}) == name
    assert store_name(path, {"channels": ["FWS"]}) != name
    os.utime(path, ns=(0, 10**18 + 1))
    assert store_name(path, {"channels": "auto"}) != name
    os.utime(path, ns=(0, 10**18))
    path.write_text("12")
    os.utime(path, ns=(0, 10**18))
    assert store_name(path, {"channels": "auto"}) != name


TEMPORARY = """
import os, sys
from skplankton.datasets._cyz.store import cache_folder
folder = cache_folder(None)
assert folder.is_dir() and cache_folder(None) == folder
child = os.fork() if hasattr(os, "fork") else None
if child == 0:
    assert cache_folder(None) != folder
    print(cache_folder(None), flush=True)
    sys.exit(0)
if child:
    os.waitpid(child, 0)
assert folder.is_dir(), "a child has removed it"
print(folder)
"""


def test_temporary_folder_is_removed_with_its_process():
    run = subprocess.run(
        [sys.executable, "-c", TEMPORARY], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    folders = run.stdout.split()
    assert folders
    assert not any(os.path.exists(folder) for folder in folders)


def test_named_folder_is_made(tmp_path):
    assert cache_folder(tmp_path / "a" / "b").is_dir()


def test_format_is_part_of_the_name(tmp_path, monkeypatch):
    (tmp_path / "a.json").touch()
    name = store_name(tmp_path / "a.json", {})
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)
    assert store_name(tmp_path / "a.json", {}) != name
