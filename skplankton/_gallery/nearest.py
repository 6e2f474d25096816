"""Nearest gallery entries by matrix multiplication."""

import numpy as np
from sklearn.utils import gen_batches

# Entries multiplied at a time, and products held at a time (4 MB of float32), so that
# they stay in the processor's cache and memory does not grow with queries × entries.
_BLOCK_SIZE = 2**11
_N_PRODUCTS = 2**20

# Additional candidates beyond `n_neighbors`: because products round, the last neighbor
# may be among them.
_N_MORE = 2

# Up to this number, repeated argmin is faster than a partial sort.
_FEW = 50

# Number of evenly spaced rows whose median is the center.
_N_FOR_CENTER = 1000

# Normalizing rounds: unit vectors closer than this have the same direction.
_SAME_DIRECTION = 1e-13


class NearestEntries:
    """Brute-force k nearest neighbors, with memory and cost independent of the values.

    Matrix products ``|g|² / 2 - q·g`` of centered rows, in the entries' own precision,
    select a few more candidates per query than requested. Their distances are computed
    again in float64 from the differences ``q - g``, so that equal rows are at distance
    0. Candidates are ordered by distance, then by position. If the distances of more
    entries than fit among the candidates differ by less than the rounding error of the
    products, it is not specified which of them are found.

    Parameters
    ----------
    entries : ndarray of shape (n_entries, n_columns)
        The rows to search, finite, float32 or float64. No copy is made.
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
        # Without centering, rounding of the products would hide the differences between
        # rows far from the origin or nearly equal embeddings.
        every = -(-len(entries) // _N_FOR_CENTER)
        self.center = np.median(self.rows(entries[::every])[0], axis=0)
        # Squares must neither overflow nor underflow in float32.
        largest = max(entries.max(), -entries.min())
        # Division by a power of two is exact.
        exponent = np.frexp(largest)[1] if metric == "euclidean" else 0
        self.scale = float(np.ldexp(1.0, exponent))
        self.lengths = np.empty(len(entries))
        # The negated rows, and half their squared norms for the column of ones.
        self.entry_factors = np.empty(
            (len(entries), len(self.center) + 1), entries.dtype
        )
        for batch in gen_batches(len(entries), _BLOCK_SIZE):
            rows, self.lengths[batch] = self.rows(entries[batch])
            rows -= self.center
            rows /= -self.scale
            self.entry_factors[batch, :-1] = rows
            self.entry_factors[batch, -1] = squared_norms(rows) / 2
        if metric == "cosine":  # orthogonal to every row: (√2)² / 2
            self.entry_factors[self.lengths == 0, -1] += 0.5

    def kneighbors(
        self, queries: np.ndarray, n_neighbors: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find each query's nearest entries.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_columns)
            Finite rows.
        n_neighbors : int
            Number of neighbors, at most the number of entries.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), float64
            Ascending.
        positions : ndarray of shape (n_queries, n_neighbors), int64
            Rows of the entries. At equal distances, the lower position comes first;
            with "cosine", a query of zeros finds the first entries.
        """
        distances = np.empty((len(queries), n_neighbors))
        positions = np.empty(distances.shape, dtype=np.int64)
        n_candidates = min(n_neighbors + _N_MORE, len(self.entries))
        # A batch is limited by its products or by the size of the queries themselves.
        width = max(min(_BLOCK_SIZE, len(self.entries)), self.entry_factors.shape[1])
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
        """Rows in float64 whose Euclidean distances rank neighbors as `metric` does.

        Also returns the divisor of each row; 0 for rows without a direction.
        """
        rows = np.array(rows, dtype=np.float64)
        if self.metric == "cosine":
            # A power of two first: exact, and squares cannot overflow or underflow.
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

    def query_factors(self, rows: np.ndarray) -> np.ndarray:
        """Factors for `entry_factors`, of shape (n_rows, n_columns + 1)."""
        factors = np.ones((len(rows), self.entry_factors.shape[1]))
        np.subtract(rows, self.center, out=factors[:, :-1])
        factors[:, :-1] /= self.scale
        return factors

    def _candidates(self, queries: np.ndarray, n_candidates: int) -> np.ndarray:
        """Positions of the nearest entries according to the products.

        Of shape (n_queries, n_candidates).
        """
        factors = self.query_factors(queries)
        # A query far from all entries must not overflow float32 either.
        factors /= np.maximum(1.0, np.abs(factors).max(axis=1, keepdims=True))
        factors = factors.astype(self.entry_factors.dtype)
        nearest = np.empty((len(queries), 0), self.entry_factors.dtype)
        positions = np.empty(nearest.shape, dtype=np.int64)
        for block in gen_batches(len(self.entries), _BLOCK_SIZE):
            products = factors @ self.entry_factors[block].T
            rows = np.arange(len(queries))
            if nearest.shape[1] == n_candidates:
                # In most blocks of a large gallery, few queries find any candidate.
                rows = np.flatnonzero(products.min(axis=1) < nearest[:, -1])
                products = products[rows]
            found, columns = smallest(products, n_candidates)
            found = np.hstack([nearest[rows], found])
            columns = np.hstack([positions[rows], columns + block.start])
            order = np.argsort(found, axis=1, kind="stable")[:, :n_candidates]
            found = np.take_along_axis(found, order, axis=1)
            columns = np.take_along_axis(columns, order, axis=1)
            if len(rows) == len(queries):
                nearest, positions = found, columns
            else:
                nearest[rows], positions[rows] = found, columns
        return positions

    def distances(self, queries: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Distances to the entries at `positions`, from the differences."""
        squared = np.empty(positions.shape)
        for rank, column in enumerate(
            positions.T
        ):  # one rank at a time, to fit into the cache
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
        The queries' views; values of a missing view are not read.
    present : ndarray of shape (n_queries, n_views), bool
        Which views are present.
    n_neighbors : int
        Number of neighbors per view, at most the number of entries.

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
        has_view = present[:, view]
        if has_view.any():
            distances[has_view, view], positions[has_view, view] = search.kneighbors(
                queries[has_view, view], n_neighbors
            )
    return distances, positions


def squared_norms(rows: np.ndarray) -> np.ndarray:
    """Squared length of each row."""
    return np.einsum("ij,ij->i", rows, rows)
