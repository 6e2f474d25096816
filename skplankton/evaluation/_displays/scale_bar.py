"""A scale bar below the image of a particle."""

from typing import Any

import numpy as np

from skplankton.evaluation._displays.style import SMALL_FONT_SIZE

_LONGEST = 0.45  # of the image's width
_BELOW, _GAP = 3.5, 2.5  # points, from the image and from the bar to its length


def draw_scale_bar(ax: Any, pixel_size: float | None = None) -> None:
    """Draw a bar of a round length in µm below an image, where it hides nothing.

    It is in pixels if it is not known how many µm `pixel_size` is.
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import offset_copy

    unit, size = ("pixels", 1.0) if pixel_size is None else ("µm", pixel_size)
    left, right = sorted(ax.get_xlim())
    length = round_length(_LONGEST * (right - left) * size)
    end = left + length / size
    below = offset_copy(ax.get_xaxis_transform(), ax.figure, y=-_BELOW, units="points")
    bar = Line2D([left, end], [0, 0], color="black", linewidth=1.4, transform=below)
    bar.set(solid_capstyle="butt", clip_on=False)
    ax.add_artist(bar)  # unlike plot, it leaves the limits as they are
    ax.annotate(
        f"{length:g} {unit}",
        (end, 0),
        xycoords=below,
        xytext=(_GAP, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL_FONT_SIZE - 1,
    )


def round_length(longest: float) -> float:
    """The greatest of …, 1, 2, 5, 10, 20, … that is not above `longest`."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(next(step * power for step in (5, 2, 1) if step * power <= longest))
