"""The benchmark as a table: setups in rows, gallery sizes in columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skplankton._utils.parameters import check_choice
from skplankton.evaluation._inputs import check_result_columns, check_results

_SCORES = ("accuracy", "precision", "recall", "f1")
_FORMATS = ("markdown", "latex", "frame")

# Where a setup had no query or an empty gallery.
_NO_SCORE = "–"

_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def benchmark_table(
    results: pd.DataFrame,
    *,
    metric: str = "accuracy",
    gallery_size: int | Sequence[int] | None = None,
    n_neighbors: int | None = None,
    by: Sequence[str] = ("gallery", "query"),
    format: str = "markdown",
) -> str | pd.DataFrame:
    """Summarize a benchmark as "mean ± standard deviation", in percent.

    Parameters
    ----------
    results : DataFrame of shape (n_results, n_columns)
        The result of `cross_modal_benchmark`, or several of these joined by
        ``pandas.concat``, for example with a column `fold`.
    metric : {"accuracy", "precision", "recall", "f1"}, default="accuracy"
        The score to show.
    gallery_size : int or sequence of int, default=None
        The columns of the table. None shows every gallery size, ascending.
    n_neighbors : int, default=None
        Only results with this number of neighbors are shown. None shows all, which
        must then have the same number, unless it is in `by`.
    by : sequence of str, default=("gallery", "query")
        Columns of `results` that define the rows of the table. With several models,
        `model` is added in front.
    format : {"markdown", "latex", "frame"}, default="markdown"
        Text in Markdown, text in LaTeX (for the package booktabs), or a DataFrame of
        strings.

    Returns
    -------
    str or DataFrame
        The table. Rows are in the order of `results`. Mean and standard deviation (of
        the population, ``ddof=0``) are over everything that is not in `by`: repeats,
        and folds. A dash marks a missing score or result.

    Raises
    ------
    TypeError
        If `results` is not a DataFrame.
    ValueError
        If a column is missing, there are no results to show, several numbers of
        neighbors would be mixed, or a parameter has an invalid value.

    See Also
    --------
    cross_modal_benchmark : Computes the results.

    References
    ----------
    Kareinen, J. et al., "Cross-modal learning for plankton recognition", 2026,
    arXiv:2603.16427: the tables of accuracy by gallery size.

    Examples
    --------
    >>> import pandas as pd
    >>> from skplankton.evaluation import benchmark_table
    >>> results = pd.DataFrame({
    ...     "gallery": "image", "query": ["image", "image", "profile", "profile"],
    ...     "gallery_size": 16, "n_neighbors": 3, "accuracy": [0.9, 0.8, 0.7, 0.7],
    ... })
    >>> print(benchmark_table(results))
    | gallery | query   |         16 |
    | :------ | :------ | ---------: |
    | image   | image   | 85.0 ± 5.0 |
    | image   | profile | 70.0 ± 0.0 |
    """
    check_choice("metric", metric, _SCORES)
    check_choice("format", format, _FORMATS)
    check_results(results)
    by = _row_columns(results, by)
    check_result_columns(results, [*by, "gallery_size", "n_neighbors", metric])
    shown = _selected(results, "gallery_size", gallery_size)
    shown = _selected(shown, "n_neighbors", n_neighbors)
    numbers = sorted(set(shown["n_neighbors"]))
    if len(numbers) > 1 and "n_neighbors" not in by:
        raise ValueError(
            f"The results are for n_neighbors {numbers}, which a mean would mix. "
            "Choose one by n_neighbors=, or add 'n_neighbors' to by."
        )
    table = _entries(shown, metric, by)
    if format == "frame":
        return table
    return _markdown(table) if format == "markdown" else _latex(table)


def _row_columns(results: pd.DataFrame, by: Sequence[str]) -> list[str]:
    by = [by] if isinstance(by, str) else list(by)
    if not by or "gallery_size" in by:
        raise ValueError(
            f"by={by!r}; expected at least one column for the rows of the table, and "
            "not 'gallery_size', which defines its columns."
        )
    several = "model" in results and results["model"].nunique() > 1
    return ["model", *by] if several and "model" not in by else by


def _selected(results: pd.DataFrame, column: str, wanted: Any) -> pd.DataFrame:
    present = sorted(set(results[column]))
    if wanted is None:
        wanted = present
    wanted = [wanted] if np.isscalar(wanted) else list(wanted)
    missing = sorted(set(wanted) - set(present))
    if missing or not wanted:
        raise ValueError(
            f"There are no results with {column} {missing or wanted}; there are "
            f"results with {present}."
        )
    return results[results[column].isin(wanted)]


def _entries(results: pd.DataFrame, metric: str, by: list[str]) -> pd.DataFrame:
    groups = results.groupby([*by, "gallery_size"], sort=False)[metric]
    entries = groups.agg(_mean_and_deviation).unstack("gallery_size", sort=False)
    return entries.sort_index(axis="columns").fillna(_NO_SCORE)


def _mean_and_deviation(scores: pd.Series) -> str:
    percent = 100 * scores.to_numpy(dtype=float)
    if np.isnan(percent).any():
        return _NO_SCORE
    return f"{percent.mean():.1f} ± {percent.std():.1f}"


def _as_text(table: pd.DataFrame) -> tuple[list[str], list[list[str]], int]:
    """Header, rows, and number of index columns."""
    header = [*map(str, table.index.names), *map(str, table.columns)]
    rows = [list(map(str, row)) for row in table.reset_index().to_numpy()]
    return header, rows, table.index.nlevels


def _markdown(table: pd.DataFrame) -> str:
    header, rows, n_index = _as_text(table)
    lines = [[entry.replace("|", r"\|") for entry in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = [
        ":" + (width - 1) * "-" if column < n_index else (width - 1) * "-" + ":"
        for column, width in enumerate(widths)
    ]
    lines.insert(1, rule)
    return "\n".join(
        "| "
        + " | ".join(
            entry.ljust(width) if column < n_index else entry.rjust(width)
            for column, (entry, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )


def _latex(table: pd.DataFrame) -> str:
    header, rows, n_index = _as_text(table)
    alignment = n_index * "l" + (len(header) - n_index) * "r"
    lines = [" & ".join(map(_latex_entry, row)) + r" \\" for row in (header, *rows)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _latex_entry(entry: str) -> str:
    escaped = "".join(_LATEX_SPECIAL.get(sign, sign) for sign in entry)
    return escaped.replace("±", r"$\pm$").replace(_NO_SCORE, "--")
