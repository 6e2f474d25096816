"""Progress of long work: a bar on a terminal or in a notebook, lines in a log file."""

import sys
import warnings
from typing import Any

from tqdm import TqdmWarning, tqdm

with warnings.catch_warnings():
    # Bars in a notebook need ipywidgets. Without it there are lines, which will do.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm as notebook_or_terminal_bar

# In a log file; work that takes less leaves no line there.
SECONDS_PER_LINE = 30.0


class _Lines(tqdm):
    """A line now and then, where a bar would be thousands of lines."""

    _shown = ""

    def __init__(self, **kwargs: Any):
        kwargs.update(
            mininterval=SECONDS_PER_LINE,
            delay=SECONDS_PER_LINE,
            leave=False,
            bar_format="{desc}: {percentage:.0f}%, {n_fmt} of {total_fmt} {unit}, "
            "{elapsed} gone, {remaining} left{postfix}",
        )
        super().__init__(**kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        line = str(self) if msg is None else msg
        if line not in ("", self._shown):
            self._shown = line
            self.fp.write(f"{line}\n")
            self.fp.flush()
        return False

    def close(self) -> None:
        if not self.disable and self.last_print_t >= self.start_t + self.delay:
            self.display()
        super().close()


def progress(*, total: int, desc: str, unit: str, disable: bool, **kwargs: Any) -> tqdm:
    """A context manager, with tqdm's methods `update` and `set_postfix`."""
    is_notebook = notebook_or_terminal_bar.__mro__[1].__module__ == "tqdm.notebook"
    kind = notebook_or_terminal_bar if is_notebook or sys.stderr.isatty() else _Lines
    return kind(total=total, desc=desc, unit=unit, disable=disable, **kwargs)
