"""Words for the user: results on stdout, everything else on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def say(text: str) -> None:
    """A result."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Something the user should know that is no result."""
    _print(text, sys.stderr)


def show_bars(quiet: bool) -> bool:
    """Whether to show progress bars; in a log file they would be garbage."""
    return not quiet and sys.stderr.isatty()


def plural(count: int, noun: str) -> str:
    """A count and its noun: 1 particle, 2 particles."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


@contextmanager
def gathered_reports() -> Iterator[list[str]]:
    """What the library logs meanwhile about things it cannot read, in a list."""
    gatherer = _Gatherer()
    logger = logging.getLogger("skplankton")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(gatherer)
    try:
        yield gatherer.texts
    finally:
        logger.removeHandler(gatherer)
        logger.propagate = propagated


class _Gatherer(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _print(text: str, stream: TextIO) -> None:
    # A name that a terminal has no letters for must not end a night's work.
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
