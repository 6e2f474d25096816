"""Packages that only a part of the library needs, imported where they are used."""

import importlib
from typing import Any


def import_extra(module: str, extra: str, need: str) -> Any:
    """Import a module of the optional dependencies `extra`.

    Without it, raise an ImportError with what needs which package, as in "DINOEmbedder
    needs lightly", and the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{need}, which is not installed. Run: pip install 'skplankton[{extra}]'"
        ) from error
