"""Open the content of an encoded file, wherever it lies: a path, a URL or bytes.

A dict {"bytes": …, "path": …}, as in the image columns of Hugging Face datasets, stands
for its bytes if it has any, else for its path.
"""

import io
import os
import re
from typing import IO, Any

import pandas as pd

from skplankton._utils.extras import import_extra
from skplankton._utils.reports import shortened

Source = str | os.PathLike | bytes | bytearray | memoryview

# A scheme of one letter is a drive of Windows. After "::" comes what contains the file:
# "zip://a.png::archive.zip".
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+._-]+(://|::)")
_KEYS = {"bytes", "path"}


def is_url(entry: Any) -> bool:
    """Whether an entry is a URL, to be read through fsspec."""
    return isinstance(entry, str) and _URL.match(entry) is not None


def is_path(entry: Any) -> bool:
    """Whether an entry is the path of a file on this machine."""
    return isinstance(entry, str | os.PathLike) and not is_url(entry)


def is_missing(entry: Any) -> bool:
    """Whether an entry is None, NaN, NaT or NA, or a dict of nothing else."""
    if _is_file_dict(entry):
        return all(map(is_missing, entry.values()))
    return entry is None or (pd.api.types.is_scalar(entry) and bool(pd.isna(entry)))


def source_of(entry: Any) -> Source | None:
    """The path, URL or bytes of an encoded file; None of any other kind of entry."""
    if _is_file_dict(entry):
        members = entry.get("bytes"), entry.get("path")
        entry = next((m for m in members if not is_missing(m)), None)
    if isinstance(entry, memoryview):  # of many numbers, it is an array
        return entry if entry.ndim == 1 and entry.itemsize == 1 else None
    is_source = isinstance(entry, str | os.PathLike | bytes | bytearray)
    return entry if is_source else None


def open_source(source: Source) -> IO[bytes]:
    """The content of a file, to be read from its start."""
    if not isinstance(source, str | os.PathLike):
        return io.BytesIO(source)  # shares the memory of bytes
    if is_url(source):
        return io.BytesIO(_read_url(str(source)))
    try:
        return open(source, "rb")
    except OSError as error:  # its message would repeat the whole path
        error.filename = shortened(str(source))
        raise


def place_of(entry: Any) -> Any:
    """An entry, or of a dict the path or URL of its bytes; None if it is missing."""
    place = entry.get("path") if _is_file_dict(entry) else entry
    return None if is_missing(place) else place


def _is_file_dict(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry) and _KEYS.issuperset(entry)


def _read_url(url: str) -> bytes:
    """The object at a URL; a missing one raises FileNotFoundError."""
    need = f"{shortened(url)!r} is a URL, and needs fsspec"
    fsspec = import_extra("fsspec.core", "remote", need)
    try:
        file_system, path = fsspec.url_to_fs(url)
        return file_system.cat_file(path)
    except (FileNotFoundError, KeyError) as error:  # KeyError: older zip file systems
        raise FileNotFoundError("there is no such file or object") from error
    except ImportError as error:
        raise ImportError(
            f"{shortened(url)!r} needs a package that is not installed ({error})"
        ) from error
    except Exception as error:  # each file system has its own kinds
        raise OSError(shortened(f"{type(error).__name__}: {error}")) from error
