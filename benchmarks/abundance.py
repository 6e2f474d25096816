"""Counts of species over a season: which correction is right, and do intervals hold?

Every fifth day of 30 a sample is drawn: each species has a concentration that changes
slowly, and one blooms. The number of particles in the sample is Poisson, and they are
drawn from particles that nobody has labeled; the truth is the expected number.
Galleries of 4 and 16 labels of each species classify them with ``use_unlabeled=True``.
They are calibrated by "gallery", the gallery's own leave-one-out, or by "validated": 15
other particles of each species. "true labels" is a classifier that makes no mistake:
what is left is the counting error. "bayes, prior 2" and "8" have other strengths of the
prior than 4.

In "a new species", one species is not in the gallery, and the others are counted. In
"few images", 60 % of the particles are classified by their profile alone; "images only"
counts those with an image, and scales. "validated by views" has 15 validated particles
of each species with an image, and as many without.

"error" is the mean of |count - truth| / truth where the truth is 10 or more, in
percent; "covered" is the share of 95 % intervals that contain the truth, "±" its
standard error over galleries, "worst" that of the gallery with the fewest, "too low"
and "too high" the shares of intervals below and above the truth, "width" the median
width over the truth, all in percent. QuaPy's ACC and EMQ are compared if it is
installed:

    pip install quapy
    OMP_NUM_THREADS=1 python benchmarks/abundance.py
"""

import argparse
import importlib.util
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from _sets import N_POOL, embedded_by_views

from skplankton import GalleryKNNClassifier
from skplankton.abundance import abundance_table, gallery_calibration

RESULTS = Path(__file__).parent / "results" / "abundance.csv"
FIGURE = Path(__file__).parent.parent / "docs" / "_static" / "abundance.svg"
SIZES = (4, 16)
N_DAYS = 30
BLOOM_DAY, BLOOM_DAYS, BLOOM = 15, 4, 600  # peak, width and height of the bloom
RAREST, MOST = 3, 60  # expected numbers of the other species
N_VALIDATED = 15
N_ENOUGH = 10
WITHOUT_IMAGE = 0.6
STRENGTH = "skplankton.abundance._quantification._PRIOR_STRENGTH"


class Season:
    """A gallery, other labeled particles, and the particles to draw samples from."""

    def __init__(self, seed, size, draw, new_species=False):
        self.rng = np.random.RandomState(1000 * seed + 10 * draw + size)
        both, profile, y = embedded_by_views(seed)
        self.species = np.unique(y)
        self.new = self.rng.choice(self.species) if new_species else None
        known = self.species[self.species != self.new]
        labels = np.full(N_POOL, None, dtype=object)
        for name in known:
            rows = self.rng.permutation(np.flatnonzero(y[:N_POOL] == name))
            labels[rows[:size]] = name
        self.gallery = GalleryKNNClassifier(
            use_unlabeled=True, outlier_label="unknown"
        ).fit(both[:N_POOL], labels)
        # Others are new to the embedder: half may be validated, half are counted.
        others = self.rng.permutation(np.arange(N_POOL, len(y)))
        self.validated, self.counted = np.split(others, 2)
        self.y = y
        self.tables = {
            has_image: self.classified(X, has_image)
            for has_image, X in ((True, both), (False, profile))
        }

    def classified(self, X, has_image):
        shares = self.gallery.predict_proba(X)
        names = [f"share_{name}" for name in self.gallery.classes_]
        table = pd.DataFrame(shares, columns=names)
        table["predicted_label"] = self.gallery.predict(X)
        return table.assign(label=self.y, has_image=has_image)

    def bias(self, expected):
        """Relative error of the expected numbers of predictions, by species."""
        table = self.tables[True].iloc[self.counted]
        rates = pd.crosstab(
            table["label"], table["predicted_label"], normalize="index"
        ).reindex(index=self.species, columns=self.species, fill_value=0)
        mean = expected.mean(axis=0)
        return np.where(mean >= N_ENOUGH, np.abs(mean @ rates / mean - 1), 0)

    def expected(self):
        """Expected numbers of particles, one row per day."""
        days = np.arange(N_DAYS)[:, None]
        level = self.rng.permutation(np.geomspace(RAREST, MOST, len(self.species)))
        phase = self.rng.rand(len(self.species))
        expected = level * np.exp(0.5 * np.sin(2 * np.pi * (days / N_DAYS + phase)))
        # A species that is in the gallery.
        blooming = self.rng.choice(np.flatnonzero(self.species != self.new))
        peak = np.exp(-0.5 * ((days - BLOOM_DAY) / BLOOM_DAYS) ** 2)
        expected[:, [blooming]] += BLOOM * peak
        return expected

    def sample(self, expected, without_image=0.0):
        """The particles of a day."""
        rows = np.concatenate(
            [
                self.rng.choice(self.counted[self.y[self.counted] == name], n)
                for name, n in zip(
                    self.species, self.rng.poisson(expected), strict=True
                )
            ]
        )
        no_image = self.rng.rand(len(rows)) < without_image
        return pd.concat(
            [
                self.tables[True].iloc[rows[~no_image]],
                self.tables[False].iloc[rows[no_image]],
            ]
        ).assign(sample_id="day")

    def from_gallery(self):
        return gallery_calibration(self.gallery)

    def from_validated(self, views=(True,)):
        chosen = [
            self.rng.choice(
                self.validated[self.y[self.validated] == name], N_VALIDATED, False
            )
            for name in self.gallery.classes_
        ]
        rows = np.concatenate(chosen)
        return pd.concat([self.tables[has_image].iloc[rows] for has_image in views])


