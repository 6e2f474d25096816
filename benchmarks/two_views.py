"""How the votes of two views are best added up.

Images and profiles have distances of different size, so that in a plain sum of
1 / distance votes the view with the smaller ones has most of the say. Compared, with
both views in gallery and query: the plain sum (``scale_views=False``, the paper's), the
votes on one scale (``scale_views=True``), and one fused embedding. Digits are cut into
an upper half, and a lower one squeezed to small differences, as one view may have.

    OMP_NUM_THREADS=1 python benchmarks/two_views.py
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.model_selection import GallerySplit

RESULTS = Path(__file__).parent / "results" / "two_views.csv"
GALLERY_SIZES = (1, 4, 16)
SQUEEZE = 0.1  # how much of the differences is left in one half of the digits


def simulated(seed: int):
    """Both forms of the embeddings of simulated particles, and their labels."""
    X, y = make_particles(600, random_state=seed, return_X_y=True)
    embedder = CrossModalEmbedder(random_state=seed).fit(X)
    fused = embedder.transform(X)
    return embedder.set_params(output="concat").transform(X), fused, y


def digits(seed: int):
    """The upper and the lower half of digits, the lower near a common direction."""
    X, y = load_digits(return_X_y=True)
    rows = np.random.RandomState(seed).permutation(len(X))[:600]
    upper, lower = np.split(StandardScaler().fit_transform(X)[rows], 2, axis=1)
    squeezed = 1 + SQUEEZE * lower
    unit = [
        half / np.linalg.norm(half, axis=1, keepdims=True) for half in (upper, squeezed)
    ]
    return np.hstack(unit), np.add(*unit), y[rows]


def accuracies(concat, fused, y, gallery_size: int, seed: int) -> dict:
    """Mean accuracy over five draws of the gallery."""
    ways = {
        "plain sum": (concat, {"n_modalities": 2, "scale_views": False}),
        "one scale": (concat, {"n_modalities": 2, "scale_views": True}),
        "fused": (fused, {}),
    }
    split = GallerySplit(gallery_size, n_repeats=5, random_state=seed)
    found: dict = {name: [] for name in ways}
    for gallery, queries in split.split(fused, y):
        labels = np.full(len(y), None, dtype=object)
        labels[gallery] = y[gallery]  # the others are there, unlabelled
        for name, (X, params) in ways.items():
            knn = GalleryKNNClassifier(**params).fit(X, labels)
            found[name].append(knn.score(X[queries], y[queries]))
    return {name: np.mean(scores) for name, scores in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        for data in (simulated, digits):
            embeddings = data(seed)
            for size in GALLERY_SIZES:
                scores = accuracies(*embeddings, size, seed)
                rows.append({"data": data.__name__, "gallery_size": size} | scores)
                print(seed, rows[-1], flush=True)
    table = pd.DataFrame(rows).groupby(["data", "gallery_size"], sort=False)
    table.mean().round(4).join(table.sem().round(4), rsuffix=" ±").to_csv(RESULTS)


if __name__ == "__main__":
    main()
