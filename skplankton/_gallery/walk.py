"""Absorbing random walks, from a query through unlabeled particles to the gallery."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg
from sklearn.utils import gen_batches

from skplankton._gallery.nearest import NearestEntries

# From a particle, a walk goes to one of so many nearest particles or those near it.
_N_NEIGHBORS = 10

# The distance to this neighbor is a particle's scale: Zelnik-Manor and Perona 2004,
# "Self-tuning spectral clustering", section 3.1.
_SCALE_NEIGHBOR = 7

# Probability that a walk takes another step; benchmarks/pool.py compares 0.9 to 0.99.
_CONTINUES = 0.98

# Scales are no smaller than this share of the median distance, so that particles with
# copies still have other neighbors.
_SMALLEST_SCALE = 1e-3

# Of the residual of the equations.
_TOLERANCE = 1e-10

# Below this sum of weights, a particle has no neighbors.
_NO_WEIGHT = 1e-12

_QUERIES_AT_A_TIME = 4096

# Gallery rows left out at a time: each takes as much memory as there are nodes.
_ROWS_AT_A_TIME = 200


class GalleryWalk:
    """Where a random walk from particle to similar particle first meets the gallery.

    The particles are the nodes of a graph of nearest neighbors, with weights
    ``exp(-d / sqrt(s_i * s_j))`` of their distance d and their scales s. A walk leaves
    a node in proportion to the weights; it ends at the first gallery row, or with
    probability 0.02 at any step. The probabilities of ending at each class solve a
    sparse system of equations (Zhu, Ghahramani and Lafferty 2003, "Semi-supervised
    learning using Gaussian fields and harmonic functions", where walks end at labels
    only).

    Parameters
    ----------
    gallery, pool : ndarray of shape (n_gallery, n_columns) and (n_pool, n_columns)
        The embeddings of both, finite.
    codes : ndarray of shape (n_gallery,), int
        The classes of the gallery rows, from 0.
    metric : {"cosine", "euclidean"}
        Of `NearestEntries`.
    """

    def __init__(
        self, gallery: np.ndarray, pool: np.ndarray, codes: np.ndarray, metric: str
    ):
        self.metric = metric
        self.nodes = np.vstack([gallery, pool])
        self.search = NearestEntries(self.nodes, metric)
        self.n_gallery = len(gallery)
        distances, neighbors = self._neighbors_of_nodes()
        known = distances[distances > 0]
        self.smallest_scale = _SMALLEST_SCALE * np.median(known) if known.size else 1.0
        self.scales = self._scales(distances)
        self._set_graph(distances, neighbors)
        is_class = codes[:, None] == np.arange(codes.max() + 1)
        self.node_absorption = self._absorption_of_nodes(is_class.astype(np.float64))

    def absorption(self, queries: np.ndarray) -> np.ndarray:
        """Absorption probabilities: that a walk from each query ends at each class.

        Of shape (n_queries, n_classes). Rows sum to less than 1: a walk may end before.
        """
        n_neighbors = min(_N_NEIGHBORS, len(self.nodes))
        found = np.empty((len(queries), self.node_absorption.shape[1]))
        for start in range(0, len(queries), _QUERIES_AT_A_TIME):
            batch = slice(start, start + _QUERIES_AT_A_TIME)
            distances, neighbors = self.search.kneighbors(queries[batch], n_neighbors)
            weights = self._weights(distances, self._scales(distances), neighbors)
            total = weights.sum(axis=1, keepdims=True)
            np.divide(weights, total, out=weights, where=total > _NO_WEIGHT)
            from_neighbors = self.node_absorption[neighbors]
            found[batch] = np.einsum("qk,qkc->qc", weights, from_neighbors)
        return found

    def absorption_without(self, rows: np.ndarray) -> np.ndarray:
        """Absorption probabilities of gallery rows, each without its own label.

        That a walk from the row ends at each class, of shape (n_rows, n_classes). It
        passes through the row like through an unlabeled one.
        """
        if not hasattr(self, "transitions"):  # unpickled
            self._set_graph(*self._neighbors_of_nodes())
        batches = gen_batches(len(rows), _ROWS_AT_A_TIME)
        found = [self._absorption_without(rows[batch]) for batch in batches]
        return np.concatenate([np.empty((0, self.node_absorption.shape[1])), *found])

    def _absorption_without(self, rows: np.ndarray) -> np.ndarray:
        own = np.zeros((self.n_gallery, len(rows)))
        own[rows, np.arange(len(rows))] = 1
        steps = _CONTINUES * self.transitions[rows]
        # From the row's neighbors, the probabilities to end there, and at each class.
        to_own = steps.multiply(self._absorption_of_nodes(own).T)
        back = np.asarray(to_own.sum(axis=1)).reshape(-1, 1)
        to_class = steps @ self.node_absorption
        is_own_class = self.node_absorption[rows]  # a gallery row ends where it is
        return np.maximum(to_class - back * is_own_class, 0) / (1 - back)

    def _neighbors_of_nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances and positions of the other nodes nearest to each."""
        n_nodes = len(self.nodes)
        n_neighbors = min(_N_NEIGHBORS, n_nodes - 1)
        distances, neighbors = self.search.kneighbors(self.nodes, n_neighbors + 1)
        is_own = neighbors == np.arange(n_nodes)[:, None]
        is_own[~is_own.any(axis=1), -1] = True  # a node with many copies
        shape = (n_nodes, n_neighbors)
        return distances[~is_own].reshape(shape), neighbors[~is_own].reshape(shape)

    def _scales(self, distances: np.ndarray) -> np.ndarray:
        rank = min(_SCALE_NEIGHBOR, distances.shape[1]) - 1
        return np.maximum(distances[:, rank], self.smallest_scale)

    def _weights(self, distances, scales, neighbors) -> np.ndarray:
        return np.exp(-distances / np.sqrt(scales[:, None] * self.scales[neighbors]))

    def _set_graph(self, distances: np.ndarray, neighbors: np.ndarray) -> None:
        n_nodes, n_neighbors = neighbors.shape
        weights = self._weights(distances, self.scales, neighbors)
        starts = np.arange(0, weights.size + 1, n_neighbors)
        graph = sparse.csr_matrix(
            (weights.ravel(), neighbors.ravel(), starts), shape=(n_nodes, n_nodes)
        )
        graph = graph.maximum(graph.T)  # neighbors are mutual
        degrees = np.asarray(graph.sum(axis=1)).ravel()
        inverse = np.divide(
            1, degrees, out=np.zeros_like(degrees), where=degrees > _NO_WEIGHT
        )
        self.roots = np.sqrt(inverse)
        self.transitions = (sparse.diags(inverse) @ graph).tocsr()
        self.symmetric = (
            sparse.diags(self.roots) @ graph @ sparse.diags(self.roots)
        ).tocsr()

    def _absorption_of_nodes(self, targets: np.ndarray) -> np.ndarray:
        """Probabilities that a walk from each node ends at each of the targets.

        `targets`, of shape (n_gallery, n_targets), marks the gallery rows of each.
        """
        n_pool = len(self.nodes) - self.n_gallery
        ends = np.vstack([targets, np.zeros((n_pool, targets.shape[1]))])
        # Symmetric and positive definite in the scaled variables.
        roots = self.roots[self.n_gallery :]
        among = self.symmetric[self.n_gallery :, self.n_gallery :]
        system = sparse.eye(n_pool, format="csr") - _CONTINUES * among
        arrivals = _CONTINUES * (
            self.transitions[self.n_gallery :, : self.n_gallery] @ targets
        )
        for target, arrival in enumerate(arrivals.T):
            scaled = np.divide(
                arrival, roots, out=np.zeros_like(arrival), where=roots > 0
            )
            if scaled.any():
                solution, _ = cg(system, scaled, rtol=_TOLERANCE, atol=0.0)
                ends[self.n_gallery :, target] = np.clip(roots * solution, 0, 1)
        return ends

    def __getstate__(self):
        # The search is quickly rebuilt, and the graph has served.
        left_out = ("search", "transitions", "symmetric", "roots")
        return {k: v for k, v in self.__dict__.items() if k not in left_out}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.search = NearestEntries(self.nodes, self.metric)
