"""The names that nested galleries give, in every set-up, from one comparison of rows.

A `GalleryKNNClassifier` compares each query with each gallery entry. Asked for nine
set-ups, five gallery sizes and a few k, nine out of ten of its comparisons are the same
again. Here each view of a query is multiplied with each view of the largest gallery
once; from these products come the nearest entries of every smaller gallery and set-up.

Products are wrong in the last digits. Wherever that could change a name, because of a
tie, a distance of zero or a close vote, the query is asked once more as the classifier
asks it. The names are therefore the classifier's, always.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.utils import gen_batches

from skplankton._gallery import present_views
from skplankton._nearest import (
    SAME_CHORD,
    ExactNeighbors,
    neighbors_of_views,
    prepared_rows,
    product_error,
    squared_norms,
    vote_shares,
)

# Blocks of columns that a set-up's name stands for.
BLOCKS: dict[str, tuple[int, ...]] = {
    "image": (0,),
    "profile": (1,),
    "both": (0, 1),
    "embedding": (0,),
}

# Products with one view of the largest gallery, for one chunk of queries (8 MB of
# float64): large enough for numpy, small enough for the processor's cache.
_CHUNK_SIZE = 2**20

# Up to so many, the nearest are found faster one by one than by a partial sort.
_FEW = 16

# Relative difference of two classes' votes that rounding in adding up cannot bring
# about; `vote_shares` takes less than 1e-12 for a tie.
_CLOSE_VOTE = 1e-11

_TINY = np.finfo(np.float64).tiny
_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class Questions:
    """What is asked of each gallery.

    Parameters
    ----------
    setups : sequence of (str, str)
        The gallery's and the query's views, names in `BLOCKS`.
    n_neighbors : sequence of int
        The numbers of neighbours that vote.
    weights : {"distance", "uniform"}
        As in `GalleryKNNClassifier`.
    n_classes : int
        Number of classes.
    n_sizes : int
        Number of galleries, each part of the next.
    """

    setups: Sequence[tuple[str, str]]
    n_neighbors: Sequence[int]
    weights: str
    n_classes: int
    n_sizes: int


class ComparableViews:
    """Views of particles, and the rows whose products tell how close they are.

    The product of a row of `asking` with a row of `answering`, plus the asking row's
    `offset`, is the closeness of the two views: the cosine distance, or the squared
    Euclidean distance, up to rounding.

    Parameters
    ----------
    views : ndarray of shape (n_samples, n_views, n_columns)
        The views; NaN throughout where one is missing.
    metric : {"cosine", "euclidean"}
        As in `GalleryKNNClassifier`.
    center : ndarray of shape (n_columns,), default=None
        Subtracted for "euclidean", where large numbers would drown small differences;
        the same on both sides. None takes the mean of the views.
    """

    def __init__(
        self, views: np.ndarray, metric: str, center: np.ndarray | None = None
    ):
        self.views = views
        self.metric = metric
        self.present = present_views(views)
        by_view = np.where(self.present[:, :, None], views, 0.0).swapaxes(0, 1)
        rows = prepared_rows(by_view.reshape(-1, views.shape[2]), metric)
        shape = by_view.shape[:2]  # (n_views, n_samples)
        self.center = center
        if metric == "euclidean":
            there = self.present.T.ravel()
            if self.center is None:
                self.center = _mean(rows[there])
            # A missing view must not count as one that is far away.
            rows = np.where(there[:, None], rows - self.center, 0.0)
            self.offset = squared_norms(rows).reshape(shape)
            self.magnitude = self.offset
            rows = np.column_stack([rows, np.ones(len(rows))])
        else:
            self.offset = np.ones(shape)
            self.magnitude = np.full(shape, 0.5)
        self.asking = rows.reshape(*shape, -1)

    def answering(self, rows: np.ndarray, view: int) -> np.ndarray:
        """Rows to multiply with, of shape (n_rows, n_columns of `asking`)."""
        answering = -self.asking[view, rows]
        if self.metric == "euclidean":
            answering *= 2
            answering[:, -1] = self.offset[view, rows]
        return answering


@dataclass
class _Nearest:
    """The nearest entries of a chunk of queries, nearest first.

    `closeness` is infinite where there are no more entries; `codes` are the entries'
    classes. Both have the shape (largest k + 1, n_queries): numpy is several times
    faster over a long last axis.
    """

    closeness: np.ndarray
    codes: np.ndarray

    def merged(self, other: "_Nearest") -> "_Nearest":
        """The nearest of two sets of entries."""
        closeness = np.concatenate([self.closeness, other.closeness])
        codes = np.concatenate([self.codes, other.codes])
        order = np.argsort(closeness, axis=0)[: len(self.closeness)]
        return _Nearest(
            np.take_along_axis(closeness, order, axis=0),
            np.take_along_axis(codes, order, axis=0),
        )


class NestedGalleries:
    """Galleries of which each is part of the next.

    Parameters
    ----------
    particles : ComparableViews
        What the galleries are drawn from.
    rows : ndarray of shape (n_gallery,), int
        The largest gallery's rows, ascending.
    codes : ndarray of shape (n_gallery,), int
        Their classes, from 0.
    first_size : ndarray of shape (n_gallery,), int
        The smallest gallery that each is in, from 0.
    questions : Questions
        What will be asked.
    """

    def __init__(
        self,
        particles: ComparableViews,
        rows: np.ndarray,
        codes: np.ndarray,
        first_size: np.ndarray,
        questions: Questions,
    ):
        self.particles = particles
        self.rows = rows
        self.codes = codes
        self.first_size = first_size
        self.questions = questions
        self.magnitude = particles.magnitude[:, rows].max()
        self._added: dict = {}
        self._searches: dict = {}

    def n_rows(self, size: int, gallery: str) -> int:
        """Number of rows that can be entered with the views of `gallery`."""
        present = self.particles.present[self.rows][:, BLOCKS[gallery]].any(axis=1)
        return int(np.sum(present & (self.first_size <= size)))

    def name(self, queries: ComparableViews, asked: np.ndarray) -> np.ndarray:
        """Name queries.

        Parameters
        ----------
        queries : ComparableViews
            The particles to name.
        asked : ndarray of shape (n_sizes, n_queries), bool
            By which galleries.

        Returns
        -------
        ndarray of shape (n_sizes, n_setups, n_numbers_of_neighbors, n_queries), int
            The classes; -1 where a gallery was not asked or is empty in the set-up, or
            the query lacks the set-up's views.
        """
        asks = self.questions
        n_queries = asked.shape[1]
        shape = (asks.n_sizes, len(asks.setups), len(asks.n_neighbors), n_queries)
        names = np.full(shape, -1)
        for batch in gen_batches(n_queries, max(1, _CHUNK_SIZE // len(self.rows))):
            chunk = _Chunk(self, queries, batch)
            for size, setup, number in np.ndindex(shape[:3]):
                names[size, setup, number, batch] = chunk.names(
                    size,
                    *asks.setups[setup],
                    asks.n_neighbors[number],
                    asked[size, batch],
                )
        return names

    def added(self, size: int, view: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows to multiply with that a gallery adds to the one before, and their
        classes.
        """
        if (size, view) not in self._added:
            present = self.particles.present[self.rows, view]
            added = present & (self.first_size == size)
            answering = self.particles.answering(self.rows[added], view)
            self._added[size, view] = answering, self.codes[added]
        return self._added[size, view]

    def search(self, size: int, gallery: str) -> tuple[ExactNeighbors, np.ndarray]:
        """The classifier's own search in one gallery, and its entries' classes."""
        if (size, gallery) not in self._searches:
            members = self.first_size <= size
            blocks = np.array(BLOCKS[gallery])
            views = self.particles.views[self.rows[members]][:, blocks]
            row, view = np.nonzero(present_views(views))  # the classifier's order
            search = ExactNeighbors(views[row, view], self.particles.metric)
            self._searches[size, gallery] = search, self.codes[members][row]
        return self._searches[size, gallery]


