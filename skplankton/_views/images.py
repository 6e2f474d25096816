"""Read image files, within limits of format and size; encode arrays as PNG."""

import io
from typing import IO

import numpy as np

# Each of these modules registers its format with Pillow, in Image.OPEN.
from PIL import (  # noqa: F401
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from skplankton._utils.reports import shortened
from skplankton._views.contents import Source, open_source

# Not all formats of Pillow: for an EPS it starts Ghostscript, another program.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM", "WEBP")
# 33 megapixels, more than any camera frame of an instrument. Decoding takes from 4
# bytes per pixel (gray) to 22 (transparent), 0.7 GB at most, and a PNG of 344 kB can
# have 9400 × 9400 pixels.
MAX_PIXELS = 2**25
_PREFIX_LENGTH = 16  # bytes by which Pillow's readers recognize their formats


def read_image(source: Source) -> Image.Image:
    """The first image in a file, by its path, URL or bytes, decoded.

    Invalid content raises a ValueError; what cannot be opened, an OSError.
    """
    with open_source(source) as content:
        image = _parsed(content, FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(
                f"the image has {width} × {height} pixels, and at most "
                f"{MAX_PIXELS / 1e6:.1f} million are decoded. Cut the particle out, or "
                "scale the image down"
            )
        try:
            image.load()
        except Exception as error:  # Pillow raises many kinds at invalid pixels
            raise ValueError(
                f"the {image.format} image is corrupt or truncated "
                f"({shortened(repr(error))})"
            ) from error
    return image


def image_size(content: bytes, formats: tuple[str, ...]) -> tuple[int, int]:
    """Width and height of an image, from its header alone."""
    return _parsed(io.BytesIO(content), formats).size


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Pixels of uint8, rounded if they are floats in [0, 1]."""
    if pixels.dtype == np.uint8:
        return pixels
    return np.round(pixels * np.iinfo(np.uint8).max).astype(np.uint8)


def png_bytes(pixels: np.ndarray) -> bytes:
    """A PNG file, without loss, of uint8 pixels or gray uint16 ones.

    Gray floats in [0, 1] are rounded to 16 bits.
    """
    if pixels.dtype.kind == "f":
        full_scale = np.iinfo(np.uint16).max
        pixels = np.round(pixels.astype(np.float64) * full_scale).astype(np.uint16)
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "PNG")
    return content.getvalue()


def _parsed(file: IO[bytes], formats: tuple[str, ...]) -> Image.Image:
    # Image.open would warn of sizes that are an error here, in all threads.
    prefix = file.read(_PREFIX_LENGTH)
    for name in formats:
        reader, accepts = Image.OPEN[name]
        try:
            accepted = accepts is None or accepts(prefix)
        except IndexError:  # older Pillows look beyond the end of a tiny file
            continue
        if isinstance(accepted, str):  # Pillow was built without this format
            raise ValueError(accepted)
        if accepted:
            file.seek(0)
            try:
                return reader(file, "")
            except Exception as error:  # Pillow raises many kinds at invalid headers
                raise ValueError(
                    f"the {name} image is corrupt or truncated "
                    f"({shortened(repr(error))})"
                ) from error
    if not prefix:
        raise ValueError("the file is empty. Copy it again")
    raise ValueError(
        f"it is not an image in a supported format, {', '.join(formats)}; it begins "
        f"with {prefix[:8]!r}. Convert it to one of them"
    )
