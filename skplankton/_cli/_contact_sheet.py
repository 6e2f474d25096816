"""Chosen particles → pages with their images and profiles, to look at."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from skplankton._utils.extras import import_extra
from skplankton._views.entries import image_pixels, is_missing, read_profile
from skplankton.evaluation._displays.particle import draw_particle, measurements_of
from skplankton.evaluation._displays.style import wrapped

_COLUMNS, _ROWS = 6, 5
_PER_PAGE = _COLUMNS * _ROWS
# Inches.
_WIDTH, _TOP, _BOTTOM, _SIDE = 9.0, 0.5, 0.4, 0.25
_RANK, _IMAGE, _PROFILE, _CAPTION = 0.16, 1.1, 0.5, 0.36
_DPI = 150
_LINE = 22  # characters


def check_matplotlib() -> None:
    """Raise an ImportError with the command that installs matplotlib."""
    import_extra("matplotlib.figure", "plot", "suggest needs matplotlib for its pages")


def page_names(n_particles: int) -> list[str]:
    """The names of the pages' files."""
    n_pages = math.ceil(n_particles / _PER_PAGE)
    if n_pages == 1:
        return ["contact_sheet.png"]
    return [f"contact_sheet_{page}.png" for page in range(1, n_pages + 1)]


def write_pages(particles: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw the particles, numbered from 1 in their order; return the pages' files."""
    pages = [folder / name for name in page_names(len(particles))]
    for number, page in enumerate(pages):
        figure = _page(particles, number, len(pages))
        figure.savefig(page, dpi=_DPI)
    return pages


def _page(particles: pd.DataFrame, number: int, n_pages: int) -> Any:
    # Not pyplot, which would look for a screen.
    from matplotlib.figure import Figure

    first = number * _PER_PAGE
    shown = particles.iloc[first : first + _PER_PAGE]
    n_rows = math.ceil(len(shown) / _COLUMNS)
    heights = n_rows * [_RANK, _IMAGE, _PROFILE, _CAPTION]
    height = _TOP + sum(heights) + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height), facecolor="white")
    grid = figure.add_gridspec(
        len(heights),
        _COLUMNS,
        height_ratios=heights,
        left=_SIDE / _WIDTH,
        right=1 - _SIDE / _WIDTH,
        top=1 - _TOP / height,
        bottom=_BOTTOM / height,
        hspace=0,
        wspace=0.1,
    )
    channels: dict[str, Any] = {}
    measurements = measurements_of(particles)
    for place, (_, particle) in enumerate(shown.iterrows()):
        row, column = divmod(place, _COLUMNS)
        image, profile = (
            figure.add_subplot(grid[4 * row + part, column]) for part in (1, 2)
        )
        channels |= draw_particle(
            (image, profile), _readable(particle), measurements=measurements
        )
        _finish(image, profile, first + place + 1, particle["object_id"])
    of = f", page {number + 1} of {n_pages}" if n_pages > 1 else ""
    figure.text(
        _SIDE / _WIDTH,
        1 - 0.5 * _TOP / height,
        f"Particles to label, the most useful first{of}",
        fontsize=11,
        va="center",
    )
    if channels:
        figure.legend(
            list(channels.values()),
            list(channels),
            loc="lower center",
            ncols=len(channels),
            fontsize=8,
            frameon=False,
        )
    if measurements is not None:
        figure.text(
            *(0.5, 0.5 * _BOTTOM / height),
            "Bars: each measurement's percentile among these particles",
            ha="center",
            va="center",
            fontsize=8,
        )
    return figure


def _readable(particle: pd.Series) -> pd.Series:
    """The particle, with None for what cannot be read, as embedders treat it."""
    readers: dict[str, Callable] = {"image": image_pixels, "profile": read_profile}
    particle = particle.copy()
    for modality, read in readers.items():
        if not is_missing(particle[modality]):
            try:
                read(particle[modality])
            except (OSError, TypeError, ValueError):
                particle[modality] = None
    return particle


def _finish(image: Any, profile: Any, rank: int, object_id: str) -> None:
    # Frames of one size, whatever the shape of the image.
    image.set_adjustable("datalim")
    for ax in (image, profile):
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set(color="0.75", linewidth=0.6)
    image.set_title(str(rank), loc="left", fontsize=9, fontweight="bold", pad=2)
    profile.text(
        *(0.5, -0.08),
        _caption(object_id),
        transform=profile.transAxes,
        ha="center",
        va="top",
        fontsize=6,
        color="0.25",
        parse_math=False,  # a "$" is one
    )


def _caption(object_id: str) -> str:
    """The id in two lines at most; of a longer one, both ends."""
    lines = wrapped(object_id, _LINE).split("\n")
    if len(lines) > 2 or len(max(lines, key=len)) > _LINE:
        lines = [f"{object_id[: _LINE - 1]}…", object_id[_LINE - 1 :][-_LINE:]]
    return "\n".join(lines)
