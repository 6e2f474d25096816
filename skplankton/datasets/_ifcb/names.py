"""Names of bins and of their particles, which identify them everywhere.

A bin is named after its start and its instrument, and a particle after its bin and its
row in the bin's .adc file, counted from 1.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple

_NEW = re.compile(r"D(?P<start>[0-9]{8}T[0-9]{6})_(?P<instrument>IFCB[0-9]+)")
_OLD = re.compile(r"(?P<instrument>IFCB[0-9]+)_(?P<start>[0-9]{4}_[0-9]{3}_[0-9]{6})")
_PARTICLE = re.compile(r"(?P<bin>.+)_(?P<row>[0-9]{5,9})")
_YEARS = range(1990, 2262)  # pandas has no later ones
EXPECTED = (
    "D20220522T003051_IFCB134 or, of the first instruments, IFCB5_2012_028_081515"
)


class BinName(NamedTuple):
    """What the name of a bin tells."""

    is_old: bool  # of the first instruments, whose .adc files have other columns
    instrument: str
    start: datetime


def parse_bin(name: str) -> BinName:
    """Instrument and start of a bin; a ValueError if it is not the name of one."""
    for pattern, form in ((_NEW, "%Y%m%dT%H%M%S"), (_OLD, "%Y_%j_%H%M%S")):
        if (match := pattern.fullmatch(name)) is not None:
            try:
                start = datetime.strptime(match["start"], form)
            except ValueError:
                break
            if start.year not in _YEARS:
                break
            start = start.replace(tzinfo=timezone.utc)
            return BinName(pattern is _OLD, match["instrument"], start)
    raise ValueError(f"{name!r} is not the name of an IFCB bin, such as {EXPECTED}")


def is_bin(name: str) -> bool:
    """Whether this is the name of a bin."""
    try:
        parse_bin(name)
    except ValueError:
        return False
    return True


def object_id(name: str, row: int) -> str:
    """The id of a particle."""
    return f"{name}_{row:05d}"


def parse_object_id(text: str) -> tuple[str, int]:
    """The bin and the row of a particle; a ValueError if it is not the id of one."""
    match = _PARTICLE.fullmatch(text)
    if match is None or not is_bin(match["bin"]) or not int(match["row"]):
        raise ValueError(
            f"{text!r} is not the id of a particle in an IFCB bin, such as "
            "D20220522T003051_IFCB134_00003"
        )
    return match["bin"], int(match["row"])
