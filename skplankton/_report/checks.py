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
    found: dict[tuple[str, str], list[str]] = {}

    def add(kind: str, what: str, where: str) -> None:
        found.setdefault((kind, what), []).append(where)

    for sample in samples.itertuples(index=False):
        name, n_read = sample.sample_id, sample.n_read
        if pd.notna(sample.is_partial) and sample.is_partial:
            add(
                "Incomplete",
                "read in part only, so that counts may be too low",
                name,
            )
        if isinstance(sample.volume_problem, str) and sample.volume_problem:
            add("Volume", sample.volume_problem, name)
        if n_unread := sample.n_particles - n_read:
            where = f"{name} ({count(n_unread)} of {count(sample.n_particles)})"
            add("Without a label", "particles without a readable view", where)
        if sample.n_particles and not sample.n_images:
            add("No images", "classified by profiles alone", name)
        if is_drifting(sample.n_below, n_read, contamination):
            what = (
                "more particles are unlike the labeled ones than the "
                f"{share(contamination)} expected of known species. There may be new "
                "species, or the instrument or its settings may have changed"
            )
            add("Drift", what, f"{name} ({share(sample.n_below / n_read)})")
    return [
        Warn(kind, f"{', '.join(where)}: {what}")
        for (kind, what), where in found.items()
    ]


def is_drifting(n_below: float, n_read: float, contamination: float) -> bool:
    """Whether clearly more than twice the expected share of particles is unfamiliar.

    Clearly: the 95 % interval of the share lies above.
    """
    if not n_read or math.isnan(n_below):
        return False
    return share_interval(int(n_below), int(n_read))[0] > 2 * contamination
