"""Suspect a scale bar that is burned into the images of an instrument."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

HIGHEST, WIDEST = 48, 100  # pixels of the corners in which a bar is looked for
SHORTEST = 8  # pixels of a bar
DARKEST = 0.5  # of the images' median gray value
TOLERANCE = 4  # gray values, of 255: lossy compression changes a drawn pixel
SHARE = 0.9  # of the images have the same dark pixel
FEWEST = 5  # images, of which so many do not agree by chance


class ScaleBar(NamedTuple):
    """Which side of the images it is on, and how many rows of them it takes."""

    side: str
    n_rows: int


def find_scale_bar(images: Iterable[np.ndarray]) -> ScaleBar | None:
    """The dark pixels in a row that nearly all images share, wherever the particle is.

    Parameters
    ----------
    images : iterable of ndarray of shape (height, width) or (height, width, 3)
        Pixels from 0 to 255, or as floats from 0 to 1.

    Returns
    -------
    ScaleBar or None
        None if there is no bar, or if there are too few images to tell.
    """
    gray = [_gray(image) for image in images]
    if len(gray) < FEWEST:
        return None
    dark = DARKEST * float(np.median([np.median(image) for image in gray]))
    found = [
        ScaleBar(side, n_rows)
        for side, turn in (("top", slice(None)), ("bottom", slice(None, None, -1)))
        for place in ("left", "center", "right")
        if (n_rows := _n_rows([image[turn] for image in gray], place, dark))
    ]
    return max(found, key=lambda bar: bar.n_rows, default=None)


def _n_rows(images: list[np.ndarray], place: str, dark: float) -> int:
    """Rows from the top to the last one of the bar; 0 without a bar."""
    windows = np.full((len(images), HIGHEST, WIDEST), np.nan, dtype=np.float32)
    for window, image in zip(windows, images, strict=True):
        # At most half of the image: what is further away is the particle's place.
        height = min(HIGHEST, len(image) // 2)
        width = min(WIDEST, image.shape[1])
        start = {
            "left": 0,
            "center": (image.shape[1] - width) // 2,
            "right": image.shape[1] - width,
        }[place]
        column = {"left": 0, "center": (WIDEST - width) // 2, "right": WIDEST - width}
        columns = slice(column[place], column[place] + width)
        window[:height, columns] = image[:height, start : start + width]
    n_images = np.isfinite(windows).sum(axis=0)
    in_most = n_images >= max(FEWEST, SHARE * len(images))
    values = np.where(in_most, windows, 0.0)
    center = np.nanmedian(values, axis=0)
    agree = (np.abs(values - center) <= TOLERANCE).sum(axis=0) >= SHARE * n_images
    drawn = in_most & agree & (center < dark)
    if drawn.sum(axis=1).max() < SHORTEST:
        return 0
    last = int(np.flatnonzero(drawn.any(axis=1))[-1])
    # The rest of the strip that a program has added for it: the same in all images.
    n_same, n_known = (agree & in_most).sum(axis=1), in_most.sum(axis=1)
    is_strip = (n_known > 0) & (n_same >= SHARE * n_known)
    is_strip[: last + 1] = True
    return int(np.argmin(is_strip)) if not is_strip.all() else len(is_strip)


def _gray(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image, dtype=np.float32) * (
        255 if image.dtype.kind == "f" else 1
    )
    return image.mean(axis=2) if image.ndim == 3 else image
