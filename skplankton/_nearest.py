"""Nearest neighbours with exact distances and one order of ties, and their votes."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

# Two unit vectors closer than this are the same direction, and two chords that differ
# by less are equally long: a hundred times the rounding error of normalising some
# thousand float64 columns, a millionth of what float32 embeddings can tell apart.
SAME_CHORD = 1e-13

# Sums of votes that differ by less, relative to the largest, differ by rounding only.
_SAME_VOTES = 1e-12

# Numbers in one temporary array (candidates × columns, 16 MB of float64). Larger ones
# leave the processor's cache, smaller ones keep several threads from sharing the work.
_CHUNK_SIZE = 2**21

# With fewer queries at a time a product of matrices is slow.
_FEWEST_QUERIES = 128

# How much longer the list of candidates gets where ties reach beyond its end.
_GROWTH = 4

# Up to so many candidates, the nearest are found faster one by one than by a heap.
_FEW = 16


class ExactNeighbors:
    """Brute-force k nearest neighbours with a documented order of ties.

    A fast search finds a few candidates for each query, by ``|q|² + |g|² - 2 q·g``: in
    float32 where the metric is "cosine", else scikit-learn's. It is wrong in the last
    digits, so that a row is not at distance 0 from itself and that ties come in any
    order. Here the candidates' distances are computed again from the differences
    ``q - g``, ties are ordered by the entry's position, and a query is asked again, of
    scikit-learn and with more candidates, wherever an entry left out might tie with the
    last neighbour.

    Parameters
    ----------
    entries : ndarray of shape (n_entries, n_columns)
        The rows to search. Finite.
    metric : {"cosine", "euclidean"}
        "cosine" is ``1 - cos``, from 0 to 2. Rows of zeros are at distance 1 from
        everything, another row of zeros included. Chords between the normalised
        rows that differ by no more than 1e-13 count as equal, since normalising
        rounds: rows that differ by a positive factor are at distance 0.
        "euclidean" distances are compared as they are.
    """

    def __init__(self, entries: np.ndarray, metric: str):
        self.metric = metric
        self.tolerance = SAME_CHORD if metric == "cosine" else 0.0
        self.entries = prepared_rows(entries, metric)
        if metric == "cosine":
            zero = ~self.entries.any(axis=1)
            # A column of their own keeps the rows of zeros at a right angle to all.
            self.has_zero_column = bool(zero.any())
            if self.has_zero_column:
                self.entries = np.column_stack([self.entries, zero])
            # Rows of unit length can neither overflow nor vanish in float32.
            self.opposite = -self.entries.T.astype(np.float32)
        else:
            # Differences stay the same, rounding errors of the fast search shrink.
            self.center = self.entries.mean(axis=0)
        self.search = NearestNeighbors(metric="euclidean", algorithm="brute")
        self.search.fit(self._centered(self.entries))

    def kneighbors(self, queries: np.ndarray, n_neighbors: int):
        """Find each query's nearest entries.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_columns)
            Finite rows.
        n_neighbors : int
            How many to find, at most the number of entries.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), float64
            Ascending.
        positions : ndarray of shape (n_queries, n_neighbors), int64
            Rows of the entries. Among equal distances the lower one comes first.
        """
        # A query of zeros keeps these: distance 1 to all, the first entries first.
        distances = np.ones((len(queries), n_neighbors))
        positions = np.tile(np.arange(n_neighbors), (len(queries), 1))
        n_candidates = min(n_neighbors + 1, len(self.entries))
        for batch in gen_batches(len(queries), self._batch_size(n_candidates)):
            rows = prepared_rows(queries[batch], self.metric)
            if self.metric == "cosine":
                asking = rows.any(axis=1)
                if self.has_zero_column:
                    rows = np.column_stack([rows, np.zeros(len(rows))])
            else:
                asking = np.ones(len(rows), dtype=bool)
            if asking.any():
                chords, positions[batch][asking] = self._nearest(
                    rows[asking], n_neighbors, n_candidates
                )
                distances[batch][asking] = self._distances(chords)
        return distances, positions

    def _centered(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.metric == "cosine" else rows - self.center

    def _batch_size(self, n_candidates: int) -> int:
        return max(1, _CHUNK_SIZE // (n_candidates * self.entries.shape[1]))

    def _distances(self, chords: np.ndarray) -> np.ndarray:
        if self.metric == "euclidean":
            return chords
        distances = 0.5 * chords**2
        for landmark in (1.0, 2.0):  # a right angle, the opposite direction
            at = np.abs(chords - np.sqrt(2 * landmark)) <= self.tolerance
            distances[at] = landmark
        return distances

    def _nearest(
        self,
        queries: np.ndarray,
        n_neighbors: int,
        n_candidates: int,
        again: bool = False,
    ):
        """Chords and positions, asking again where ties reach too far."""
        chords = np.empty((len(queries), n_neighbors))
        positions = np.empty((len(queries), n_neighbors), dtype=np.int64)
        for batch in gen_batches(len(queries), self._batch_size(n_candidates)):
            chords[batch], positions[batch], certain = self._candidates(
                queries[batch], n_neighbors, n_candidates, again
            )
            if not certain.all():
                more = min(_GROWTH * n_candidates, len(self.entries))
                chords[batch][~certain], positions[batch][~certain] = self._nearest(
                    queries[batch][~certain], n_neighbors, more, again=True
                )
        return chords, positions

    def _candidates(
        self, queries: np.ndarray, n_neighbors: int, n_candidates: int, again: bool
    ):
        """The first neighbours among the candidates, and for which queries it is
        certain that no entry outside the candidates belongs among them.
        """
        centered = self._centered(queries)
        if self.metric == "cosine" and n_candidates <= _FEW and not again:
            rough, positions = self._search_in_float32(centered, n_candidates)
            error = _float32_error(self.entries.shape[1])
        else:
            rough, positions = self.search.kneighbors(centered, n_candidates)
            error = product_error(self.entries.shape[1])
        differences = self.entries[positions]  # (n_queries, n_candidates, n_columns)
        differences -= queries[:, None]
        chords = np.sqrt(np.einsum("qcd,qcd->qc", differences, differences))
        order = np.argsort(chords, axis=1)
        chords = np.take_along_axis(chords, order, axis=1)
        positions = np.take_along_axis(positions, order, axis=1)

        # Runs of equal chords: each takes the first one's, and then the entries' order.
        chords[chords <= self.tolerance] = 0.0
        starts = np.diff(chords, axis=1, prepend=-1.0) > self.tolerance
        equal = np.maximum.accumulate(np.where(starts, chords, 0.0), axis=1)
        order = np.lexsort((positions, equal), axis=1)
        positions = np.take_along_axis(positions, order, axis=1)[:, :n_neighbors]

        if n_candidates == len(self.entries):
            certain = np.ones(len(queries), dtype=bool)
        else:  # the last neighbour's whole run is there
            run = equal == equal[:, [n_neighbors - 1]]
            longest = np.where(run, chords, 0.0).max(axis=1)
            horizon = _horizon(rough[:, -1], squared_norms(centered), error)
            certain = longest + self.tolerance < horizon
        return equal[:, :n_neighbors], positions, certain

    def _search_in_float32(self, queries: np.ndarray, n_candidates: int):
        """Chords from rows of unit length to the nearest entries, roughly, and their
        positions.
        """
        chords = np.empty((len(queries), n_candidates))
        positions = np.empty(chords.shape, dtype=np.int64)
        for batch in gen_batches(
            len(queries), max(_FEWEST_QUERIES, _CHUNK_SIZE // len(self.entries))
        ):
            cosines = queries[batch].astype(np.float32) @ self.opposite
            rows = np.arange(len(cosines))
            for rank in range(n_candidates):
                nearest = cosines.argmin(axis=1)
                positions[batch, rank] = nearest
                chords[batch, rank] = cosines[rows, nearest]
                cosines[rows, nearest] = np.inf
        return np.sqrt(np.maximum(2 + 2 * chords, 0)), positions


def _horizon(rough: np.ndarray, squared_norms: np.ndarray, error: float) -> np.ndarray:
    """Chord that every entry beyond the rough search's last one reaches.

    The error of ``|q|² + |g|² - 2 q·g`` is at most e (|q|² + |g|²), where
    |g| ≤ |q| + chord, so that |g|² ≤ 2 |q|² + 2 chord².
    """
    squared = (rough**2 - 3 * error * squared_norms) / (1 + 2 * error)
    return np.sqrt(np.maximum(squared, 0.0))


def prepared_rows(rows: np.ndarray, metric: str) -> np.ndarray:
    """Rows between which Euclidean distances order neighbours as `metric` does.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        Finite rows.
    metric : {"cosine", "euclidean"}
        "cosine" normalises the rows; rows of zeros stay what they are.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64
        The rows, or normalised copies.

    Raises
    ------
    ValueError
        If a row is too long for its square to be a float64.
    """
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    if metric == "cosine":
        return _unit_rows(rows)
    with np.errstate(over="ignore"):
        too_large = ~np.isfinite(squared_norms(rows))
    if too_large.any():
        raise ValueError(
            "metric='euclidean' squares the embeddings, and the square of "
            f"{np.abs(rows).max():.3g} is too large for float64. Scale the "
            "embeddings, or use metric='cosine'."
        )
    return rows


def product_error(n_columns: int) -> float:
    """Bound of the error of ``|q|² + |g|² - 2 q·g``, relative to ``|q|² + |g|²``."""
    return 8 * (n_columns + 2) * float(np.finfo(np.float64).eps)


def _float32_error(n_columns: int) -> float:
    """The same bound for unit rows in float32, where a product is wrong by at most
    ``n_columns + 2`` times the unit roundoff, the rounding of either row included.
    """
    return (n_columns + 8) * float(np.finfo(np.float32).eps)


def neighbors_of_views(
    search: ExactNeighbors, queries: np.ndarray, present: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of each view of each query.

    Parameters
    ----------
    search : ExactNeighbors
        The entries.
    queries : ndarray of shape (n_queries, n_views, n_columns)
        The queries' views; what a missing one holds is not read.
    present : ndarray of shape (n_queries, n_views), bool
        Which views are there.
    n_neighbors : int
        How many to find for each view, at most the number of entries.

    Returns
    -------
    distances : ndarray of shape (n_queries, n_views, n_neighbors), float64
        Infinite where the view is missing.
    positions : ndarray of shape (n_queries, n_views, n_neighbors), int64
        Rows of the entries; 0 where the view is missing.
    """
    distances = np.full((*present.shape, n_neighbors), np.inf)
    positions = np.zeros(distances.shape, dtype=np.int64)
    for view in range(present.shape[1]):
        here = present[:, view]
        if here.any():
            distances[here, view], positions[here, view] = search.kneighbors(
                queries[here, view], n_neighbors
            )
    return distances, positions


