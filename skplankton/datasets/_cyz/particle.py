"""Pulse shapes and image of a particle, as cyz2json writes them."""

from __future__ import annotations

import base64
from reprlib import repr as shown  # short, for values of any length and depth
from typing import Any

import numpy as np

from skplankton._views.images import image_size

IMAGE_FORMATS = ("JPEG", "PNG", "BMP")
WHOLE = (-1, -1, -1, -1)  # no crop


HOW_TO_SKIP = 'Pass errors="warn" to skip what cannot be read.'


class Problem(ValueError):
    """Data of one particle cannot be read; problems are counted by `kind`."""

    def __init__(self, kind: str, what: str):
        super().__init__(what)
        self.kind = kind


def checked_shapes(shapes: Any) -> tuple[str, ...]:
    """Check the form of the pulse shapes; return the channels' descriptions."""
    if not isinstance(shapes, list) or not shapes:
        raise Problem("no pulse shapes", "the particle has no pulseShapes")
    descriptions: list[str] = []
    for i, shape in enumerate(shapes):
        description = shape.get("description") if isinstance(shape, dict) else None
        if not isinstance(description, str):
            raise Problem(
                "no pulse shapes",
                f"pulseShapes[{i}] is not an object with description and values",
            )
        descriptions.append(description)
    return tuple(descriptions)


def samples_of(shapes: list[dict]) -> np.ndarray:
    """Samples of (length, n_channels), float32, of the channels in this order."""
    names = [shape["description"] for shape in shapes]
    values = [shape.get("values") for shape in shapes]
    lengths = [len(v) if isinstance(v, list) else 0 for v in values]
    if not all(lengths):
        empty = names[lengths.index(0)]
        raise Problem("channel without values", f"channel {empty!r} has no values")
    if len(set(lengths)) > 1:
        raise Problem(
            "channels of different lengths",
            f"channels have {dict(zip(names, lengths, strict=True))} values; expected "
            "the same number in each",
        )
    try:
        samples = np.array(values)
    except (ValueError, OverflowError):  # lists among the numbers, huge integers
        samples = np.array(None)
    if samples.ndim != 2 or samples.dtype.kind not in "fiu":
        invalid = _first_invalid(names, values)
        raise Problem("values that are not numbers", f"{invalid}, not a number in mV")
    with np.errstate(over="ignore"):  # overflow gives infinity, reported below
        samples = np.ascontiguousarray(samples.T, dtype="<f4")
    finite = np.isfinite(samples)
    if not finite.all():
        sample, channel = np.argwhere(~finite)[0]
        raise Problem(
            "values that are not finite",
            f"channel {names[channel]!r} has NaN, infinity or a value too large for "
            f"float32, first at sample {sample}",
        )
    return samples


def _first_invalid(names: list[str], values: list[Any]) -> str:
    return next(
        f"channel {name!r} has {shown(value)} at sample {i}"
        for name, samples in zip(names, values, strict=True)
        for i, value in enumerate(samples)
        if type(value) is not float and not is_int64(value)
    )


def is_int64(value: Any) -> bool:
    """Whether it is an integer that fits into int64; True and 1.0 are not."""
    return type(value) is int and abs(value) < 2**63


def decoded_image(encoded: str) -> tuple[bytes, tuple[int, int]]:
    """The encoded image, and its width and height, from its header."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise Problem(
            "base64 that cannot be decoded", f"the image's base64 is invalid ({error})"
        ) from None
    try:
        return content, image_size(content, IMAGE_FORMATS)
    except ValueError:
        raise Problem(
            "image that is not JPEG, PNG or BMP",
            f"the image is not JPEG, PNG or BMP; it begins with {content[:8]!r}",
        ) from None


def crop_of(rectangle: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The crop of an image of this width and height: left, top, width, height.

    cropRectangle {X, Y, Width, Height} is the image's position in the camera's frame.
    An image of the rectangle's size has been cropped already; a larger one is the
    frame. The instrument's library writes all 0 if nothing was cropped.
    """
    if rectangle is None:
        return WHOLE
    numbers = [
        value
        for wanted in ("x", "y", "width", "height")
        for key, value in (rectangle.items() if isinstance(rectangle, dict) else ())
        if key.casefold() == wanted and type(value) is int
    ]
    if len(numbers) != 4:
        raise Problem(
            "crop rectangle of an unknown form",
            f"cropRectangle is {shown(rectangle)}; expected {{X, Y, Width, Height}} in "
            "whole pixels",
        )
    left, top, width, height = numbers
    if (width, height) in (size, (0, 0)):
        return WHOLE
    is_inside = min(left, top) >= 0 and min(width, height) > 0
    if not is_inside or left + width > size[0] or top + height > size[1]:
        raise Problem(
            "crop rectangle that does not fit",
            f"cropRectangle {shown(rectangle)} neither has the image's size, "
            f"{size[0]} × {size[1]} pixels, nor is inside it",
        )
    return left, top, width, height
