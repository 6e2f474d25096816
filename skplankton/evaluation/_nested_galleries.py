"""Predicted labels of nested galleries in every setup, each view searched once.

A `GalleryKNNClassifier` for each of nine setups, five gallery sizes and a few numbers
of neighbors would repeat nine out of ten comparisons. Here each view of a query is
compared once with each view of the rows that a gallery adds to the previous one. The
neighbors in a larger gallery, or among both views, are the nearest of those in its
parts. Search and votes are the classifier's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.utils import gen_batches

from skplankton._gallery.nearest import NearestEntries, smallest, squared_norms
from skplankton._gallery.views import present_views
from skplankton._gallery.votes import summed_votes

# Blocks of columns for each view of a setup.
BLOCKS: dict[str, tuple[int, ...]] = {
    "image": (0,),
    "profile": (1,),
    "both": (0, 1),
    "embedding": (0,),
}

# Products of queries with the largest gallery held at a time (8 MB).
_N_PRODUCTS = 2**20

# Squared distances smaller than this, relative to the rows' squared lengths, are
# computed from the differences: close to 0, rounding of products would change votes.
_NEXT_TO_ZERO = 1e-6

# Distances and entries, each of shape (n_neighbors, n_queries): NumPy is faster along a
# long last axis. Infinite and 0 where there is no entry.
_Neighbors = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Queries:
    """The setups and parameters with which each gallery is queried.

    Parameters
    ----------
    setups : sequence of (str, str)
        The gallery's and the query's views, keys of `BLOCKS`.
    n_neighbors : sequence of int
        The numbers of neighbors that vote.
    weights : {"distance", "uniform"}
        As in `GalleryKNNClassifier`.
    metric : {"cosine", "euclidean"}
        As in `GalleryKNNClassifier`.
    n_classes : int
        Number of classes.
    n_sizes : int
        Number of galleries, each a subset of the next.
    """

    setups: Sequence[tuple[str, str]]
    n_neighbors: Sequence[int]
    weights: str
    metric: str
    n_classes: int
    n_sizes: int


class NestedGalleries:
    """Nested galleries: each is a subset of the next.

    Parameters
    ----------
    views : ndarray of shape (n_gallery, n_views, n_columns)
        The views of the largest gallery's rows; all NaN where one is missing.
    codes : ndarray of shape (n_gallery,), int
        Their classes, from 0.
    first_size : ndarray of shape (n_gallery,), int
        The smallest gallery that each is in, from 0.
    parameters : Queries
        The setups and parameters.
    """

    def __init__(
        self,
        views: np.ndarray,
        codes: np.ndarray,
        first_size: np.ndarray,
        parameters: Queries,
    ):
        self.present = present_views(views)
        self.first_size = first_size
        self.parameters = parameters
        row, view = np.nonzero(self.present)
        # For each view, the rows that a gallery adds to the previous one are adjacent.
        order = np.lexsort((row, first_size[row], view))
        row, view = row[order], view[order]
        # In the classifier's order of entries.
        self.numbers = row * views.shape[1] + view
        self.codes = np.repeat(codes, views.shape[1])  # the class of each number
        parts = view * parameters.n_sizes + first_size[row]
        n_parts = views.shape[1] * parameters.n_sizes
        self.edges = np.searchsorted(parts, np.arange(n_parts + 1))
        entries = views[row, view].astype(np.float64)
        self.search = NearestEntries(entries, parameters.metric) if len(row) else None

    def n_rows(self, size: int, gallery: str) -> int:
        """Number of rows with a view in `gallery`."""
        present = self.present[:, BLOCKS[gallery]].any(axis=1)
        return int(np.sum(present & (self.first_size <= size)))

    def predict(self, views: np.ndarray, is_query: np.ndarray) -> np.ndarray:
        """Predict the classes of queries.

        Parameters
        ----------
        views : ndarray of shape (n_queries, n_views, n_columns)
            The queries' views; all NaN where one is missing.
        is_query : ndarray of shape (n_sizes, n_queries), bool
            Which rows are queries of which gallery.

        Returns
        -------
        ndarray of shape (n_sizes, n_setups, n_numbers_of_neighbors, n_queries), int
            The classes; -1 where a row is not a query of the gallery, the gallery is
            empty in the setup, or the query lacks the setup's views.
        """
        parameters = self.parameters
        shape = (
            parameters.n_sizes,
            len(parameters.setups),
            len(parameters.n_neighbors),
            len(views),
        )
        labels = np.full(shape, -1)
        if self.search is None:
            return labels
        n_at_once = max(1, _N_PRODUCTS // len(self.numbers))
        for batch in gen_batches(len(views), n_at_once):
            self._predict_into(
                labels[..., batch], self.search, views[batch], is_query[:, batch]
            )
        return labels

    def _predict_into(
        self,
        labels: np.ndarray,
        search: NearestEntries,
        views: np.ndarray,
        is_query: np.ndarray,
    ) -> None:
        """Write the classes of some queries into their part of the result."""
        parameters = self.parameters

        @cache
        def compared(view: int) -> _Compared:
            return _Compared(search, views[:, view], max(parameters.n_neighbors))

        @cache  # smaller galleries are reused for larger ones
        def nearest(size: int, blocks: tuple[int, ...], view: int) -> _Neighbors:
            if len(blocks) == 2:
                return _merged(*(nearest(size, (block,), view) for block in blocks))
            part = blocks[0] * parameters.n_sizes + size
            added_entries = slice(self.edges[part], self.edges[part + 1])
            distances, positions = compared(view).nearest(added_entries)
            added = distances, self.numbers[positions]
            return _merged(nearest(size - 1, blocks, view), added) if size else added

        for size, setup, number in np.ndindex(labels.shape[:3]):
            gallery, query = parameters.setups[setup]
            found = [nearest(size, BLOCKS[gallery], view) for view in BLOCKS[query]]
            distances, entries = (
                np.vstack([part[: parameters.n_neighbors[number]] for part in parts])
                for parts in zip(*found, strict=True)
            )
            votes = is_query[size] & np.isfinite(distances).any(axis=0)
            if not votes.any():
                continue
            classes = self.codes[entries[:, votes]]
            sums = summed_votes(
                distances[:, votes].T,
                classes.T,
                parameters.n_classes,
                parameters.weights,
            )
            labels[size, setup, number, votes] = sums.argmax(axis=1)


class _Compared:
    """One view of some queries, and its products with the largest gallery."""

    def __init__(self, search: NearestEntries, view: np.ndarray, n_neighbors: int):
        self.search = search
        self.n_neighbors = n_neighbors
        self.has_view = ~np.isnan(view[:, 0])
        self.rows, self.lengths = search.rows(view[self.has_view])
        factors = search.query_factors(self.rows)
        self.squared = squared_norms(factors[:, :-1])[:, None]
        self.products = factors @ search.entry_factors.T

    def nearest(self, part: slice) -> _Neighbors:
        """The nearest among adjacent entries."""
        shape = (self.n_neighbors, len(self.has_view))
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
        distances[: far.shape[1], self.has_view] = far.T
        positions[: far.shape[1], self.has_view] = where.T
        return distances, positions


def _merged(one: _Neighbors, other: _Neighbors) -> _Neighbors:
    """The nearest of two sets of neighbors, as many as in one set."""
    distances, entries = map(np.vstack, zip(one, other, strict=True))
    order = np.lexsort((entries, distances), axis=0)[: len(one[0])]
    return (
        np.take_along_axis(distances, order, axis=0),
        np.take_along_axis(entries, order, axis=0),
    )
