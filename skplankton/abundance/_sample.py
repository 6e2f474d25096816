"""The abundances in one sample."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skplankton._utils.labels import WITHOUT_VIEW
from skplankton.abundance._groups import Predictions, ViewGroup
from skplankton.abundance._quantification import (
    PRIOR_SHAPE,
    Group,
    Method,
    interval,
    poisson_draws,
)


@dataclass(frozen=True)
class Settings:
    """What is the same for all samples."""

    table: Predictions
    groups: list[ViewGroup]
    method: Method
    is_corrected: bool
    imaged_only: bool
    confidence_level: float


def sample_columns(
    settings: Settings, sample: dict[Hashable, Any], rows: np.ndarray, seed: int
) -> dict[str, Iterable[Any]]:
    """One row per label, one for unknown and one for particles without a view.

    `rows` are the sample's particles, `sample` is its row of the table of samples. The
    columns are no DataFrame, as one for each small sample would take most of the time.
    """
    found = _predictions(settings.table, rows)
    rng = np.random.default_rng(seed)
    n_without = found["count_predicted"][-1:].astype(float)
    without = poisson_draws(n_without, np.ones(1), PRIOR_SHAPE, rng)
    counts = [
        _counts(settings, rows, rng),
        (n_without, *interval(without, settings.confidence_level, 1.0)),
    ]
    for name, parts in zip(
        ("count", "count_low", "count_high"), zip(*counts, strict=True), strict=True
    ):
        found[name] = np.concatenate(parts)
    total = found["count"].sum()
    found["share"] = found["count"] / (total if total > 0 else np.nan)
    volume = sample["analyzed_volume_ml"]
    for name in ("", "_low", "_high"):
        per_ml = found[f"count{name}"] / (volume if volume > 0 else np.nan)
        found[f"concentration{name}"] = per_ml
    n_rows = len(found["label"])
    found["sample_id"] = [sample["sample_id"]] * n_rows
    found["volume_ml"] = [volume] * n_rows
    found["is_partial"] = [sample["is_partial"]] * n_rows
    found["note"] = _notes(settings, sample, rows)
    return found


def _predictions(table: Predictions, rows: np.ndarray) -> dict[str, Any]:
    """How many predictions there are of each label, and by which views."""
    n_labels = len(table.labels)
    codes = table.codes[rows] % (n_labels + 1)  # without a view: the last one
    predicted = np.bincount(codes, minlength=n_labels + 1)
    imaged: Any = [pd.NA] * (n_labels + 1)
    profile_only = imaged
    if table.is_imaged is not None:
        imaged = np.bincount(codes[table.is_imaged[rows]], minlength=n_labels + 1)
        profile_only = predicted - imaged
        imaged[-1] = profile_only[-1] = 0  # classified by nothing
    return {
        "label": [*table.labels, WITHOUT_VIEW],
        "count_predicted": predicted,
        "count_imaged": imaged,
        "count_profile_only": profile_only,
    }


def _counts(
    settings: Settings, rows: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The counts of all labels and the ends of their intervals."""
    table = settings.table
    count, draws = np.zeros(len(table.labels)), np.zeros(())
    for group in settings.groups:
        members = rows[group.members[rows]]
        predictions = Group(
            np.bincount(table.codes[members], minlength=len(table.labels)),
            None if table.shares is None else table.shares[members],
        )
        shape = PRIOR_SHAPE / len(settings.groups)
        estimate = settings.method(predictions, group.calibration, shape, rng)
        count = count + estimate[0]
        draws = draws + estimate[1]
    per_particle = 1.0
    if settings.imaged_only:
        n_all, n_imaged = np.sum(table.codes[rows] >= 0), count.sum()
        if n_all and not n_imaged:
            return (np.full(len(count), np.nan),) * 3
        if n_imaged:
            # Shares of the imaged particles, of the number of all.
            per_particle = n_all / n_imaged
            count = per_particle * count
            n_expected = rng.gamma(n_all + PRIOR_SHAPE, size=(len(draws), 1))
            n_drawn = draws.sum(axis=1, keepdims=True)  # 0 if nothing was drawn
            draws = draws / np.maximum(n_drawn, np.finfo(float).tiny) * n_expected
    low, high = interval(draws, settings.confidence_level, per_particle)
    return count, np.minimum(low, count), np.maximum(high, count)


def _notes(
    settings: Settings, sample: dict[Hashable, Any], rows: np.ndarray
) -> list[str]:
    """What a reader of each row has to know."""
    table = settings.table
    common = [_volume_note(sample)]
    if sample["n_particles"] > len(rows):
        common.append(
            f"the sample has {sample['n_particles']:.0f} particles, of which "
            f"{len(rows)} are counted here"
        )
    of_label: list[list[str]] = [[] for _ in table.labels]
    if settings.imaged_only:
        n_all = np.sum(table.codes[rows] >= 0)
        n_imaged = sum(group.members[rows].sum() for group in settings.groups)
        scaled = f"scaled from {n_imaged} of {n_all} particles, those with an image"
        of_label = [[scaled] for _ in table.labels]
    if settings.is_corrected:
        for group in settings.groups:
            for code in np.flatnonzero(~group.calibration.is_calibrated):
                of_label[code].append(
                    f"no calibration particle of this label{group.description}: "
                    "missed ones are not added, and the count is rather too low"
                )
    return ["; ".join(filter(None, common + own)) for own in [*of_label, []]]


def _volume_note(sample: dict[Hashable, Any]) -> str:
    problem, volume = sample["volume_problem"], sample["analyzed_volume_ml"]
    has_problem = pd.notna(problem) and bool(problem)
    if volume > 0:
        return f"volume: {problem}" if has_problem else ""
    if not has_problem:
        problem = "analyzed_volume_ml is " + ("0" if volume == 0 else "missing")
    return f"no concentration: {problem}"
