"""Predicted labels of nested galleries in every set-up, each view searched once.

A `GalleryKNNClassifier` for each of nine set-ups, five gallery sizes and a few numbers
of neighbors would make nine out of ten of its comparisons again. Here each view of a
query is compared once with each view of the rows that a gallery adds to the one before.
The neighbors in a larger gallery, or among both views, are the nearest of those in its
parts. Search and votes are the classifier's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.utils import gen_batches

from skplankton._gallery.classifier import present_views
from skplankton._gallery.nearest import NearestEntries, smallest, squared_norms
from skplankton._gallery.votes import summed_votes

# Blocks of columns that a set-up's name stands for.
BLOCKS: dict[str, tuple[int, ...]] = {
    "image": (0,),
    "profile": (1,),
    "both": (0, 1),
    "embedding": (0,),
}

# Products of queries with the largest gallery held at a time (8 MB).
_N_PRODUCTS = 2**20

# Squared chords smaller than this, relative to the rows' squared lengths, are computed
# from the differences: products round, and next to 0 a vote is decided by it.
_NEXT_TO_ZERO = 1e-6

# Distances and entries, each of shape (n_neighbors, n_queries), over whose long last
# axis numpy is faster; infinite and 0 where there is no entry.
_Neighbors = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Questions:
    """What is asked of each gallery.

    Parameters
    ----------
    setups : sequence of (str, str)
        The gallery's and the query's views, names in `BLOCKS`.
    n_neighbors : sequence of int
        The numbers of neighbors that vote.
    weights : {"distance", "uniform"}
        As in `GalleryKNNClassifier`.
    metric : {"cosine", "euclidean"}
        As in `GalleryKNNClassifier`.
    n_classes : int
        Number of classes.
    n_sizes : int
        Number of galleries, each part of the next.
    """

    setups: Sequence[tuple[str, str]]
    n_neighbors: Sequence[int]
    weights: str
    metric: str
    n_classes: int
    n_sizes: int


class NestedGalleries:
    """Galleries of which each is part of the next.

    Parameters
    ----------
    views : ndarray of shape (n_gallery, n_views, n_columns)
        The views of the largest gallery's rows; NaN throughout where one is missing.
    codes : ndarray of shape (n_gallery,), int
        Their classes, from 0.
    first_size : ndarray of shape (n_gallery,), int
        The smallest gallery that each is in, from 0.
    questions : Questions
        What will be asked.
    """

    def __init__(
        self,
        views: np.ndarray,
        codes: np.ndarray,
        first_size: np.ndarray,
        questions: Questions,
    ):
        self.present = present_views(views)
        self.first_size = first_size
        self.questions = questions
        row, view = np.nonzero(self.present)
        # Side by side what a gallery adds to the one before, for each view.
        order = np.lexsort((row, first_size[row], view))
        row, view = row[order], view[order]
        self.numbers = row * views.shape[1] + view  # the classifier's order of entries
        self.codes = np.repeat(codes, views.shape[1])  # the class of each number
        parts = view * questions.n_sizes + first_size[row]
        n_parts = views.shape[1] * questions.n_sizes
        self.edges = np.searchsorted(parts, np.arange(n_parts + 1))
        entries = views[row, view].astype(np.float64)
        self.search = NearestEntries(entries, questions.metric) if len(row) else None

    def n_rows(self, size: int, gallery: str) -> int:
        """Number of rows that can be entered with the views of `gallery`."""
        present = self.present[:, BLOCKS[gallery]].any(axis=1)
        return int(np.sum(present & (self.first_size <= size)))

    def predict(self, views: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Predict the classes of queries.

        Parameters
        ----------
        views : ndarray of shape (n_queries, n_views, n_columns)
            The queries' views; NaN throughout where one is missing.
        asked : ndarray of shape (n_sizes, n_queries), bool
            Which galleries are asked.

        Returns
        -------
        ndarray of shape (n_sizes, n_setups, n_numbers_of_neighbors, n_queries), int
            The classes; -1 where a gallery was not asked or is empty in the set-up, or
            the query lacks the set-up's views.
        """
        asks = self.questions
        shape = (asks.n_sizes, len(asks.setups), len(asks.n_neighbors), len(views))
        labels = np.full(shape, -1)
        if self.search is None:
            return labels
        n_at_once = max(1, _N_PRODUCTS // len(self.numbers))
        for batch in gen_batches(len(views), n_at_once):
            labels[..., batch] = self._predict(
                self.search, views[batch], asked[:, batch]
            )
        return labels

    def _predict(
        self, search: NearestEntries, views: np.ndarray, asked: np.ndarray
    ) -> np.ndarray:
        asks = self.questions

        @cache
        def compared(view: int) -> _Compared:
            return _Compared(search, views[:, view], max(asks.n_neighbors))

        @cache  # the neighbors in one gallery are part of those in many
        def nearest(size: int, blocks: tuple[int, ...], view: int) -> _Neighbors:
            if len(blocks) == 2:
                return _merged(*(nearest(size, (block,), view) for block in blocks))
            part = blocks[0] * asks.n_sizes + size
            between = slice(self.edges[part], self.edges[part + 1])
            distances, positions = compared(view).nearest(between)
            added = distances, self.numbers[positions]
            return _merged(nearest(size - 1, blocks, view), added) if size else added

        shape = (asks.n_sizes, len(asks.setups), len(asks.n_neighbors), len(views))
        labels = np.full(shape, -1)
        for size, setup, number in np.ndindex(shape[:3]):
            gallery, query = asks.setups[setup]
            found = [nearest(size, BLOCKS[gallery], view) for view in BLOCKS[query]]
            distances, entries = (
                np.vstack([part[: asks.n_neighbors[number]] for part in parts])
                for parts in zip(*found, strict=True)
            )
            votes = asked[size] & np.isfinite(distances).any(axis=0)
            if not votes.any():
                continue
            classes = self.codes[entries[:, votes]]
            sums = summed_votes(
                distances[:, votes].T, classes.T, asks.n_classes, asks.weights
            )
            labels[size, setup, number, votes] = sums.argmax(axis=1)
        return labels


class _Compared:
    """One view of some queries, and its products with the largest gallery."""

    def __init__(self, search: NearestEntries, view: np.ndarray, n_neighbors: int):
        self.search = search
        self.n_neighbors = n_neighbors
        self.here = ~np.isnan(view[:, 0])
        self.rows, self.lengths = search.rows(view[self.here])
        factors = search.query_factors(self.rows)
        self.squared = squared_norms(factors[:, :-1])[:, None]
        self.products = factors @ search.entry_factors.T

    def nearest(self, part: slice) -> _Neighbors:
        """The nearest of some entries that lie side by side."""
        shape = (self.n_neighbors, len(self.here))
        distances, positions = np.full(shape, np.inf), np.zeros(shape, dtype=np.int64)
        found, where = smallest(self.products[:, part], self.n_neighbors)
        where += part.start
        no_direction = self.lengths == 0
        where[no_direction] = part.start + np.arange(where.shape[1])
        squared = np.maximum(2 * found + self.squared, 0)
        far = (
            squared / 2
            if self.search.metric == "cosine"
            else self.search.scale * np.sqrt(squared)
        )
        lengths = self.squared + 2 * self.search.entry_factors[where, -1]
        queries, ranks = np.nonzero(squared <= _NEXT_TO_ZERO * lengths)
        pairs = where[queries, ranks][:, None]
        far[queries, ranks] = self.search.distances(self.rows[queries], pairs)[:, 0]
        far[no_direction] = 1.0
        distances[: far.shape[1], self.here] = far.T
        positions[: far.shape[1], self.here] = where.T
        return distances, positions


def _merged(one: _Neighbors, other: _Neighbors) -> _Neighbors:
    """The nearest of two sets of neighbors, as many as either has."""
    distances, entries = map(np.vstack, zip(one, other, strict=True))
    order = np.lexsort((entries, distances), axis=0)[: len(one[0])]
    return (
        np.take_along_axis(distances, order, axis=0),
        np.take_along_axis(entries, order, axis=0),
    )
