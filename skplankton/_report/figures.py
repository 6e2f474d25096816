"""Numbers → positions in a figure, which the templates draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

# Percent of the width: where 0 is drawn, and where the decades begin and end.
_ZERO, _BEGIN, _END = 3.0, 14.0, 97.0
_MOST_DECADES = 9  # of smaller numbers, the axis shows no more than that they are small


class LogAxis:
    """A logarithmic axis that also has a place for 0; positions are in percent.

    Numbers of different species differ by orders of magnitude: on a linear axis most
    intervals would be too short to be seen.
    """

    def __init__(self, values: Iterable[float]):
        positive = [v for v in values if v > 0 and math.isfinite(v)]
        logs = [math.log10(v) for v in positive] or [0.0]
        self.high = max(math.ceil(max(logs)), math.floor(min(logs)) + 1)
        self.low = max(math.floor(min(logs)), self.high - _MOST_DECADES)

    def position(self, value: float) -> float | None:
        """Where a value is drawn; None for NaN."""
        if math.isnan(value):
            return None
        if value <= 0:
            return _ZERO
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(_BEGIN + min(max(share, 0), 1) * (_END - _BEGIN), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Positions and texts of the grid lines; "" where space is short."""
        decades = range(self.low, self.high + 1)
        every = math.ceil(len(decades) / 5)
        return [
            (
                self.position(10.0**decade) or 0.0,
                "" if (decade - self.low) % every else f"{10.0**decade:g}",
            )
            for decade in decades
        ]


class LinearAxis:
    """An axis from the smallest to the largest of some values, in percent."""

    def __init__(self, values: Iterable[float]):
        finite = [v for v in values if math.isfinite(v)] or [0.0]
        self.low, self.high = min(finite), max(finite)

    def position(self, value: float) -> float | None:
        """Where a value is drawn; None for NaN and beyond the axis."""
        if not self.low <= value <= self.high:
            return None
        width = self.high - self.low
        return round(3 + 94 * ((value - self.low) / width if width else 0.5), 1)


def share_interval(n_hits: int, n_trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    interval = binomtest(n_hits, n_trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def reliability(scores: np.ndarray, is_right: np.ndarray, n_bins: int = 10) -> list:
    """Accuracy of the particles with about the same score: a dict for each bin.

    The keys are low, high, score (the mean), accuracy, accuracy_low, accuracy_high and
    n. Bins without particles are left out.
    """
    bins = np.minimum((scores * n_bins).astype(int), n_bins - 1)
    found = []
    for number in np.unique(bins):
        right = is_right[bins == number]
        low, high = share_interval(int(right.sum()), len(right))
        found.append(
            {
                "low": number / n_bins,
                "high": (number + 1) / n_bins,
                "score": float(scores[bins == number].mean()),
                "accuracy": float(right.mean()),
                "accuracy_low": low,
                "accuracy_high": high,
                "n": len(right),
            }
        )
    return found


def confusion(
    truth: pd.Series, predicted: pd.Series, most: int
) -> tuple[pd.DataFrame, int]:
    """Counts of each true label (rows) and predicted label (columns).

    With more labels than `most`, those with the most mistakes; the others are summed as
    "other". Also returns how many labels that are.
    """
    wrong = truth != predicted
    n_wrong = (
        truth[wrong].value_counts().add(predicted[wrong].value_counts(), fill_value=0)
    )
    labels = sorted(set(truth) | set(predicted))
    kept = sorted(labels, key=lambda label: (-n_wrong.get(label, 0), label))[:most]
    n_others = len(labels) - len(kept)
    if n_others:
        truth, predicted = (s.where(s.isin(kept), OTHER) for s in (truth, predicted))
    counts = pd.crosstab(truth, predicted)
    order = [label for label in labels if label in kept] + [OTHER] * bool(n_others)
    columns = [label for label in order if label in counts.columns]
    return counts.reindex(index=[r for r in order if r in counts.index])[
        columns
    ], n_others


OTHER = "(other labels)"


def shade(count: int, total: int) -> int:
    """How dark a cell is, 0 to 9: by the share of its row, 0 for none at all."""
    return 0 if not count else max(1, math.ceil(9 * count / total))


def worst_confusions(truth: pd.Series, predicted: pd.Series, most: int) -> list[Any]:
    """Pairs of a true and a wrong predicted label with their count, the most first."""
    wrong = pd.DataFrame({"truth": truth, "predicted": predicted})[truth != predicted]
    counts = wrong.value_counts().reset_index()
    order = ["count", "truth", "predicted"]
    counts = counts.sort_values(order, ascending=[False, True, True])
    return list(counts[:most].itertuples(index=False, name=None))
