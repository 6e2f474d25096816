"""Accuracy of `GalleryKNNClassifier(use_unlabeled=True)` against distances alone.

On the embeddings of the defaults, with the same random galleries. "LabelSpreading" is
scikit-learn's with 10 neighbors, on the pool and the queries together. The numbers are
walks with other probabilities of another step than 0.98.

    OMP_NUM_THREADS=1 python benchmarks/pool.py
"""

import argparse
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from _sets import AVAILABLE, embedded
from sklearn.semi_supervised import LabelSpreading

from skplankton import GalleryKNNClassifier

RESULTS = Path(__file__).parent / "results" / "pool.csv"
SIZES = (1, 4, 16)
N_GALLERIES = 5
CONTINUES = (0.9, 0.95, 0.99)
NOISY = ("simulator, 2000, noisy image", "simulator, 2000, noisy profile")


def label_spreading(X, y, queries):
    """Labels of the queries, which take part in the graph."""
    codes = np.full(len(y) + len(queries), -1)
    labeled = np.flatnonzero(y != None)  # noqa: E711
    classes, codes[labeled] = np.unique(y[labeled].astype(str), return_inverse=True)
    model = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.vstack([X, queries]), codes)
    return classes[model.transduction_[len(y) :]]


def one_run(name, seed):
    X, y, pool, queries = embedded(name, seed)
    for size in SIZES:
        for draw in range(seed * N_GALLERIES, (seed + 1) * N_GALLERIES):
            gallery = GalleryKNNClassifier(gallery_size=size, random_state=draw)
            gallery.fit(X[pool], y[pool])
            partly = np.full(len(pool), None, dtype=object)
            partly[gallery.gallery_indices_] = gallery.gallery_labels_
            walk = GalleryKNNClassifier(use_unlabeled=True).fit(X[pool], partly)
            spread = label_spreading(X[pool], partly, X[queries])
            correct = {
                "distances": gallery.score(X[queries], y[queries]),
                "use_unlabeled": walk.score(X[queries], y[queries]),
                "LabelSpreading": np.mean(spread == y[queries].astype(str)),
            }
            for value in CONTINUES:
                with mock.patch("skplankton._gallery.walk._CONTINUES", value):
                    other = GalleryKNNClassifier(use_unlabeled=True)
                    other.fit(X[pool], partly)
                correct[str(value)] = other.score(X[queries], y[queries])
            for method, accuracy in correct.items():
                yield name, seed, size, draw, method, 100 * accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--data", nargs="+", default=[n for n in AVAILABLE if n not in NOISY]
    )
    options = parser.parse_args()
    rows = [
        row
        for name in options.data
        for seed in range(options.seeds)
        for row in one_run(name, seed)
    ]
    columns = ["data", "seed", "labels", "draw", "method", "accuracy"]
    found = pd.DataFrame(rows, columns=columns)
    by_run = found.groupby(["data", "seed", "labels", "method"])["accuracy"].mean()
    wide = by_run.unstack("method")
    wide["gain"] = wide["use_unlabeled"] - wide["distances"]
    groups = wide.groupby(["data", "labels"], sort=False)
    table = groups.mean()
    table["error"] = groups["gain"].sem()
    for size, runs in wide.groupby("labels"):
        mean = runs.mean()
        mean["error"] = runs["gain"].sem()
        table.loc[("mean", size), :] = mean
    print(table.round(1).to_string())
    table.round(1).to_csv(RESULTS)


if __name__ == "__main__":
    main()
