"""Classification of particles by nearest neighbors in a small labeled gallery."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from skplankton._gallery.nearest import NearestEntries, neighbors_of_views
from skplankton._gallery.votes import vote_shares
from skplankton._utils.labels import (
    check_two_classes,
    check_y,
    draw_per_class,
    label_of_no_class,
    split_labels,
    warn_of_missing_words,
)
from skplankton._utils.sklearn import Interval, StrOptions, fit_context, safe_indexing

# With one modality there is only block 0, which "all" selects too.
_BLOCKS = {"all": slice(0, 2), "image": slice(0, 1), "profile": slice(1, 2)}
_VIEWS = {
    "all": "an image or a profile",
    "image": "an image",
    "profile": "a profile",
}

# Number of evenly spaced rows from which the scales of the views are learned.
_N_FOR_SCALES = 2000


class GalleryKNNClassifier(ClassifierMixin, BaseEstimator):
    """Nearest-neighbor classifier with a small labeled gallery.

    Keeps some labeled rows of each class as the gallery, and classifies a query by the
    votes of its k nearest gallery entries. If the columns contain an image embedding
    and a profile embedding side by side, each view of a query is compared with each
    view in the gallery, and the votes are summed [1]_. Unlabeled rows may be
    passed to `fit`; they are ignored.

    Parameters
    ----------
    n_neighbors : int, default=3
        Number of gallery entries that vote, for each view of a query. If the gallery
        has fewer entries, all of them vote.

    gallery_size : int, default=None
        Maximum number of gallery rows per class, drawn at random. A class with fewer
        keeps all of them. None keeps every labeled row. With the same int as
        `random_state`, a smaller gallery is a subset of a larger one.

    weights : {"distance", "uniform"}, default="distance"
        "distance" weights a vote by the inverse of the distance. If any neighbor of a
        query is at distance 0, only those at distance 0 vote, equally. "uniform"
        counts each vote once.

    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" is ``1 - cos``. A row of zeros has no direction: it is at distance 1
        from everything. "euclidean" uses the rows as they are.

    n_modalities : {1, 2}, default=1
        With 2, the first half of the columns is the image view and the second half
        the profile view, as ``CrossModalEmbedder(output="concat")`` returns them, and
        a half that is all NaN is a missing view. With 1, all columns are one
        embedding.

    gallery_modalities : {"all", "image", "profile"}, default="all"
        The views of a gallery row that become entries. With "all", a row with two views
        makes two entries. Other values than "all" require ``n_modalities=2``.

    query_modalities : {"all", "image", "profile"}, default="all"
        The views of a query that are compared with the gallery. With "all" and two
        views, each finds its own neighbors, and the votes are summed. Other values than
        "all" require ``n_modalities=2``.

    scale_views : bool, default=True
        With two views, whether ``weights="distance"`` uses the distances divided by
        `view_scales_`. Without scaling, the view with the smaller distances outvotes
        the other. False sums the unscaled votes, as [1]_ does.

    unlabeled : scalar, default=None
        A value in `y` that means "not labeled", besides None, NaN, NaT and
        ``pandas.NA``, which always do. Types must match: 0 matches neither False nor
        "0".

    random_state : int, RandomState instance or None, default=None
        Seed for drawing the gallery; no effect with ``gallery_size=None``. Pass an int
        for the same gallery in every call.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels in the gallery, sorted.

    gallery_ : ndarray of shape (n_gallery, `n_features_in_`)
        The rows of X that were kept, with all their views.

    gallery_labels_ : ndarray of shape (n_gallery,)
        Their labels.

    gallery_indices_ : ndarray of shape (n_gallery,)
        Their positions in the X given to `fit`, ascending.

    missing_label_ : str, int or float
        The label that `predict` returns for a row without any view. It is not a class,
        so the row counts as an error. "" for strings ("?" is appended while that is a
        class); for numbers and bools -1, or the smallest class minus 1 if that is
        negative.

    view_scales_ : ndarray of shape (`n_modalities`,)
        For each view, the median distance to the nearest entry, over the rows passed to
        `fit`, labeled or not, or 2,000 of them evenly spaced. A row's own entries and
        distances of 0 do not count. 1 if no distance remains, with one modality, or
        without `scale_views`.

    n_features_in_ : int
        Number of columns seen by `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen by `fit`. Defined only when X has column names that
        are all strings.

    See Also
    --------
    skplankton.CrossModalEmbedder : Computes the embeddings, without labels.
    sklearn.neighbors.KNeighborsClassifier : The same vote with one view, and every row
        in the gallery.

    Notes
    -----
    The nearest entries are found by matrix products in the precision of X, float32 or
    float64. Their distances are computed again in float64 from the differences: equal
    rows are at distance 0, and with "cosine" so are rows that differ by a positive
    factor. Neighbors are ordered by distance, then by gallery row, with a row's image
    before its profile. If the distances of several entries differ by less than the
    rounding error of the products, and not all of them are neighbors, it is not
    specified which are. Among classes with equal votes the first of `classes_` is
    predicted. The search stores a second copy of the gallery in the precision of X, but
    no array of n_queries × n_gallery distances, and its cost does not depend on the
    values.

    `n_neighbors`, `weights` and `query_modalities` may be changed after `fit`, and are
    validated when a query is classified. Changes of the other parameters take effect
    with the next `fit`.

    With two classes, a row without any view adds a third value to the predicted labels.
    Metrics for exactly two, such as F1 with ``average="binary"``, then raise an error;
    use ``average="macro"``, or drop such rows.

    References
    ----------
    .. [1] Kareinen, J. et al., "Cross-modal learning for plankton recognition", 2026,
       arXiv:2603.16427.

    Examples
    --------
    >>> import numpy as np
    >>> from skplankton import GalleryKNNClassifier
    >>> X = np.array([[3.0, 0.1], [2.0, 0.3], [0.2, 4.0], [0.1, 2.0]])
    >>> y = ["diatom", None, "ciliate", None]
    >>> gallery = GalleryKNNClassifier(n_neighbors=1).fit(X, y)
    >>> gallery.predict(X).tolist()
    ['diatom', 'diatom', 'ciliate', 'ciliate']

    Two views of two columns each; the second query has no image:

    >>> X = np.array([[1, 0, 1, 0], [0, 1, 0, 1]])
    >>> gallery = GalleryKNNClassifier(n_neighbors=1, n_modalities=2)
    >>> gallery = gallery.fit(X, ["diatom", "ciliate"])
    >>> queries = np.array([[0.9, 0.1, 0.8, 0.2], [np.nan, np.nan, 0.3, 0.7]])
    >>> gallery.predict(queries).tolist()
    ['diatom', 'ciliate']
    """

    _parameter_constraints: dict = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "gallery_size": [Interval(Integral, 1, None, closed="left"), None],
        "weights": [StrOptions({"distance", "uniform"})],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "n_modalities": [Interval(Integral, 1, 2, closed="both")],
        "gallery_modalities": [StrOptions(set(_BLOCKS))],
        "query_modalities": [StrOptions(set(_BLOCKS))],
        "scale_views": ["boolean"],
        "unlabeled": "no_validation",  # any scalar, checked together with y
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_neighbors: int = 3,
        *,
        gallery_size: int | None = None,
        weights: str = "distance",
        metric: str = "cosine",
        n_modalities: int = 1,
        gallery_modalities: str = "all",
        query_modalities: str = "all",
        scale_views: bool = True,
        unlabeled: Any = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.n_neighbors = n_neighbors
        self.gallery_size = gallery_size
        self.weights = weights
        self.metric = metric
        self.n_modalities = n_modalities
        self.gallery_modalities = gallery_modalities
        self.query_modalities = query_modalities
        self.scale_views = scale_views
        self.unlabeled = unlabeled
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike) -> "GalleryKNNClassifier":
        """Draw and store the gallery.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The embeddings. With ``n_modalities=2``, [image columns | profile columns],
            where a half that is all NaN means that the view is missing.
        y : array-like of shape (n_samples,)
            The labels, with None, NaN or `unlabeled` for unlabeled rows.

        Returns
        -------
        GalleryKNNClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If X and y differ in length, no row is labeled, there is only one class, or
            a view is partly NaN or infinite.
        TypeError
            If the labels mix strings, numbers and bools.

        Warns
        -----
        UserWarning
            If no row of a class has a view in `gallery_modalities`: the class is left
            out. If a class is "None", "nan" or a similar text.
        """
        self._n_modalities = self.n_modalities
        self._metric = self.metric
        self._gallery_modalities = self.gallery_modalities
        X = self._validate_embeddings(X, reset=True)
        if y is not None:
            check_y(X, y)
        labels, labeled = split_labels(y, self.unlabeled)
        warn_of_missing_words(labels, stacklevel=4)
        if not labeled.any():
            also = "" if self.unlabeled is None else f" and {self.unlabeled!r}"
            raise ValueError(
                f"All {len(labeled)} rows are unlabeled: y contains only missing "
                f"values{also}. Label at least one particle of each of two classes."
            )
        check_two_classes(labels)
        usable = np.any(present_views(self._views(X, self.gallery_modalities)), axis=1)
        labels = self._drop_unusable(labels, usable[labeled])
        rows = np.flatnonzero(labeled & usable)
        kept = draw_per_class(labels, self.gallery_size, self.random_state)
        self.gallery_indices_ = rows[kept]
        self.gallery_labels_ = labels[kept]
        # A copy, so that changes to X do not affect the gallery.
        self.gallery_ = np.ascontiguousarray(X[self.gallery_indices_])
        self.classes_ = np.unique(self.gallery_labels_)
        self.missing_label_ = label_of_no_class(self.classes_)
        self._build_search()
        self.view_scales_ = self._fit_view_scales(X)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the class with the largest share of the votes.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The embeddings.

        Returns
        -------
        ndarray of shape (n_queries,)
            The labels. On a tie, the first in `classes_`. A row that is all NaN has no
            view, and gets `missing_label_`.

        Raises
        ------
        ValueError
            If a query has views, but none of those in `query_modalities`, or a view
            that is partly NaN or infinite.

        Warns
        -----
        UserWarning
            If a row is all NaN.
        """
        shares, no_view = self._shares(X)
        labels = self.classes_[np.argmax(shares, axis=1)]
        if no_view.any():
            # An array, so that unsigned numbers and bools become signed numbers.
            labels = np.where(no_view, np.array([self.missing_label_]), labels)
        return labels

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Share of the votes for each class.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The embeddings.

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            The shares, in the order of `classes_`; each row sums to 1. A row that is
            all NaN has equal shares.

        Raises
        ------
        ValueError
            As `predict` does.
        """
        return self._shares(X)[0]

    def kneighbors(
        self,
        X: ArrayLike,
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
        """Find the gallery rows nearest to each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The embeddings.
        n_neighbors : int, default=None
            Number of neighbors for each view of a query; None uses the parameter
            `n_neighbors`. At most the number of gallery entries are found.
        return_distance : bool, default=True
            Whether to return the distances as well.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_views * n_neighbors)
            Ascending for each view: first the image's neighbors, then the profile's.
            Infinite where the query lacks the view. Distances of `metric`, not scaled
            by `view_scales_`. Only if `return_distance`.
        indices : ndarray of shape (n_queries, n_views * n_neighbors)
            Rows of `gallery_`; -1 where the query lacks the view. With two views in
            the gallery, a row may occur twice, once for each view.

        Raises
        ------
        ValueError
            As `predict` does, or if `n_neighbors` is not an int of 1 or more.
        """
        check_is_fitted(self)
        self._validate_params()
        n_neighbors = self.n_neighbors if n_neighbors is None else n_neighbors
        if not isinstance(n_neighbors, Integral) or n_neighbors < 1:
            raise ValueError(
                f"n_neighbors={n_neighbors!r}; expected an int of 1 or more."
            )
        X = self._validate_embeddings(X, reset=False)
        queries = self._views(X, self.query_modalities)
        present = present_views(queries)
        self._check_queries(X, present)
        n_neighbors = min(n_neighbors, len(self._entry_rows))
        distances, entries = neighbors_of_views(
            self._search, queries, present, n_neighbors
        )
        indices = np.where(present[:, :, None], self._entry_rows[entries], -1)
        indices = indices.reshape(len(X), -1)
        return (distances.reshape(len(X), -1), indices) if return_distance else indices

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Accuracy on the labeled rows.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The embeddings.
        y : array-like of shape (n_queries,)
            The true labels. Rows that are unlabeled, as in `fit`, are skipped.
        sample_weight : array-like of shape (n_queries,), default=None
            Weights of the rows.

        Returns
        -------
        float
            The share of labeled rows whose predicted label is correct.

        Raises
        ------
        ValueError
            If no row is labeled.
        """
        labels, labeled = split_labels(y, self.unlabeled)
        check_consistent_length(X, labeled, sample_weight)
        if not labeled.any():
            raise ValueError(
                f"All {len(labeled)} rows are unlabeled: there is nothing to score. "
                "Pass some labeled rows."
            )
        if not labeled.all():
            X = safe_indexing(X, np.flatnonzero(labeled))
            if sample_weight is not None:
                sample_weight = np.asarray(sample_weight)[labeled]
        return super().score(X, labels, sample_weight)

    def _validate_embeddings(self, X, reset: bool) -> np.ndarray:
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,  # split_views checks NaN
        )
        if self._n_modalities == 1:
            for name in ("gallery_modalities", "query_modalities"):
                if getattr(self, name) != "all":
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} needs n_modalities=2, got "
                        "n_modalities=1. Set n_modalities=2 for embeddings of the form "
                        f"[image | profile], or {name}='all' for one embedding."
                    )
        split_views(X, self._n_modalities)
        return X

    def _shares(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Shares of the votes, and which rows have no view and thus equal shares."""
        distances, rows = self.kneighbors(X)
        no_view = np.all(rows < 0, axis=1)
        distances[no_view] = 1.0  # any value: their votes are not used
        if self.query_modalities == "all":
            n_neighbors = distances.shape[1] // len(self.view_scales_)
            distances /= np.repeat(self.view_scales_, n_neighbors)
        codes = np.searchsorted(self.classes_, self.gallery_labels_)
        shares = vote_shares(distances, codes[rows], len(self.classes_), self.weights)
        shares[no_view] = 1 / len(self.classes_)
        return shares, no_view

    def _build_search(self) -> None:
        """Build the search over the gallery's views."""
        views = self._views(self.gallery_, self._gallery_modalities)
        present = present_views(views)
        self._entry_rows = np.nonzero(present)[0]  # one entry per view
        # No copy if every view is present.
        entries = views.reshape(-1, views.shape[2]) if present.all() else views[present]
        self._search = NearestEntries(entries, self._metric)

    def _fit_view_scales(self, X: np.ndarray) -> np.ndarray:
        """Median distance of each view of X to the nearest entry of another row."""
        scales = np.ones(self._n_modalities)
        if self._n_modalities == 1 or not self.scale_views:
            return scales
        rows = np.linspace(0, len(X) - 1, min(len(X), _N_FOR_SCALES)).astype(int)
        views = self._views(X[rows])
        # At most two entries are a row's own, and the gallery has two classes or more:
        # one of three entries is another row's.
        distances, entries = neighbors_of_views(
            self._search, views, present_views(views), min(3, len(self._entry_rows))
        )
        owners = self.gallery_indices_[self._entry_rows[entries]]
        distances[owners == rows[:, None, None]] = np.inf
        nearest = distances.min(axis=2)
        for view, column in enumerate(nearest.T):
            known = column[np.isfinite(column) & (column > 0)]
            if known.size:
                scales[view] = np.median(known)
        return scales

    def __getstate__(self):
        # The search stores the gallery a second time, and is quickly rebuilt.
        state = super().__getstate__()
        return {k: v for k, v in state.items() if k not in ("_search", "_entry_rows")}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "gallery_"):
            self._build_search()

    def _check_queries(self, X: np.ndarray, present: np.ndarray) -> None:
        no_view = ~np.any(present_views(self._views(X)), axis=1)
        if no_view.any():
            warnings.warn(
                f"X is all NaN in {_rows(no_view)}: without a view there is nothing to "
                f"classify. The predicted label is {self.missing_label_!r}, which is "
                "not a class.",
                UserWarning,
                stacklevel=3,
            )
        lacking = ~np.any(present, axis=1) & ~no_view
        if lacking.any():
            remedy = "Drop such rows"
            if self.query_modalities != "all":
                remedy += ", or use the available views by query_modalities='all'"
            raise ValueError(
                f"query_modalities={self.query_modalities!r} needs "
                f"{_VIEWS[self.query_modalities]}, and X has none in {_rows(lacking)}. "
                f"{remedy}."
            )

    def _drop_unusable(self, labels: np.ndarray, usable: np.ndarray) -> np.ndarray:
        """Labels of the rows that can be in the gallery."""
        left_out = np.setdiff1d(labels, labels[usable]).tolist()
        if not left_out:
            return labels[usable]
        view = _VIEWS[self.gallery_modalities]
        remedy = f"Label particles with {view}"
        if self.gallery_modalities != "all":
            remedy += ", or use gallery_modalities='all'"
        if not usable.any():
            raise ValueError(
                f"The gallery is empty: no labeled row of X has {view}. {remedy}."
            )
        warnings.warn(
            f"Left out of the gallery, and never predicted: {_list(left_out)}; no row "
            f"of such a class has {view}. {remedy}.",
            UserWarning,
            stacklevel=4,  # the caller of fit, outside its context
        )
        check_two_classes(labels[usable])
        return labels[usable]

    def _views(self, X: np.ndarray, modalities: str = "all") -> np.ndarray:
        """View of X of shape (n_samples, n_views, n_columns)."""
        return X.reshape(len(X), self._n_modalities, -1)[:, _BLOCKS[modalities]]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.n_modalities == 2
        return tags


def split_views(X: np.ndarray, n_modalities: int = 2) -> np.ndarray:
    """Split embeddings of the form [image | profile] into their views.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The embeddings. Where a view is missing, its columns are all NaN.
    n_modalities : {1, 2}, default=2
        With 1, all columns are one view.

    Returns
    -------
    ndarray of shape (n_samples, n_modalities, n_features // n_modalities)
        A view of X: no copy is made.

    Raises
    ------
    ValueError
        If the columns cannot be split, or if a view is partly NaN or infinite.
    """
    if X.shape[1] % n_modalities:
        raise ValueError(
            f"X has {X.shape[1]} columns, which n_modalities=2 cannot split into "
            "an image half and a profile half. Pass embeddings of the form "
            "[image | profile], of equal width, or set n_modalities=1."
        )
    views = X.reshape(len(X), n_modalities, -1)
    missing = np.isnan(views)
    partly = missing.any(axis=2) & ~missing.all(axis=2)
    halves = ("The image half of X", "The profile half of X")
    parts = halves if n_modalities == 2 else ("X",)
    for block, part in enumerate(parts):
        if partly[:, block].any():
            hint = " Set n_modalities=2 if X is [image | profile]."
            raise ValueError(
                f"{part} is partly NaN in {_rows(partly[:, block])}. "
                "A missing view is all NaN; fill in or drop a view with gaps."
                f"{hint if n_modalities == 1 else ''}"
            )
    infinite = np.isinf(X).any(axis=1)
    if infinite.any():
        raise ValueError(
            f"X is infinite in {_rows(infinite)}. Expected finite embeddings, or a "
            "half that is all NaN where the view is missing."
        )
    return views


def present_views(views: np.ndarray) -> np.ndarray:
    """Which views are present, of shape (n_samples, n_views)."""
    return ~np.isnan(views[:, :, 0])  # a view is all NaN or has no NaN


def _list(values: list) -> str:
    shown = ", ".join(repr(value) for value in values[:5])
    return shown + (f" and {len(values) - 5} more" if len(values) > 5 else "")


def _rows(mask: np.ndarray) -> str:
    """The rows of X where `mask` is True, counted from 0."""
    rows = np.flatnonzero(mask).tolist()
    return ("row " if len(rows) == 1 else "rows ") + _list(rows)
