"""Speed of classifying queries, compared with scikit-learn's KNeighborsClassifier.

100,000 queries of 128 float32 columns, 3 neighbors, a gallery of 50 species × 16; a
tenth as many queries against × 1,000, to save time; metric "cosine" and equal votes on
both sides. The predicted labels must agree, except for queries whose neighbors tie: the
script stops if more than one in 10,000 differs. The second row is one query against
20,000 entries, repeated, as when particles arrive one by one. Then galleries of 4,000
entries that are all equal, or equal except for noise of 1e-8, where all neighbors tie,
and the peak memory beyond the embeddings, to fit and to classify 1,000 queries.

    OMP_NUM_THREADS=1 python benchmarks/gallery_speed.py
"""

import _timing
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from skplankton import GalleryKNNClassifier

SEED, N_SPECIES, N_COLUMNS = 0, 50, 128


def embeddings(n_samples: int, rng, centers) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of overlapping species, and the species."""
    y = np.arange(n_samples) % N_SPECIES
    noise = rng.normal(size=(n_samples, N_COLUMNS))
    return (0.5 * centers[y] + noise).astype(np.float32), y


def classifiers() -> dict:
    """Both classifiers, not fitted."""
    return {
        "plain": KNeighborsClassifier(3, metric="cosine"),
        "ours": GalleryKNNClassifier(3, weights="uniform"),
    }


def row(n_entries: int, n_queries: int, n_calls: int, n_runs: int) -> dict:
    """Measure one gallery."""
    rng = np.random.default_rng(SEED)
    centers = rng.normal(size=(N_SPECIES, N_COLUMNS))
    gallery, y = embeddings(n_entries, rng, centers)
    queries, _ = embeddings(n_queries, rng, centers)
    ways = classifiers()
    labels = [way.fit(gallery, y).predict(queries) for way in ways.values()]
    differ = int(np.sum(labels[0] != labels[1]))
    if differ > n_queries / 10_000:
        raise AssertionError(f"{differ} of {n_queries} labels differ.")
    of = f"{n_queries:,} queries" if n_queries > 1 else f"one query, {n_calls} times"
    of = f"{of}, {n_entries:,} entries; {differ} labels differ"
    return timed(of, ways, queries, n_calls, n_runs, target=">= 2")


def collapsed_row(noise: float, n_runs: int) -> dict:
    """Measure a gallery and queries that are all equal, except for noise."""
    rng = np.random.default_rng(SEED)
    rows = rng.normal(size=N_COLUMNS) + noise * rng.normal(size=(4000, N_COLUMNS))
    ways = classifiers()
    for way in ways.values():
        way.fit(rows, np.arange(4000) % N_SPECIES)
    of = f"4,000 queries, 4,000 equal entries, noise {noise:g}"
    return timed(of, ways, rows, 1, n_runs, target=">= 1")


def timed(of, ways, queries, n_calls, n_runs, target) -> dict:
    """Durations of both ways, in alternating runs."""

    def run(way):
        return lambda: _timing.seconds(
            lambda: [way.predict(queries) for _ in range(n_calls)]
        )

    figures = _timing.take_turns(
        {name: run(way) for name, way in ways.items()}, n_runs, warm_up=False
    )
    return _timing.compare(of, figures, target=target)


def megabytes(way: str, n_entries: int) -> float:
    """Peak memory of this process above its memory before fit."""
    rng = np.random.default_rng(SEED)
    gallery = rng.random((n_entries, N_COLUMNS), dtype=np.float32)
    y, queries = np.arange(n_entries) % N_SPECIES, gallery[:1000].copy()
    classifier = classifiers()[way]
    classifier.fit(gallery[:1000], y[:1000]).predict(queries)
    before = _timing.megabytes_of("VmRSS")
    _timing.forget_peak()
    classifier.fit(gallery, y).predict(queries)
    return _timing.megabytes_of("VmHWM") - before


def memory_row(n_entries: int) -> dict:
    """Measure both ways, each in a separate process."""
    figures = {
        way: [float(_timing.in_a_process(__file__, "--memory-of", way, n_entries))]
        for way in classifiers()
    }
    megabytes_of_embeddings = n_entries * N_COLUMNS * 4 / 2**20
    of = f"memory, {n_entries:,} entries of {megabytes_of_embeddings:.0f} MB"
    return _timing.compare(of, figures, ours_over_plain=True, unit="MB")


def main() -> None:
    options = _timing.parser(__doc__)
    options.add_argument("--n-queries", type=int, default=100_000)
    options.add_argument("--memory-of", nargs=2, help="a way and a number of entries")
    options = options.parse_args()
    if options.memory_of:
        way, n_entries = options.memory_of
        print(megabytes(way, int(n_entries)))
        return
    records = []
    few_runs = min(options.n_runs, 3)  # a run of the largest takes minutes
    for n_entries, n_queries, n_calls, n_runs in (
        (N_SPECIES * 16, options.n_queries, 1, options.n_runs),
        (20_000, 1, 20, options.n_runs),
        (N_SPECIES * 1000, options.n_queries // 10, 1, few_runs),
    ):
        records.append(row(n_entries, n_queries, n_calls, n_runs))
        _timing.write_table(__file__, records)
    for noise in (0.0, 1e-8):
        records.append(collapsed_row(noise, few_runs))
    for n_entries in (100_000, 1_000_000):
        records.append(memory_row(n_entries))
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