class _Chunk:
    """Some queries, and their nearest entries in every gallery."""

    def __init__(
        self, galleries: NestedGalleries, queries: ComparableViews, batch: slice
    ):
        self.galleries = galleries
        self.metric = queries.metric
        self.views = queries.views[batch]
        self.present = queries.present[batch]
        self.asking = queries.asking[:, batch]
        self.offset = queries.offset[:, batch]
        self._nearest: dict = {}
        # Products below the smallest normal number are wrong in all their digits.
        relative_error = product_error(self.asking.shape[2])
        magnitude = queries.magnitude[:, batch] + galleries.magnitude
        self.error = relative_error * magnitude + _TINY
        # Within this closeness, the classifier may count two chords as equal: they
        # differ by SAME_CHORD, and a chord is 2 at most.
        self.tie = 4 * SAME_CHORD if self.metric == "cosine" else 0.0

    def names(
        self, size: int, gallery: str, query: str, n_neighbors: int, asked: np.ndarray
    ) -> np.ndarray:
        """Classes of the queries in one set-up, of shape (n_queries,)."""
        by_distance = self.galleries.questions.weights == "distance"
        closeness, codes, sure = self._neighbors(size, gallery, query, n_neighbors)
        nearest = closeness.min(axis=0)
        if by_distance:
            votes = _votes(closeness, nearest)
            if self.metric == "euclidean":
                votes = np.sqrt(votes)
        else:
            votes = np.isfinite(closeness).astype(np.float64)
        names, lead = _most_votes(votes, codes)
        if by_distance:
            error = self.error[list(BLOCKS[query])].max(axis=0) + n_neighbors * self.tie
            sure &= _decided(lead, error, nearest)
        asked = asked & np.isfinite(nearest)
        unsure = np.flatnonzero(asked & ~sure)
        if unsure.size:
            names[unsure] = self._ask_again(size, gallery, query, n_neighbors, unsure)
        return np.where(asked, names, -1)

    def _neighbors(self, size: int, gallery: str, query: str, n_neighbors: int):
        """Closeness and classes of the neighbours of all views that ask, and whether
        it is sure that no other entry is one.
        """
        closeness, codes = [], []
        sure = np.ones(len(self.views), dtype=bool)
        for view in BLOCKS[query]:
            found = self._entries(size, view, BLOCKS[gallery])
            last, following = found.closeness[n_neighbors - 1 : n_neighbors + 1]
            apart = following > last + 2 * self.error[view] + self.tie
            sure &= apart | np.isinf(following)
            closeness.append(found.closeness[:n_neighbors])
            codes.append(found.codes[:n_neighbors])
        return np.concatenate(closeness), np.concatenate(codes), sure

    def _entries(self, size: int, view: int, blocks: tuple[int, ...]) -> _Nearest:
        """The entries nearest to one view of the queries, in one gallery."""
        key = size, view, blocks
        if key not in self._nearest:
            if len(blocks) == 2:
                image, profile = (self._entries(size, view, (b,)) for b in blocks)
                found = image.merged(profile)
            else:
                found = self._added_entries(size, view, blocks[0])
                if size:
                    found = self._entries(size - 1, view, blocks).merged(found)
            self._nearest[key] = found
        return self._nearest[key]

    def _added_entries(self, size: int, view: int, block: int) -> _Nearest:
        """The nearest among the entries that a gallery adds to the one before."""
        # One more than is asked for shows how sure the last of them is.
        n_entries = max(self.galleries.questions.n_neighbors) + 1
        answering, codes = self.galleries.added(size, block)
        if not len(answering):
            shape = (n_entries, len(self.views))
            return _Nearest(np.full(shape, np.inf), np.zeros(shape, dtype=np.intp))
        closeness, positions = _smallest(self.asking[view] @ answering.T, n_entries)
        closeness += self.offset[view]
        closeness[:, ~self.present[:, view]] = np.inf
        return _Nearest(closeness, codes[positions])

    def _ask_again(
        self, size: int, gallery: str, query: str, n_neighbors: int, which: np.ndarray
    ) -> np.ndarray:
        """Names of some queries, found as the classifier finds them."""
        search, entry_codes = self.galleries.search(size, gallery)
        blocks = np.array(BLOCKS[query])
        distances, entries = neighbors_of_views(
            search,
            self.views[which][:, blocks],
            self.present[which][:, blocks],
            min(n_neighbors, len(entry_codes)),
        )
        asks = self.galleries.questions
        shares = vote_shares(
            distances.reshape(len(which), -1),
            entry_codes[entries].reshape(len(which), -1),
            asks.n_classes,
            asks.weights,
        )
        return np.argmax(shares, axis=1)


