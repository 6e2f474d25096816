"""From the command line to an exit code."""

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
    print_message,
    reason_for_lost_results,
    replace_closed_streams,
)

# Errors in files and options, which one line explains. Any other error is a bug of
# ours, whose traceback is needed.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError)
# Arguments of Python, as in messages of the library -> options of the command line.
_OPTIONS_OF_ARGUMENTS = {
    "cache=": "--cache",
    "channels=": "--channels",
    "crop_top=": "--crop-top",
    "crop_bottom=": "--crop-bottom",
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
            _check_cache_and_device(options)
            # Each command imports what it needs, so that --help is fast.
            module = importlib.import_module(f"skplankton._cli._{options.command}")
            code = module.run(options)
    except _Terminated:
        print_message("Stopped by SIGTERM.")
        return TERMINATED
    except KeyboardInterrupt:
        print_message("Interrupted.")
        return INTERRUPTED
    except _USER_ERRORS as error:
        if options.debug:
            raise
        print_message(f"error: {error_text(error, options.strict)}")
        return FAILED
    if why := reason_for_lost_results():
        print_message(f"error: not all results could be written to stdout: {why}")
        return FAILED if code == DONE else code
    return code


class _Terminated(KeyboardInterrupt):
    """SIGTERM was received; it is handled wherever Ctrl-C is."""


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Clean up on SIGTERM, which by default ends the process at once."""
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


def _check_cache_and_device(options: Namespace) -> None:
    """Raise early what would otherwise be raised after the files are read."""
    if options.cache is not None:
        make_folder(options.cache, "--cache")
    if options.device != "auto":  # importing torch takes seconds
        from skplankton._training.devices import choose_device

        choose_device(options.device)


def error_text(error: Exception, strict: bool) -> str:
    """The message, with the options that correspond to the Python arguments in it."""
    text = str(error) or type(error).__name__
    hints = [
        f"{argument} is {option} here"
        for argument, option in _OPTIONS_OF_ARGUMENTS.items()
        if argument in text and (strict or argument != "errors=")
    ]
    return f"{text} ({'; '.join(hints)})" if hints else text


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print_message(f"warning: {message}")