def vote_shares(
    distances: np.ndarray, classes: np.ndarray, n_classes: int, weights: str
) -> np.ndarray:
    """Share of the neighbours' votes for each class.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, n_neighbors)
        Infinite where there is no neighbour, which casts no vote.
    classes : ndarray of shape (n_queries, n_neighbors), int
        The neighbours' classes, from 0.
    n_classes : int
        Number of classes.
    weights : {"distance", "uniform"}
        "distance" votes with 1 / distance; if any distance is 0, those alone vote,
        equally.

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        Rows sum to 1. Equal shares are equal to the last digit.
    """
    n_queries = len(distances)
    cells = classes + n_classes * np.arange(n_queries)[:, None]
    votes = np.bincount(
        cells.ravel(),
        weights=_votes(distances, weights).ravel(),
        minlength=n_queries * n_classes,
    ).reshape(n_queries, n_classes)
    # The same votes, added up in another order, may differ in the last digit.
    largest = votes.max(axis=1, keepdims=True)
    np.copyto(votes, largest, where=votes >= largest * (1 - _SAME_VOTES))
    return np.divide(votes, votes.sum(axis=1, keepdims=True), out=votes)


def _votes(distances: np.ndarray, weights: str) -> np.ndarray:
    if weights == "uniform":
        return np.isfinite(distances).astype(np.float64)
    # Relative to the nearest neighbour's vote, which 1 / distance would make infinite
    # for a distance of 0 or next to it.
    nearest = distances.min(axis=1, keepdims=True)
    exact = distances == 0
    ratio = np.divide(nearest, distances, where=~exact, out=np.zeros_like(distances))
    return np.where(nearest == 0, exact, ratio)


def squared_norms(rows: np.ndarray) -> np.ndarray:
    """Squared length of each row."""
    return np.einsum("ij,ij->i", rows, rows)


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows divided by their length; rows of zeros stay what they are."""
    # A power of two first: exact, and squares can then neither overflow nor vanish.
    _, exponents = np.frexp(np.maximum(rows.max(axis=1), -rows.min(axis=1)))
    rows = np.ldexp(rows, -exponents[:, None])
    lengths = np.sqrt(squared_norms(rows))
    lengths[lengths == 0] = 1.0
    rows /= lengths[:, None]
    return rows