def _mean(rows: np.ndarray) -> np.ndarray:
    """Mean of the rows; zeros if there are none, where numpy warns and says NaN."""
    return rows.sum(axis=0) / max(len(rows), 1)


def _smallest(values: np.ndarray, n_smallest: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest values of each row, ascending, and their columns.

    Overwrites `values`. Both results have the shape (n_smallest, n_rows), filled up
    with infinity where there are fewer columns.
    """
    rows = np.arange(len(values))
    columns = np.zeros((n_smallest, len(values)), dtype=np.intp)
    smallest = np.full(columns.shape, np.inf)
    n_found = min(n_smallest, values.shape[1])
    if n_found > _FEW:
        first = np.argpartition(values, n_found - 1, axis=1)[:, :n_found]
        order = np.argsort(np.take_along_axis(values, first, axis=1), axis=1)
        columns[:n_found] = np.take_along_axis(first, order, axis=1).T
        smallest[:n_found] = values[rows, columns[:n_found]]
        return smallest, columns
    for rank in range(n_found):
        columns[rank] = nearest = np.argmin(values, axis=1)
        smallest[rank] = values[rows, nearest]
        values[rows, nearest] = np.inf
    return smallest, columns


def _votes(closeness: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """The nearest neighbour's closeness over each one's own; 0 for no neighbour."""
    # Where the limits matter, there is no neighbour, or the vote is not decided here.
    nearest = np.clip(nearest, _TINY, _LARGEST)
    return nearest / np.maximum(closeness, _TINY)


def _most_votes(votes: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class with the most votes, the first of equal ones, and by how much of its
    votes it leads. `votes` and `codes` are of shape (n_neighbors, n_queries).
    """
    totals = votes.copy()
    for one, other in itertools.combinations(range(len(votes)), 2):
        same = codes[one] == codes[other]
        totals[one] += same * votes[other]
        totals[other] += same * votes[one]
    best = totals.max(axis=0)
    winner = np.where(totals == best, codes, np.iinfo(codes.dtype).max).min(axis=0)
    second = np.where(codes == winner, 0.0, totals).max(axis=0)
    return winner, 1 - second / np.maximum(best, _TINY)


def _decided(lead: np.ndarray, error: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Whether errors of the closeness cannot change who has the most votes.

    A vote is inversely proportional to the closeness, or to its square root. If that is
    right to within a factor 1 ± u, where u is at most error / nearest, the quotient of
    two classes' votes is to within (1 + u) / (1 - u), and a lead of 2 u stays a lead.
    Next to a distance of 0, where votes have no bound, no lead is that large.
    """
    return (lead - _CLOSE_VOTE) * np.minimum(nearest, _LARGEST) > 2 * error
