"""Speed of the benchmark, compared with one classifier call per number.

Both classify the same queries by the same galleries, and the script stops if any number
of queries or any score differs. The plain way fits a `GalleryKNNClassifier` for every
repeat, gallery size and setup, and calls predict once per number of neighbors.

    OMP_NUM_THREADS=1 python benchmarks/evaluation_speed.py
    OMP_NUM_THREADS=1 python benchmarks/evaluation_speed.py --n-neighbors 1 3 5
"""

import warnings

import _timing
import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from skplankton import GalleryKNNClassifier
from skplankton.evaluation import cross_modal_benchmark
from skplankton.model_selection import GallerySplit

GALLERY_SIZES = (1, 2, 4, 8, 16)
N_REPEATS = 5
SEED = 0
VIEWS = {"image": "image", "profile": "profile", "both": "all"}


def embeddings(n_samples: int, n_species: int, n_components: int):
    """[image | profile] embeddings of overlapping classes of unequal size."""
    rng = np.random.default_rng(SEED)
    frequencies = 1 / np.arange(1, n_species + 1)
    codes = rng.choice(n_species, n_samples, p=frequencies / frequencies.sum())
    centers = rng.normal(size=(n_species, 2 * n_components))
    X = 0.3 * centers[codes] + rng.normal(size=(n_samples, 2 * n_components))
    return X.astype(np.float32), np.array([f"species {code:02d}" for code in codes])


def plain(X, y, n_neighbors) -> pd.DataFrame:
    """One classifier for every number, as a careful user would write it."""
    records = []
    for gallery_size in GALLERY_SIZES:
        split = GallerySplit(gallery_size, n_repeats=N_REPEATS, random_state=SEED)
        for repeat, (rows, queries) in enumerate(split.split(X, y)):
            X_queries, y_queries = X[queries], y[queries]
            for gallery, gallery_modalities in VIEWS.items():
                for query, query_modalities in VIEWS.items():
                    knn = GalleryKNNClassifier(
                        n_modalities=2,
                        scale_views=False,
                        gallery_modalities=gallery_modalities,
                        query_modalities=query_modalities,
                    ).fit(X[rows], y[rows])
                    for k in n_neighbors:
                        labels = knn.set_params(n_neighbors=k).predict(X_queries)
                        macro = precision_recall_fscore_support(
                            y_queries, labels, average="macro", zero_division=0
                        )
                        records.append(
                            {
                                "gallery": gallery,
                                "query": query,
                                "gallery_size": gallery_size,
                                "n_neighbors": k,
                                "repeat": repeat,
                                "n_queries": len(queries),
                                "n_gallery": len(rows),
                                "accuracy": accuracy_score(y_queries, labels),
                                **dict(
                                    zip(
                                        ("precision", "recall", "f1"),
                                        macro[:3],
                                        strict=True,
                                    )
                                ),
                            }
                        )
    return pd.DataFrame(records)


def ours(X, y, n_neighbors) -> pd.DataFrame:
    """The library's benchmark, on one Python thread."""
    return cross_modal_benchmark(
        X,
        y,
        gallery_sizes=GALLERY_SIZES,
        n_neighbors=n_neighbors,
        n_repeats=N_REPEATS,
        random_state=SEED,
    )


def check_same(expected: pd.DataFrame, results: pd.DataFrame) -> None:
    """Raise unless both have the same rows, in any order."""
    keys = ["gallery", "query", "gallery_size", "n_neighbors", "repeat"]
    pd.testing.assert_frame_equal(
        expected.set_index(keys).sort_index(),
        results.set_index(keys).sort_index(),
        check_exact=False,
        rtol=1e-12,
        check_dtype=False,
    )


def main() -> None:
    parser = _timing.parser(__doc__)
    parser.add_argument("--n-samples", type=int, default=4000)
    parser.add_argument("--n-species", type=int, default=20)
    parser.add_argument("--n-components", type=int, default=128)
    parser.add_argument("--n-neighbors", type=int, nargs="+", default=[3])
    options = parser.parse_args()
    X, y = embeddings(options.n_samples, options.n_species, options.n_components)

    # scikit-learn's warning about galleries of one or two rows per class.
    warnings.filterwarnings("ignore", "The number of unique classes is greater")
    results = {}

    def timed(name, way):
        def run() -> None:
            results[name] = way(X, y, options.n_neighbors)

        return lambda: _timing.seconds(run)

    figures = _timing.take_turns(
        {"plain": timed("plain", plain), "ours": timed("ours", ours)}, options.n_runs
    )
    check_same(results["plain"], results["ours"])
    row = _timing.compare(
        f"{options.n_samples} particles, {options.n_species} species, "
        f"{options.n_components} columns a view, k = "
        f"{', '.join(map(str, options.n_neighbors))}; {len(results['ours'])} scores",
        figures,
        target=">= 10",
    )
    _timing.write_table(__file__, [row])


if __name__ == "__main__":
    main()
