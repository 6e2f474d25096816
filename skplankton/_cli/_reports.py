"""Words for the user: results on stdout, everything else on stderr.

No stream is needed for the work: whoever stops reading must not end it.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

# Why results could not be written, where that is not the reader's own wish.
_lost: list[str] = []


def replace_closed_streams() -> None:
    """Give the streams that the shell has closed (``>&-``) a place to write to.

    Python has None for them, on which libraries fail; and the next file opened would
    get their number, and with it what compiled code prints.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)


def why_results_are_lost() -> str | None:
    """Why results could not be written to stdout since this was last asked, if so."""
    reasons = list(_lost)
    _lost.clear()
    return reasons[0] if reasons else None


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
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(text, file=stream, flush=True)
    except (OSError, ValueError) as error:  # ValueError: a closed stream
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full and stream is sys.stdout:
            _lost.append(str(error))
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Send what is still buffered nowhere: Python flushes it at the end, and fails."""
    with suppress(OSError, ValueError):  # a stream without a file, as in notebooks
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
