"""What a file of cyz2json says of its measurement as a whole.

The quantities are those of the instrument's library (DataFileWrapper.analyzedVolume,
MeasurementInfo.NumberofSavedParticles and others): the analyzed volume is the one that
the particles in the file come from, less than the pumped one by the dead time. The
instrument counts particles in its dead time, too, but does not save them.
"""

from __future__ import annotations

from typing import Any

from skplankton.datasets._cyz.particle import is_int64
from skplankton.datasets._samples.table import positive_number, utc_time

UL_PER_ML = 1000.0


def measurement_of(instrument: Any) -> dict[str, Any]:
    """Columns of the table of samples, as JSON; None where nothing usable is given."""
    results = _member(instrument, "measurementResults")

    def result(key: str) -> Any:
        return _member(results, key)

    analyzed, problem = positive_number(result("analysedVolume"), "analysedVolume")
    pumped, _ = positive_number(result("pumpedVolume"), "pumpedVolume")
    duration, _ = positive_number(result("duration"), "duration")
    n_saved = _count(result("particlesInFileCount"))
    return {
        "instrument": _instrument_name(instrument),
        "start": _start(result("start")),
        "duration_s": duration,
        "analyzed_volume_ml": None if analyzed is None else analyzed / UL_PER_ML,
        "pumped_volume_ml": None if pumped is None else pumped / UL_PER_ML,
        "n_particles": _count(result("particleCount")) if n_saved is None else n_saved,
        "n_images": _count(result("pictureCount")),
        "volume_problem": problem,
    }


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _instrument_name(instrument: Any) -> str | None:
    parts = [_member(instrument, key) for key in ("name", "serialNumber")]
    texts = [str(part) for part in parts if isinstance(part, str | int) and part]
    # JSON can have characters that no table can.
    return " ".join(texts).encode(errors="backslashreplace").decode() or None


def _start(value: Any) -> str | None:
    try:
        return utc_time(value).isoformat()
    except ValueError:  # also year 1, which .NET writes for a time that was never set
        return None


def _count(value: Any) -> int | None:
    # The instrument's library has -1 for an unknown number.
    return value if is_int64(value) and value >= 0 else None
