"""Samples → what the reader of a page should be warned of."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from skplankton._report.figures import share_interval
from skplankton._report.page import count, share


class Warn(NamedTuple):
    """A warning: the kind of problem, a sentence, and perhaps a text to unfold."""

    kind: str
    text: str
    details: str = ""


def sample_warnings(samples: pd.DataFrame, contamination: float) -> list[Warn]:
    """What is unusual about the samples.

    `samples` has the columns that `day_page` describes, and n_below: how many particles
    are less familiar than all but the share `contamination` of known ones.
    """
    found = []
    for sample in samples.itertuples(index=False):
        name = sample.sample_id
        if sample.is_partial is True:
            found.append(
                Warn("Incomplete file", f"{name}: the file ends before the measurement")
            )
        if isinstance(sample.volume_problem, str) and sample.volume_problem:
            found.append(Warn("Volume", f"{name}: {sample.volume_problem}"))
        n_unread = sample.n_particles - sample.n_read
        if n_unread:
            found.append(
                Warn(
                    "Unreadable",
                    f"{name}: {count(n_unread)} of {count(sample.n_particles)} "
                    "particles have no readable image or profile",
                )
            )
        if sample.n_particles and not sample.n_images:
            found.append(
                Warn("No images", f"{name}: classified by profiles alone, no images")
            )
        if is_drifting(sample.n_below, sample.n_read, contamination):
            found.append(
                Warn(
                    "Drift",
                    f"{name}: {share(sample.n_below / sample.n_read)} of the particles "
                    f"are unlike the labeled ones, where {share(contamination)} are "
                    "expected of known species. There may be new species, or the "
                    "instrument or its settings may have changed",
                )
            )
    return found


def is_drifting(n_below: float, n_read: float, contamination: float) -> bool:
    """Whether clearly more than twice the expected share of particles is unfamiliar.

    Clearly: the 95 % interval of the share lies above.
    """
    if not n_read or math.isnan(n_below):
        return False
    return share_interval(int(n_below), int(n_read))[0] > 2 * contamination
