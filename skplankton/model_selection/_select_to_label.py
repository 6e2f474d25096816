"""Choice of the particles whose labels are the most useful."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.preprocessing import normalize
from sklearn.utils import check_array, gen_batches

from skplankton._utils.parameters import check_int
from skplankton._views.particle_table import reject_particle_table

# Rows that stand for all: more would change the choice little, and cost in proportion.
_N_REFERENCE = 10_000

# Candidates whose gains are computed at a time: 10 MB of cosines.
_BLOCK_SIZE = 256

# The similarity falls to 1/e over so many times the distance to this nearest neighbor
# (the median of some rows). benchmarks/labels.py compares 1 and 4.
_N_WIDTHS = 2
_NEIGHBOR = 7
_N_FOR_WIDTH = 1000

# Cosines that differ by less differ by the rounding of float32 only.
_ROUNDING = 3e-7


def select_to_label(
    embeddings: ArrayLike, n_labels: int, *, labeled: ArrayLike | None = None
) -> np.ndarray:
    """Choose the particles whose labels help the most.

    Particles are chosen one after the other. Each is the one that most increases the
    mean similarity of all particles to the chosen particle nearest to them ("facility
    location"). The first ones represent many others, later ones represent particles
    that are not represented yet. No label is needed for the choice.

    Parameters
    ----------
    embeddings : array-like of shape (n_samples, n_features)
        Embeddings of the particles, as from ``CrossModalEmbedder(output="fused")``,
        float32 or converted to it; they are compared by their cosines. A row that is
        all NaN is a particle without any view, and is never chosen.
    n_labels : int
        Number of particles to choose.
    labeled : array-like of int or bool, default=None
        Rows that are labeled already, as indices or as a mask of shape (n_samples,).
        They are not chosen again, and particles that resemble them come later.

    Returns
    -------
    ndarray of shape (n_labels,), int
        Rows of `embeddings`, the most useful first: the first m of them are what is
        chosen with ``n_labels=m``.

    Raises
    ------
    ValueError
        If `n_labels` is not an int of 1 or more or exceeds the rows that can be chosen,
        a row is partly NaN or infinite, or `labeled` is not a mask or indices of rows.
    TypeError
        If `embeddings` is a table of particles.

    See Also
    --------
    skplankton.GalleryKNNClassifier : Classifies by the labels.

    Notes
    -----
    The similarity of two particles is ``exp((cos - 1) / w)``, where w is twice the
    median distance, ``1 - cos``, of a particle to its seventh neighbor. Particles far
    away hardly count.

    The choice is greedy, and deterministic: at equal gains the first row is chosen.
    Greedy choices reach at least 63 % of the largest possible sum [1]_. Gains are
    computed anew only where they may be the largest [2]_.

    With more than 10,000 rows, evenly spaced 10,000 of them stand for all: the particle
    chosen, which can be any, is the one most useful to those. There is no array of
    n_samples × n_samples; beside a copy of the embeddings in float32, memory does not
    grow with the number of rows.

    References
    ----------
    .. [1] Nemhauser, Wolsey and Fisher 1978, "An analysis of approximations for
       maximizing submodular set functions", Mathematical Programming 14, 265-294.
    .. [2] Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set
       functions", Optimization Techniques, 234-243.

    Examples
    --------
    >>> import numpy as np
    >>> from skplankton.model_selection import select_to_label
    >>> embeddings = np.array([[9, 1], [9, 2], [8, 3], [1, 9], [0, 9]])
    >>> select_to_label(embeddings, 2)
    array([2, 3])
    >>> select_to_label(embeddings, 1, labeled=[1])
    array([3])
    """
    reject_particle_table(embeddings, "embeddings")
    directions: np.ndarray = check_array(
        embeddings, dtype=np.float32, copy=True, ensure_all_finite="allow-nan"
    )
    has_view = _has_view(directions)
    is_labeled = _as_mask(labeled, len(directions))
    candidates = np.flatnonzero(has_view & ~is_labeled)
    _check_n_labels(n_labels, len(candidates), len(directions))

    directions[~has_view] = 0
    normalize(directions, copy=False)
    seen = np.flatnonzero(has_view)
    n_reference = min(len(seen), _N_REFERENCE)
    spaced = np.linspace(0, len(seen) - 1, n_reference).astype(int)
    reference = directions[seen[spaced]]
    gains = _Gains(directions, reference, _width(reference))
    for batch in gen_batches(len(seen), _BLOCK_SIZE):
        rows = seen[batch]
        gains.cover(rows[is_labeled[rows]])
    return _most_useful(gains, candidates, n_labels)


class _Gains:
    """How much more similar the reference rows become to the nearest chosen row."""

    def __init__(self, directions: np.ndarray, reference: np.ndarray, width: float):
        self.directions = directions
        self.reference = reference.T.copy()
        self.width = np.float32(width)
        self.same = _ROUNDING / width  # gains that differ by rounding only
        self.nearest = np.zeros(len(reference), dtype=np.float32)

    def cover(self, rows: np.ndarray) -> None:
        """Count the rows as chosen."""
        if len(rows):
            similar = self.similarities(rows).max(axis=0)
            np.maximum(self.nearest, similar, out=self.nearest)

    def of(self, rows: np.ndarray) -> np.ndarray:
        """What each of the rows would add to the mean similarity."""
        gains = self.similarities(rows)
        gains -= self.nearest
        return np.maximum(gains, 0, out=gains).mean(axis=1, dtype=np.float64)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        """Of the rows to the reference rows, 0 to 1."""
        cosines = self.directions[rows] @ self.reference
        cosines -= 1
        np.minimum(cosines, 0, out=cosines)
        cosines /= self.width
        return np.exp(cosines, out=cosines)


def _width(reference: np.ndarray) -> float:
    """Twice the median distance of a reference row to its seventh neighbor."""
    rows = np.linspace(0, len(reference) - 1, min(len(reference), _N_FOR_WIDTH))
    distances = 1 - reference[rows.astype(int)] @ reference.T
    rank = min(_NEIGHBOR, len(reference) - 1)  # 0 is the row itself
    neighbor = np.partition(distances, rank, axis=1)[:, rank]
    return max(_N_WIDTHS * float(np.median(neighbor)), 1e-3)


def _most_useful(gains: _Gains, candidates: np.ndarray, n_labels: int) -> np.ndarray:
    """Greedy choice. A gain never grows: former gains are upper bounds of today's."""
    bounds = np.concatenate(
        [gains.of(candidates[b]) for b in gen_batches(len(candidates), _BLOCK_SIZE)]
    )
    chosen = np.empty(n_labels, dtype=np.intp)
    for rank in range(n_labels):
        order = np.argsort(-bounds, kind="stable")
        best = -np.inf
        for batch in gen_batches(len(order), _BLOCK_SIZE):
            if bounds[order[batch.start]] < best - gains.same:
                break
            block = order[batch]
            bounds[block] = gains.of(candidates[block])
            best = max(best, bounds[block].max())
        first = np.flatnonzero(bounds > best - gains.same)[0]
        chosen[rank] = candidates[first]
        gains.cover(chosen[rank : rank + 1])
        candidates = np.delete(candidates, first)
        bounds = np.delete(bounds, first)
    return chosen


def _as_mask(labeled: ArrayLike | None, n_rows: int) -> np.ndarray:
    """`labeled`, a mask or indices, as a mask."""
    mask = np.zeros(n_rows, dtype=bool)
    if labeled is None:
        return mask
    labeled = np.asarray(labeled)
    if labeled.dtype == bool:
        if labeled.shape != mask.shape:
            raise ValueError(
                f"labeled is a mask of shape {labeled.shape}; embeddings has {n_rows} "
                "rows."
            )
        return labeled
    if labeled.size == 0:
        return mask
    if labeled.dtype.kind not in "iu" or labeled.ndim != 1:
        raise ValueError(
            "labeled must be a mask or row indices of embeddings, got an array of "
            f"shape {labeled.shape} and dtype {labeled.dtype}. For labels y of which "
            "some are missing, pass labeled=pandas.notna(y)."
        )
    outside = labeled[(labeled < 0) | (labeled >= n_rows)]
    if outside.size:
        raise ValueError(
            f"labeled contains {outside[0]}, which is no row of embeddings: they are "
            f"counted from 0 to {n_rows - 1}."
        )
    mask[labeled] = True
    return mask


def _has_view(embeddings: np.ndarray) -> np.ndarray:
    """Which rows are embeddings, and not all NaN."""
    missing = np.isnan(embeddings)
    has_view = ~np.all(missing, axis=1)
    gaps = np.flatnonzero(np.any(missing, axis=1) & has_view)
    if gaps.size:
        raise ValueError(
            f"embeddings is partly NaN in row {gaps[0]} (and {gaps.size - 1} other "
            "rows). Use output='fused', whose embeddings have no gaps."
        )
    if not has_view.any():
        raise ValueError("embeddings is all NaN: no particle has a view to compare.")
    return has_view


def _check_n_labels(n_labels: int, n_candidates: int, n_rows: int) -> None:
    check_int("n_labels", n_labels, at_least=1)
    if n_labels > n_candidates:
        raise ValueError(
            f"n_labels={n_labels}, but only {n_candidates} of {n_rows} rows have a "
            "view and no label yet. Ask for fewer."
        )