def all_known(season):
    gallery, validated = season.from_gallery(), season.from_validated()
    validated = validated.drop(columns="has_image")
    plans = {("none", "true labels"): None, ("none", "cc"): {"method": "cc"}}
    plans["none", "pcc"] = {"method": "pcc"}
    for name, calibration in (("gallery", gallery), ("validated", validated)):
        for method in ("acc", "emq", "bayes"):
            plans[name, method] = {"method": method, "calibration": calibration}
        for strength in (2, 8):
            plans[name, f"bayes, prior {strength}"] = {"calibration": calibration}
        if importlib.util.find_spec("quapy"):
            for method in ("ACC", "EMQ"):
                plans[name, f"QuaPy {method}"] = {"calibration": calibration}
    return plans, 0.0


def new_species(season):
    validated = season.from_validated().drop(columns="has_image")
    return {
        ("none", "cc"): {},
        ("gallery", "bayes"): {"calibration": season.from_gallery()},
        ("validated", "bayes"): {"calibration": validated},
    }, 0.0


def few_images(season):
    gallery = season.from_gallery()
    by_views = season.from_validated(views=(True, False))
    validated = by_views[by_views["has_image"]].drop(columns="has_image")
    return {
        ("none", "cc"): {},
        ("none", "cc, images only"): {"imaged_only": True},
        ("gallery", "bayes"): {"calibration": gallery},
        ("gallery", "bayes, images only"): {
            "calibration": gallery,
            "imaged_only": True,
        },
        ("validated", "bayes, images only"): {
            "calibration": validated,
            "imaged_only": True,
        },
        ("validated by views", "bayes"): {"calibration": by_views},
    }, WITHOUT_IMAGE


SCENARIOS = {
    "all known": all_known,
    "a new species": new_species,
    "few images": few_images,
}


def counted(season, particles, method, plan, day):
    """The table of a day by species: count, count_low and count_high."""
    if method == "true labels":
        particles = particles.assign(predicted_label=particles["label"])
        plan = {}
    if method.startswith("QuaPy"):
        return by_quapy(season, particles, method.split()[1], plan["calibration"])
    strength = int(method.split()[-1]) if "prior" in method else 4
    with mock.patch(STRENGTH, strength):
        table = abundance_table(particles, random_state=day, **plan)
    return table.set_index("label")


def by_quapy(season, particles, method, calibration):
    """Its estimates; particles predicted as unknown are left out."""
    from quapy.functional import normalize_prevalence
    from quapy.method.aggregative import ACC, EMQ

    classes = season.gallery.classes_.astype(str)
    known = particles[particles["predicted_label"] != "unknown"]
    if method == "ACC":
        given = calibration[calibration["predicted_label"] != "unknown"]
        true, predicted = given[["label", "predicted_label"]].to_numpy(str).T
        counts = known["predicted_label"].value_counts().reindex(classes, fill_value=0)
        shares = ACC.solve_adjustment(
            ACC.getPteCondEstim(classes, true, predicted),
            counts.to_numpy() / len(known),
            method="inversion",
            solver="minimize",
        )
        shares = normalize_prevalence(shares, method="clip")
    else:
        votes = known[[f"share_{name}" for name in classes]].to_numpy()
        shares, _ = EMQ.EM(np.full(len(classes), 1 / len(classes)), votes)
    return pd.DataFrame({"count": shares * len(known)}, index=classes)


