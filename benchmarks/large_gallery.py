"""Galleries of 10⁶ entries, compared with the exact index of faiss.

Plain is faiss's IndexFlatIP; ours is the search of `GalleryKNNClassifier`, by cosine
distance, or the classifier itself. 1,000 queries and 5 neighbors, with embeddings of
128 columns and of 323, as many as the embedder returns by default. Ours must find
entries that are at least as near, or the script stops. Times are of the processor, with
as many threads for both as OMP_NUM_THREADS says: with one, other programs on the
machine disturb them little. Memory is the peak beyond the embeddings, each in a
separate process.

    pip install faiss-cpu
    OMP_NUM_THREADS=1 python benchmarks/large_gallery.py
"""

import importlib.util
from functools import partial
from importlib.metadata import version

import _timing
import numpy as np

from skplankton import GalleryKNNClassifier
from skplankton._gallery.nearest import NearestEntries

SEED, N_SPECIES, N_QUERIES, N_NEIGHBORS = 0, 50, 1000, 5
LARGEST = 1.2e9 / 2**20  # MB beyond the embeddings


def embeddings(n_samples: int, n_columns: int, seed: int) -> np.ndarray:
    """Unit vectors of overlapping species, in float32."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(SEED).normal(size=(N_SPECIES, n_columns))
    rows = rng.standard_normal((n_samples, n_columns), dtype=np.float32)
    for start, center in enumerate(centers):
        rows[start::N_SPECIES] += (0.5 * center).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def species(n_samples: int) -> np.ndarray:
    """The labels of the embeddings."""
    names = np.array([f"species {code:02}" for code in range(N_SPECIES)], dtype=object)
    return names[np.arange(n_samples) % N_SPECIES]


def index_of(rows: np.ndarray):
    """The index of faiss."""
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index


def check_exact(gallery, queries, ours, plain) -> None:
    """Raise if faiss found an entry that is nearer than ours."""
    distances, _ = ours
    _, positions = plain
    theirs = 1 - np.einsum("qd,qkd->qk", queries, gallery[positions], dtype=np.float64)
    theirs.sort(axis=1)
    worse = float(np.max(distances - theirs))
    if worse > 1e-6:
        raise AssertionError(f"Ours are up to {worse} farther than faiss's.")


def time_rows(n_entries: int, n_columns: int, n_runs: int):
    """Rows of the times for one width."""
    gallery = embeddings(n_entries, n_columns, SEED)
    queries = embeddings(N_QUERIES, n_columns, SEED + 1)
    of = f"{n_entries:,} entries of {n_columns} columns"
    compare = partial(_timing.compare, ours_over_plain=True)

    built = {}

    def build(name, way):
        built.pop(name, None)
        built[name] = way()

    ways = {
        "plain": lambda: build("plain", lambda: index_of(gallery)),
        "ours": lambda: build("ours", lambda: NearestEntries(gallery, "cosine")),
    }
    figures = timed(ways, n_runs)
    yield compare(f"prepare the search: {of}", figures)

    ways = {
        "plain": lambda: built["plain"].search(queries, N_NEIGHBORS),
        "ours": lambda: built["ours"].kneighbors(queries, N_NEIGHBORS),
    }
    check_exact(gallery, queries, ways["ours"](), ways["plain"]())
    yield compare(
        f"search of {N_QUERIES:,} queries: {of}", timed(ways, n_runs), target="<= 2"
    )
    built.clear()

    classifier = GalleryKNNClassifier(N_NEIGHBORS)
    y = species(n_entries)
    ways = {
        "plain": lambda: index_of(gallery).search(queries, N_NEIGHBORS),
        "ours": lambda: classifier.fit(gallery, y).predict(queries),
    }
    yield compare(
        f"index and search; fit and predict of GalleryKNNClassifier: {of}",
        timed(ways, n_runs),
        target="<= 2",
    )


def timed(ways, n_runs: int) -> dict[str, list[float]]:
    """Processor times of both ways, in alternating runs."""
    runs = {name: partial(_timing.processor_seconds, way) for name, way in ways.items()}
    return _timing.take_turns(runs, n_runs, warm_up=False)


def megabytes(way: str, n_entries: int, n_columns: int) -> float:
    """Peak memory of this process above its memory with the embeddings."""
    gallery = embeddings(n_entries, n_columns, SEED)
    queries = embeddings(N_QUERIES, n_columns, SEED + 1)
    y = species(n_entries)

    def steps(gallery, y):
        if way == "plain":
            index_of(gallery).search(queries, N_NEIGHBORS)
        elif way == "search":
            NearestEntries(gallery, "cosine").kneighbors(queries, N_NEIGHBORS)
        else:
            GalleryKNNClassifier(N_NEIGHBORS).fit(gallery, y).predict(queries)

    steps(gallery[:1000], y[:1000])
    before = _timing.megabytes_of("VmRSS")
    _timing.forget_peak()
    steps(gallery, y)
    return _timing.megabytes_of("VmHWM") - before


def memory_rows(n_entries: int, n_columns: int):
    """Rows of the memory for one width."""
    found = {
        way: float(
            _timing.in_a_process(__file__, "--memory-of", way, n_entries, n_columns)
        )
        for way in ("plain", "search", "classifier")
    }
    size = n_entries * n_columns * 4 / 2**20
    of = f"{n_entries:,} entries of {n_columns} columns, {size:.0f} MB"
    for way, what in (
        ("search", "the search"),
        ("classifier", "fit and predict of GalleryKNNClassifier"),
    ):
        figures = {"plain": [found["plain"]], "ours": [found[way]]}
        record = _timing.compare(
            f"memory of {what}: {of}", figures, ours_over_plain=True, unit="MB"
        )
        record["target"] = "<= 1.2 GB"
        record["met"] = "yes" if found[way] <= LARGEST else "no"
        yield record


def main() -> None:
    options = _timing.parser(__doc__)
    options.add_argument("--n-entries", type=int, default=1_000_000)
    options.add_argument("--n-columns", type=int, nargs="+", default=[128, 323])
    options.add_argument("--memory-of", nargs=3, help="a way, entries and columns")
    options.set_defaults(n_runs=3)  # a run takes minutes
    options = options.parse_args()
    if importlib.util.find_spec("faiss") is None:
        raise SystemExit("faiss is missing: pip install faiss-cpu")
    if options.memory_of:
        way, n_entries, n_columns = options.memory_of
        print(megabytes(way, int(n_entries), int(n_columns)))
        return
    print(f"faiss-cpu {version('faiss-cpu')}")
    records = []
    for n_columns in options.n_columns:
        for rows, settings in (
            (memory_rows, ()),
            (time_rows, (options.n_runs,)),
        ):
            for record in rows(options.n_entries, n_columns, *settings):
                records.append(record)
                _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
