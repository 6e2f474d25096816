"""Which particles a page shows: it has room for a few hundred.

The tables have a row per particle, with the columns label (the predicted one), score,
familiarity and has_image. Functions return positions of rows. Ties are in the order of
the rows, so that the same table always gives the same page.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from skplankton._utils.labels import UNKNOWN, WITHOUT_VIEW

# Labels of particles that have not been given the name of a species.
NOT_SPECIES = (UNKNOWN, WITHOUT_VIEW)


def is_species(labels: pd.Series) -> np.ndarray:
    """Which labels are names of species."""
    return ~labels.isin(NOT_SPECIES).to_numpy(dtype=bool)


def evenly_spaced(rows: np.ndarray, n_rows: int) -> np.ndarray:
    """At most `n_rows` of the rows; of more, the middle ones of as many equal parts."""
    if len(rows) <= n_rows:
        return rows
    return rows[((np.arange(n_rows) + 0.5) * len(rows) / n_rows).astype(int)]


def typical(particles: pd.DataFrame, n_of_species: int) -> np.ndarray:
    """Ordinary particles of each species: neither the most nor the least familiar.

    They are spread evenly over the middle half by familiarity, of the particles with an
    image if there are any.
    """
    chosen = []
    of_species = particles[is_species(particles["label"])]
    positions = pd.Series(np.arange(len(particles)), index=particles.index)
    for _, own in of_species.groupby("label", sort=True):
        shown = own[own["has_image"]] if own["has_image"].any() else own
        rows = positions[shown.index].to_numpy()
        rows = rows[np.argsort(shown["familiarity"].to_numpy(), kind="stable")]
        margin = len(rows) // 4
        chosen.append(evenly_spaced(rows[margin : len(rows) - margin], n_of_species))
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=int)


def doubtful(particles: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Particles with the name of a species, the most doubtful first.

    In turn the least familiar ones and those with the lowest score. Also returns, for
    each, whether it is its familiarity that is among the lowest rather than its score.
    """
    rows = np.flatnonzero(is_species(particles["label"]))
    named = particles.iloc[rows]
    by_familiarity, by_score = (
        named[column].rank(method="first").to_numpy()
        for column in ("familiarity", "score")
    )
    order = np.lexsort((by_score, np.minimum(by_familiarity, by_score)))
    return rows[order], (by_familiarity <= by_score)[order]


def n_doubtful(n_named: int, most: int) -> int:
    """How many to check: in a small sample not all of them are doubtful."""
    return min(most, math.ceil(n_named / 4))


def unknown(particles: pd.DataFrame, n_rows: int) -> np.ndarray:
    """Unknown particles, spread evenly by familiarity."""
    rows = np.flatnonzero(particles["label"] == UNKNOWN)
    familiarity = particles["familiarity"].to_numpy()[rows]
    return evenly_spaced(rows[np.argsort(familiarity, kind="stable")], n_rows)
