"""The file of a model: a zip archive, with a plain card and what skops writes.

Its members are

- ``card.json``: the version of the format, and the card's facts. Readable by anything;
- ``README.md``: the card as text;
- ``schema.json`` and the arrays beside it: the model, as ``skops.io`` writes it;
- ``station.json``: what the commands need besides, if ``fit`` wrote the file.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from typing import Any

from skplankton import __version__
from skplankton._utils.reports import listed

# Increased when former versions would misread a file. All formats up to it are read.
FORMAT = 1

CARD, README, SCHEMA, STATION = "card.json", "README.md", "schema.json", "station.json"
_PLAIN_NAMES = {CARD, README, SCHEMA, STATION}
_ARRAY_NAME = re.compile(r"[\w-]+\.(npy|npz|bin)")  # as skops names them

# Of the size of the members to that of the file: a small file must not fill the memory.
# Texts are compressed: those of skops to a tenth, and to a thirtieth at the most, since
# each of its nodes has a number. Compression to a thousandth is possible.
_LARGEST_RATIO = 50


class ModelArchive:
    """The members of a model file, after a check of all that can be checked in it.

    Parameters
    ----------
    content : bytes
        The content of the file.
    path : path-like
        Its name, for messages.

    Raises
    ------
    ValueError
        If it is no model file, is damaged, has a newer format, or is not written like
        one: with foreign members, or with much larger ones.
    """

    def __init__(self, content: bytes, path: str | os.PathLike):
        self.content = content
        self.path = os.fspath(path)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except Exception as error:  # a damaged directory may raise anything
            raise self._damaged(error) from error
        self._check_members()
        self.card = self._read_json(CARD)
        self._check_format()

    @property
    def schema(self) -> Any:
        """The content of the schema of skops."""
        return self._read_json(SCHEMA)

    @property
    def station(self) -> dict[str, Any] | None:
        """What the commands need besides; None if `fit` did not write the file."""
        return self._read_json(STATION) if STATION in self._zip.namelist() else None

    @property
    def readme(self) -> str:
        """The card as text."""
        return self._read(README).decode(errors="replace")

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(name)
        except Exception as error:  # a damaged archive may raise anything
            raise self._damaged(error) from error

    def _read_json(self, name: str) -> Any:
        content = self._read(name)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._damaged(error) from error

    def _check_members(self) -> None:
        members = self._zip.infolist()
        names = [member.filename for member in members]
        if not {CARD, README, SCHEMA} <= set(names):
            raise ValueError(
                f"{self.path} is a zip archive, but no model of skplankton: it has no "
                f"{CARD}, {README} and {SCHEMA}; it contains {_shown(names)}. Expected "
                "a file written by skplankton.save_model or: python -m skplankton fit"
            )
        foreign = [
            name
            for name in names
            if not (name in _PLAIN_NAMES or _ARRAY_NAME.fullmatch(name))
        ]
        if foreign:
            raise self._not_ours(f"it contains {_shown(foreign)}")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise self._not_ours(f"it contains {_shown(twice)} more than once")
        total = sum(member.file_size for member in members)
        if total > _LARGEST_RATIO * len(self.content):
            raise self._not_ours(
                f"its {len(members)} members claim {total:,} bytes, in a file of "
                f"{len(self.content):,}"
            )

    def _check_format(self) -> None:
        card = self.card
        number = card.get("format") if isinstance(card, Mapping) else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise self._damaged(f"{CARD} has the format {number!r}")
        if number > FORMAT:
            versions = card.get("versions")
            found = versions if isinstance(versions, Mapping) else {}
            raise ValueError(
                f"{self.path} has format {number}, written by skplankton "
                f"{found.get('skplankton', 'of an unknown version')}. This is "
                f"skplankton {__version__}, which reads formats up to {FORMAT}. Update "
                "it: pip install --upgrade skplankton"
            )

    def _damaged(self, why: object) -> ValueError:
        return ValueError(
            f"{self.path} is incomplete or damaged ({why}). Copy or download it again."
        )

    def _not_ours(self, why: str) -> ValueError:
        return ValueError(
            f"{self.path} is not as skplankton writes models: {why}. Nothing of it was "
            "opened."
        )


def archive_bytes(
    schema_and_arrays: bytes, card: Mapping[str, Any], readme: str, station: Any = None
) -> bytes:
    """The content of a model file, from what skops has written and the rest."""
    buffer = io.BytesIO()
    texts = {CARD: _json(card), README: readme}
    if station is not None:
        texts[STATION] = _json(station)
    with (
        zipfile.ZipFile(io.BytesIO(schema_and_arrays)) as written,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name, text in texts.items():
            content = text.encode(errors="backslashreplace")
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
        for name in written.namelist():
            # Weights are not worth it.
            how = zipfile.ZIP_DEFLATED if name == SCHEMA else zipfile.ZIP_STORED
            archive.writestr(name, written.read(name), how)
    return buffer.getvalue()


def is_archive(content: bytes) -> bool:
    """Whether the content is that of a zip archive, maybe a damaged one."""
    return content.startswith(b"PK")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _shown(names: list[str]) -> str:
    return listed(repr(name[:200]) for name in names) or "nothing"
