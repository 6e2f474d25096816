"""Write particles as a file of cyz2json."""

from __future__ import annotations

import base64
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from PIL import Image

from skplankton._utils.files import check_free, unfinished
from skplankton._views.entries import (
    image_pixels,
    is_missing,
    located_errors,
    read_profile,
)
from skplankton.datasets._cyz.measurement import UL_PER_ML
from skplankton.datasets._samples.table import utc_time
from skplankton.datasets._table import check_particles

IMAGE_FORMATS = ("png", "jpeg", "bmp")
# Instruments' spellings of the six channels of make_particles.
DESCRIPTIONS = (
    "FWS",
    "Sidewards Scatter",
    "Fl Yellow",
    "Fl Orange",
    "Fl Red",
    "Curvature",
)
_JPEG_QUALITY = 95  # as in cyz2json
# Columns of the table of samples -> members of the file, in its units.
_MEMBERS: dict[Any, Callable[[Any], dict[str, Any]]] = {
    "instrument": lambda value: {"instrument": str(value)},
    "start": lambda value: {"start": utc_time(value).isoformat()},
    "duration_s": lambda value: {"duration": float(value)},
    "analyzed_volume_ml": lambda value: {"analysedVolume": float(value) * UL_PER_ML},
    "pumped_volume_ml": lambda value: {"pumpedVolume": float(value) * UL_PER_ML},
    "n_particles": lambda value: {
        "particleCount": int(value),
        "particlesInFileCount": int(value),
    },
    "n_images": lambda value: {"pictureCount": int(value)},
}
_BETWEEN_VALUES = ",\n            "  # cyz2json indents


def write_cyz_json(
    X: pd.DataFrame,
    path: str | os.PathLike,
    *,
    channels: Sequence[str] | None = None,
    image_format: str = "png",
    frame_shape: tuple[int, int] | None = None,
    instrument: str = "CytoSense",
    samples: pd.DataFrame | None = None,
    overwrite: bool = False,
) -> Path:
    """Write particles as cyz2json writes a CytoSense measurement.

    It is meant for examples and tests, and to pass particles to other programs that
    read such files. One particle at a time is kept in memory.

    Parameters
    ----------
    X : DataFrame of shape (n_particles, n_columns)
        Columns `image` and `profile`, with values of any kind: arrays, paths, or those
        of :func:`load_cyz_json`. An image may be missing, a profile may not. Images
        have 8 bits per pixel, gray or RGB. Profiles are (length, n_channels) numbers in
        mV, written as float32 with full precision. The column `particle_id` is used if
        it exists; otherwise particles are numbered from 0. Other columns are not
        written. Transparent pixels of an image file become white.
    path : path-like
        The file, usually "<sample>.json". Its folder is made if necessary.
    channels : list of str, default=None
        Descriptions of the channels. By default, those of the profiles (a CSV file's
        header, the channels of :func:`load_cyz_json`); for arrays of six channels,
        "FWS", "Sidewards Scatter", "Fl Yellow", "Fl Orange", "Fl Red", "Curvature".
    image_format : {"png", "jpeg", "bmp"}, default="png"
        How images are encoded; "jpeg" is lossy.
    frame_shape : tuple of int, default=None
        Height and width of a camera frame in which each image is centered, with a
        `cropRectangle` that gives its position. By default images are written as they
        are.
    instrument : str, default="CytoSense"
        The instrument's name.
    samples : DataFrame of shape (n_samples, n_columns), default=None
        What to write about the measurement as a whole: the row of this file (its
        `sample_id` is the file's name without suffix) of a table such as
        :func:`load_cyz_json` returns, with any of its columns. Volumes are in mL. By
        default, and where a value is missing, only the numbers of particles and images
        are written.
    overwrite : bool, default=False
        Whether to replace an existing file.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False, or it is a folder.
    OSError
        If the disk is full.
    TypeError
        If X is not a DataFrame, or a value has an unknown type.
    ValueError
        If a column is missing, a profile is missing or has the wrong shape, values or
        channels, an image does not fit in the frame, a particle_id occurs twice, or
        `samples` does not have one row of this file, or other values than times and
        numbers.

    See Also
    --------
    load_cyz_json : Read such files.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.datasets import make_particles, write_cyz_json
    >>> X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     print(write_cyz_json(X, f"{folder}/sample.json").name)
    sample.json
    """
    target = Path(path)
    check_free(target, overwrite)
    if image_format not in IMAGE_FORMATS:
        raise ValueError(
            f"image_format={image_format!r}; expected one of {list(IMAGE_FORMATS)}."
        )
    check_particles(X)
    ids = _particle_ids(X)
    results = _results(samples, target.stem)
    image_text = partial(
        _image_text, image_format=image_format, frame_shape=frame_shape
    )
    with unfinished(target) as part:
        # cyz2json writes a byte-order mark.
        with open(part, "x", encoding="utf-8-sig", newline="\n") as file:
            _write(file, X, ids, target.stem, instrument, results, channels, image_text)
        os.replace(part, target)
    return target