def one_run(scenario, seed, size, draw, days):
    season = Season(seed, size, draw, scenario == "a new species")
    plans, without_image = SCENARIOS[scenario](season)
    expected = season.expected()
    for day in days:
        particles = season.sample(expected[day], without_image)
        for (calibration, method), plan in plans.items():
            start = time.process_time()
            found = counted(season, particles, method, plan, day)
            seconds = time.process_time() - start
            for name, truth in zip(season.species, expected[day], strict=True):
                if name == season.new or name not in found.index:
                    continue
                yield {
                    "scenario": scenario,
                    "labels": size,
                    "calibration": calibration,
                    "method": method,
                    "seed": seed,
                    "draw": draw,
                    "day": day,
                    "species": name,
                    "truth": truth,
                    "seconds": seconds,
                    **found.loc[name].reindex(["count", "count_low", "count_high"]),
                }


def summary(runs):
    keys = ["scenario", "labels", "calibration", "method"]
    truth = runs["truth"]
    has_interval = runs["count_low"].notna()
    runs = runs.assign(
        error=((runs["count"] - truth).abs() / truth).where(truth >= N_ENOUGH),
        low=(runs["count_high"] < truth).where(has_interval),
        high=(runs["count_low"] > truth).where(has_interval),
        width=(runs["count_high"] - runs["count_low"]) / truth,
    )
    runs["covered"] = (1 - runs["low"] - runs["high"]).astype(float)
    groups = runs.groupby(keys, sort=False)
    galleries = runs.groupby([*keys, "seed", "draw"], sort=False)["covered"].mean()
    table = pd.DataFrame(
        {
            "error": 100 * groups["error"].mean(),
            "covered": 100 * groups["covered"].mean(),
            "±": 100 * galleries.groupby(keys, sort=False).sem(),
            "worst": 100 * galleries.groupby(keys, sort=False).min(),
            "too low": 100 * groups["low"].mean().astype(float),
            "too high": 100 * groups["high"].mean().astype(float),
            "width": 100 * groups["width"].median(),
        }
    ).round(1)
    table["s per sample"] = groups["seconds"].mean().round(2)
    return table


def for_the_guide(table):
    """The methods of the library, without times."""
    table = table.reset_index()
    table = table[~table["method"].str.contains("prior|QuaPy")]
    return table.drop(columns="s per sample")


def draw_season(size, n_seeds, n_draws):
    """The season of median bias, sampled daily: uncorrected and corrected."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcdefaults()  # QuaPy changes the fonts
    matplotlib.rcParams["svg.hashsalt"] = "abundance"
    from matplotlib import pyplot as plt

    seasons = [
        Season(seed, size, draw) for seed in range(n_seeds) for draw in range(n_draws)
    ]
    pairs = [(season, season.expected()) for season in seasons]
    pairs.sort(key=lambda pair: pair[0].bias(pair[1]).max())
    season, expected = pairs[len(pairs) // 2]
    methods = {
        "uncorrected (cc)": {},
        "corrected (bayes, validated)": {
            "calibration": season.from_validated().drop(columns="has_image")
        },
    }
    days = np.arange(N_DAYS)
    samples = [season.sample(expected[day]) for day in days]
    # The blooming species, and the two whose predictions are the most biased.
    blooming = expected.max(axis=0).argmax()
    biased = np.argsort(-season.bias(expected))
    order = [blooming, *biased[biased != blooming][:2]]
    figure, axes = plt.subplots(3, 1, figsize=(7, 7), sharex=True, layout="constrained")
    for shift, color, (name, plan) in zip(
        (-0.15, 0.15), ("C1", "C0"), methods.items(), strict=True
    ):
        tables = [
            counted(season, sample, name, plan, day)
            for day, sample in zip(days, samples, strict=True)
        ]
        for axis, i in zip(axes, order, strict=True):
            count, low, high = (
                np.array([table.loc[season.species[i], column] for table in tables])
                for column in ("count", "count_low", "count_high")
            )
            axis.errorbar(
                days + shift,
                count,
                [count - low, high - count],
                fmt="o",
                markersize=3,
                linewidth=1,
                color=color,
                label=name,
            )
    for axis, i in zip(axes, order, strict=True):
        axis.plot(days, expected[:, i], color="0.3", label="truth")
        axis.set_title(season.species[i], fontsize="medium")
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3
    )
    figure.supxlabel("day")
    figure.supylabel("particles in the sample")
    figure.savefig(FIGURE, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--every", type=int, default=5, help="days between samples")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS)
    options = parser.parse_args()
    runs = pd.DataFrame(
        row
        for scenario in options.scenarios
        for seed in range(options.seeds)
        for size in SIZES
        for draw in range(options.draws)
        for row in one_run(scenario, seed, size, draw, range(0, N_DAYS, options.every))
    )
    table = summary(runs)
    print(table.to_string())
    table.to_csv(RESULTS)
    for_the_guide(table).to_csv(RESULTS.with_name("abundance_guide.csv"), index=False)
    draw_season(SIZES[0], options.seeds, options.draws)


if __name__ == "__main__":
    main()
