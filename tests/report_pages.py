"""Pages of reports, of simulated particles and of made-up predictions.

For tests/test_report.py, and for .ci/browser.py, which opens them.
"""

import json
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd

from skplankton._report import day_page, evaluation_page, sample_excerpt
from skplankton._report.checks import Warn
from skplankton._report.day import ModelCard
from skplankton._utils.labels import UNKNOWN, WITHOUT_VIEW
from skplankton.datasets import make_particles

OFFSET = -2.0
ODD = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'single' </style>",
    "{{ 7 * 7 }}",
    "Ceratium fusus var. seta (Ehrenberg) Sournia, a name without an end_" * 3,
    "Νηστίς ‮rtl‬ 🦠",
    "a\tb\nc",
    "-1",
)


def card(**changes):
    """The card of a model."""
    return ModelCard(
        **{
            "facts": [("File", "m<b>odel.joblib"), ("Fitted", "2026-01-02 03:04 UTC")],
            "gallery": dict.fromkeys(ODD, 4),
            "offset": OFFSET,
            "contamination": 0.05,
            "knows_unknown": True,
            **changes,
        }
    )


def images(n, rng):
    """Camera images of noise, which compress badly, in every shape and kind."""
    shapes = [(rng.integers(1, 300), rng.integers(1, 300)) for _ in range(n)]
    found = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    for i in range(0, n, 7):
        found[i] = np.stack([found[i]] * 3, axis=2)
    for i in range(3, n, 7):
        found[i] = (found[i] / 255).astype(np.float32)
    return found


@cache
def simulated():
    """Particles, to be used many times over."""
    return make_particles(40, n_species=4, random_state=0, return_X_y=True)[0]


def sample(name, labels, seed=0, noise=False, image_share=0.8):
    """A sample of particles with these predicted labels, and its excerpt."""
    labels = np.asarray(labels, dtype=object)
    n, rng = len(labels), np.random.default_rng(seed)
    particles = simulated().iloc[np.arange(n) % 40][["image", "profile"]]
    particles = particles.astype(object).reset_index(drop=True)
    if noise:
        particles["image"] = pd.Series(images(n, rng), dtype=object)
    particles.loc[rng.uniform(size=n) >= image_share, "image"] = None
    particles["object_id"] = [f"{name}_{i}" for i in range(n)]
    is_read = labels != WITHOUT_VIEW
    familiarity = np.where(labels == UNKNOWN, OFFSET - 1, OFFSET + 3)
    familiarity = np.where(is_read, familiarity + rng.normal(size=n), np.nan)
    predicted = pd.DataFrame(
        {
            "object_id": particles["object_id"],
            "label": labels,
            "score": np.where(is_read, rng.uniform(0.3, 1, size=n), np.nan),
            "familiarity": familiarity,
            "neighbors": [[[f"old_{i}", str(labels[i]), 0.9]] for i in range(n)],
        }
    )
    excerpt = sample_excerpt(
        particles,
        predicted,
        offset=OFFSET,
        embed=lambda rows: rng.normal(size=(len(rows), 16)),
    )
    return SimpleNamespace(
        name=name,
        particles=particles,
        predicted=predicted,
        excerpt=json.loads(json.dumps(excerpt)),
    )


def samples_frame(samples, **changes):
    """The table of samples, in which nothing more is known than what was counted."""
    missing = ["start", "duration_s", "analyzed_volume_ml", "pumped_volume_ml"]
    missing += ["is_partial", "volume_problem", "instrument"]
    rows = [
        {
            "sample_id": one.name,
            "n_particles": len(one.particles),
            "n_images": one.excerpt["n_images"],
            "n_read": one.excerpt["n_read"],
        }
        for one in samples
    ]
    columns = {**dict.fromkeys(missing, np.nan), **changes}
    return pd.DataFrame(rows).assign(**columns)


