"""Accuracy of random forests on the instrument's features, with few and many labels.

A forest of the size that EcoTaxa trains (300 trees, balanced classes, leaves of five
particles at least: ecotaxa_back, py/ML/Random_forest_classifier.py), and the same with
leaves of any size. Their features are the instrument's measurements, or the profile as
it is for accuracy.py's "raw". Ours are from results/accuracy.csv: by the profile and by
both modalities, with the same training rows, galleries and test rows. "all" are forests
with the labels of all training rows. Results of sets that are not run are kept.

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
LEAVES = {"forest, leaves of 5": 5, "forest": 1}  # smallest leaf
OURS = {"profile": "ours, profile", "both": "ours, both"}
KEYS = ["data", "labels"]


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
    features = raw(take(X, train), X, seed, shapes)["profile"]
    for labels, rows in galleries(y[train], seed):
        for method, min_samples_leaf in LEAVES.items():
            forest = RandomForestClassifier(
                300,
                min_samples_leaf=min_samples_leaf,
                class_weight="balanced",
                random_state=seed,
            )
            forest.fit(features[train][rows], y[train][rows])
            accuracy = forest.score(features[test], y[test])
            yield name, labels, method, 100 * accuracy


def ours(data, seeds):
    """Rows of `CrossModalEmbedder`, from the results of accuracy.py."""
    found = pd.read_csv(RESULTS / "accuracy.csv")
    found = found[
        (found["method"] == "ours")
        & (found["seed"] < seeds)
        & found["data"].isin(data)
        & found["view"].isin(OURS)
    ]
    for row in found.itertuples():
        yield row.data, str(row.gallery_size), OURS[row.view], 100 * row.accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="+", default=available(PARTICLES))
    options = parser.parse_args()
    rows = list(ours(options.data, options.seeds))
    for name in options.data:
        for seed in range(options.seeds):
            rows += one_run(name, seed)
    found = pd.DataFrame(rows, columns=[*KEYS, "method", "accuracy"])
    table = found.pivot_table(index=KEYS, columns="method", values="accuracy").round(1)
    table = table.reindex(columns=[*LEAVES, *OURS.values()])
    path = RESULTS / "forest.csv"
    if path.exists():
        former = pd.read_csv(path, index_col=KEYS, dtype={"labels": str})
        table = pd.concat([table, former.drop(options.data, errors="ignore")])
    order = pd.MultiIndex.from_product(
        [PARTICLES, [*map(str, GALLERY_SIZES), "all"]], names=KEYS
    )
    table = table.reindex([row for row in order if row in table.index])
    table.to_csv(path)
    print(table.to_string())


if __name__ == "__main__":
    main()