def _write(
    file: TextIO,
    X: pd.DataFrame,
    ids: list[int],
    sample: str,
    instrument: str,
    results: dict[str, Any],
    channels: Sequence[str] | None,
    image_text: Callable[[int, Image.Image], str],
) -> None:
    has_image = [not is_missing(entry) for entry in X["image"]]
    profiles = _profiles_with_names(X["profile"], channels)
    # The head needs the channels, which are the same for all profiles.
    first = list(islice(profiles, 1))
    names = first[0][0] if first else list(channels or DESCRIPTIONS)
    head = {
        "filename": f"{sample}.cyz",
        "instrument": {
            "name": results.pop("instrument", instrument),
            "channels": [
                {"id": i, "description": name} for i, name in enumerate(names)
            ],
            "measurementResults": {
                "particleCount": len(X),
                "particlesInFileCount": len(X),
                "pictureCount": sum(has_image),
                **results,
            },
        },
    }
    file.write(json.dumps(head, indent=2).removesuffix("\n}") + ',\n  "particles": [')
    rows = zip(ids, has_image, chain(first, profiles), strict=True)
    _write_items(file, (_particle_text(*row) for row in rows))
    file.write('\n  ],\n  "images": [')
    images = (
        image_text(particle, _opened_image(entry, f"X['image'], row {row}"))
        for row, (particle, entry) in enumerate(zip(ids, X["image"], strict=True))
        if has_image[row]
    )
    _write_items(file, images)
    file.write("\n  ]\n}\n")


def _write_items(file: TextIO, items: Iterable[str]) -> None:
    between = "\n"
    for item in items:
        file.write(between + item)
        between = ",\n"


def _particle_text(
    particle: int, has_image: bool, profile: tuple[list[str], np.ndarray]
) -> str:
    names, samples = profile
    shapes, parameters = [], []
    for name, values in zip(names, samples.T, strict=True):
        description = json.dumps(name)
        # The shortest digits that give the same float32.
        numbers = _BETWEEN_VALUES.join(values.astype(str).tolist())
        shapes.append(
            f'        {{\n          "description": {description},\n'
            f'          "values": [\n            {numbers}\n          ]\n        }}'
        )
        # In single precision the sum could be infinite, which JSON cannot represent.
        total = float(values.sum(dtype=np.float64))
        numbers = f'"total": {total}, "maximum": {float(values.max())}'
        parameters.append(f'        {{"description": {description}, {numbers}}}')
    return (
        f'    {{\n      "particleId": {particle},\n'
        f'      "hasImage": {json.dumps(has_image)},\n'
        '      "pulseShapes": [\n' + ",\n".join(shapes) + "\n      ],\n"
        '      "parameters": [\n' + ",\n".join(parameters) + "\n      ]\n    }"
    )


