"""A TOML file of options → arguments, as if they were on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def arguments_from(
    path: Path, command: str, commands: Mapping[str, argparse.ArgumentParser]
) -> list[str]:
    """The options in the file's table of the command, for its parser to check."""
    parser = commands[command]
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"{path} cannot be read: {error.strerror or error}"
        ) from error
    except ValueError as error:  # neither UTF-8 nor TOML
        raise argparse.ArgumentTypeError(
            f"{path} is not a TOML file: {error}. Expected tables named by commands, "
            "such as [fit], with lines such as max-epochs = 60"
        ) from error
    unknown = [name for name in content if name not in commands]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{path}: {unknown[0]!r} is the name of no command. Expected options in "
            f"tables, {', '.join(f'[{name}]' for name in commands)}"
        )
    options = content.get(command, {})
    if not isinstance(options, dict):
        raise argparse.ArgumentTypeError(
            f"{path}: {command!r} is {options!r}; expected a table, [{command}]"
        )
    arguments = []
    for name, value in options.items():
        arguments += _arguments_of(path, command, name, value, parser)
    return arguments


def _arguments_of(
    path: Path, command: str, name: str, value: Any, parser: argparse.ArgumentParser
) -> list[str]:
    option = f"--{name}"
    # The parser has no public list of its options.
    actions = {a for a in parser._actions if option in a.option_strings}
    if not actions or name in ("config", "help"):
        known = (s[2:] for a in parser._actions for s in a.option_strings)
        names = ", ".join(n for n in known if n not in ("", "config", "help"))
        raise argparse.ArgumentTypeError(
            f"{path}: {command} has no option {name!r}. Expected one of {names}"
        )
    takes_value = actions.pop().nargs != 0
    if takes_value == isinstance(value, bool) or isinstance(value, dict | list):
        expected = "a number or a text in quotes" if takes_value else "true or false"
        raise argparse.ArgumentTypeError(
            f"{path}: {command}, {name}: expected {expected}, got {value!r}"
        )
    if takes_value:
        return [f"{option}={value}"]
    return [option] if value else []
