"""One file of cyz2json → a store of images and profiles, in one pass through it.

The format is that of github.com/OBAMANEXT/cyz2json (Program.cs): an object with
`instrument`, `particles` and `images`, in any order here.
"""

from __future__ import annotations

import codecs
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from skplankton._utils.reports import Problems
from skplankton.datasets._cyz.channels import Channels, channel_name, select_channels
from skplankton.datasets._cyz.json_stream import BrokenJSON, JSONStream
from skplankton.datasets._cyz.measurement import measurement_of
from skplankton.datasets._cyz.particle import (
    HOW_TO_SKIP,
    WHOLE,
    Problem,
    checked_shapes,
    crop_of,
    decoded_image,
    is_int64,
    samples_of,
    shown,
)
from skplankton.datasets._cyz.store import (
    Store,
    StoreWriter,
    open_store,
    store_name,
    store_writer,
)

MISSING = -1  # the offset of a missing image or profile
# One row per particle. A crop is (left, top, width, height); MISSING: no crop.
COLUMNS = (
    "particle_id",
    "has_image",
    "profile_offset",
    "profile_length",
    "image_offset",
    "image_n_bytes",
    "crop_left",
    "crop_top",
    "crop_width",
    "crop_height",
)
_NO_IMAGE = (MISSING, 0, *WHOLE)


def stored_views(
    source: Path,
    folder: Path,
    *,
    channels: Channels,
    with_images: bool,
    strict: bool,
    progress: Callable[[int], Any] | None = None,
) -> Store:
    """The store of a file, from the cache folder if it exists there."""
    name = store_name(source, {"channels": channels, "with_images": with_images})
    store = open_store(folder, name)
    if store is None:
        with store_writer(folder, name) as writer:
            problems = Problems("raise" if strict else "coerce")
            extraction = _Extraction(source, writer, channels, problems)
            extraction.read(with_images, progress)
            store = writer.finish(extraction.metadata(), extraction.columns())
    elif strict and store.metadata["examples"]:
        first = next(iter(store.metadata["examples"].values()))[0]
        raise ValueError(f"{first} {HOW_TO_SKIP}")
    return store


