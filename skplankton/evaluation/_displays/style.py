"""Shared by the displays: colors, markers, import of matplotlib, legends."""

from typing import Any

import numpy as np

from skplankton._utils.extras import import_extra

# Color-blind safe palette (Okabe and Ito 2008), without the yellow, which is too pale
# for a line on white.
BLUE, VERMILION = "#0072B2", "#D55E00"
COLORS = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#000000", "#56B4E9", VERMILION)
# One more marker than colors, so that a repeated color has another marker.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES = ("-", "--", ":", "-.")
UNLABELED = "0.65"  # a gray

# Inches: a column of a journal (9 cm), and the full width of its page (18 cm).
COLUMN_WIDTH, PAGE_WIDTH = 3.54, 7.09
FONT_SIZE, SMALL_FONT_SIZE = 8, 6.5

# Abbreviations of the paper's setups.
_VIEW_NAMES = {"image": "I", "profile": "P", "both": "I+P", "all": "I+P"}


def import_pyplot(display: str) -> Any:
    """Matplotlib's pyplot, or an ImportError with the command that installs it."""
    return import_extra("matplotlib.pyplot", "plot", f"{display}.plot needs matplotlib")


def setup_name(gallery: str, query: str) -> str:
    """Short name of a setup, such as "gallery I, query I+P"."""
    gallery, query = (_VIEW_NAMES.get(view, view) for view in (gallery, query))
    return f"gallery {gallery}, query {query}"


def axis_and_figure(display: str, ax: Any, height: float) -> tuple[Any, Any]:
    """The axis to draw on: `ax`, or a new one of column width."""
    plt = import_pyplot(display)
    if ax is not None:
        return ax, ax.figure
    figure, ax = plt.subplots(figsize=(COLUMN_WIDTH, height), layout="constrained")
    return ax, figure


def place_legend(ax: Any, own_figure: bool, **kwargs: Any) -> Any:
    """A legend below our own figure, or where a figure of the user has room.

    In a figure of the user, only a constrained layout makes room for a legend outside
    the axis.
    """
    kwargs = {"fontsize": SMALL_FONT_SIZE, "frameon": False} | kwargs
    if own_figure:
        handles, labels = ax.get_legend_handles_labels()
        kwargs = {"handles": handles, "labels": labels} | kwargs
        return ax.figure.legend(loc="outside lower center", **kwargs)
    kwargs["ncols"] = 1
    engine = ax.figure.get_layout_engine()
    if type(engine).__name__ == "ConstrainedLayoutEngine":
        return ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **kwargs)
    return ax.legend(loc="best", **kwargs)


def wrapped(label: Any, width: int) -> str:
    """A label in lines of `width` characters at most, split at spaces and "_"."""
    lines = [""]
    for word in str(label).replace("_", "_ ").split():
        gap = "" if not lines[-1] or lines[-1].endswith("_") else " "
        if lines[-1] and len(lines[-1] + gap + word) > width:
            lines.append(word)
        else:
            lines[-1] += gap + word
    return "\n".join(lines)


def as_labels(labels: np.ndarray, labeled: np.ndarray) -> np.ndarray:
    """The labels in an array of objects, with None for missing ones."""
    column = np.full(len(labeled), None, dtype=object)
    column[labeled] = labels
    return column
