"""One image cell → a file that EcoTaxa takes."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from .._stored_views import StoredImage
from ..datasets._png import png_bytes

# EcoTaxa takes PNG, JPEG and GIF; GIF is left out, as it may hold many images.
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}


def is_path(cell: Any) -> bool:
    """Whether a cell names a file."""
    return isinstance(cell, str | os.PathLike)


def image_file(cell: Any) -> tuple[str, bytes]:
    """The file's suffix and content.

    JPEG and PNG files are left as they are. All else becomes PNG, with 8 bits: EcoTaxa
    and browsers show no more, and EcoTaxa's small images of 16 bits are white.
    """
    if isinstance(cell, np.ndarray):
        return SUFFIXES["PNG"], png_bytes(_eight_bits(cell))
    if isinstance(cell, StoredImage):
        if cell.crop is not None:
            return SUFFIXES["PNG"], _as_png(cell.open())
        content = cell.read_bytes()
    elif is_path(cell):
        with open(cell, "rb") as file:
            content = file.read()
    else:
        raise TypeError(
            f"expected an array, the path of a file or a stored image, got "
            f"{type(cell).__name__}"
        )
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.format in SUFFIXES and image.mode[0] not in "IF":
                return SUFFIXES[image.format], content
            return SUFFIXES["PNG"], _as_png(image)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"{cell} is no image that can be read ({error})") from None


def _as_png(image: Image.Image) -> bytes:
    if image.mode[0] == "I":  # 16 bits, in Pillow's various spellings
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
            raise ValueError("the image has more than 16 bits a pixel")
        pixels = _eight_bits(pixels.astype(np.uint16))
    elif image.mode == "F":
        pixels = _eight_bits(np.asarray(image))
    else:
        # Palettes and transparency are not for all that EcoTaxa does with an image.
        mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
        pixels = np.asarray(image.convert(mode))
    return png_bytes(pixels)


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    if (
        pixels.ndim not in (2, 3)
        or pixels.shape[2:] not in ((), (3,))
        or not pixels.size
    ):
        raise ValueError(
            "expected an image of shape (height, width) or (height, width, 3), got "
            f"{pixels.shape}"
        )
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        pixels = pixels / np.iinfo(np.uint16).max
    elif pixels.dtype.kind != "f":
        raise TypeError(f"expected uint8, uint16 or float values, got {pixels.dtype}")
    # So written, NaN is refused as well.
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(
            f"expected float values in [0, 1], got values from {pixels.min()} to "
            f"{pixels.max()}"
        )
    return np.round(pixels * np.iinfo(np.uint8).max).astype(np.uint8)
