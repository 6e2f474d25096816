"""Accuracy of random forests on raw features, with the galleries of accuracy.py.

A forest of the size that EcoTaxa trains (300 trees, balanced classes, five particles in
a leaf at least: ecotaxa_back, py/ML/Random_forest_classifier.py), and the same with
leaves of any size. Its features are those of the instrument: the profile as it is for
accuracy.py's "raw", or its measurements, and the small gray image beside them. Ours is
from results/accuracy.csv, with the same training rows, galleries and test rows. "all"
are forests with the labels of all training rows.

    OMP_NUM_THREADS=1 python benchmarks/forest.py
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from _sets import DATA, TEST_SHARE, available, take
from accuracy import GALLERY_SIZES, N_GALLERIES, raw
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skplankton import GalleryKNNClassifier

RESULTS = Path(__file__).parent / "results"
PARTICLES = ("simulator, 600", "simulator, imbalanced", "FlowCam, all measurements")
VIEWS = ("both", "profile")
LEAVES = {"forest, leaves of 5": 5, "forest": 1}  # smallest leaf


def forest(min_samples_leaf, seed):
    return RandomForestClassifier(
        300,
        min_samples_leaf=min_samples_leaf,
        class_weight="balanced",
        random_state=seed,
    )


def galleries(y, seed):
    """(Number of labels, rows of y) of accuracy.py's galleries, and all rows."""
    for size in GALLERY_SIZES:
        for draw in range(seed * N_GALLERIES, (seed + 1) * N_GALLERIES):
            drawn = GalleryKNNClassifier(gallery_size=size, random_state=draw)
            yield str(size), drawn.fit(np.zeros((len(y), 1)), y).gallery_indices_
    yield "all", np.arange(len(y))


def one_run(name, seed):
    X, y, shapes = DATA[name](seed)
    train, test = train_test_split(
        np.arange(len(y)), test_size=TEST_SHARE, stratify=y, random_state=seed
    )
    features = raw(take(X, train), X, seed, shapes)
    for view in VIEWS:
        known = features[view][train]
        for labels, rows in galleries(y[train], seed):
            for method, min_samples_leaf in LEAVES.items():
                model = forest(min_samples_leaf, seed).fit(known[rows], y[train][rows])
                score = model.score(features[view][test], y[test])
                yield name, seed, view, labels, method, 100 * score


def ours(seeds):
    """The accuracies of `CrossModalEmbedder` on the same rows."""
    found = pd.read_csv(RESULTS / "accuracy.csv")
    found = found[(found["method"] == "ours") & (found["seed"] < seeds)]
    found = found.rename(columns={"gallery_size": "labels"})
    return found.assign(
        labels=found["labels"].astype(str), accuracy=100 * found["accuracy"]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="+", default=available(PARTICLES))
    options = parser.parse_args()
    columns = ["data", "seed", "view", "labels", "method", "accuracy"]
    forests = pd.DataFrame(
        (
            row
            for name in options.data
            for seed in range(options.seeds)
            for row in one_run(name, seed)
        ),
        columns=columns,
    )
    found = pd.concat([forests, ours(options.seeds)[columns]])
    found = found[found["data"].isin(options.data) & found["view"].isin(VIEWS)]
    shown = found.pivot_table(
        index=["data", "view", "labels"], columns="method", values="accuracy"
    )
    order = pd.MultiIndex.from_product(
        [options.data, VIEWS, [*map(str, GALLERY_SIZES), "all"]]
    )
    shown = shown.reindex(order, columns=[*LEAVES, "ours"]).round(1)
    shown.index.names = ["data", "view", "labels"]
    shown.to_csv(RESULTS / "forest.csv")
    print(shown.to_string())


if __name__ == "__main__":
    main()
