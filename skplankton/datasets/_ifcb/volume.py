"""The volume of water in which a bin's particles were counted.

The sample flows at a constant rate. The instrument is blind while it processes a
trigger, and the water that flows past meanwhile is not analyzed. The rules are those of
pyifcb (github.com/joefutrelle/pyifcb, ifcb/metrics/ml_analyzed.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from skplankton.datasets._ifcb.dialects import INHIBIT_TIME, OLD, RUN_TIME
from skplankton.datasets._ifcb.header import number

FLOW_RATE = 0.25  # mL per minute
# Seconds that the first instruments are blind after a trigger, at least.
_LEAST_BLIND = 0.073
_DAY = 24 * 60 * 60


class Volume(NamedTuple):
    """Seconds, and volumes in mL; NaN if unknown, which `problem` explains."""

    duration: float
    analyzed: float
    pumped: float
    problem: str


def volume_of(
    header: Mapping[str, str], values: np.ndarray, *, is_old: bool, name: str
) -> Volume:
    """The volume of a bin, from its header or, where that has none, from its rows."""
    if is_old:
        duration, looking = _times_of_old(values)
    else:
        duration, blind = number(header, "runTime"), number(header, "inhibitTime")
        if (
            not (duration - blind > 0)
            and len(values)
            and values.shape[1] > INHIBIT_TIME
        ):
            duration, blind = values[-1, [RUN_TIME, INHIBIT_TIME]]
        looking = duration - blind
    if not 0 < looking <= duration:
        return Volume(
            math.nan,
            math.nan,
            math.nan,
            f"{name}: neither the header nor the .adc file has the time in which "
            f"particles were looked for (runTime and inhibitTime are "
            f"{header.get('runTime')} and {header.get('inhibitTime')}, and the .adc "
            f"file has {len(values)} rows).",
        )
    analyzed, pumped = (FLOW_RATE * float(s) / 60 for s in (looking, duration))
    return Volume(float(duration), analyzed, pumped, "")


def _times_of_old(values: np.ndarray) -> tuple[float, float]:
    """Seconds from the start to the last image, and those in which it was looking."""
    if not len(values):
        return math.nan, math.nan
    _, first = np.unique(values[:, OLD.position("trigger#")], return_index=True)
    opened, grabbed = (
        values[np.sort(first), OLD.position(column)]
        for column in ("TriggerOpenTime", "FrameGrabTime")
    )
    # Times are negative after midnight.
    opened, grabbed = (np.where(t < 0, t + _DAY, t) for t in (opened, grabbed))
    blind = np.maximum(opened[1:] - grabbed[:-1], _LEAST_BLIND).sum() + _LEAST_BLIND
    return grabbed[-1], grabbed[-1] - blind
