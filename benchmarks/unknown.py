"""Unknown species: which score tells them, and whether its threshold keeps its promise.

Some species are left out of the gallery, but not of the unlabeled pool: two, or one of
three. AUROC compares the scores of queries of known and of unknown species. "false
alarms" is the share of the known that get `outlier_label`, where `contamination` asked
for 5 %, "found" that of the unknown. The rivals are trained on the same gallery, of
unit vectors: a one-class SVM, a local outlier factor, and relative Mahalanobis
distances (Ren et al. 2021, arXiv:2106.09022) with shrunk covariances.

    OMP_NUM_THREADS=1 python benchmarks/unknown.py
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _sets import AVAILABLE, embedded
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import normalize
from sklearn.svm import OneClassSVM

from skplankton import GalleryKNNClassifier
from skplankton._gallery.familiarity import log_odds

RESULTS = Path(__file__).parent / "results" / "unknown.csv"
SIZES = (4, 16)
N_DRAWS = 4
LEFT_OUT = ("simulator, 2000, noisy image", "simulator, 2000, noisy profile")
LEFT_OUT += ("breast cancer",)  # two classes: none can be left out
OURS = "use_unlabeled"


def mahalanobis(X, labels, queries):
    """The difference of the distances to the nearest class and to all."""
    reduce = PCA(min(20, len(X) - 1), random_state=0).fit(X)
    X, queries = reduce.transform(X), reduce.transform(queries)
    means = {label: X[labels == label].mean(axis=0) for label in np.unique(labels)}
    within = LedoitWolf(assume_centered=True).fit(
        X - np.array([means[label] for label in labels])
    )
    overall = LedoitWolf().fit(X)
    nearest = np.min(
        [
            np.einsum("ij,jk,ik->i", queries - m, within.precision_, queries - m)
            for m in means.values()
        ],
        axis=0,
    )
    return overall.mahalanobis(queries) - nearest


def one_run(name, seed, size, draw):
    X, y, pool, queries = embedded(name, seed)
    species = np.unique(y)
    rng = np.random.RandomState(1000 * seed + draw)
    unknown = rng.choice(species, 2 if len(species) > 3 else 1, replace=False)
    labels = y[pool].astype(object)
    labels[np.isin(y[pool], unknown)] = None
    gallery = GalleryKNNClassifier(gallery_size=size, random_state=draw)
    gallery.fit(X[pool], labels)
    labels = np.full(len(pool), None, dtype=object)
    labels[gallery.gallery_indices_] = gallery.gallery_labels_
    walk = GalleryKNNClassifier(use_unlabeled=True).fit(X[pool], labels)

    unit, query = normalize(gallery.gallery_), normalize(X[queries])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lof = LocalOutlierFactor(min(20, len(unit) - 1), novelty=True).fit(unit)
    svm = OneClassSVM(gamma="scale", nu=0.1).fit(unit)
    scores = {
        OURS: walk.score_samples(X[queries]),
        "use_unlabeled, one level": log_odds(
            walk._walk.absorption(X[queries]).sum(axis=1)
        ),
        "nearest distance": gallery.score_samples(X[queries]),
        "share of the votes": walk.predict_proba(X[queries]).max(axis=1),
        "relative Mahalanobis": mahalanobis(unit, gallery.gallery_labels_, query),
        "one-class SVM": svm.score_samples(query),
        "local outlier factor": lof.score_samples(query),
    }
    is_unknown = np.isin(y[queries], unknown)
    for method, score in scores.items():
        row = {
            "data": name,
            "seed": seed,
            "labels": size,
            "method": method,
            "AUROC": roc_auc_score(~is_unknown, score),
        }
        model = {OURS: walk, "nearest distance": gallery}.get(method)
        if model is not None:
            below = score < model.offset_
            row["false alarms"] = below[~is_unknown].mean()
            row["found"] = below[is_unknown].mean()
        yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--data", nargs="+", default=[n for n in AVAILABLE if n not in LEFT_OUT]
    )
    options = parser.parse_args()
    rows = [
        row
        for name in options.data
        for seed in range(options.seeds)
        for size in SIZES
        for draw in range(N_DRAWS)
        for row in one_run(name, seed, size, draw)
    ]
    found = pd.DataFrame(rows)
    values = ["AUROC", "false alarms", "found"]
    found[values] *= 100
    runs = found.groupby(["data", "seed", "labels", "method"], sort=False)[
        values
    ].mean()
    table = runs.groupby(["data", "labels", "method"], sort=False).mean()
    errors = runs.groupby(["data", "labels", "method"], sort=False)["AUROC"].sem()
    table.insert(1, "error", errors)
    for (size, method), group in runs.groupby(["labels", "method"], sort=False):
        mean = group.mean()
        mean["error"] = group["AUROC"].sem()
        table.loc[("mean", size, method), :] = mean
    table = table.round(1)
    print(table["AUROC"].unstack("method").to_string())
    print(table.xs(OURS, level="method").to_string())
    table.to_csv(RESULTS)
    means = table.loc["mean"].reset_index()
    means.to_csv(RESULTS.with_name("unknown_means.csv"), index=False)


if __name__ == "__main__":
    main()
