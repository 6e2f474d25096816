"""A figure with rows of particles, each with its image, profile and label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skplankton.evaluation._displays.particle import draw_particle, measurements_of
from skplankton.evaluation._displays.scale_bar import draw_scale_bar
from skplankton.evaluation._displays.style import (
    BLUE,
    FONT_SIZE,
    PAGE_WIDTH,
    SMALL_FONT_SIZE,
    VERMILION,
    import_pyplot,
    wrapped,
)

_PANEL_WIDTH, _IMAGE_HEIGHT, _PROFILE_HEIGHT = 1.18, 0.75, 0.5  # inches
_BAR_HEIGHT, _NAMES_WIDTH = 0.09, 0.6  # inches, of one measurement and of the names
_TITLE_WIDTH = 17  # characters
_TITLE_HEIGHT = 0.12  # inches, of a line


class ParticleGrid:
    """Rows of particles; `figure` and `axes`, two rows of which are one of particles.

    Parameters
    ----------
    display : str
        Name of the display, for errors.
    shape : tuple of int
        Numbers of rows and columns of particles.
    tables : sequence of DataFrame
        Tables among whose measurements each vector has its percentiles.
    channel_names : sequence of str or None
        Names of channels or measurements, where profiles are arrays.
    pixel_size : float or None
        µm per pixel, for scale bars; with None, bars are in pixels.
    """

    def __init__(
        self,
        display: str,
        shape: tuple[int, int],
        tables: Sequence[pd.DataFrame],
        *,
        channel_names: Any = None,
        pixel_size: float | None = None,
    ):
        plt = import_pyplot(display)
        if pixel_size is not None and not pixel_size > 0:
            raise ValueError(
                f"pixel_size={pixel_size!r}: expected µm per pixel, a number above 0, "
                "or None for scale bars in pixels."
            )
        n_rows, n_columns = shape
        self._measurements = measurements_of(*tables)
        self._channel_names = channel_names
        self._pixel_size = pixel_size
        self._channels: dict[str, Any] = {}
        width, profile_height = _PANEL_WIDTH * n_columns, _PROFILE_HEIGHT
        if self._measurements is not None:
            bars = _BAR_HEIGHT * self._measurements.shape[1]
            profile_height = max(profile_height, bars)
            width += _NAMES_WIDTH
        row_height = _IMAGE_HEIGHT + profile_height + 5 * _TITLE_HEIGHT
        self.figure = plt.figure(
            figsize=(min(width, PAGE_WIDTH), n_rows * row_height + 0.6),
            layout="constrained",
        )
        self.figure.get_layout_engine().set(h_pad=0.02, w_pad=0.03, hspace=0.02)
        self.axes = self.figure.subplots(
            2 * n_rows,
            n_columns,
            height_ratios=n_rows * [_IMAGE_HEIGHT, profile_height],
            squeeze=False,
        )

    def draw(self, row: int, column: int, particle: pd.Series) -> Any:
        """Draw a particle, and return the axis of its image."""
        axes = self.axes[2 * row : 2 * row + 2, column]
        names = self._channel_names
        self._channels |= draw_particle(axes, particle, names, self._measurements)
        if axes[0].images:
            axes[0].set_anchor("S")  # beside its own profile, not that of the row above
            draw_scale_bar(axes[0], self._pixel_size)
        return axes[0]

    def leave_empty(self, row: int, column: int) -> None:
        for ax in self.axes[2 * row : 2 * row + 2, column]:
            ax.set_axis_off()

    def finish(self, title: str | None = None) -> None:
        """Label what is drawn: axes, channels and the figure."""
        is_vector = self._measurements is not None
        if title is not None:
            self.figure.suptitle(title, fontsize=FONT_SIZE)
        for profiles in self.axes[1::2]:
            if is_vector:
                _label_once(profiles)
        for column in self.axes[1::2].T:
            lowest = [ax for ax in column if ax.axison][-1:]
            for ax in lowest:
                ax.set_xlabel(
                    "percentile" if is_vector else "time (samples)",
                    fontsize=SMALL_FONT_SIZE - 0.5,
                )
        for ax in self.axes[1::2, 0]:
            ax.set_ylabel("" if is_vector else "mV", fontsize=SMALL_FONT_SIZE - 0.5)
        if self._channels:
            self.figure.legend(
                list(self._channels.values()),
                list(self._channels),
                loc="outside lower center",
                ncols=min(len(self._channels), 3 if self.axes.shape[1] < 4 else 6),
                fontsize=SMALL_FONT_SIZE,
                frameon=False,
                handlelength=1.2,
                columnspacing=1.0,
            )
        # Once is not enough: images get another height, and their titles another place.
        self.figure.get_layout_engine().execute(self.figure)


def check_columns(name: str, table: pd.DataFrame) -> None:
    """Raise if a table lacks images or profiles."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"{name} is a {type(table).__name__}; expected a table of particles, a "
            "DataFrame with 'image' and 'profile'."
        )
    missing = [column for column in ("image", "profile") if column not in table]
    if missing:
        raise ValueError(
            f"{name} has no column {missing[0]!r}; got {list(table.columns)}. Expected "
            "a table of particles with 'image' and 'profile'."
        )


def title_label(ax: Any, label: Any, truth: Any, note: str = "", **font: Any) -> None:
    """Write a label above an image: blue if it is right, orange if it is wrong.

    A mark in addition to the color is for color-blind readers. `truth` is None where it
    is not known.
    """
    mark = "" if truth is None else "✓ " if label == truth else "✗ "
    color = "black" if truth is None else BLUE if label == truth else VERMILION
    text = wrapped(f"{mark}{label}", _TITLE_WIDTH) + note
    ax.set_title(text, fontsize=SMALL_FONT_SIZE, color=color, pad=2, **font)
    # Included in matplotlib, and has both marks if the user's font lacks them.
    ax.title.set_fontfamily([*ax.title.get_fontfamily(), "DejaVu Sans"])
    for spine in ax.spines.values():
        spine.set(color=color, linewidth=0.8 if truth is None else 1.4)


def title_prediction(ax: Any, label: Any, truth: Any) -> None:
    """Write a predicted label above an image, with the true one if that differs."""
    is_wrong = truth is not None and label != truth
    note = "\n" + wrapped(f"is {truth}", _TITLE_WIDTH) if is_wrong else ""
    title_label(ax, label, truth, note, fontweight="bold")


def true_label(y_true: Any, row: int) -> Any:
    """A true label, or None where it is not known."""
    if y_true is None:
        return None
    truth = np.asarray(y_true, dtype=object)[row]
    return None if pd.isna(truth) else truth


def _label_once(axes: Any) -> None:
    """Keep the names of the measurements beside the first vector of a row only."""
    for ax in [ax for ax in axes if ax.patches][1:]:
        ax.tick_params(labelleft=False)
