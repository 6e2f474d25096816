"""Decode one entry of a particle table into an array for an encoder."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from skplankton._views.entries import image_pixels, read_profile

# Rec. 601 luma, which Pillow uses for 8-bit images.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Decoded(NamedTuple):
    """The contents of one entry: values of a fixed shape, and the original size.

    A vector of measurements has no size, ().
    """

    values: np.ndarray
    size: tuple[int, ...]
    channels: tuple[str, ...] | None = None


def decode_image(
    entry, *, image_size: int, crop_top: int = 0, crop_bottom: int = 0
) -> Decoded:
    """Gray image of (1, image_size, image_size) in [0, 1], and its height and width."""
    pixels = cropped_pixels(entry, crop_top, crop_bottom)
    size = pixels.shape[:2]
    if pixels.dtype == np.uint8:
        gray = Image.fromarray(np.ascontiguousarray(pixels)).convert("L")
        # Half precision distinguishes 8-bit gray values, in half the memory.
        values = (fit_to_square(gray, image_size) / 255).astype(np.float16)
    else:
        gray = Image.fromarray(pixels @ LUMA if pixels.ndim == 3 else pixels)
        values = fit_to_square(gray, image_size)
    return Decoded(values[None], size)


def cropped_pixels(entry, crop_top: int, crop_bottom: int) -> np.ndarray:
    """Pixels of an image, as `image_pixels` returns them, without some rows."""
    pixels = image_pixels(entry)
    if crop_top + crop_bottom >= len(pixels):
        cropped = {"crop_top": crop_top, "crop_bottom": crop_bottom}
        names = " and ".join(f"{name}={n}" for name, n in cropped.items() if n)
        raise ValueError(
            f"the image is {len(pixels)} pixels high and {names} leaves nothing"
        )
    return pixels[crop_top : len(pixels) - crop_bottom]


def fit_to_square(image: Image.Image, side: int) -> np.ndarray:
    """Pixels of (side, side): the longer side resized, the shorter padded.

    The padding repeats the edge, half on either side, so that a particle keeps its
    proportions and the background stays background.
    """
    shrink = side / max(image.size)
    width, height = (max(1, round(length * shrink)) for length in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    above, left = (side - height) // 2, (side - width) // 2
    margins = (above, side - height - above), (left, side - width - left)
    return np.pad(np.asarray(image, dtype=np.float32), margins, mode="edge")


def decode_profile(entry, *, profile_length: int) -> Decoded:
    """Log-compressed profile of (n_channels, profile_length), and its length.

    A vector of measurements is returned as it is.
    """
    samples, channels = read_profile(entry)
    if samples.ndim == 1:
        return Decoded(samples, (), channels)
    values = compress_profile(samples, profile_length)
    return Decoded(values, samples.shape[:1], channels)


def compress_profile(samples: np.ndarray, length: int) -> np.ndarray:
    """Resample (n, n_channels) samples to (n_channels, length), on a log scale.

    Signals in mV span four decades, so they are compressed to sign(x)·log(1 + |x|):
    0 stays "no signal" and a detector's slightly negative noise stays finite.
    """
    # Pillow's triangle filter widens when shrinking: short pulses do not alias.
    resampled = Image.fromarray(samples).resize(
        (samples.shape[1], length), Image.Resampling.BILINEAR
    )
    values = np.asarray(resampled).T
    return np.sign(values) * np.log1p(np.abs(values))
