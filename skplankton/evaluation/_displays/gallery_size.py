"""Score against the number of labels: the display of a benchmark."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skplankton._utils.parameters import check_choice
from skplankton.evaluation._displays.style import (
    COLORS,
    DASHES,
    FONT_SIZE,
    MARKERS,
    axis_and_figure,
    place_legend,
    setup_name,
)
from skplankton.evaluation._inputs import check_result_columns, check_results

_SCORES = {
    "accuracy": "accuracy",
    "precision": "macro precision",
    "recall": "macro recall",
    "f1": "macro F1",
}
_LINE_COLUMNS = ("model", "gallery", "query", "n_neighbors")
_SETUP = ["gallery", "query"]
_FEW_LINES = 4  # whose bands may overlap
_LEGEND_COLUMNS = 2
_LEGEND_ROW = 0.15  # inches


class GallerySizeDisplay:
    """Score against gallery size, one line per model or setup.

    It is recommended to use :meth:`from_results` to make one. The arguments are stored
    as attributes.

    Parameters
    ----------
    gallery_sizes : array-like of shape (n_sizes,)
        Numbers of gallery rows for each class, ascending.
    means : array-like of shape (n_lines, n_sizes)
        Mean scores over the repeats, as fractions; NaN where there is no score.
    stds : array-like of shape (n_lines, n_sizes)
        Their standard deviations.
    names : sequence of str
        Names of the lines in the legend.
    metric : {"accuracy", "precision", "recall", "f1"}, default="accuracy"
        The score.
    families : sequence of int, default=None
        Lines of one family share a color and differ in marker and dashes. With None,
        each line has its own color.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axis that was drawn on.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        The lines of the means.

    See Also
    --------
    cross_modal_benchmark : Computes the results.
    benchmark_table : The same results as a table.

    Examples
    --------
    >>> from skplankton.evaluation import GallerySizeDisplay
    >>> display = GallerySizeDisplay(
    ...     [1, 4], means=[[0.7, 0.8]], stds=[[0.1, 0.05]], names=["images"]
    ... )
    >>> display.plot().ax_.get_ylabel()  # doctest: +SKIP
    'accuracy (%)'
    """

    def __init__(
        self,
        gallery_sizes: ArrayLike,
        *,
        means: ArrayLike,
        stds: ArrayLike,
        names: Sequence[str],
        metric: str = "accuracy",
        families: Sequence[int] | None = None,
    ):
        self.gallery_sizes = gallery_sizes
        self.means = means
        self.stds = stds
        self.names = names
        self.metric = metric
        self.families = families

    @classmethod
    def from_results(
        cls,
        results: pd.DataFrame,
        *,
        metric: str = "accuracy",
        by: Sequence[str] | None = None,
        ax: Any = None,
        band: bool = True,
    ) -> "GallerySizeDisplay":
        """Plot the result of `cross_modal_benchmark`.

        Parameters
        ----------
        results : DataFrame of shape (n_results, n_columns)
            Results of :func:`cross_modal_benchmark`, or several of these joined by
            ``pandas.concat``.
        metric : {"accuracy", "precision", "recall", "f1"}, default="accuracy"
            The score to show.
        by : sequence of str, default=None
            The columns of `results` that distinguish lines. None uses those of `model`,
            `gallery`, `query` and `n_neighbors` that have several values.
        ax : matplotlib Axes, default=None
            The axis to draw on; None makes a figure 9 cm wide.
        band : bool, default=True
            Whether to shade one standard deviation to either side of the mean.

        Returns
        -------
        GallerySizeDisplay
            The display. Means and standard deviations (of the population, ``ddof=0``)
            are over everything that is not in `by`: repeats, and folds.

        Raises
        ------
        TypeError
            If `results` is not a DataFrame.
        ValueError
            If a column is missing, there are no results, `metric` is invalid, or `by`
            leaves out a column that has several values.
        """
        check_choice("metric", metric, tuple(_SCORES))
        check_results(results)
        columns = _line_columns(results, by, metric)
        groups = results.groupby([*columns, "gallery_size"], sort=False)[metric]
        means = _by_line(groups.agg(_mean), columns)
        stds = _by_line(groups.agg(_deviation), columns)
        keys = [dict(zip(columns, key, strict=True)) for key in means.index]
        display = cls(
            means.columns.to_numpy(),
            means=means.to_numpy(),
            stds=stds.to_numpy(),
            names=[_line_name(key, metric) for key in keys],
            metric=metric,
            families=_families(keys),
        )
        return display.plot(ax, band=band)

    def plot(self, ax: Any = None, *, band: bool = True) -> "GallerySizeDisplay":
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axis to draw on; None makes a figure 9 cm wide.
        band : bool, default=True
            Whether to shade one standard deviation to either side of the mean.

        Returns
        -------
        GallerySizeDisplay
            The display itself, with `ax_`, `figure_` and `lines_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        own_figure = ax is None
        n_rows = -(-len(self.names) // _LEGEND_COLUMNS)
        height = 2.4 + _LEGEND_ROW * n_rows
        self.ax_, self.figure_ = axis_and_figure(type(self).__name__, ax, height)
        sizes = np.asarray(self.gallery_sizes)
        means = 100 * np.asarray(self.means, dtype=float)
        stds = 100 * np.asarray(self.stds, dtype=float)
        looks = _looks(self.families, len(self.names))
        self.lines_ = []
        for name, mean, std, look in zip(self.names, means, stds, looks, strict=True):
            (line,) = self.ax_.plot(
                sizes, mean, label=name, linewidth=1.2, markersize=4, **look
            )
            if band:
                self.ax_.fill_between(
                    sizes,
                    mean - std,
                    mean + std,
                    color=look["color"],
                    alpha=0.15 if len(self.names) <= _FEW_LINES else 0.06,
                    linewidth=0,
                )
            self.lines_.append(line)
        self._label_axes(sizes)
        if len(self.names) > 1:
            place_legend(self.ax_, own_figure, ncols=_LEGEND_COLUMNS, handlelength=2.8)
        return self

    def _label_axes(self, sizes: np.ndarray) -> None:
        # In the paper, each gallery is twice as large as the previous one.
        self.ax_.set_xscale("log", base=2)
        self.ax_.set_xticks(sizes, labels=map(str, sizes))
        self.ax_.minorticks_off()
        self.ax_.set_xlabel("labeled particles per species", fontsize=FONT_SIZE)
        self.ax_.set_ylabel(f"{_SCORES[self.metric]} (%)", fontsize=FONT_SIZE)
        self.ax_.tick_params(labelsize=FONT_SIZE - 1)
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.grid(axis="y", color="0.92", linewidth=0.6)
        self.ax_.set_axisbelow(True)


def _line_columns(results: pd.DataFrame, by: Any, metric: str) -> list[str]:
    by = [by] if isinstance(by, str) else by
    check_result_columns(results, ["gallery_size", metric, *(by or [])])
    if not len(results):
        raise ValueError("results has no rows: there is nothing to show.")
    several = [
        name
        for name in _LINE_COLUMNS
        if name in results and results[name].nunique(dropna=False) > 1
    ]
    if by is None:
        return several or [next(n for n in (*_LINE_COLUMNS, metric) if n in results)]
    mixed = [name for name in several if name not in by]
    if mixed or "gallery_size" in by:
        raise ValueError(
            f"by={list(by)!r} would mix results of several {', '.join(mixed)} in one "
            "line. Add these columns to by, or select one value of each."
            if mixed
            else f"by={list(by)!r}; 'gallery_size' is the x-axis."
        )
    return list(by)


def _by_line(scores: pd.Series, columns: list[str]) -> pd.DataFrame:
    """One row per line, in the order of the results, one column per gallery size."""
    table = scores.unstack("gallery_size", sort=False).sort_index(axis="columns")
    if len(columns) == 1:
        table.index = pd.MultiIndex.from_arrays([table.index], names=columns)
    return table


def _mean(scores: pd.Series) -> float:
    # Unlike pandas' mean, NaN if any score is NaN.
    return np.mean(scores.to_numpy(dtype=float))


def _deviation(scores: pd.Series) -> float:
    return np.std(scores.to_numpy(dtype=float))


def _line_name(key: dict[str, Any], metric: str) -> str:
    """Legend entry: an abbreviated setup, other columns with their values."""
    parts = []
    if "model" in key:
        parts.append(str(key["model"]))
    if set(_SETUP) <= set(key):
        parts.append(setup_name(key["gallery"], key["query"]))
    for name, value in key.items():
        if name == "model" or (name in _SETUP and set(_SETUP) <= set(key)):
            continue
        parts.append(_SCORES[metric] if name == metric else f"{name} {value}")
    return ", ".join(parts)


def _families(keys: list[dict[str, Any]]) -> list[int] | None:
    """Family of each line: the value of the first column, which has one color."""
    first = next(iter(keys[0]))
    if len(keys[0]) == 1:
        return None
    values = list(dict.fromkeys(key[first] for key in keys))
    return [values.index(key[first]) for key in keys]


def _looks(families: Sequence[int] | None, n_lines: int) -> list[dict[str, str]]:
    """Color, marker and dashes of each line: color is never the only difference."""
    if families is None:
        pairs = [(line, line) for line in range(n_lines)]
    else:
        pairs = [
            (family, list(families[:line]).count(family))
            for line, family in enumerate(families)
        ]
    return [
        {
            "color": COLORS[color % len(COLORS)],
            "marker": MARKERS[marker % len(MARKERS)],
            "linestyle": DASHES[marker % len(DASHES)],
        }
        for color, marker in pairs
    ]
