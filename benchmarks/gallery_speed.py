"""Naming queries by a gallery, beside scikit-learn's KNeighborsClassifier.

100,000 queries of 128 float32 columns, 3 neighbours, a gallery of 50 species × 16; a
fifth as many queries against × 1,000, where scikit-learn takes half a minute for them;
metric "cosine" and equal votes on both sides. Their names must agree, but for the
queries whose neighbours tie, where the classifiers may differ: the script stops if more
than one in 10,000 does. The second row is one query against 20,000 entries, again and
again, as when particles come in one by one.

    OMP_NUM_THREADS=1 python benchmarks/gallery_speed.py
"""

import _timing
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from skplankton import GalleryKNNClassifier

SEED, N_SPECIES, N_COLUMNS = 0, 50, 128


def embeddings(n_samples: int, rng, centers) -> tuple[np.ndarray, np.ndarray]:
    """Rows of overlapping species, and the species."""
    y = np.arange(n_samples) % N_SPECIES
    noise = rng.normal(size=(n_samples, N_COLUMNS))
    return (0.5 * centers[y] + noise).astype(np.float32), y


def row(n_entries: int, n_queries: int, n_calls: int, n_runs: int) -> dict:
    """One gallery."""
    rng = np.random.default_rng(SEED)
    centers = rng.normal(size=(N_SPECIES, N_COLUMNS))
    gallery, y = embeddings(n_entries, rng, centers)
    queries, _ = embeddings(n_queries, rng, centers)
    ways = {
        "plain": KNeighborsClassifier(3, metric="cosine"),
        "ours": GalleryKNNClassifier(3, weights="uniform"),
    }
    names = [way.fit(gallery, y).predict(queries) for way in ways.values()]
    differ = int(np.sum(names[0] != names[1]))
    if differ > n_queries / 10_000:
        raise AssertionError(f"{differ} of {n_queries} names differ.")

    def timed(way):
        return lambda: _timing.seconds(
            lambda: [way.predict(queries) for _ in range(n_calls)]
        )

    figures = _timing.take_turns(
        {name: timed(way) for name, way in ways.items()}, n_runs, warm_up=False
    )
    of = f"{n_queries:,} queries" if n_queries > 1 else f"one query, {n_calls} times"
    return _timing.compare(
        f"{of}, {n_entries:,} entries; {differ} names differ", figures, target=">= 2"
    )


def main() -> None:
    options = _timing.parser(__doc__)
    options.add_argument("--n-queries", type=int, default=100_000)
    options = options.parse_args()
    records = []
    few_runs = min(options.n_runs, 3)  # a run of the largest takes minutes
    for n_entries, n_queries, n_calls, n_runs in (
        (N_SPECIES * 16, options.n_queries, 1, options.n_runs),
        (20_000, 1, 20, options.n_runs),
        (N_SPECIES * 1000, options.n_queries // 10, 1, few_runs),
    ):
        records.append(row(n_entries, n_queries, n_calls, n_runs))
        _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
