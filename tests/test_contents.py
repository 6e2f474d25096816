"""Paths, URLs and bytes of files; fsspec's own file systems stand for others."""

import sys
import zipfile
from pathlib import Path, PureWindowsPath

import fsspec
import numpy as np
import pandas as pd
import pytest

from skplankton._views.contents import (
    is_missing,
    is_path,
    is_url,
    open_source,
    source_of,
)

pytestmark = pytest.mark.once

CONTENT = b"FWS,SWS\n1,2\n"


def read(source):
    with open_source(source) as file:
        return file.read()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("folder/a.csv", CONTENT)
    return path


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a.png",
        "S3://bucket/a.png",
        "https://example.org/a.png?x=1",
        "git+ssh://host/a",
        "memory://a",
        "file:///a.png",
        "zip://a.png::archive.zip",
        "zip://a.png::s3://bucket/archive.zip",
        "simplecache::s3://bucket/a.png",
    ],
)
def test_urls(url):
    assert is_url(url)
    assert not is_path(url)
    assert source_of(url) == url


@pytest.mark.parametrize(
    "path",
    [
        "a.png",
        "",
        "/data/a.png",
        r"C:\data\a.png",
        "C:/data/a.png",
        "C://data/a.png",
        r"\\server\share\a.png",
        "folder/10::00.png",
        "s3:/bucket/a.png",
        "://a.png",
        Path("a.png"),
        PureWindowsPath("C:/a.png"),
    ],
)
def test_paths(path):
    assert is_path(path)
    assert not is_url(path)
    assert source_of(path) == path


@pytest.mark.parametrize("entry", [3.5, None, [b"a"], np.eye(2), {}, {"a": b"a"}])
def test_what_is_no_file(entry):
    assert source_of(entry) is None
    assert not is_path(entry)


def test_the_bytes_of_a_dict_come_before_its_path():
    assert source_of({"bytes": b"a", "path": "b"}) == b"a"
    assert source_of({"bytes": b"", "path": "b"}) == b""
    assert source_of({"bytes": None, "path": "b"}) == "b"
    assert source_of({"bytes": np.nan, "path": "b"}) == "b"
    assert source_of({"path": "b"}) == "b"
    assert source_of({"bytes": b"a"}) == b"a"


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_a_dict_of_nothing_is_missing(nothing):
    assert is_missing({"bytes": nothing, "path": None})
    assert not is_missing({"bytes": nothing, "path": "a"})
    assert not is_missing({"bytes": b"", "path": nothing})
    assert not is_missing({"other": nothing})
    assert not is_missing({})


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_read_as_they_are(kind):
    assert read(source_of(kind(CONTENT))) == CONTENT


def test_a_memoryview_of_numbers_is_an_array():
    assert source_of(memoryview(np.eye(3))) is None
    assert source_of(memoryview(np.zeros((2, 2), np.uint8))) is None


def test_urls_are_read(archive, tmp_path):
    (tmp_path / "a.csv").write_bytes(CONTENT)
    with fsspec.open("memory://test_contents/a.csv", "wb") as file:
        file.write(CONTENT)
    for url in (
        "memory://test_contents/a.csv",
        f"zip://folder/a.csv::{archive}",
        f"zip://folder/a.csv::file://{archive}",
        f"file://{tmp_path}/a.csv",
        f"simplecache::file://{tmp_path}/a.csv",
    ):
        assert read(url) == CONTENT


def test_missing_objects_are_missing_files(archive, tmp_path):
    for url in (
        "memory://test_contents/no.csv",
        f"zip://no.csv::{archive}",
        f"zip://folder/a.csv::{archive}.no",
        f"file://{tmp_path}/no.csv",
    ):
        with pytest.raises(FileNotFoundError, match="there is no such file or object"):
            open_source(url)


def test_what_cannot_be_opened_is_an_oserror(tmp_path):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    with pytest.raises(OSError, match="Protocol not known: krill"):
        open_source("krill://a.png")
    with pytest.raises(OSError, match="BadZipFile: File is not a zip file"):
        open_source(f"zip://a.png::{tmp_path}/a.zip")


def test_long_paths_are_shortened_in_errors():
    for source in ("x" * 100_000, "x/" * 1_000, "file:///" + "x" * 100_000):
        with pytest.raises(OSError, match=r"\.\.\.|no such file") as raised:
            open_source(source)
        assert len(str(raised.value)) < 200


def test_packages_that_are_missing(monkeypatch):
    def needs_another(url):
        raise ImportError("Install krillfs to access krill")

    monkeypatch.setattr("fsspec.core.url_to_fs", needs_another)
    with pytest.raises(ImportError, match=r"'s3://a' needs a package .*Install krill"):
        open_source("s3://a")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[remote\]'"):
        open_source("s3://a")
