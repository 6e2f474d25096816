"""The columns of .adc files, of the first instruments and of all others.

The columns are those of pyifcb (github.com/joefutrelle/pyifcb), with the names that
the instruments write as ADCFileFormat into the header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Dialect(NamedTuple):
    """Names of the columns that files have at least, and which of them are used."""

    columns: tuple[str, ...]
    measurements: tuple[str, ...]
    width: str = "RoiWidth"
    height: str = "RoiHeight"
    start_byte: str = "StartByte"

    def position(self, column: str) -> int:
        """The position of a column, from 0."""
        return self.columns.index(column)


_PMT = ("PMTA", "PMTB", "PMTC", "PMTD", "PeakA", "PeakB", "PeakC", "PeakD")
_ROI = ("RoiX", "RoiY", "RoiWidth", "RoiHeight", "StartByte")
NEW = Dialect(
    columns=(
        *("trigger#", "ADCtime", *_PMT, "TimeOfFlight", "GrabTimeStart", "GrabTimeEnd"),
        *(*_ROI, "ComparatorOut", "StartPoint", "SignalLength", "Status"),
    ),
    # Never the position or size of the image: the image has its size, so that they
    # would tell which image and which measurements belong together, of any species.
    measurements=(*_PMT, "TimeOfFlight", "SignalLength"),
)
_LIGHT = ("FluorescenceLow", "FluorescenceHigh", "ScatteringLow", "ScatteringHigh")
OLD = Dialect(
    columns=(
        *("trigger#", "ADCtime", *_LIGHT, "ComparatorOut"),
        *("TriggerOpenTime", "FrameGrabTime", *_ROI),
    ),
    measurements=_LIGHT,
)
# Columns that follow those of NEW; the earliest files do not have them.
RUN_TIME, INHIBIT_TIME = 22, 23
MISSING_TIME_OF_FLIGHT = -999


def letters(text: str) -> str:
    """A name as it is compared: the instruments vary blanks and capitals."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def check_measurements(measurements: str | Sequence[str]) -> str | list[str]:
    """Check the form of `measurements`; return "auto" or a list."""
    if isinstance(measurements, str):
        if measurements != "auto":
            raise ValueError(
                f"measurements={measurements!r}; expected 'auto' or a list of names. "
                f"For one measurement pass measurements=[{measurements!r}]."
            )
        return measurements
    names = list(measurements) if isinstance(measurements, Sequence) else [None]
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"measurements={measurements!r}; expected 'auto' or a list of names, such "
            f"as {list(NEW.measurements[:2])}."
        )
    if not names or len(set(map(letters, names))) < len(names):
        problem = "has a measurement twice" if names else "is empty"
        raise ValueError(
            f"measurements={measurements!r} {problem}; expected each once, and at "
            "least one."
        )
    return names


def select_measurements(
    dialect: Dialect, measurements: str | Sequence[str]
) -> dict[str, int]:
    """Name of each chosen measurement -> its column, in order."""
    names = dialect.measurements if measurements == "auto" else measurements
    known = {letters(name): name for name in dialect.measurements}
    selected = {}
    for name in names:
        if letters(name) not in known:
            # Other columns exist in the file, but say nothing of a particle's optics.
            raise ValueError(
                f"there is no measurement {name!r}, only {list(dialect.measurements)}; "
                "times, and positions and sizes of images, cannot be used"
            )
        known_name = known[letters(name)]
        selected[known_name] = dialect.position(known_name)
    return selected


def check_format(header: Mapping[str, str]) -> None:
    """Raise unless the columns that the header lists are the known ones."""
    text = header.get("ADCFileFormat")
    if text is None:
        return
    found = [letters(name) for name in text.split(",")]
    expected = [letters(name) for name in NEW.columns]
    if found[: len(expected)] != expected:
        raise ValueError(
            f"ADCFileFormat is {text[:300]!r}; expected that it begins with "
            f"{', '.join(NEW.columns)}"
        )
