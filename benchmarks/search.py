"""Number of embedders that a search fits, with and without the pipeline's memory.

A grid of 4 gallery sizes × 3 numbers of neighbors × 2 temperatures in 5 folds, 24
candidates: 120 fits of the pipeline and one of the best. Plain is a pipeline without
memory; ours has `Pipeline(memory=...)`, which caches fitted embedders in a folder, so
that each temperature is fitted once per fold, and once more for the best.

    OMP_NUM_THREADS=1 python benchmarks/search.py
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import _timing
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles

SEED = 0
GRID = {
    "embed__temperature": [0.1, 0.5],
    "gallery__gallery_size": [1, 2, 4, 8],
    "gallery__n_neighbors": [1, 3, 5],
}


class Counting(CrossModalEmbedder):
    """Counts its fits in a file, since memory would cache a counter too."""

    marks: Path

    def fit(self, X, y=None):
        """Count, and fit."""
        with open(self.marks, "a") as file:
            file.write("fit\n")
        return super().fit(X, y)


def run(memory: str | None, X, y, marks: Path):
    """The best candidate's score, the number of fits and the seconds."""
    marks.write_text("")
    Counting.marks = marks
    embed = Counting(max_epochs=1, image_size=32, batch_size=64, random_state=SEED)
    gallery = GalleryKNNClassifier(random_state=SEED)
    pipe = Pipeline([("embed", embed), ("gallery", gallery)], memory=memory)
    start = time.perf_counter()
    search = GridSearchCV(pipe, GRID, cv=5).fit(X, y)
    seconds = time.perf_counter() - start
    return search.best_score_, len(marks.read_text().splitlines()), seconds


def main() -> None:
    options = _timing.parser(__doc__)
    options.add_argument("--n-particles", type=int, default=200)
    options.set_defaults(n_runs=1)
    options = options.parse_args()
    X, y = make_particles(
        options.n_particles, n_species=4, random_state=SEED, return_X_y=True
    )
    figures = {"plain": [], "ours": []}
    for _ in range(options.n_runs):
        with TemporaryDirectory() as folder:
            for name, memory in (("plain", None), ("ours", str(Path(folder, "cache")))):
                figures[name].append(run(memory, X, y, Path(folder, "marks")))
    if {score for score, *_ in figures["plain"]} != {s for s, *_ in figures["ours"]}:
        raise AssertionError(f"The searches differ: {figures}")
    fits = {name: [n for _, n, _ in runs] for name, runs in figures.items()}
    seconds = {name: [s for *_, s in runs] for name, runs in figures.items()}
    records = [
        _timing.compare("fits of the embedder", fits, target=">= 11", unit="fits"),
        _timing.compare(
            f"time of the search, {options.n_particles} particles",
            seconds,
        ),
    ]
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
