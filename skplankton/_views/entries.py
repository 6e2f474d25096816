"""Read the entries of a particle table, of every kind: pixels or samples.

An entry is missing, the path, URL or bytes of a file, an array or nested list, or a
stored image or profile (a position in a larger file). A profile of one dimension is a
vector of measurements, of which some may be missing. An entry that cannot be read
raises an error with the reason; the caller adds the row.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from skplankton._utils.reports import handled_type, shortened
from skplankton._views.contents import (
    Source,
    is_missing,
    is_path,
    is_url,
    open_source,
    place_of,
    source_of,
)
from skplankton._views.images import read_image
from skplankton._views.stored import StoredImage, StoredPixels, StoredProfile

STORED = (StoredImage, StoredPixels, StoredProfile)
_GRAY_MODES = ("1", "L", "LA", "La")
_DEEPEST = np.iinfo(np.uint16).max
_SHOWN = 60  # characters of a line, in an error


class Profile(NamedTuple):
    """Samples of (length, n_channels), finite float32, and the channel names.

    Or the measurements of a vector, (n_measurements,), float32 with NaN, and their
    names.
    """

    samples: np.ndarray
    channels: tuple[str, ...] | None


def entry_name(entry: Any) -> str:
    """What messages call an entry: ' ' and its place in quotes; '' if it has none.

    Never its content, which may be long, or bytes.
    """
    place = place_of(entry)
    is_number = isinstance(place, int | float | np.number)
    if is_path(place) or is_url(place) or is_number or isinstance(place, STORED):
        return f" {shortened(str(place))!r}"
    return ""


@contextmanager
def located_errors(where: str) -> Iterator[None]:
    """Add where an entry is to the message of an error in reading it."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        raise handled_type(error)(f"{where}: {error}.") from error


def image_pixels(entry: Any) -> np.ndarray:
    """Pixels of (height, width) or (height, width, 3): uint8, or float32 in [0, 1].

    Images of 8 bits are uint8, deeper ones float32. Transparent pixels of a file are
    blended with white, as in the bright field of a microscope.
    """
    if isinstance(entry, StoredPixels):
        return entry.read()
    if isinstance(entry, StoredImage):
        entry = entry.open()
    elif (source := source_of(entry)) is not None:
        entry = read_image(source)
    if isinstance(entry, Image.Image):
        return _checked_pixels(_pixels_of(entry))
    return _checked_pixels(_array_of(entry, "image"))


def _pixels_of(image: Image.Image) -> np.ndarray:
    """Pixels of a Pillow image of any mode, in its own depth."""
    if image.mode.startswith("I"):  # 16 bits, in Pillow's various spellings
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > _DEEPEST:
            raise ValueError("the image has more than 16 bits per pixel")
        pixels = pixels.astype(np.uint16)
        if "transparency" in image.info:
            pixels[pixels == image.info["transparency"]] = _DEEPEST
        return pixels
    if image.mode == "F":
        return np.asarray(image)
    mode = "L" if image.mode in _GRAY_MODES else "RGB"
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert(mode))


def _checked_pixels(pixels: np.ndarray) -> np.ndarray:
    is_color = pixels.ndim == 3 and pixels.shape[2] == 3
    if not (pixels.ndim == 2 or is_color) or 0 in pixels.shape:
        raise ValueError(
            "an image must have the shape (height, width) or (height, width, 3), both "
            f"at least 1, got {pixels.shape}"
        )
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return pixels.astype(np.float32) / _DEEPEST
    if pixels.dtype.kind != "f":
        raise TypeError(
            f"an image must be uint8, uint16 or float in [0, 1], got {pixels.dtype}. "
            "If its values are of 8 bits, convert it by numpy.asarray(image, 'uint8')"
        )
    with np.errstate(over="ignore"):  # overflow becomes infinite: an error below
        pixels = pixels.astype(np.float32)
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 1):  # also true of NaN
        raise ValueError(
            "a float image must lie in [0, 1] without NaN, got values from "
            f"{low:g} to {high:g}"
        )
    return pixels


def read_profile(entry: Any) -> Profile:
    """The profile of an entry, checked."""
    channels = None
    if isinstance(entry, StoredProfile):
        samples, channels = entry.read(), entry.channels
    elif (source := source_of(entry)) is not None:
        samples, channels = _read_csv(source)
    else:
        samples = _array_of(entry, "profile")
        if samples.dtype == object:  # None and NA among numbers
            numbers = [np.nan if is_missing(v) else v for v in samples.flat]
            samples = np.array(numbers).reshape(samples.shape)
        if samples.dtype.kind not in "fiu":
            raise TypeError(f"a profile must be numeric, got dtype {samples.dtype}")
        if isinstance(entry, pd.Series) and not isinstance(entry.index, pd.RangeIndex):
            channels = tuple(map(str, entry.index))
    if samples.ndim not in (1, 2) or 0 in samples.shape:
        raise ValueError(
            "a profile must have the shape (length, n_channels), or that of a vector "
            f"of measurements, (n_measurements,), all at least 1, got {samples.shape}"
        )
    with np.errstate(over="ignore"):  # overflow becomes infinite: an error below
        samples = samples.astype(np.float32)
    if samples.ndim == 1:
        _check_vector(samples, channels)
        return Profile(samples, channels)
    finite = np.isfinite(samples)
    if not finite.all():
        sample, channel = np.argwhere(~finite)[0]
        raise ValueError(
            "the profile has NaN, infinity or a value too large for float32, first at "
            f"sample {sample}, channel {channel}"
        )
    return Profile(samples, channels)


