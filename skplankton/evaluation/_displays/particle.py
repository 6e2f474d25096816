"""One particle: its image above, its profile below."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from skplankton._views.entries import Profile, image_pixels, is_missing, read_profile
from skplankton.evaluation._displays.style import BLUE, COLORS, SMALL_FONT_SIZE

_PROFILE_COLORS = ("#000000", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_FLOOR_MV = 1.0  # a log scale has no 0
_TICK_FONT_SIZE = SMALL_FONT_SIZE - 1


def measurements_of(*tables: pd.DataFrame) -> np.ndarray | None:
    """All readable vectors of measurements in some tables, (n, n_measurements).

    None if there are none: profiles are sequences, then.
    """
    vectors = []
    for table in tables:
        for entry in table["profile"]:
            with suppress(TypeError, ValueError):
                if np.ndim(entry) == 1:
                    samples = read_profile(entry).samples
                    vectors += [samples] if samples.ndim == 1 else []  # else nested
    return np.stack(vectors) if vectors else None


def draw_particle(
    axes: Any,
    particle: pd.Series,
    channel_names: Any = None,
    measurements: np.ndarray | None = None,
) -> dict[str, Any]:
    """Draw on two axes, image and profile; return the profile's lines by channel.

    A vector has a bar for each measurement, its percentile among `measurements`, those
    of many particles: the measurements have no unit in common. It has no lines.
    """
    image_axis, profile_axis = axes
    image_axis.set_xticks([])
    image_axis.set_yticks([])
    if is_missing(particle["image"]):
        _write(image_axis, "no image")
    else:
        image_axis.imshow(image_pixels(particle["image"]), cmap="gray")
    profile_axis.tick_params(labelsize=_TICK_FONT_SIZE, length=2, pad=1)
    if is_missing(particle["profile"]):
        profile_axis.set_xticks([])
        profile_axis.set_yticks([])
        _write(profile_axis, "no profile")
        return {}
    profile = read_profile(particle["profile"])
    if measurements is not None:
        _draw_bars(profile_axis, profile, channel_names, measurements)
        return {}
    return _draw_lines(profile_axis, profile, channel_names)


def _draw_lines(ax: Any, profile: Profile, channel_names: Any) -> dict[str, Any]:
    n_channels = profile.samples.shape[1]
    numbered = [f"channel {n}" for n in range(1, n_channels + 1)]
    names = _names(profile, channel_names, numbered)
    ax.set_prop_cycle(color=_colors(n_channels))
    lines = ax.semilogy(profile.samples.clip(min=_FLOOR_MV), linewidth=0.7)
    ax.minorticks_off()
    return dict(zip(names, lines, strict=True))


def _draw_bars(
    ax: Any, profile: Profile, channel_names: Any, measurements: np.ndarray
) -> None:
    vector = profile.samples
    names = _names(profile, channel_names, [str(n) for n in range(len(vector))])
    places = np.arange(len(vector))
    widths = np.nan_to_num(percentiles(vector, measurements))
    ax.barh(places, widths, height=0.7, color=BLUE)
    for place in places[np.isnan(vector)]:
        ax.text(
            2, place, "missing", va="center", fontsize=_TICK_FONT_SIZE - 1, color="0.4"
        )
    ax.set_xlim(0, 100)
    ax.set_ylim(len(vector) - 0.5, -0.5)  # the first on top
    ax.set_xticks([0, 50, 100])
    ax.set_yticks(places, names)


def percentiles(vector: np.ndarray, measurements: np.ndarray) -> np.ndarray:
    """The share in % of the particles with a lower value, and half of those equal.

    NaN where the value is missing.
    """
    n_known = (~np.isnan(measurements)).sum(axis=0)
    lower = (measurements < vector).sum(axis=0)
    equal = (measurements == vector).sum(axis=0)
    shares = 100 * (lower + equal / 2) / np.maximum(n_known, 1)
    return np.where(np.isnan(vector), np.nan, shares)


def _names(profile: Profile, given: Any, numbered: Sequence[str]) -> list[str]:
    names = next(n for n in (profile.channels, given, numbered) if n is not None)
    if len(names) != len(numbered):
        raise ValueError(
            f"channel_names has {len(names)} names, {list(names)}; expected "
            f"{len(numbered)}, one for each channel or measurement of a profile."
        )
    return list(names)


def _colors(n_channels: int) -> tuple[str, ...]:
    return _PROFILE_COLORS if n_channels <= len(_PROFILE_COLORS) else COLORS


def _write(ax: Any, text: str) -> None:
    ax.text(
        *(0.5, 0.5),
        text,
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=SMALL_FONT_SIZE,
        color="0.4",
    )
