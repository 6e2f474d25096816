"""One particle: its image above, its profile below."""

from typing import Any

import pandas as pd

from skplankton._views.entries import image_pixels, is_missing, read_profile
from skplankton.evaluation._displays.style import COLORS, SMALL_FONT_SIZE

_PROFILE_COLORS = ("#000000", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_FLOOR_MV = 1.0  # a log scale has no 0


def draw_particle(
    axes: Any, particle: pd.Series, channel_names: Any = None
) -> dict[str, Any]:
    """Draw on two axes, image and profile; return the profile's lines by channel."""
    image_axis, profile_axis = axes
    image_axis.set_xticks([])
    image_axis.set_yticks([])
    if is_missing(particle["image"]):
        _write(image_axis, "no image")
    else:
        image_axis.imshow(image_pixels(particle["image"]), cmap="gray")
    profile_axis.tick_params(labelsize=SMALL_FONT_SIZE - 1.5, length=2, pad=1)
    if is_missing(particle["profile"]):
        profile_axis.set_xticks([])
        profile_axis.set_yticks([])
        _write(profile_axis, "no profile")
        return {}
    profile = _read_profile(particle["profile"], channel_names)
    profile_axis.set_prop_cycle(color=_colors(profile.shape[1]))
    lines = profile_axis.semilogy(profile.clip(lower=_FLOOR_MV), linewidth=0.7)
    profile_axis.minorticks_off()
    return dict(zip(profile.columns, lines, strict=True))


def _colors(n_channels: int) -> tuple[str, ...]:
    return _PROFILE_COLORS if n_channels <= len(_PROFILE_COLORS) else COLORS


def _read_profile(profile: Any, channel_names) -> pd.DataFrame:
    samples, channels = read_profile(profile)
    numbered = [f"channel {n}" for n in range(1, samples.shape[1] + 1)]
    names = next(n for n in (channels, channel_names, numbered) if n is not None)
    return pd.DataFrame(samples, columns=list(names))


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
