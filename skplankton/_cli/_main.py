"""From the words on the command line to an exit code."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence

from ._arguments import parse_arguments
from ._exit_codes import FAILED, INTERRUPTED
from ._reports import complain

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
    options = parse_arguments(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            # Each command imports what it needs: --help is to answer at once.
            module = importlib.import_module(f"skplankton._cli._{options.command}")
            return module.run(options)
    except KeyboardInterrupt:
        complain("Interrupted.")
        return INTERRUPTED
    except _USER_ERRORS as error:
        if options.debug:
            raise
        complain(f"error: {error_text(error)}")
        return FAILED


def error_text(error: Exception) -> str:
    """What went wrong, and which option a Python argument in it stands for."""
    text = str(error) or type(error).__name__
    hints = [
        f"{word} is {option} here"
        for word, option in _OPTIONS_OF_WORDS.items()
        if word in text
    ]
    return f"{text} ({'; '.join(hints)})" if hints else text


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    complain(f"warning: {message}")