def _check_vector(measurements: np.ndarray, names: tuple[str, ...] | None) -> None:
    infinite = np.flatnonzero(np.isinf(measurements))
    if len(infinite):
        first = infinite[0]
        name = f" ({names[first]!r})" if names else ""
        raise ValueError(
            "the vector of measurements has infinity or a value too large for float32, "
            f"first at measurement {first}{name}. A missing measurement is NaN"
        )
    if np.isnan(measurements).all():
        raise ValueError(
            f"all {len(measurements)} measurements are missing. Use None for a "
            "particle without them"
        )


def _array_of(entry: Any, modality: str) -> np.ndarray:
    try:
        array = np.asarray(entry)
        if array.dtype == object and array.size and np.ndim(array.flat[0]):
            # Of a nested column of Parquet: an array of arrays.
            array = np.stack([_array_of(part, modality) for part in array])
    except ValueError as error:
        raise ValueError(
            f"the parts of a nested {modality} must have one length ({error})"
        ) from error
    if not array.ndim:
        raise TypeError(
            f"expected an array, the path of a file or a stored {modality}, got "
            f"{type(entry).__name__}"
        )
    return array


def _read_csv(source: Source) -> tuple[np.ndarray, tuple[str, ...]]:
    """Samples and channel names of a CSV file: a header, one row per time sample."""
    try:
        with io.TextIOWrapper(open_source(source), encoding="utf-8-sig") as file:
            header, lines = file.readline().strip(), file.readlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"the profile is not UTF-8 text ({error}). Save it as a CSV file in UTF-8"
        ) from error
    if not header:
        raise ValueError("the profile is empty")
    channels = tuple(name.strip().strip('"') for name in header.split(","))
    if all(_is_number(name) for name in channels):
        shown = shortened(header)
        raise ValueError(f"the first row must hold the channel names, got {shown!r}")
    _check_channel_names(channels)
    if not any(line.strip() for line in lines):
        raise ValueError("the profile has a header and no samples")
    try:
        samples = np.loadtxt(lines, np.float32, delimiter=",", ndmin=2, comments=None)
    except ValueError as error:
        invalid = _first_invalid_line(header, lines, len(channels))
        message = invalid or shortened(str(error))
        raise ValueError(message) from error
    if samples.shape[1] != len(channels):
        raise ValueError(_first_invalid_line(header, lines, len(channels)))
    return samples, channels


def _check_channel_names(channels: tuple[str, ...]) -> None:
    if "" in channels:
        raise ValueError(
            f"column {channels.index('') + 1} has no name. If it numbers the rows, "
            "save the profile with pandas' to_csv(path, index=False); if it is empty, "
            "remove it"
        )
    if len(set(channels)) < len(channels):
        twice = next(name for name in channels if channels.count(name) > 1)
        raise ValueError(
            f"the channel {shortened(twice)!r} occurs twice. Rename or remove one of "
            "its columns"
        )


def _first_invalid_line(header: str, lines: list[str], n_channels: int) -> str | None:
    """Describe the first invalid line of samples."""
    for number, line in enumerate(lines, start=2):
        values = line.rstrip("\n").split(",")
        invalid = [value for value in values if not _is_number(value)]
        if line == "\n" or (len(values) == n_channels and not invalid):
            continue
        if len(values) != n_channels:
            fault = (
                f"line {number} has {len(values)} values, {line.strip()[:_SHOWN]!r}, "
                f"and the header has {n_channels} channels, {header[:_SHOWN]!r}"
            )
        else:
            fault = f"line {number} has {invalid[0][:_SHOWN]!r}, which is not a number"
        for separator in ";\t":
            if separator in header + line:
                return (
                    f"{fault}. Columns must be separated by commas, and here they seem "
                    f"to be by {separator!r}: rewrite the file, with pandas.read_csv("
                    f"path, sep={separator!r}, decimal=',').to_csv(path, index=False) "
                    "if it has decimal commas as well"
                )
        if n_channels < len(values) <= 2 * n_channels and "." not in line:
            fault += ". If these are decimal commas, save it with decimal points"
        return fault
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text  # valid in Python, not in numpy
