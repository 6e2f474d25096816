"""One cell of the particle table → arrays of one size, ready for an encoder.

A cell is a file path, an array, or a stored view (where in a larger file to read). What
cannot be read raises an error that says why; the caller adds the row.
"""

import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from skplankton._stored_views import StoredImage, StoredProfile

# Rec. 601 luma, which Pillow uses for 8-bit images.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Decoded(NamedTuple):
    """What is read from one cell: values of a fixed shape, and the original size."""

    values: np.ndarray
    size: tuple[int, ...]
    channels: tuple[str, ...] | None = None


def decode_image(cell, *, image_size: int, crop_top: int = 0) -> Decoded:
    """Grey image of (1, image_size, image_size) in [0, 1], and its height and width."""
    if isinstance(cell, StoredImage):
        image = _greyscale(cell.open())
    elif _is_path(cell):
        with Image.open(cell) as file:
            image = _greyscale(file)
    else:
        image = _image_of_array(np.asarray(cell))
    width, height = image.size
    if crop_top:
        if crop_top >= height:
            raise ValueError(
                f"the image is {height} pixels high and crop_top={crop_top} leaves "
                "nothing"
            )
        image = image.crop((0, crop_top, width, height))
    scale = 255 if image.mode == "L" else 1
    pixels = fit_to_square(image, image_size) / scale
    # Half precision keeps 8-bit grey values apart, in half the memory.
    return Decoded(pixels[None].astype(np.float16), (height - crop_top, width))


def fit_to_square(image: Image.Image, side: int) -> np.ndarray:
    """Pixels of (side, side): the longer side resized, the shorter filled up.

    It is filled by repeating the edge, half on either side, so that a particle keeps
    its proportions and the background stays background.
    """
    shrink = side / max(image.size)
    width, height = (max(1, round(length * shrink)) for length in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    above, left = (side - height) // 2, (side - width) // 2
    margins = (above, side - height - above), (left, side - width - left)
    return np.pad(np.asarray(image, dtype=np.float32), margins, mode="edge")


def decode_profile(cell, *, profile_length: int) -> Decoded:
    """Log-compressed profile of (n_channels, profile_length), and its length."""
    channels = None
    if isinstance(cell, StoredProfile):
        samples, channels = cell.read(), cell.channels
    elif _is_path(cell):
        samples, channels = _read_profile(cell)
    else:
        samples = np.asarray(cell)
        if samples.dtype.kind not in "fiu":
            raise TypeError(f"a profile must be numeric, got dtype {samples.dtype}")
    if samples.ndim != 2 or 0 in samples.shape:
        raise ValueError(
            "a profile must have the shape (length, n_channels), both at least 1, got "
            f"{samples.shape}"
        )
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is told
        samples = samples.astype(np.float32)
    finite = np.isfinite(samples)
    if not finite.all():
        sample, channel = np.argwhere(~finite)[0]
        raise ValueError(
            "the profile has NaN, infinity or more than float32 holds, first at sample "
            f"{sample}, channel {channel}"
        )
    return Decoded(
        compress_profile(samples, profile_length), samples.shape[:1], channels
    )


def compress_profile(samples: np.ndarray, length: int) -> np.ndarray:
    """Samples of (n, n_channels) → (n_channels, length), resampled, on a log scale.

    Signals in mV span four decades, so they are compressed to sign(x)·log(1 + |x|):
    0 stays "no signal" and a detector's slightly negative noise stays finite.
    """
    # Pillow's triangle filter widens when it shrinks, so short pulses do not alias.
    resampled = Image.fromarray(samples).resize(
        (samples.shape[1], length), Image.Resampling.BILINEAR
    )
    values = np.asarray(resampled).T
    return np.sign(values) * np.log1p(np.abs(values))


def _is_path(cell) -> bool:
    return isinstance(cell, str | os.PathLike)


def _greyscale(file: Image.Image) -> Image.Image:
    """Pillow image in mode "L" (0 to 255) or "F" (0 to 1)."""
    image: Image.Image = file.copy()
    if image.mode in ("L", "F"):
        return _image_of_array(np.asarray(image)) if image.mode == "F" else image
    if image.mode.startswith("I"):  # 16 bits, in Pillow's various spellings
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > np.iinfo(np.uint16).max:
            raise ValueError("the image has more than 16 bits a pixel")
        return _image_of_array(grey.astype(np.uint16))
    if image.mode == "P":  # a palette may hold transparency, which "L" cannot convert
        image = image.convert("RGBA")
    return image.convert("L")


def _image_of_array(pixels: np.ndarray) -> Image.Image:
    is_colour = pixels.ndim == 3 and pixels.shape[2] == 3
    if not (pixels.ndim == 2 or is_colour) or 0 in pixels.shape:
        raise ValueError(
            "an image must have the shape (height, width) or (height, width, 3), both "
            f"at least 1, got {pixels.shape}"
        )
    if pixels.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(pixels)).convert("L")
    if pixels.dtype == np.uint16:
        grey = pixels.astype(np.float32) / np.iinfo(np.uint16).max
    elif pixels.dtype.kind == "f":
        grey = pixels.astype(np.float32)
        low, high = grey.min(), grey.max()
        if not (low >= 0 and high <= 1):  # also true of NaN
            raise ValueError(
                "a float image must lie in [0, 1] without NaN, got values from "
                f"{low:g} to {high:g}"
            )
    else:
        raise TypeError(
            f"an image must be uint8, uint16 or float in [0, 1], got {pixels.dtype}"
        )
    return Image.fromarray(grey @ LUMA if is_colour else grey)


def _read_profile(path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Samples and channel names of a CSV file: a header, then a row a time sample."""
    with open(path, encoding="utf-8-sig") as file:
        header = file.readline().strip()
        channels = tuple(name.strip().strip('"') for name in header.split(","))
        if not header:
            raise ValueError("the profile is empty")
        if all(_is_number(name) for name in channels):
            raise ValueError(f"the first row must name the channels, got {header!r}")
        lines = file.readlines()
    if not any(line.strip() for line in lines):
        raise ValueError("the profile has a header and no samples")
    samples = np.loadtxt(lines, delimiter=",", dtype=np.float32, ndmin=2, comments=None)
    if samples.shape[1] != len(channels):
        raise ValueError(
            f"the header names {len(channels)} channels and the samples have "
            f"{samples.shape[1]}"
        )
    return samples, channels


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
