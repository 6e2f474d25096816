"""``--shard i/n``: the samples of a shard, and what it reports to ``merge``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from skplankton._cli._files import json_bytes, read_json, replace, write_whole

_FOLDER = "progress/shards"
_NEW, _MERGED = "shard.json", "merged.json"
# How the parts of a run are called where they differ.
_WORDS = {
    "model": "the model",
    "channels": "--channels",
    "skplankton": "the version of skplankton",
}

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of `count` processes that share the samples."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Its items: every n-th, as neighbors in time are of about the same size."""
        return items[self.index :: self.count]

    def folder(self, output: Path) -> Path:
        """An output folder of its own, so that shards never meet."""
        return output / _FOLDER / f"{self.index}-of-{self.count}"


class Report(NamedTuple):
    """What a shard leaves when it is done; its results are in its folder.

    `run` is that of the output folder, `options` are those that change results,
    `samples` all names, of every shard. `failed` has the errors of its own ones, and
    `card` is that of the model, for a page.
    """

    shard: Shard
    folder: Path
    run: dict[str, Any]
    options: dict[str, Any]
    samples: list[str]
    failed: dict[str, str]
    card: Sequence[Any] | None
    may_overwrite: bool
    is_merged: bool

    def write(self) -> None:
        """Write the file that says that the shard is done."""
        value = {k: v for k, v in self._asdict().items() if k in _IN_FILE}
        write_whole(self.folder / _NEW, json_bytes(value), self.folder / "progress")

    def mark_merged(self) -> None:
        """Record that the results were moved."""
        if not self.is_merged:
            replace(self.folder / _NEW, self.folder / _MERGED)


_IN_FILE = {"run", "options", "samples", "failed", "card", "may_overwrite"}


def withdraw_report(folder: Path) -> None:
    """Remove the report of an earlier run: the shard is not done."""
    for name in (_NEW, _MERGED):
        (folder / name).unlink(missing_ok=True)


def complete_reports(output: Path) -> list[Report]:
    """The reports of all shards, which have run with the same samples and options."""
    groups: dict[int, dict[int, Report | None]] = {}
    for folder in (output / _FOLDER).glob("*-of-*"):
        if match := re.fullmatch(r"(\d+)-of-(\d+)", folder.name):
            shard = Shard(*map(int, match.groups()))
            groups.setdefault(shard.count, {})[shard.index] = _read(shard, folder)
    if not groups:
        raise ValueError(
            f"{output} contains no shards. Expected the --output of: python -m "
            "skplankton classify --shard"
        )
    reports = _complete(_to_merge(groups, output), output)
    _check_options(reports)
    for report in reports[1:]:
        _check_samples(reports[0], report)
    return reports


def other_shards(output: Path, count: int) -> list[Path]:
    """Folders of shards of another number, which have been merged before."""
    folders = (output / _FOLDER).glob("*-of-*")
    return [folder for folder in folders if not folder.name.endswith(f"-of-{count}")]


def _read(shard: Shard, folder: Path) -> Report | None:
    for name in (_NEW, _MERGED):
        value = read_json(folder / name)
        if value is not None:
            return Report(shard, folder, is_merged=name == _MERGED, **value)
    return None


def _to_merge(
    groups: Mapping[int, Mapping[int, Report | None]], output: Path
) -> dict[Shard, Report | None]:
    """The shards of the number that has not been merged before, or of the only one."""
    new = {
        count
        for count, reports in groups.items()
        if any(report is None or not report.is_merged for report in reports.values())
    }
    if len(new) > 1:
        numbers = " and of ".join(map(str, sorted(new)))
        raise ValueError(
            f"{output} contains shards of {numbers}, and merge takes those of one "
            f"number. Remove those of another number, which are the folders "
            f"{' or '.join(str(output / _FOLDER / f'*-of-{n}') for n in sorted(new))}."
        )
    (count,) = new or groups
    found = groups[count]
    return {Shard(i, count): found.get(i) for i in range(count)}


def _complete(found: Mapping[Shard, Report | None], output: Path) -> list[Report]:
    missing = [shard for shard, report in found.items() if report is None]
    if missing:
        begun = [shard for shard in missing if shard.folder(output).is_dir()]
        not_done = f" (begun, but not done: {_list(begun)})" if begun else ""
        are = "is" if len(missing) == 1 else "are"
        raise ValueError(
            f"{output}: {len(missing)} of {missing[0].count} shards {are} missing: "
            f"{_list(missing)}{not_done}. Run classify with --shard "
            f"{' and with --shard '.join(map(str, missing[:3]))}"
            f"{' and so on' if len(missing) > 3 else ''}, and merge again."
        )
    return [report for report in found.values() if report is not None]


def _check_options(reports: Sequence[Report]) -> None:
    """Raise if shards were run with another model or other options."""
    differing = [
        f"{_WORDS.get(name, name)} ({sides})"
        for name in [*reports[0].run, *reports[0].options]
        if (sides := _sides(reports, name))
    ]
    if not differing:
        return
    advice = "Run those of one side again, so that all have the same"
    if any(report.run != reports[0].run for report in reports):
        advice += "; --overwrite lets them replace what they have written"
    raise ValueError(f"The shards differ in {', '.join(differing)}. {advice}.")


def _sides(reports: Sequence[Report], name: str) -> str:
    """The shards with each value, the fewest first; nothing if all have the same."""
    shards: dict[str, list[Shard]] = {}
    for report in reports:
        value = (report.run | report.options).get(name)
        shards.setdefault(repr(value), []).append(report.shard)
    sides = sorted(shards.values(), key=len)
    return " against ".join(map(_list, sides)) if len(sides) > 1 else ""


def _check_samples(one: Report, other: Report) -> None:
    """Raise if two shards had other samples."""
    if one.samples == other.samples:
        return
    names = sorted(set(one.samples) ^ set(other.samples))
    if names:
        which = one.shard if names[0] in one.samples else other.shard
        reason = f"{names[0]!r} was passed to {which} alone"
    else:
        reason = "in another order"
    raise ValueError(
        f"The shards {one.shard} and {other.shard} were run with other samples "
        f"({reason}), so that they do not share them. Run all shards again with the "
        "same; what is finished is not classified again."
    )


def _list(shards: Sequence[Shard]) -> str:
    return ", ".join(map(str, shards))
