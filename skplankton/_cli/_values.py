"""Texts on the command line → values, or an error that says what was expected."""

from __future__ import annotations

import argparse
import math

from skplankton._cli._shards import Shard


def positive_int(text: str) -> int:
    """A whole number of 1 or more."""
    return _number(int, text, "a whole number of 1 or more", 1)


def whole_number(text: str) -> int:
    """A whole number of 0 or more."""
    return _number(int, text, "a whole number of 0 or more", 0)


def seed(text: str) -> int:
    """A seed of random numbers."""
    largest = 2**32 - 1
    return _number(int, text, f"a whole number from 0 to {largest}", 0, largest)


def n_jobs(text: str) -> int:
    """A number of processes, -1 for one per core."""
    value = _number(int, text, "a whole number, not 0")
    return value or _number(int, text, "a whole number, not 0", 1)


def shard(text: str) -> Shard:
    """``"0/10"`` → a shard."""
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(count)):
        raise argparse.ArgumentTypeError(
            f"expected two whole numbers, such as 0/10 for the first of ten shards, "
            f"got {text!r}"
        )
    found = Shard(int(index), int(count))
    if found.index >= found.count:
        raise argparse.ArgumentTypeError(
            f"shards are counted from 0: expected 0/{count} to {found.count - 1}"
            f"/{count}, got {text!r}"
        )
    return found


def temperature(text: str) -> float:
    """A number of 0.01 or more."""
    return _number(float, text, "a number of 0.01 or more", 0.01)


def pixel_size(text: str) -> float:
    """A length in µm."""
    return _number(float, text, "a number of µm above 0", 1e-6)


def contamination(text: str) -> float:
    """A share of at most one half."""
    return _number(float, text, "a number from 0 to 0.5", 0, 0.5)


def _number(kind, text: str, expected: str, least=-math.inf, most=math.inf):
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    # So written, NaN is refused as well.
    if not (least <= value <= most and abs(value) < math.inf):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return value


def channel_names(text: str) -> list[str] | dict[str, str]:
    """``"FWS,FL Red=FL Red HS"`` → the argument of load_cyz_json."""
    parts = [part.strip() for part in text.split(",")]
    pairs = [[side.strip() for side in part.partition("=")[::2]] for part in parts]
    is_renamed = ["=" in part for part in parts]
    if not all(
        name and (other or not has_other)
        for (name, other), has_other in zip(pairs, is_renamed, strict=True)
    ):
        raise argparse.ArgumentTypeError(
            f"expected names separated by commas, each NAME or NAME=OTHER, got {text!r}"
        )
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected each name once, got {text!r}")
    if not any(is_renamed):
        return parts
    return {name: other or name for name, other in pairs}
