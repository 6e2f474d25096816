"""A station's day as commands: fit, classify, evaluate. A thin layer over the API."""

from skplankton._cli._main import main

__all__ = ["main"]
