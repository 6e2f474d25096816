"""A JSON object of any size, read one member and one list item at a time.

The standard library's decoder, which is written in C, decodes a piece of the text from
an item's start: it stops at the item's end, or fails and gets a longer piece. This
takes half the time of event-based parsers, and memory for one item.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TextIO

PIECE = 2**20  # characters
# An incomplete token at the end of a piece, such as `-Infinit`, is no longer.
_LONGEST_TOKEN = 16
_SPACE = " \t\r\n"


class BrokenJSON(ValueError):
    """The text ends too early, or is invalid JSON from some character on."""

    def __init__(self, what: str, character: int):
        super().__init__(f"{what} at character {character}")


class JSONStream:
    """A text file with one JSON object.

    `progress` is called with the number of characters of each piece read.
    """

    def __init__(self, file: TextIO, progress: Callable[[int], Any] | None = None):
        self._file = file
        self._progress = progress
        self._decode = json.JSONDecoder().raw_decode
        self._text, self._at = "", 0
        self._n_dropped = 0  # characters before _text

    def members(self) -> Iterator[tuple[str, Any]]:
        """Yield each name and value; where the value is a list, an iterator over it.

        What is not read from such an iterator is skipped.
        """
        self._expect("{")
        if self._next() == "}":
            self._at += 1
            return
        while True:
            name = self._value()
            if not isinstance(name, str):
                raise self._broken("expected a name")
            self._expect(":")
            if self._next() == "[":
                items = self._items()
                yield name, items
                for _ in items:
                    pass
            else:
                yield name, self._value()
            if self._comma_or("}"):
                return

    def expect_end(self) -> None:
        """Raise unless nothing follows."""
        if self._next():
            raise self._broken("expected the end of the file")

    def _items(self) -> Iterator[Any]:
        self._expect("[")
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._comma_or("]"):
                return

    def _comma_or(self, end: str) -> bool:
        found = self._next()
        if found not in (",", end):
            raise self._broken(f"expected a comma or {end}")
        self._at += 1
        return found == end

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            raise self._broken(f"expected {sign}")
        self._at += 1

    def _next(self) -> str:
        """The next character that is not a space, or "" at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._read(PIECE):
                return ""

    def _value(self) -> Any:
        self._next()
        n_more = PIECE
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # More text cannot help if the error is well before the end. Otherwise
                # twice as much is read each time, so that a large item is decoded only
                # a few times.
                is_cut = error.msg.startswith("Unterminated string") or (
                    error.pos >= len(self._text.rstrip(_SPACE)) - _LONGEST_TOKEN
                )
                if not is_cut:
                    self._at = error.pos
                    raise self._broken(error.msg) from None
                if not self._read(n_more):
                    self._at = len(self._text)
                    raise self._broken("") from None
                n_more *= 2
            except RecursionError:
                raise self._broken("too deeply nested") from None
            except ValueError:
                # An integer with more digits than Python reads. A decoder that checks
                # each number is slow, so it is used only from here on.
                self._decode = json.JSONDecoder(parse_int=_whole_number).raw_decode
            else:
                # A number at the end may be incomplete: "12.5e-3" could be read as 12
                # from the pieces "12" or "12.", or as 12.5 from "12.5e-".
                may_continue = type(value) in (int, float) and end + 2 >= len(
                    self._text
                )
                if not may_continue or not self._read(PIECE):
                    self._at = end
                    return value

    def _read(self, n_characters: int) -> bool:
        try:
            piece = self._file.read(n_characters)
        except UnicodeDecodeError as error:
            character = self._n_dropped + len(self._text)
            raise BrokenJSON(f"not {error.encoding}", character) from None
        if not piece:
            return False
        self._n_dropped += self._at
        self._text, self._at = self._text[self._at :] + piece, 0
        if self._progress is not None:
            self._progress(len(piece))
        return True

    def _broken(self, what: str) -> BrokenJSON:
        character = self._n_dropped + self._at
        if self._at == len(self._text):
            return BrokenJSON("the file ends too early,", character)
        return BrokenJSON(f"not JSON ({what})", character)


def _whole_number(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:
        return float(digits)  # infinite