class _Extraction:
    """Processes particles and images in order, into `metadata` and `columns`."""

    def __init__(
        self, source: Path, writer: StoreWriter, channels: Channels, problems: Problems
    ):
        self._source, self._writer = source, writer
        self._wanted, self._problems = channels, problems
        self._measurement = measurement_of(None)
        self._is_truncated = False
        self._channels: tuple[str, ...] | None = None
        self._descriptions: tuple[str, ...] | None = None
        # Descriptions of a particle's channels -> positions of the selected ones.
        self._positions: dict[tuple[str, ...], list[int]] = {}
        self._rows: dict[int, int] = {}  # particle -> row
        self._columns = {name: array("q") for name in COLUMNS[:4]}
        self._images: dict[int, tuple[int, ...]] = {}  # particle -> COLUMNS[4:]

    def read(
        self, with_images: bool, progress: Callable[[int], Any] | None = None
    ) -> None:
        """Read the file; without images, no further than necessary."""
        wanted = {"instrument", "particles"} | ({"images"} if with_images else set())
        add = {"particles": self._add_particle, "images": self._add_image}
        found: set[str] = set()
        with open(self._source, encoding=_encoding(self._source), newline="") as file:
            stream = JSONStream(file, progress)
            try:
                for name, value in stream.members():
                    if name in add and name in wanted:
                        if not isinstance(value, Iterator):
                            raise self._not_cyz2json(f"its {name!r} are not a list")
                        found.add(name)
                        for i, item in enumerate(value):
                            add[name](i, item)
                    elif name == "instrument":
                        found.add(name)
                        self._measurement = measurement_of(value)
                    if not with_images and found == wanted:
                        return
                stream.expect_end()
            except BrokenJSON as error:
                if "particles" not in found:
                    raise self._not_cyz2json(str(error)) from None
                text = (
                    f"{error}; {len(self._rows)} particles and {len(self._images)} "
                    "images were read before. Convert the .cyz file again"
                )
                problem = Problem("truncated or damaged file", text)
                self._add_problem(str(self._source), problem)
                self._is_truncated = True
        if "particles" not in found:
            raise self._not_cyz2json("it has no 'particles'")
        self._check_images()

    def _add_problem(self, where: str, problem: Problem) -> None:
        self._problems.add(f"{where}: {problem}.", problem.kind, advice=HOW_TO_SKIP)

    def _not_cyz2json(self, why: str) -> ValueError:
        with open(self._source, "rb") as file:
            start = file.read(40)
        is_empty = not start.strip(codecs.BOM_UTF8 + b" \t\r\n")
        found = "The file is empty." if is_empty else f"It begins with {start!r}."
        return ValueError(
            f"{self._source} is not a JSON file of cyz2json: {why}. {found} Expected "
            "an object with 'instrument', 'particles' and 'images'."
        )

    def _add_particle(self, i: int, item: Any) -> None:
        particle = _particle_id(item)
        if particle is None:
            text = "particleId is not a whole number; the particle is left out"
            self._add_problem(
                f"{self._source}, particles[{i}]",
                Problem("particle without particleId", text),
            )
            return
        where = f"{self._source}, particle {particle}"
        if particle in self._rows:
            text = "a second particle with this particleId; the first is kept"
            self._add_problem(where, Problem("second particle with the same id", text))
            return
        offset, length = MISSING, 0
        try:
            samples = self._samples(item.get("pulseShapes"))
        except Problem as problem:
            self._add_problem(where, problem)
        else:
            offset, length = self._writer.append(samples.tobytes()), len(samples)
        has_image = self._image_flag(item.get("hasImage"), where)
        self._rows[particle] = len(self._rows)
        for column, value in zip(
            self._columns.values(), (particle, has_image, offset, length), strict=True
        ):
            column.append(value)

    def _image_flag(self, flag: Any, where: str) -> int:
        if flag in (None, True, False):
            return MISSING if flag is None else int(flag)
        text = f"hasImage is {shown(flag)}; expected true or false"
        problem = Problem("hasImage that is neither true nor false", text)
        self._add_problem(where, problem)
        return MISSING

    def _samples(self, shapes: Any) -> np.ndarray:
        positions = self._selected(checked_shapes(shapes))
        return samples_of([shapes[position] for position in positions])

    def _selected(self, descriptions: tuple[str, ...]) -> list[int]:
        if descriptions in self._positions:
            return self._positions[descriptions]
        try:
            selected = select_channels(descriptions, self._wanted)
        except ValueError as error:
            if self._channels is None:  # an error of the file, not of one particle
                raise ValueError(f"{self._source}: {error}") from None
            raise Problem("particle with other channels", str(error)) from None
        if self._channels is None:
            self._channels, self._descriptions = tuple(selected), descriptions
        elif tuple(selected) != self._channels:
            raise Problem(
                "particle with other channels",
                f"the channels are {list(selected)}; expected {list(self._channels)}, "
                "as in the particles before",
            )
        return self._positions.setdefault(descriptions, list(selected.values()))

    def _add_image(self, i: int, item: Any) -> None:
        particle = _particle_id(item)
        encoded = item.get("base64") if isinstance(item, dict) else None
        if particle is None or not isinstance(encoded, str):
            self._add_problem(
                f"{self._source}, images[{i}]",
                Problem(
                    "image without particleId or base64",
                    "expected a particleId and base64; the image is left out",
                ),
            )
            return
        where = f"{self._source}, particle {particle}"
        try:
            if particle in self._images:
                text = "a second image with this particleId; the first is kept"
                raise Problem("second image of one particle", text)
            content, size = decoded_image(encoded)
            crop = crop_of(item.get("cropRectangle"), size)
        except Problem as problem:
            self._add_problem(where, problem)
        else:
            at = self._writer.append(content)
            self._images[particle] = (at, len(content), *crop)

    def _check_images(self) -> None:
        """Images may come before particles, so this is checked last."""
        for particle in self._images.keys() - self._rows.keys():
            text = "an image, but no particle, has this particleId; it is left out"
            where = f"{self._source}, particle {particle}"
            self._add_problem(where, Problem("image without a particle", text))

    def metadata(self) -> dict[str, Any]:
        """The metadata of the whole file."""
        n_read = len(self._rows)
        is_incomplete = n_read < (self._measurement["n_particles"] or 0)
        return {
            "sample": {
                **self._measurement,
                "n_read": n_read,
                "is_partial": self._is_truncated or is_incomplete,
            },
            "channels": self._channels,
            "descriptions": self._descriptions,
            "counts": dict(self._problems.counts),
            "examples": self._problems.examples,
        }

    def columns(self) -> dict[str, np.ndarray]:
        """`COLUMNS` of each particle, in the file's order."""
        n_columns = len(_NO_IMAGE)
        images = np.array(
            [self._images.get(particle, _NO_IMAGE) for particle in self._rows],
            dtype=np.int64,
        ).reshape(-1, n_columns)
        columns = {n: np.array(c, dtype=np.int64) for n, c in self._columns.items()}
        return columns | dict(zip(COLUMNS[4:], images.T, strict=True))


def common_channels(stores: list[Store]) -> list[str]:
    """The channels that all files have, in the order of the first file."""
    first, *others = (
        [channel_name(text) for text in store.metadata["descriptions"]]
        for store in stores
    )
    return [name for name in first if all(name in names for names in others)]


def _encoding(source: Path) -> str:
    """UTF-8, as cyz2json writes; UTF-16 if a shell's redirection wrote the file."""
    with open(source, "rb") as file:
        start = file.read(2)
    is_wide = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return "utf-16" if is_wide else "utf-8-sig"


def _particle_id(item: Any) -> int | None:
    particle = item.get("particleId") if isinstance(item, dict) else None
    return particle if is_int64(particle) else None
