"""One image cell → a file that EcoTaxa takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from skplankton._views.cells import image_pixels, is_path
from skplankton._views.images import png_bytes, read_image
from skplankton._views.stored import StoredImage

# EcoTaxa takes PNG, JPEG and GIF; GIF is left out, as it may hold many images.
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}


def image_file(cell: Any) -> tuple[str, bytes]:
    """The file's suffix and content.

    JPEG and PNG files are left as they are. All else becomes PNG, with 8 bits and no
    transparency: EcoTaxa and browsers show no more, and EcoTaxa's small images of 16
    bits are white.
    """
    content = None
    if isinstance(cell, StoredImage) and cell.crop is None:
        content = cell.read_bytes()
    elif is_path(cell):
        with open(cell, "rb") as file:
            content = file.read()
    if content is not None:
        cell = read_image(content)
        is_plain = cell.mode[0] not in "IF" and not cell.has_transparency_data
        if cell.format in SUFFIXES and is_plain:
            return SUFFIXES[cell.format], content
    pixels = image_pixels(cell)
    if pixels.dtype != np.uint8:
        pixels = np.round(pixels * np.iinfo(np.uint8).max).astype(np.uint8)
    return SUFFIXES["PNG"], png_bytes(pixels)
