"""A classified sample → the particles that a page may show, with their pictures.

What the pages of later runs need is kept: by then the sample's images and profiles may
be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from skplankton._report import selection
from skplankton._report.groups import packed
from skplankton._report.pictures import bars, level, sparkline, thumbnail
from skplankton._views.entries import Profile, is_missing, read_profile
from skplankton.evaluation._displays.particle import measurements_of, percentiles

# Numbers of particles per sample: a page has more room than that for one sample only if
# other samples leave it.
MOST_TYPICAL, MOST_TYPICAL_OF_SPECIES = 400, 8
MOST_DOUBTFUL = 30
MOST_UNKNOWN = 120

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

# Reasons why an image or profile cannot be read.
_UNREADABLE = (OSError, TypeError, ValueError)


def sample_excerpt(
    particles: pd.DataFrame,
    predicted: pd.DataFrame,
    *,
    offset: float,
    embed: Callable[[pd.DataFrame], np.ndarray],
) -> dict[str, Any]:
    """Choose particles of a sample and draw them.

    Parameters
    ----------
    particles : DataFrame of shape (n_particles, n_columns)
        The columns image, profile and object_id.
    predicted : DataFrame of shape (n_particles, 5)
        In the same order: label, the predicted one; score and familiarity, NaN without
        a readable view; neighbors, a list of (object_id, label, similarity), and
        object_id.
    offset : float
        The familiarity below which a particle is unlike those of the gallery.
    embed : callable
        Embeds rows of `particles`: called once, with the unknown ones to be grouped.

    Returns
    -------
    dict
        Values that JSON can hold.
    """
    predicted = predicted.reset_index(drop=True)
    predicted["has_image"] = particles["image"].notna().to_numpy()
    roles = _roles(predicted)
    rows = np.array(sorted(roles), dtype=int)
    shown = [
        {
            **predicted.iloc[row][["object_id", "label", "neighbors"]].to_dict(),
            "score": float(predicted["score"][row]),
            "familiarity": float(predicted["familiarity"][row]),
            "has_image": bool(predicted["has_image"][row]),
            "roles": sorted(roles[row]),
        }
        for row in rows
    ]
    legend = add_pictures(shown, particles.iloc[rows], particles)
    _add_embeddings(shown, particles.iloc[rows], embed)
    familiarity = predicted["familiarity"].dropna().to_numpy()
    quantiles = np.quantile(familiarity, QUANTILES).tolist() if len(familiarity) else []
    return {
        "shown": shown,
        "legend": legend,
        "n_images": int(particles["image"].notna().sum()),
        "n_read": len(familiarity),
        "n_below": int((familiarity < offset).sum()),
        "familiarity": quantiles,
    }


def _roles(predicted: pd.DataFrame) -> dict[int, set[str]]:
    """What each particle is shown as, by row."""
    labels = predicted["label"]
    n_species = max(1, labels[selection.is_species(labels)].nunique())
    n_of_species = max(1, min(MOST_TYPICAL_OF_SPECIES, MOST_TYPICAL // n_species))
    typical = selection.typical(predicted, n_of_species)
    doubtful, _ = selection.doubtful(predicted)
    chosen = {
        "typical": typical,
        "doubtful": doubtful[: selection.n_doubtful(len(doubtful), MOST_DOUBTFUL)],
        "unknown": selection.unknown(predicted, MOST_UNKNOWN),
    }
    roles: dict[int, set[str]] = {}
    for role, rows in chosen.items():
        for row in rows.tolist():
            roles.setdefault(row, set()).add(role)
    return roles


def add_pictures(
    shown: list[dict[str, Any]], particles: pd.DataFrame, every: pd.DataFrame
) -> dict[str, Any] | None:
    """Add the pictures of particles; return what the legend of the profiles says.

    The keys are image and size, a data URI and a text, and profile, the paths of the
    lines; None where there is none that can be read. A vector of measurements has bars,
    its percentiles among `every` particle: the measurements have no unit in common.

    The legend has the names of the channels or measurements, and whether these are
    bars; None if the channels are not known.
    """
    profiles = [_profile(entry) for entry in particles["profile"]]
    known = [profile for profile in profiles if profile is not None]
    measurements = measurements_of(every)
    pulses = [p.samples for p in known if p.samples.ndim == 2]
    top = max((float(level(samples).max()) for samples in pulses), default=1.0)
    for particle, entry, profile in zip(
        shown, particles["image"], profiles, strict=True
    ):
        particle["image"], particle["size"] = _thumbnail(entry)
        particle["profile"] = profile and _drawn(profile.samples, top, measurements)
    if measurements is not None:
        return {"names": every.attrs.get("measurements", []), "bars": True}
    named = (p.channels for p in known if p.channels is not None)
    channels = next(named, None)
    return None if channels is None else {"names": list(channels), "bars": False}


def _drawn(
    samples: np.ndarray, top: float, measurements: np.ndarray | None
) -> list[str]:
    if samples.ndim == 1 and measurements is not None:
        return [bars(percentiles(samples, measurements) / 100)]
    return sparkline(samples, top)


def _thumbnail(entry: Any) -> tuple[str | None, str | None]:
    if is_missing(entry):
        return None, None
    try:
        return thumbnail(entry)
    except _UNREADABLE:  # reported when the particle was classified
        return None, None


def _profile(entry: Any) -> Profile | None:
    if is_missing(entry):
        return None
    try:
        return read_profile(entry)
    except _UNREADABLE:
        return None


def _add_embeddings(
    shown: list[dict[str, Any]],
    particles: pd.DataFrame,
    embed: Callable[[pd.DataFrame], np.ndarray],
) -> None:
    """Add the embeddings of unknown particles, by which they are grouped."""
    rows = [i for i, particle in enumerate(shown) if "unknown" in particle["roles"]]
    if not rows:
        return
    for row, embedding in zip(rows, embed(particles.iloc[rows]), strict=True):
        shown[row]["embedding"] = packed(embedding)
