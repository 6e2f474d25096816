"""Nearest gallery entries, by products of matrices."""

import numpy as np
from sklearn.utils import gen_batches

# Entries multiplied at a time, and products held at a time (4 MB of float32): they stay
# in the processor's cache, and memory does not grow with queries × entries.
_BLOCK_SIZE = 2**11
_N_PRODUCTS = 2**20

# So many candidates beyond the neighbors asked for: where products round, the last
# neighbor may be among them.
_N_MORE = 2

# Up to so many, the nearest are found faster one by one than by a partial sort.
_FEW = 50

# Rows of which the center is the median, taken evenly.
_N_FOR_CENTER = 1000

# Normalizing rounds: unit vectors closer than this are one direction.
_SAME_DIRECTION = 1e-13


class NearestEntries:
    """Brute-force k nearest neighbors: bounded memory, at one cost whatever the data.

    Products of matrices in the entries' own precision, ``|g|² / 2 - q·g`` of rows that
    are centered, give for each query a few candidates more than it asks for. Their
    distances are computed again in float64 from the differences ``q - g``, so that
    equal rows are at distance 0, and they are ordered by distance, then by position.
    Among entries whose distances differ by less than the products round, of which not
    all have room among the candidates, it is not specified which are found.

    Parameters
    ----------
    entries : ndarray of shape (n_entries, n_columns)
        The rows to search, finite, float32 or float64. They are kept, not copied.
    metric : {"cosine", "euclidean"}
        "cosine" is ``1 - cos``, from 0 to 2. Rows that differ by a positive factor are
        at distance 0. Rows of zeros are at distance 1 from everything, another row of
        zeros included.

    Raises
    ------
    ValueError
        If the square of a row is too large for float64, and `metric` is "euclidean".
    """

    def __init__(self, entries: np.ndarray, metric: str):
        self.entries = entries
        self.metric = metric
        # Far from the origin, and in embeddings that are all alike, products of rows as
        # they are would drown the differences.
        every = -(-len(entries) // _N_FOR_CENTER)
        self.center = np.median(self.rows(entries[::every])[0], axis=0)
        # Squares must neither overflow nor vanish in float32.
        largest = max(entries.max(), -entries.min())
        # A power of two, by which to divide is exact.
        exponent = np.frexp(largest)[1] if metric == "euclidean" else 0
        self.scale = float(np.ldexp(1.0, exponent))
        self.lengths = np.empty(len(entries))
        # The negative rows, and half their squared norms for a column of ones.
        self.answering = np.empty((len(entries), len(self.center) + 1), entries.dtype)
        for batch in gen_batches(len(entries), _BLOCK_SIZE):
            rows, self.lengths[batch] = self.rows(entries[batch])
            rows -= self.center
            rows /= -self.scale
            self.answering[batch, :-1] = rows
            self.answering[batch, -1] = squared_norms(rows) / 2
        if metric == "cosine":  # as far from all as a right angle, (√2)² / 2
            self.answering[self.lengths == 0, -1] += 0.5

    def kneighbors(
        self, queries: np.ndarray, n_neighbors: int
    ) -> tuple[np.ndarray, np.ndarray]:
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
            Rows of the entries. Of those found at equal distances, the lower one comes
            first; a query of zeros, under "cosine", finds the first entries.
        """
        distances = np.empty((len(queries), n_neighbors))
        positions = np.empty(distances.shape, dtype=np.int64)
        n_candidates = min(n_neighbors + _N_MORE, len(self.entries))
        # A chunk holds so many products, or so many numbers of the queries themselves.
        width = max(min(_BLOCK_SIZE, len(self.entries)), self.answering.shape[1])
        for batch in gen_batches(len(queries), max(1, _N_PRODUCTS // width)):
            rows, lengths = self.rows(queries[batch])
            found = self._candidates(rows, n_candidates)
            found[lengths == 0] = np.arange(n_candidates)
            far = self.distances(rows, found)
            far[lengths == 0] = 1.0
            order = np.lexsort((found, far), axis=1)[:, :n_neighbors]
            distances[batch] = np.take_along_axis(far, order, axis=1)
            positions[batch] = np.take_along_axis(found, order, axis=1)
        return distances, positions

    def rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows in float64 between which chords order neighbors as `metric` does, and
        by what they were divided for it; 0 for rows without a direction.
        """
        rows = np.array(rows, dtype=np.float64)
        if self.metric == "cosine":
            # A power of two first: exact, and squares can neither overflow nor vanish.
            _, exponents = np.frexp(np.maximum(rows.max(axis=1), -rows.min(axis=1)))
            np.ldexp(rows, -exponents[:, None], out=rows)
            lengths = np.sqrt(squared_norms(rows))
            rows /= np.where(lengths == 0, 1.0, lengths)[:, None]
            return rows, np.ldexp(lengths, exponents)
        with np.errstate(over="ignore"):
            too_large = ~np.isfinite(squared_norms(rows))
        if too_large.any():
            raise ValueError(
                "metric='euclidean' squares the embeddings, and the square of "
                f"{np.abs(rows).max():.3g} is too large for float64. Scale the "
                "embeddings, or use metric='cosine'."
            )
        return rows, np.ones(len(rows))

    def asking(self, rows: np.ndarray) -> np.ndarray:
        """What to multiply with `answering`, of shape (n_rows, n_columns + 1)."""
        asking = np.ones((len(rows), self.answering.shape[1]))
        np.subtract(rows, self.center, out=asking[:, :-1])
        asking[:, :-1] /= self.scale
        return asking

    def _candidates(self, queries: np.ndarray, n_candidates: int) -> np.ndarray:
        """Positions of the nearest entries, as products tell, of shape (n_queries,
        n_candidates).
        """
        asking = self.asking(queries)
        # A query far from all entries must not overflow float32 either.
        asking /= np.maximum(1.0, np.abs(asking).max(axis=1, keepdims=True))
        asking = asking.astype(self.answering.dtype)
        nearest = np.empty((len(queries), 0), self.answering.dtype)
        positions = np.empty(nearest.shape, dtype=np.int64)
        for block in gen_batches(len(self.entries), _BLOCK_SIZE):
            found = smallest(asking @ self.answering[block].T, n_candidates)
            nearest = np.hstack([nearest, found[0]])
            positions = np.hstack([positions, found[1] + block.start])
            if block.start:
                order = np.argsort(nearest, axis=1, kind="stable")[:, :n_candidates]
                nearest = np.take_along_axis(nearest, order, axis=1)
                positions = np.take_along_axis(positions, order, axis=1)
        return positions

    def distances(self, queries: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Distances to the entries at `positions`, from the differences."""
        squared = np.empty(positions.shape)
        for rank, column in enumerate(positions.T):  # as much as the cache holds
            differences = self.entries[column].astype(np.float64)
            if self.metric == "cosine":
                lengths = self.lengths[column]
                differences /= np.where(lengths == 0, 1.0, lengths)[:, None]
            differences -= queries
            if self.scale != 1.0:
                differences /= self.scale
            squared[:, rank] = squared_norms(differences)
        if self.metric == "euclidean":
            return self.scale * np.sqrt(squared)
        squared[squared <= _SAME_DIRECTION**2] = 0.0
        return np.where(self.lengths[positions] == 0, 1.0, squared / 2)


def smallest(values: np.ndarray, n_smallest: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest values of each row and their columns, at most `n_smallest`.

    Overwrites `values`. Both results have the shape (n_rows, n_found).
    """
    n_found = min(n_smallest, values.shape[1])
    if n_found > _FEW:
        columns = np.argpartition(values, n_found - 1, axis=1)[:, :n_found]
        return np.take_along_axis(values, columns, axis=1), columns
    rows = np.arange(len(values))
    columns = np.empty((len(values), n_found), dtype=np.intp)
    found = np.empty(columns.shape, values.dtype)
    for rank in range(n_found):
        columns[:, rank] = nearest = values.argmin(axis=1)
        found[:, rank] = values[rows, nearest]
        values[rows, nearest] = np.inf
    return found, columns


def neighbors_of_views(
    search: NearestEntries, queries: np.ndarray, present: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbors of each view of each query.

    Parameters
    ----------
    search : NearestEntries
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


def squared_norms(rows: np.ndarray) -> np.ndarray:
    """Squared length of each row."""
    return np.einsum("ij,ij->i", rows, rows)
