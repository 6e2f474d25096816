"""From the words on the command line to an exit code."""

from __future__ import annotations

import importlib
import signal
import threading
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from skplankton._cli._arguments import (
    DONE,
    FAILED,
    INTERRUPTED,
    TERMINATED,
    parse_arguments,
)
from skplankton._cli._files import make_folder
from skplankton._cli._reports import (
    complain,
    replace_closed_streams,
    why_results_are_lost,
)

# What is wrong with files and options, and can be told in a line. All else is a
# mistake of ours, whose traceback is wanted.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError)
# Messages speak of Python's arguments -> what these are here.
_OPTIONS_OF_WORDS = {
    "cache=": "--cache",
    "channels=": "--channels",
    "crop_top=": "--crop-top",
    "device=": "--device",
    "errors=": "leaving out --strict",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    replace_closed_streams()
    options = parse_arguments(arguments)
    try:
        with warnings.catch_warnings(), _sigterm_as_ctrl_c():
            warnings.showwarning = _show_warning
            _check_places(options)
            # Each command imports what it needs: --help is to answer at once.
            module = importlib.import_module(f"skplankton._cli._{options.command}")
            code = module.run(options)
    except _Terminated:
        complain("Stopped by SIGTERM.")
        return TERMINATED
    except KeyboardInterrupt:
        complain("Interrupted.")
        return INTERRUPTED
    except _USER_ERRORS as error:
        if options.debug:
            raise
        complain(f"error: {error_text(error, options.strict)}")
        return FAILED
    if why := why_results_are_lost():
        complain(f"error: not all results could be written to stdout: {why}")
        return FAILED if code == DONE else code
    return code


class _Terminated(KeyboardInterrupt):
    """SIGTERM has come; all that deals with Ctrl-C deals with it, too."""


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Leave in order on SIGTERM, by which nothing would be cleared away."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def stop(*_: Any) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        # None: the handler was not set by Python.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _check_places(options: Namespace) -> None:
    """Raise now what would be raised once files have been read."""
    if options.cache is not None:
        make_folder(options.cache, "--cache")
    if options.device != "auto":  # importing torch takes seconds
        from skplankton._training.devices import choose_device

        choose_device(options.device)


def error_text(error: Exception, strict: bool) -> str:
    """What went wrong, and which option a Python argument in it stands for."""
    text = str(error) or type(error).__name__
    hints = [
        f"{word} is {option} here"
        for word, option in _OPTIONS_OF_WORDS.items()
        if word in text and (strict or word != "errors=")
    ]
    return f"{text} ({'; '.join(hints)})" if hints else text


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    complain(f"warning: {message}")
