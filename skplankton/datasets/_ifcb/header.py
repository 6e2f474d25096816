"""The header of a bin, a .hdr file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path


def read_header(path: Path) -> dict[str, str]:
    """Keys and values; empty for the first instruments, which write other lines."""
    try:
        text = path.read_bytes().decode("latin-1")
    except FileNotFoundError:
        return {}
    pairs = (line.partition(": ") for line in text.splitlines())
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}


def number(header: Mapping[str, str], key: str) -> float:
    """A number of the header, at least 0; NaN if there is none."""
    try:
        value = float(header.get(key, "nan"))
    except ValueError:
        return math.nan
    return value if 0 <= value < math.inf else math.nan