def _image_text(
    particle: int,
    image: Image.Image,
    image_format: str,
    frame_shape: tuple[int, int] | None,
) -> str:
    left = top = 0
    width, height = image.size
    if frame_shape is not None:
        frame_height, frame_width = frame_shape
        if height > frame_height or width > frame_width:
            raise ValueError(
                f"The image of particle {particle} has {height} × {width} pixels, "
                f"which do not fit in frame_shape={tuple(frame_shape)}."
            )
        left, top = (frame_width - width) // 2, (frame_height - height) // 2
        # The background of the frame is as bright as the image's corner.
        frame = Image.new(
            image.mode, (frame_width, frame_height), image.getpixel((0, 0))
        )
        frame.paste(image, (left, top))
        image = frame
    content = io.BytesIO()
    image.save(content, image_format.upper(), quality=_JPEG_QUALITY)
    entry = {
        "particleId": particle,
        "base64": base64.b64encode(content.getvalue()).decode(),
        "cropRectangle": {"X": left, "Y": top, "Width": width, "Height": height},
    }
    return f"    {json.dumps(entry)}"


def _results(samples: pd.DataFrame | None, sample: str) -> dict[str, Any]:
    """Members of the measurement's results, and the instrument, from a sample's row."""
    if samples is None:
        return {}
    if not isinstance(samples, pd.DataFrame) or "sample_id" not in samples:
        raise TypeError("samples: expected a DataFrame with a column 'sample_id'.")
    rows = samples[samples["sample_id"] == sample]
    if len(rows) != 1:
        raise ValueError(
            f"samples has {len(rows)} rows with the sample_id {sample!r}, the name of "
            "the file; expected one."
        )
    results: dict[str, Any] = {}
    for name, value in rows.iloc[0].items():
        if name not in _MEMBERS or is_missing(value):
            continue
        try:
            written = _MEMBERS[name](value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"samples, column {name!r}: {error}.") from None
        results |= written
    return results


def _particle_ids(X: pd.DataFrame) -> list[int]:
    if "particle_id" not in X:
        return list(range(len(X)))
    ids: list[int] = []
    for row, entry in enumerate(X["particle_id"]):
        try:
            number = int(entry)
            is_whole = isinstance(entry, str) or number == entry
        except (OverflowError, TypeError, ValueError):
            is_whole = False
        if not is_whole:
            raise ValueError(
                f"X['particle_id'], row {row}: expected a whole number, got {entry!r}."
            )
        ids.append(number)
    twice = [number for number, count in Counter(ids).items() if count > 1]
    if twice:
        raise ValueError(
            f"X['particle_id'] has {twice[0]} twice; expected each id once. Write "
            "one file per sample."
        )
    return ids


def _profiles_with_names(
    entries: pd.Series, channels: Sequence[str] | None
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield the channels' descriptions and the samples, float32, of each profile."""
    expected: list[str] | None = None
    for row, entry in enumerate(entries):
        where = f"X['profile'], row {row}"
        names, samples = _read_samples(entry, where)
        if channels is not None:
            names = list(channels)
        elif names is None:
            names = list(DESCRIPTIONS)
        if samples.shape[1] != len(names):
            raise ValueError(
                f"{where}: the profile has {samples.shape[1]} channels; expected "
                f"{len(names)}, {names}. Pass channels=[…] with a description of each."
            )
        if expected not in (None, names):
            raise ValueError(
                f"{where}: the profile has the channels {names}; expected {expected}, "
                "as in the rows before."
            )
        expected = names
        yield names, samples


def _read_samples(entry: Any, where: str) -> tuple[list[str] | None, np.ndarray]:
    if is_missing(entry):
        raise TypeError(
            f"{where}: the profile is missing. Every particle in such a file has one."
        )
    with located_errors(where):
        samples, names = read_profile(entry)
        if samples.ndim == 1:
            raise ValueError(
                "expected pulses, of shape (length, n_channels), got "
                f"{samples.shape}: a vector of measurements"
            )
    return None if names is None else list(names), samples


def _opened_image(entry: Any, where: str) -> Image.Image:
    """A gray or color image of 8 bits."""
    with located_errors(where):
        pixels = image_pixels(entry)
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"{where}: expected an image of 8 bits, uint8, got a deeper one."
        )
    return Image.fromarray(np.ascontiguousarray(pixels))
