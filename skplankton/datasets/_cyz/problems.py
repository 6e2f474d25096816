"""Problems of files that are read in other processes, and kept with what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from skplankton._utils.reports import report

N_EXAMPLES = 5
_WAY_OUT = 'Pass errors="warn" to go on without what cannot be read.'


class Problem(ValueError):
    """Something in one particle cannot be read; `kind` is what is counted."""

    def __init__(self, kind: str, what: str):
        super().__init__(what)
        self.kind = kind


class Problems:
    """Counts of problems by kind, and the first few in words; if strict, an error."""

    def __init__(self, strict: bool):
        self.strict = strict
        self.counts: Counter[str] = Counter()
        self.examples: list[str] = []

    def add(self, where: str, problem: Problem) -> None:
        """Count a problem, or raise it."""
        text = f"{where}: {problem}."
        if self.strict:
            raise problem_error(text)
        self.counts[problem.kind] += 1
        if len(self.examples) < N_EXAMPLES:
            self.examples.append(text)


def problem_error(text: str) -> ValueError:
    """The error of a strict reading."""
    return ValueError(f"{text} {_WAY_OUT}")


def report_problems(
    counts: Counter[str], examples: Iterable[str], errors: str, stacklevel: int
) -> None:
    """Say once what could not be read."""
    if not counts:
        return
    kinds = ", ".join(f"{n} × {kind}" for kind, n in counts.most_common())
    shown = list(examples)[:N_EXAMPLES]
    text = (
        f"{counts.total()} problems in the files: {kinds}. What cannot be read is "
        f"missing from the table. {' '.join(shown)}"
        + (" …" if len(shown) < counts.total() else "")
    )
    report(text, errors, stacklevel + 1)
