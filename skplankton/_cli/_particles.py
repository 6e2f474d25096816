"""Samples → one table of their particles, with the labels that they have."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from skplankton._cli._labels import labels_of, read_labels, warn_about_labels
from skplankton._cli._reports import errors
from skplankton._cli._samples import Channels, Sample, described
from skplankton._views.stored import StoredProfile


def load_labeled(
    samples: Sequence[Sample], options: Namespace, **settings: Any
) -> pd.DataFrame:
    """The particles of all samples, of which some must be labeled.

    `settings` are those of `load_all`.
    """
    table = load_all(samples, options, **settings)
    if table["label"].isna().all():
        raise ValueError(
            "None of the particles is labeled. Pass --labels, an export of EcoTaxa or "
            "a table, or samples with labels of their own (a column class, or "
            "objects validated in EcoTaxa). To see "
            "which particles to label first: python -m skplankton suggest SAMPLE... "
            "--output DIR"
        )
    return table


def load_all(
    samples: Sequence[Sample],
    options: Namespace,
    *,
    channels: Channels | None,
    cache: Path | None,
    labels_cache: Path | None,
) -> pd.DataFrame:
    """The particles of all samples, with the labels that they have.

    `channels` None are the defaults. The label is None where there is none.
    """
    # First the labels, which are quicker to read and more often invalid.
    labels = None
    if options.labels is not None:
        labels = read_labels(options.labels, options.strict, labels_cache)
    table = _concatenated(samples, options, channels, cache)
    _check_ids(table)
    if labels is not None:
        table["label"] = labels_of(table["object_id"], labels, options.labels)
    table["label"] = table["label"].astype(object).where(table["label"].notna(), None)
    warn_about_labels(table["label"].value_counts())
    return table


def _concatenated(
    samples: Sequence[Sample],
    options: Namespace,
    channels: Channels | None,
    cache: Path | None,
) -> pd.DataFrame:
    tables = []
    _check_alike(samples)
    for sample in samples:
        table = sample.load(
            channels=channels or "auto",
            cache=cache,
            errors=errors(options.strict),
            verbose=not options.quiet,
        )
        # All samples must have the channels of the first, or the error names the file.
        channels = channels or _channels_of(table)
        tables.append(table)
    wanted = ["image", "profile", "object_id", "sample_id", "label"]
    whole = pd.concat([table[wanted] for table in tables], ignore_index=True)
    whole.attrs = tables[0].attrs  # the names of the measurements
    return whole


def _check_alike(samples: Sequence[Sample]) -> None:
    """Raise if the samples are of instruments that measure different things."""
    first: dict[tuple[str, ...], Sample] = {}
    for sample in samples:
        if sample.measurements is not None:
            first.setdefault(sample.measurements, sample)
    if len(first) > 1:
        one, other = list(first.values())[:2]
        raise ValueError(
            f"{one.source} has {described(one.measurements)}, and {other.source} has "
            f"{described(other.measurements)}. They cannot be compared: pass samples "
            "of one kind, and train a model for each kind."
        )


def _channels_of(table: pd.DataFrame) -> list[str] | None:
    if "measurements" in table.attrs:
        return table.attrs["measurements"]
    stored = (entry for entry in table["profile"] if isinstance(entry, StoredProfile))
    first = next(stored, None)
    return None if first is None else list(first.channels)


def _check_ids(table: pd.DataFrame) -> None:
    twice = table[table["object_id"].duplicated(keep=False)]
    if len(twice):
        name = twice["object_id"].iloc[0]
        where = twice["sample_id"][twice["object_id"] == name].tolist()
        raise ValueError(
            f"The particle {name!r} occurs {len(where)} times, in {where}. Pass each "
            "particle once."
        )
