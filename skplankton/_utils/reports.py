"""Problems in reading: an error at once, or one report at the end."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from skplankton._utils.warn import warn

POLICIES = ("raise", "warn", "coerce")
N_SHOWN = 3  # examples of each kind of problem; the total is counted
_LONGEST = 150  # characters of what messages quote


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A text as it is, or its start and end if it is too long for a message.

    What is too long may be no text at all, but bytes: "?" stands for odd characters.
    """
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    text = f"{text[:half]}...{text[-half:]}"
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def listed(texts: Iterable[str], most: int = 5) -> str:
    """The first few texts, and how many others there are, for a message."""
    texts = list(texts)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def handled_type(error: Exception) -> type[Exception]:
    """The type to raise an error of reading again with, among those documented."""
    kinds = (FileNotFoundError, TypeError)
    return next((kind for kind in kinds if isinstance(error, kind)), ValueError)


def check_policy(errors: str) -> None:
    """Raise a ValueError for an unknown `errors`."""
    if errors not in POLICIES:
        raise ValueError(f"errors={errors!r}; expected one of {list(POLICIES)}.")


def report(text: str, errors: str) -> None:
    """Report in a warning or in the log."""
    if errors == "warn":
        warn(text)
    else:
        logging.getLogger("skplankton").warning(text)


class Problems:
    """Raise the first problem, or collect all of them for one report at the end.

    Parameters
    ----------
    errors : {"raise", "warn", "coerce"}
        "warn" reports in a UserWarning, "coerce" in the logger ``skplankton``.

    Attributes
    ----------
    counts : Counter
        The number of problems of each kind.
    examples : dict of str to list of str
        The first few of each kind.
    """

    def __init__(self, errors: str):
        check_policy(errors)
        self.errors = errors
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(
        self,
        message: str,
        kind: str,
        *,
        error: type[Exception] = ValueError,
        cause: Exception | None = None,
        count: int = 1,
        advice: str | None = None,
    ) -> None:
        """Raise a problem, or record it.

        The report counts by `kind`: the kind of problem, or what is done about it.
        `advice` follows the message of the error. If that comes from another error,
        `cause`, it is of the same type, or a ValueError.
        """
        if self.errors == "raise":
            advice = advice or f"With errors='warn' or 'coerce', {kind} instead."
            if cause is not None:
                error = handled_type(cause)
            raise error(f"{message} {advice}") from cause
        self.include({kind: count}, {kind: [message]})

    def include(
        self, counts: Mapping[str, int], examples: Mapping[str, list[str]]
    ) -> None:
        """Add problems recorded elsewhere, such as in another process."""
        self.counts.update(counts)
        for kind, messages in examples.items():
            recorded = self.examples.setdefault(kind, [])
            recorded += messages[: N_SHOWN - len(recorded)]

    def report(self, what: str, done: str = "read") -> None:
        """Report all recorded problems at once, in a warning or in the log."""
        if not self.counts:
            return
        lines = [f"{what} was {done} with problems."]
        for kind, count in self.counts.items():
            often = "once" if count == 1 else f"{count} times"
            lines.append(f"- {often}, {kind}:")
            lines += [f"  {message}" for message in self.examples[kind]]
            if len(self.examples[kind]) < count:
                lines.append(f"  … and {count - len(self.examples[kind])} more")
        report("\n".join(lines), self.errors)
