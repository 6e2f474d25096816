"""Samples and labels → one table of particles, for fit and evaluate."""

from __future__ import annotations

import re
from argparse import Namespace
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from skplankton._cli._reports import complain, plural, say, show_bars
from skplankton._cli._samples import Channels, Sample
from skplankton._views.stored import StoredProfile
from skplankton.ecotaxa import read_ecotaxa

# What programs write for a missing label, and people for one that they do not know.
_PERHAPS_NONE = {
    *("none", "nan", "na", "n/a", "<na>", "null"),
    *("unlabelled", "unlabeled", "unknown"),
}


def load_labelled(
    samples: Sequence[Sample],
    options: Namespace,
    *,
    channels: Channels | None,
    cache: Path | None,
    labels_cache: Path | None,
) -> pd.DataFrame:
    """The particles of all samples, with labels; `channels` None are the usual ones."""
    # First the labels, which are quick to read, and more often wrong.
    labels = None
    if options.labels is not None:
        labels = _read_labels(options.labels, options.strict, labels_cache)
    table = _load_all(samples, options, channels, cache)
    _check_ids(table)
    if labels is not None:
        table["label"] = _joined(labels, table["object_id"], options.labels)
    table["label"] = table["label"].astype(object).where(table["label"].notna(), None)
    if table["label"].isna().all():
        raise ValueError(
            "None of the particles is labelled. Pass --labels, an export of EcoTaxa, "
            "or samples with labels of their own (a column class)."
        )
    _check_words(table["label"].value_counts())
    return table


def errors(strict: bool) -> str:
    """The library's word for it. "coerce" logs, and the commands gather the log."""
    return "raise" if strict else "coerce"


def _check_words(counts: pd.Series) -> None:
    """Warn of labels that may be none, or one that is written in several ways."""
    alike = defaultdict(list)
    for label, count in counts.items():
        if label.casefold() in _PERHAPS_NONE:
            complain(
                f"warning: {plural(count, 'particle')} labelled {label!r}, which is "
                "taken as a species. If it stands for no label, leave the cells of "
                "the class empty, or do not validate these objects in EcoTaxa."
            )
        alike[re.sub(r"[\s_-]", "", label.casefold())].append(f"{label!r} ({count})")
    for labels in alike.values():
        if len(labels) > 1:
            complain(
                f"warning: the labels {', '.join(labels)} look alike, and are taken as "
                "different species. If they are one, write them in one way."
            )


def _load_all(
    samples: Sequence[Sample],
    options: Namespace,
    channels: Channels | None,
    cache: Path | None,
) -> pd.DataFrame:
    tables = []
    for sample in samples:
        table = sample.load(
            channels=channels or "auto",
            cache=cache,
            errors=errors(options.strict),
            verbose=show_bars(options.quiet),
        )
        # All samples have the first one's channels, or the error names the file.
        channels = channels or _channels_of(table)
        tables.append(table)
    wanted = ["image", "profile", "object_id", "sample_id", "label"]
    return pd.concat([table[wanted] for table in tables], ignore_index=True)


def _channels_of(table: pd.DataFrame) -> list[str] | None:
    stored = (cell for cell in table["profile"] if isinstance(cell, StoredProfile))
    first = next(stored, None)
    return None if first is None else list(first.channels)


def _check_ids(table: pd.DataFrame) -> None:
    twice = table[table["object_id"].duplicated(keep=False)]
    if len(twice):
        name = twice["object_id"].iloc[0]
        where = twice["sample_id"][twice["object_id"] == name].tolist()
        raise ValueError(
            f"The particle {name!r} is there {len(where)} times, in {where}. Pass each "
            "particle once."
        )


def _read_labels(path: Path, strict: bool, cache: Path | None) -> Mapping[str, str]:
    objects = read_ecotaxa(path, errors=errors(strict), cache=cache)
    labelled = objects[objects["label"].notna()]
    if labelled.empty:
        counts = objects["status"].fillna("without a status").value_counts()
        found = ", ".join(f"{count} {status}" for status, count in counts.items())
        raise ValueError(
            f"{path} holds no validated object, only {found}. Validate some in EcoTaxa "
            "and export again."
        )
    return dict(zip(labelled["object_id"], labelled["label"], strict=True))


def _joined(labels: Mapping[str, str], ids: pd.Series, path: Path) -> pd.Series:
    joined = ids.map(labels)
    n_found = int(joined.notna().sum())
    if not n_found:
        raise ValueError(
            f"None of the {len(labels)} validated objects in {path} is in the samples: "
            f"it has object_id {next(iter(labels))!r}, …, the samples have "
            f"{ids.iloc[0] if len(ids) else 'no particles'!r}, …. Pass the samples "
            "that were labelled; ids are <sample>_<particle>."
        )
    n_others = len(labels) - n_found
    others = f"; {n_others} are of other samples" if n_others else ""
    say(f"{plural(n_found, 'label')} from {path}{others}")
    return joined
