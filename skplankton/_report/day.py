"""Classified samples → the page of a day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skplankton._report import selection
from skplankton._report.checks import Warn, sample_warnings
from skplankton._report.figures import LinearAxis, LogAxis
from skplankton._report.groups import groups_of_alike, unpacked
from skplankton._report.page import render
from skplankton._report.selection import (
    NOT_SPECIES,
    evenly_spaced,
    is_species,
)
from skplankton._utils.labels import UNKNOWN
from skplankton._utils.reports import listed

# Numbers of particles on the page: some 4 kB each.
MOST_TYPICAL, MOST_TYPICAL_OF_SPECIES = 600, 10
MOST_DOUBTFUL = 40
MOST_GROUPED, MOST_OF_GROUP = 1000, 8

_QUANTITIES = (
    ("count", "Particles", "particles"),
    ("concentration", "Particles per mL", "per mL"),
)


class ModelCard(NamedTuple):
    """What a page says of the model.

    `facts` are terms with their values, `gallery` the number of labeled particles of
    each species, `offset` and `contamination` those of the classifier.
    """

    facts: list[tuple[str, str]]
    gallery: dict[str, int]
    offset: float
    contamination: float
    knows_unknown: bool


def day_page(
    samples: pd.DataFrame,
    counts: pd.DataFrame,
    read_excerpt: Callable[[str], Mapping[str, Any]],
    model: ModelCard,
    warnings: Iterable[Warn] = (),
) -> str:
    """The HTML of a page about classified samples.

    Parameters
    ----------
    samples : DataFrame of shape (n_samples, 11)
        One row per sample: sample_id, instrument, start, duration_s,
        analyzed_volume_ml, pumped_volume_ml, n_particles, n_images, n_read, is_partial
        and volume_problem. All but sample_id and the numbers may be missing.
    counts : DataFrame of shape (n_counts, 14)
        One row per sample and label: sample_id, label, count, count_low, count_high,
        share, concentration (per mL), concentration_low, concentration_high,
        count_predicted, count_imaged, count_profile_only, volume_ml, is_partial and
        note. NaN, or a missing note, where something is not known.
    read_excerpt : callable
        The result of `sample_excerpt` for the sample with this id. It is called twice
        for each sample, so that the pictures of one sample are held at a time.
    model : ModelCard
        The model's card.
    warnings : iterable of Warn, default=()
        Warnings, to be shown with those that follow from the samples.

    Returns
    -------
    str
        The same for the same arguments.

    Raises
    ------
    ImportError
        If Jinja2 is not installed.
    """
    samples, particles, legend = _read(samples, read_excerpt)
    shown = _Shown.chosen(particles)
    shown.add_pictures(samples["sample_id"], read_excerpt)
    n_of_label = counts.groupby("label")["count"].sum()
    n_named = counts["count_predicted"].fillna(counts["count"])
    n_named = n_named.groupby(counts["label"]).sum()
    return render(
        "day.html",
        samples=_sample_rows(samples, model),
        has=_columns_with_values(samples),
        total=_totals(samples, n_of_label),
        figures=[_figure(counts, samples, *quantity) for quantity in _QUANTITIES],
        absent=sorted(
            label
            for label, n in n_of_label.items()
            if n == 0 and label not in NOT_SPECIES
        ),
        notes=_notes(counts),
        warnings=[*warnings, *sample_warnings(samples, model.contamination)],
        doubtful=shown.doubtful,
        groups=shown.groups,
        # As predicted: these are pictured, not those that the correction leaves.
        n_unknown=int(n_named.get(UNKNOWN, 0)),
        n_unknown_corrected=round(n_of_label.get(UNKNOWN, 0)),
        species=shown.species(n_of_label),
        n_hidden=shown.n_hidden,
        legend=legend,
        model=model,
    )


def _read(samples: pd.DataFrame, read_excerpt: Callable) -> tuple:
    """Samples with what excerpts add; the particles, without pictures; legend."""
    rows: list[dict[str, Any]] = []
    found: dict[str, list] = {"n_below": [], "quantiles": []}
    legend = None
    for sample in samples["sample_id"]:
        excerpt = read_excerpt(sample)
        found["n_below"].append(excerpt["n_below"])
        found["quantiles"].append(excerpt["familiarity"])
        legend = legend or excerpt["legend"]
        rows += [
            {key: value for key, value in particle.items() if key not in _PICTURE}
            | {"sample_id": sample}
            for particle in excerpt["shown"]
        ]
    particles = pd.DataFrame(rows, columns=_COLUMNS)
    return samples.assign(**found), particles, legend


_PICTURE = ("image", "size", "profile")
_COLUMNS = [
    *("sample_id", "object_id", "label", "score", "familiarity"),
    *("neighbors", "has_image", "roles", "embedding"),
]


class _Shown(NamedTuple):
    """The particles on the page: dicts, or lists of them."""

    typical: dict[str, list[dict]]
    n_hidden: int
    doubtful: list[dict]
    groups: list[dict]

    @classmethod
    def chosen(cls, particles: pd.DataFrame) -> _Shown:
        """Choose from those of all samples."""

        def of_role(role: str) -> pd.DataFrame:
            has_role = [role in roles for roles in particles["roles"]]
            return particles[np.array(has_role, dtype=bool)]

        typical, n_hidden = _typical(of_role("typical"))
        groups = _groups(of_role("unknown"))
        return cls(typical, n_hidden, _doubtful(of_role("doubtful")), groups)

    def add_pictures(self, samples: Iterable[str], read_excerpt: Callable) -> None:
        """Add the pictures, of one sample after the other."""
        lists = [*self.typical.values(), self.doubtful]
        lists += [group["particles"] for group in self.groups]
        waiting: dict[tuple[str, str], list[dict]] = {}
        for particle in (particle for shown in lists for particle in shown):
            key = (particle["sample_id"], particle["object_id"])
            waiting.setdefault(key, []).append(particle)
        for sample in samples:
            for particle in read_excerpt(sample)["shown"]:
                for shown in waiting.get((sample, particle["object_id"]), []):
                    shown.update({key: particle[key] for key in _PICTURE})

    def species(self, n_of_label: pd.Series) -> list[dict]:
        """The typical particles of each species, the most abundant one first."""
        order = sorted(self.typical, key=lambda name: (-n_of_label.get(name, 0), name))
        return [
            {
                "name": name,
                "count": float(n_of_label.get(name, 0)),
                "particles": self.typical[name],
            }
            for name in order
        ]


def _typical(candidates: pd.DataFrame) -> tuple[dict[str, list[dict]], int]:
    """Of each species; and the number of species for which there is no room."""
    by_size = candidates["label"].value_counts().sort_index(kind="stable")
    by_size = by_size.sort_values(ascending=False, kind="stable")
    names = by_size.index[:MOST_TYPICAL]
    n_each = min(MOST_TYPICAL_OF_SPECIES, MOST_TYPICAL // max(1, len(names)))
    found = {}
    for name in names:
        own = candidates[candidates["label"] == name]
        own = own.sort_values("familiarity", kind="stable")
        rows = evenly_spaced(np.arange(len(own)), n_each)
        found[name] = own.iloc[rows[::-1]].to_dict("records")
    return found, len(by_size) - len(names)


def _doubtful(candidates: pd.DataFrame) -> list[dict]:
    rows, is_unfamiliar = selection.doubtful(candidates)
    rows, is_unfamiliar = rows[:MOST_DOUBTFUL], is_unfamiliar[:MOST_DOUBTFUL]
    chosen = candidates.iloc[rows].assign(is_unfamiliar=is_unfamiliar)
    return chosen.to_dict("records")


def _groups(candidates: pd.DataFrame) -> list[dict]:
    """Unknown particles by likeness: the number in each group, and some of them."""
    rows = evenly_spaced(np.arange(len(candidates)), MOST_GROUPED)
    candidates = candidates.iloc[rows]
    if candidates.empty:
        return []
    embeddings = np.stack([unpacked(text) for text in candidates["embedding"]])
    groups = []
    for members in groups_of_alike(embeddings):
        own = candidates.iloc[members]
        nearest = own["neighbors"].map(lambda n: n[0][1] if n else None)
        groups.append(
            {
                "n": len(own),
                "nearest": nearest.value_counts().index[:2].tolist(),
                "particles": own.iloc[:MOST_OF_GROUP].to_dict("records"),
            }
        )
    return groups


def _totals(samples: pd.DataFrame, n_of_label: pd.Series) -> dict[str, Any]:
    n_particles = int(samples["n_particles"].sum())
    is_found = is_species(n_of_label.index.to_series()) & (n_of_label > 0)
    return {
        "samples": len(samples),
        "particles": n_particles,
        "images": int(samples["n_images"].sum()),
        "species": int(is_found.sum()),
        "unknown": float(n_of_label.get(UNKNOWN, 0)) / max(1, n_particles),
    }


def _columns_with_values(samples: pd.DataFrame) -> dict[str, bool]:
    """Which columns have any value."""
    return {str(name): bool(samples[name].notna().any()) for name in samples}


def _sample_rows(samples: pd.DataFrame, model: ModelCard) -> list[dict]:
    """The samples, with where their familiarity is drawn."""
    ends = [q for quantiles in samples["quantiles"] for q in quantiles]
    axis = LinearAxis([*ends, model.offset])
    rows = samples.astype(object).where(samples.notna(), None).to_dict("records")
    for row in rows:
        row["below"] = row["n_below"] / row["n_read"] if row["n_read"] else None
        row["box"] = [axis.position(q) for q in row["quantiles"]]
        row["offset"] = axis.position(model.offset)
    return rows


def _figure(
    counts: pd.DataFrame, samples: pd.DataFrame, quantity: str, title: str, unit: str
) -> dict[str, Any] | None:
    """Rows of labels and columns of samples, with positions on one axis."""
    if counts[quantity].isna().all():
        return None
    columns = [quantity, f"{quantity}_low", f"{quantity}_high"]
    axis = LogAxis(counts[columns].to_numpy(dtype=np.float64).ravel())
    names = samples["sample_id"].tolist()
    cells = {
        (row.label, row.sample_id): _cell(row, quantity, axis)
        for row in counts.itertuples(index=False)
    }
    sums = counts.groupby("label")[quantity].sum()
    found = [label for label in sums.index if sums[label] > 0]
    found.sort(key=lambda label: (label in NOT_SPECIES, -sums[label], label))
    rows = [
        {
            "label": label,
            "cells": [cells.get((label, name)) for name in names],
            "is_special": label in NOT_SPECIES,
        }
        for label in found
    ]
    return {
        "id": quantity,
        "title": title,
        "unit": unit,
        "samples": names,
        "ticks": axis.ticks(),
        "zero": axis.position(0),
        "rows": rows,
        "has_intervals": bool(counts[columns[1]].notna().any()),
    }


def _cell(row: Any, quantity: str, axis: LogAxis) -> dict[str, Any]:
    value, low, high = (
        float(getattr(row, f"{quantity}{end}")) for end in ("", "_low", "_high")
    )
    return {
        "value": value,
        "low": low,
        "high": high,
        "share": float(row.share) if quantity == "count" else float("nan"),
        "x": axis.position(value),
        "x_low": axis.position(low),
        "x_high": axis.position(high),
    }


def _notes(counts: pd.DataFrame) -> list[tuple[str, str]]:
    """Each note, with where it applies."""
    with_note = counts[counts["note"].notna() & (counts["note"] != "")]
    notes = []
    for note, rows in with_note.groupby("note", sort=True):
        labels = sorted(set(rows["label"]))
        notes.append((str(note), listed(labels)))
    return notes
