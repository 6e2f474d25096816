"""Arrays as PNG files, without loss.

Pillow writes no 16-bit colour images; the part of the format needed here is small.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR = 0, 2  # colour types of the header
_UP = 2  # row filter: each byte minus the one above, which compresses better


def png_bytes(image: np.ndarray) -> bytes:
    """Encode an image as PNG.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, 3)
        uint8 or uint16, kept as they are; or float in [0, 1], rounded to 16 bits.

    Returns
    -------
    bytes
        The file's content.
    """
    if image.dtype.kind == "f":
        full_scale = np.iinfo(np.uint16).max
        image = np.round(image.astype(np.float64) * full_scale).astype(np.uint16)
    height, width = image.shape[:2]
    # PNG stores 16-bit numbers big end first.
    rows = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder(">"))
    rows = rows.view(np.uint8).reshape(height, -1)
    filtered = np.full((height, rows.shape[1] + 1), _UP, dtype=np.uint8)
    filtered[0, 1:] = rows[0]  # above the first row, zeros are meant
    filtered[1:, 1:] = rows[1:] - rows[:-1]  # modulo 256, as uint8 does
    header = struct.pack(
        ">IIBBBBB",
        width,
        height,
        8 * image.dtype.itemsize,
        _COLOUR if image.ndim == 3 else _GREY,
        0,  # the only compression method
        0,  # the only filter method
        0,  # not interlaced
    )
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(filtered.tobytes())),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    )
