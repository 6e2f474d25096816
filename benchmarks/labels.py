"""Accuracy against number of labels: chosen by `select_to_label`, or at random.

The budget is 1, 2 and 4 times the number of classes, chosen from the unlabeled pool by
the embeddings of the defaults. Each choice is the gallery of a k-NN by distances and of
one with `use_unlabeled=True`; a class of which no particle was chosen is always wrong.
"1 width" and "4 widths" are `select_to_label` with similarities that fall faster and
more slowly than its own, "cosines" with ones in proportion to the cosines.
Rivals: TypiClust and ProbCover of scikit-activeml, k-medoids of kmedoids, with their
defaults, on unit vectors:

    pip install scikit-activeml kmedoids
    OMP_NUM_THREADS=1 python benchmarks/labels.py
"""

import argparse
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from _sets import AVAILABLE, embedded
from sklearn.preprocessing import normalize

from skplankton import GalleryKNNClassifier
from skplankton.model_selection import select_to_label

RESULTS = Path(__file__).parent / "results" / "labels.csv"
FIGURE = Path(__file__).parent.parent / "docs" / "_static" / "labels.svg"
BUDGETS = (1, 2, 4)
N_RANDOM = 10
LEFT_OUT = ("simulator, 2000, noisy image", "simulator, 2000, noisy profile")
OURS, RANDOM = "select_to_label", "random"


def from_activeml(strategy, **params):
    def choose(X, n_labels, n_classes):
        import skactiveml.pool as activeml

        y = np.full(len(X), np.nan)
        query = getattr(activeml, strategy)(random_state=0, **params)
        return query.query(X=X, y=y, batch_size=n_labels)

    return choose


def with_widths(n_widths):
    """`select_to_label` with another width of its similarity."""

    def choose(X, n_labels, n_classes):
        name = "skplankton.model_selection._select_to_label._N_WIDTHS"
        with mock.patch(name, n_widths):
            return select_to_label(X, n_labels)

    return choose


def medoids(X, n_labels, n_classes):
    import kmedoids

    distances = (1 - X @ X.T).clip(0).astype(np.float32)
    return np.asarray(kmedoids.fasterpam(distances, n_labels, random_state=0).medoids)


METHODS = {
    OURS: lambda X, n_labels, n_classes: select_to_label(X, n_labels),
    "1 width": with_widths(1),
    "4 widths": with_widths(4),
    "cosines": with_widths(1000),
    "k-medoids": medoids,
    "TypiClust": from_activeml("TypiClust"),
    "ProbCover": from_activeml("ProbCover"),
}


def scores(X, y, pool, queries, chosen):
    """Accuracy by distances and with the pool, and the share of the classes chosen."""
    labels = np.full(len(pool), None, dtype=object)
    labels[chosen] = y[pool[chosen]]
    found = np.unique(y[pool[chosen]])
    share = len(found) / len(np.unique(y))
    if len(found) < 2:  # nothing to tell apart: all are the one class
        alone = np.mean(y[queries] == found[0])
        return alone, alone, share
    return (
        GalleryKNNClassifier().fit(X[pool], labels).score(X[queries], y[queries]),
        GalleryKNNClassifier(use_unlabeled=True)
        .fit(X[pool], labels)
        .score(X[queries], y[queries]),
        share,
    )


def one_run(name, seed, methods):
    X, y, pool, queries = embedded(name, seed)
    n_classes = len(np.unique(y))
    unit = normalize(X[pool])
    for budget in BUDGETS:
        n_labels = budget * n_classes
        for method in methods:
            start = time.process_time()
            chosen = METHODS[method](unit, n_labels, n_classes)
            seconds = time.process_time() - start
            row = (name, seed, budget, method, round(seconds, 2))
            yield *row, *scores(X, y, pool, queries, chosen)
        rng = np.random.RandomState(seed)
        draws = [
            scores(X, y, pool, queries, rng.choice(len(pool), n_labels, replace=False))
            for _ in range(N_RANDOM)
        ]
        yield name, seed, budget, RANDOM, 0.0, *np.mean(draws, axis=0)


def labels_for_the_same(runs, values):
    """How many times the classes must be chosen to match 4 times as many at random.

    The smallest budget chosen that is as accurate; inf if none is.
    """
    needed = {}
    for run, group in runs.groupby(["data", "seed"]):
        wide = group.pivot_table(index="budget", columns="method", values=values)
        enough = wide.index[wide[OURS] >= wide.loc[4, RANDOM]]
        needed[run] = enough.min() if len(enough) else np.inf
    return pd.Series(needed)


def draw(table):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "labels"
    from matplotlib import pyplot as plt

    names = [name for name in table.index.unique("data") if name != "mean"]
    figure, axes = plt.subplots(
        -(-len(names) // 3), 3, figsize=(9, 7.5), sharex=True, layout="constrained"
    )
    for name, panel in zip(names, axes.flat, strict=False):
        for method, color in ((OURS, "C0"), (RANDOM, "0.5")):
            rows = table.loc[name].xs(method, level="method")
            panel.errorbar(
                rows.index,
                rows["use_unlabeled"],
                rows["error"],
                color=color,
                marker="o",
                capsize=2,
                label={OURS: "chosen"}.get(method, "at random"),
            )
        panel.set_title(name, fontsize="medium")
        panel.set_xscale("log", base=2)
        panel.set_xticks(BUDGETS, BUDGETS)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes.flat[len(names) :]:
        panel.set_axis_off()
    axes.flat[0].legend(frameon=False)
    figure.supxlabel("labels per class in the mean")
    figure.supylabel("accuracy, %")
    figure.savefig(FIGURE, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    parser.add_argument(
        "--data", nargs="+", default=[n for n in AVAILABLE if n not in LEFT_OUT]
    )
    options = parser.parse_args()
    rows = [
        row
        for name in options.data
        for seed in range(options.seeds)
        for row in one_run(name, seed, options.methods)
    ]
    values = ["distances", "use_unlabeled", "classes found"]
    keys = ["data", "seed", "budget", "method", "seconds"]
    runs = pd.DataFrame(rows, columns=[*keys, *values])
    runs[values] *= 100
    groups = runs.groupby(["data", "budget", "method"], sort=False)
    table = groups[[*values, "seconds"]].mean()
    table.insert(2, "error", groups["use_unlabeled"].sem())
    for (budget, method), group in runs.groupby(["budget", "method"], sort=False):
        mean = group[[*values, "seconds"]].mean()
        mean["error"] = group["use_unlabeled"].sem()
        table.loc[("mean", budget, method), :] = mean
    table = table.round(1)
    print(table["use_unlabeled"].unstack("method").to_string())
    for value in values[:2]:
        needed = labels_for_the_same(runs, value)
        print(f"{value}: as good as 4 x random, chosen: median {needed.median():g} x,")
        print("  runs by budget:", needed.value_counts().sort_index().to_dict())
        wide = runs.pivot_table(
            index=["data", "seed", "budget"], columns="method", values=value
        )
        worse = (wide[OURS] < wide[RANDOM]).sum()
        print(f"  worse than random in {worse} of {len(wide)}")
    table.to_csv(RESULTS)
    draw(table)


if __name__ == "__main__":
    main()
