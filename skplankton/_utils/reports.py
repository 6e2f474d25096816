"""What cannot be read: an error at once, or one report at the end."""

import logging
import warnings

POLICIES = ("raise", "warn", "coerce")
N_SHOWN = 3  # of each kind of problem; the count says how many there are


def check_policy(errors: str) -> None:
    """Raise unless it is a known way of dealing with problems."""
    if errors not in POLICIES:
        raise ValueError(f"errors={errors!r}; expected one of {list(POLICIES)}.")


def report(text: str, errors: str, stacklevel: int) -> None:
    """A report in a warning, or in the log."""
    if errors == "warn":
        warnings.warn(text, UserWarning, stacklevel=stacklevel + 1)
    else:
        logging.getLogger("skplankton").warning(text)


class Problems:
    """Raise the first problem, or gather them all and tell them once, at the end.

    Parameters
    ----------
    errors : {"raise", "warn", "coerce"}
        "warn" tells by a UserWarning, "coerce" by the logger ``skplankton``.
    """

    def __init__(self, errors: str):
        check_policy(errors)
        self.errors = errors
        self._noted: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(
        self,
        message: str,
        consequence: str,
        *,
        error: type[Exception] = ValueError,
        count: int = 1,
    ) -> None:
        """Tell of a problem; `consequence` is what is done if it does not raise."""
        if self.errors == "raise":
            raise error(
                f"{message} With errors='warn' or 'coerce', {consequence} instead."
            )
        noted = self._noted.setdefault(consequence, [])
        if len(noted) < N_SHOWN:
            noted.append(message)
        self._counts[consequence] = self._counts.get(consequence, 0) + count

    def report(self, what: str, stacklevel: int = 3) -> None:
        """One report of all that was added, in a warning or in the log."""
        if not self._noted:
            return
        lines = [f"{what} was read with problems."]
        for consequence, messages in self._noted.items():
            count = self._counts[consequence]
            often = "once" if count == 1 else f"{count} times"
            lines.append(f"- {often}, {consequence}:")
            lines += [f"  {message}" for message in messages]
            if len(messages) < count:
                lines.append(f"  … and {count - len(messages)} more")
        report("\n".join(lines), self.errors, stacklevel)
