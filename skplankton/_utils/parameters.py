"""Checks of parameters, where scikit-learn's validation is not used."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any


def check_int(name: str, value: Any, at_least: int) -> None:
    """Raise unless a parameter is an integer of some size."""
    is_int = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_int or value < at_least:
        raise ValueError(f"{name}={value!r}; expected an int of {at_least} or more.")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise unless a parameter has one of the values it can have."""
    if value not in choices:
        names = list(map(repr, choices))
        two = len(names) == 2
        expected = " or ".join(names) if two else f"one of {', '.join(names)}"
        raise ValueError(f"{name}={value!r}; expected {expected}.")