def counts_frame(samples, volume=None):
    """Counts of each label; with intervals and concentrations if a volume is known."""
    labels = sorted({label for one in samples for label in one.predicted["label"]})
    rows = []
    for one in samples:
        counts = one.predicted["label"].value_counts()
        for label in labels:
            n = float(counts.get(label, 0))
            row = {"sample_id": one.name, "label": label, "count": n}
            row["share"] = n / max(1, len(one.particles))
            rows.append(row)
    missing = ["count_low", "count_high", "concentration", "concentration_low"]
    missing += ["concentration_high", "count_predicted", "count_imaged"]
    missing += ["count_profile_only", "volume_ml", "is_partial", "note"]
    frame = pd.DataFrame(rows, columns=["sample_id", "label", "count", "share"])
    frame = frame.assign(**dict.fromkeys(missing, np.nan))
    if volume is not None:
        spread = 2 * np.sqrt(frame["count"])
        frame["count_low"] = (frame["count"] - spread).clip(lower=0)
        frame["count_high"] = frame["count"] + spread + 3
        for end in ("", "_low", "_high"):
            frame[f"concentration{end}"] = frame[f"count{end}"] / volume
        frame["note"] = pd.Series([None] * (len(frame) - 1) + ["few <images>"])
    return frame


def page_of(samples, volume=None, warnings=(), model=None, without=None, **changes):
    """The page of a day; the volume of the sample `without` is not known."""
    counts = counts_frame(samples, volume)
    columns = [name for name in counts if name.startswith("concentration")]
    counts.loc[counts["sample_id"] == without, columns] = np.nan
    by_name = {one.name: one.excerpt for one in samples}
    return day_page(
        samples_frame(samples, **changes),
        counts,
        by_name.__getitem__,
        model or card(),
        warnings,
    )


def mixed(n, seed=0, names=ODD):
    """Labels of a sample: species, unknown, and unreadable."""
    rng = np.random.default_rng(seed)
    labels = [*names, UNKNOWN, UNKNOWN, WITHOUT_VIEW]
    return np.array(labels, dtype=object)[rng.integers(len(labels), size=n)]


def evaluation_of(n=200, n_species=7, all_right=False, seed=0):
    """The page of an evaluation."""
    names = [*ODD, *(f"species_{i}" for i in range(n_species - len(ODD)))]
    rng = np.random.default_rng(seed)
    names = names[:n_species]
    labels = np.array(names, dtype=object)[rng.integers(n_species, size=n)]
    one = sample("day", labels if all_right else mixed(n, seed, names), seed)
    truth = one.predicted["label"].to_numpy(dtype=object).copy()
    if not all_right:
        is_wrong = (rng.uniform(size=n) < 0.3) | ~np.isin(truth, names)
        truth[is_wrong] = np.array(names, dtype=object)[
            rng.integers(n_species, size=is_wrong.sum())
        ]
    predicted = one.predicted.assign(truth=truth)
    species = sorted(set(truth))
    scores = pd.DataFrame(
        rng.uniform(size=(len(species), 3)),
        index=species,
        columns=["precision", "recall", "f1"],
    ).assign(particles=1)
    return evaluation_page(one.particles, predicted, scores, card())


def cases():
    """The text of a page for each case, by name."""
    whole = sample("today <1>", mixed(300))
    other = sample("yester\"day'", mixed(120, seed=1), seed=1)
    warnings = [
        Warn("Not classified", "<img src=x onerror=alert(1)> is no sample"),
        Warn("Unreadable", "today: something could not be read", "line\n</pre>\n" * 40),
    ]
    many = [f"species_{i:03}" for i in range(200)]
    days = [sample(f"day_{i:02}", mixed(60, seed=i), seed=i) for i in range(12)]
    return {
        "two_samples": page_of([whole, other], volume=0.37, warnings=warnings),
        "one_sample": page_of(
            [whole],
            volume=1.2,
            instrument="CytoSense <7>",
            start="2026-05-01 10:00",
            duration_s=600.0,
            analyzed_volume_ml=1.2,
            is_partial=True,
            volume_problem="the pump speed is missing",
        ),
        "counts_only": page_of([whole]),
        "one_volume": page_of([whole, other], volume=0.5, without=other.name),
        "twelve_samples": page_of(days),
        "no_particles": page_of([sample("nothing", [])]),
        "one_particle": page_of([sample("single", ["diatom"])]),
        "one_unknown": page_of([sample("single", [UNKNOWN])]),
        "no_images": page_of([sample("blind", mixed(80), image_share=0)]),
        "unreadable": page_of([sample("broken", [WITHOUT_VIEW] * 3)]),
        "many_species": page_of([sample("rich", mixed(1500, names=many))]),
        "evaluation": evaluation_of(),
        "evaluation_many": evaluation_of(900, n_species=200),
        "evaluation_right": evaluation_of(40, all_right=True),
    }


def write_pages(folder):
    """Write the page of each case; return the paths."""
    paths = []
    for name, text in cases().items():
        path = folder / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
