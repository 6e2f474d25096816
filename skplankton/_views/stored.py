"""Entries that refer to an image or profile inside a larger file, read on demand."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from skplankton._views.images import read_image


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An encoded image (JPEG, PNG or BMP): `n_bytes` of a file, from `offset`.

    `crop` is the part that shows the particle, (left, top, width, height) in pixels,
    if the image is a whole camera frame. `origin` identifies the particle in messages.
    """

    path: str
    offset: int
    n_bytes: int
    origin: str
    crop: tuple[int, int, int, int] | None = None

    def read_bytes(self) -> bytes:
        """The whole encoded image."""
        return _read_bytes(self.path, self.offset, self.n_bytes)

    def open(self) -> Image.Image:
        """The image, decoded and cut to its crop."""
        image = read_image(self.read_bytes())
        if self.crop is None:
            return image
        left, top, width, height = self.crop
        return image.crop((left, top, left + width, top + height))

    def __str__(self) -> str:
        return self.origin


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """Gray pixels of `shape` (height, width), 8 bits each, in a file from `offset`."""

    path: str
    offset: int
    shape: tuple[int, int]
    origin: str

    def read(self) -> np.ndarray:
        """Pixels of (height, width), uint8."""
        height, width = self.shape
        data = _read_bytes(self.path, self.offset, height * width)
        return np.frombuffer(data, dtype=np.uint8).reshape(self.shape)

    def __str__(self) -> str:
        return self.origin


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """Samples of `shape` (length, n_channels), float32, in a file from `offset`."""

    path: str
    offset: int
    shape: tuple[int, int]
    channels: tuple[str, ...]
    origin: str

    def read(self) -> np.ndarray:
        """Samples of (length, n_channels)."""
        length, n_channels = self.shape
        n_bytes = length * n_channels * np.dtype("<f4").itemsize
        data = _read_bytes(self.path, self.offset, n_bytes)
        return np.frombuffer(data, dtype="<f4").reshape(self.shape)

    def __str__(self) -> str:
        return self.origin


def _read_bytes(path: str, offset: int, n_bytes: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(n_bytes)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the file '{path}' of images or profiles no longer exists: it was moved, "
            "or its cache folder was removed, or was a temporary one of another "
            "process. Load the table again, with cache=… in a folder that is kept if "
            "the loader has it"
        ) from None
    if len(data) != n_bytes:
        raise ValueError(
            f"'{path}' ends before byte {offset + n_bytes}: it has changed since it "
            "was written"
        )
    return data
