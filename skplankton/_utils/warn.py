"""Warnings that name the line of the user's own code."""

import sys
import warnings

# Whose frames are not that code: ours, and those of pipelines, searches and what wraps
# the methods of estimators.
_NOT_THE_USERS = ("skplankton", "sklearn", "joblib")


def warn(text: str) -> None:
    """Issue a UserWarning at the line that called this package, however indirectly."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and _package(frame.f_globals) in _NOT_THE_USERS:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, UserWarning, stacklevel=level)


def _package(names: dict) -> str:
    return names.get("__name__", "").partition(".")[0]
