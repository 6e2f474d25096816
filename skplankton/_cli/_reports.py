"""Output for the user: results on stdout, everything else on stderr.

A closed stream must not end the work.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

# Why results could not be written, unless the reader closed the stream.
_lost: list[str] = []


def replace_closed_streams() -> None:
    """Redirect the streams that the shell has closed (``>&-``) to the null device.

    Python sets them to None, on which libraries fail. The next file opened would get
    their file descriptor, and compiled code would print into it.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)


def reason_for_lost_results() -> str | None:
    """Why results could not be written to stdout since the last call, if so."""
    reasons = list(_lost)
    _lost.clear()
    return reasons[0] if reasons else None


def print_result(text: str) -> None:
    """Print a result to stdout."""
    _print(text, sys.stdout)


def print_message(text: str) -> None:
    """Print to stderr what the user should know but is not a result."""
    _print(text, sys.stderr)


def plural(count: int, noun: str) -> str:
    """A count and its noun: 1 particle, 2 particles."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def errors(strict: bool) -> str:
    """The library's parameter. "coerce" logs, and the commands collect the log."""
    return "raise" if strict else "coerce"


@contextmanager
def collected_reports() -> Iterator[list[str]]:
    """Collect in a list what the library logs about things that it cannot read.

    They are printed before an error in the block, of which they may be the cause.
    """
    collector = _ReportCollector()
    logger = logging.getLogger("skplankton")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(collector)
    try:
        yield collector.texts
    except Exception:
        for text in collector.texts:
            print_message(text)
        raise
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagated


class _ReportCollector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _print(text: str, stream: TextIO) -> None:
    # A character that a terminal cannot show must not end a long run.
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
    """Discard what is still buffered: Python flushes it at exit, and would fail."""
    with suppress(OSError, ValueError):  # a stream without a file, as in notebooks
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
