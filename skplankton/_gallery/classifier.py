"""Classifying particles by their nearest neighbours in a small labelled gallery."""

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

# With one modality there is block 0 alone, which "all" takes too.
_BLOCKS = {"all": slice(0, 2), "image": slice(0, 1), "profile": slice(1, 2)}
_VIEWS = {
    "all": "an image or a profile",
    "image": "an image",
    "profile": "a profile",
}

# Rows of which the scales of the views are learnt, taken evenly.
_N_FOR_SCALES = 2000


class GalleryKNNClassifier(ClassifierMixin, BaseEstimator):
    """Nearest-neighbour classifier with a small labelled gallery.

    Keeps some labelled rows of each class as the gallery, and classifies a query by the
    votes of its k nearest gallery entries. Where the columns hold an image embedding
    and a profile embedding side by side, each view of a query is compared with each
    view in the gallery, and the votes are summed [1]_. Unlabelled rows may be
    passed to `fit`; they are left out.

    Parameters
    ----------
    n_neighbors : int, default=3
        Number of gallery entries that vote, for each view a query asks with. If the
        gallery has fewer entries, all of them vote.

    gallery_size : int, default=None
        At most so many gallery rows for each class, drawn at random. A class with
        fewer keeps all of them. None keeps every labelled row. With the same
        `random_state`, an int, a smaller gallery is part of a larger one.

    weights : {"distance", "uniform"}, default="distance"
        "distance" weighs a vote by the inverse of the distance. If any neighbour of a
        query is at distance 0, only those at distance 0 vote, equally. "uniform"
        counts each vote once.

    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" is ``1 - cos``. A row of zeros has no direction: it is at distance 1
        from everything. "euclidean" uses the rows as they are.

    n_modalities : {1, 2}, default=1
        With 2, the first half of the columns is the image view and the second half
        the profile view, as ``CrossModalEmbedder(output="concat")`` makes them, and a
        half that is all NaN is a view that is not there. With 1, all columns are one
        embedding.

    gallery_modalities : {"all", "image", "profile"}, default="all"
        The views with which a gallery row is entered. With "all" and two views, it
        counts as two entries. Anything but "all" needs ``n_modalities=2``.

    query_modalities : {"all", "image", "profile"}, default="all"
        The views with which a query asks. With "all" and two views, it asks twice, and
        the votes are summed. Anything but "all" needs ``n_modalities=2``.

    scale_views : bool, default=True
        With two views, whether the votes of ``weights="distance"`` are one over the
        distance in units of `view_scales_`. Otherwise the view whose distances are
        smaller outvotes the other. False sums the votes as they are, as [1]_ does.

    unlabeled : scalar, default=None
        A value in `y` that means "not labelled", besides None, NaN, NaT and
        ``pandas.NA``, which always do. Compared by kind: 0 does not match False, nor
        "0".

    random_state : int, RandomState instance or None, default=None
        Draws the gallery; of no effect with ``gallery_size=None``. Pass an int for the
        same gallery in every call.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels in the gallery, sorted.

    gallery_ : ndarray of shape (n_gallery, `n_features_in_`)
        The rows of X that were kept, with both views where there are two.

    gallery_labels_ : ndarray of shape (n_gallery,)
        Their labels.

    gallery_indices_ : ndarray of shape (n_gallery,)
        Their positions in the X given to `fit`, ascending.

    missing_label_ : str, int or float
        The label that `predict` gives a row without any view: no class, so that it
        counts as a mistake. "" for strings (with "?" joined while that is a class); for
        numbers and bools -1, or the smallest class minus 1 if that is negative.

    view_scales_ : ndarray of shape (`n_modalities`,)
        For each view of a query, the median distance to the nearest entry: of the rows
        given to `fit`, labelled or not, or 2,000 of them taken evenly. A row's own
        entries do not count, nor do distances of 0. 1 where there is none, with one
        modality, or without `scale_views`.

    n_features_in_ : int
        Number of columns seen by `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen by `fit`. Defined only when X has column names that
        are all strings.

    See Also
    --------
    skplankton.CrossModalEmbedder : Makes the embeddings, without labels.
    sklearn.neighbors.KNeighborsClassifier : The same vote with every row as gallery
        and one view.

    Notes
    -----
    The nearest entries are found by products of matrices in the precision of X, float32
    or float64. The distances of those found are computed again in float64 from the
    differences: equal rows are at distance 0, and with "cosine" so are rows that differ
    by a positive factor. Neighbours are ordered by distance, then by gallery row, with
    a row's image before its profile. Among entries whose distances differ by less than
    the products round, and of which not all are neighbours, it is not specified which
    are. Among classes with equal votes the first of `classes_` is predicted. The search
    holds the gallery once more in the precision of X, but no array of
    n_queries × n_gallery distances, and its cost does not depend on the values.

    `n_neighbors`, `weights` and `query_modalities` may be changed after `fit`, and are
    validated when a query is classified. The other parameters belong to `fit`: to
    change them takes effect with the next one.

    With two classes, a row without any view makes a third value among the predicted
    labels. Metrics for exactly two then raise an error, such as F1 with
    ``average="binary"``; take ``average="macro"``, or drop such rows.

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
        "unlabeled": "no_validation",  # any scalar, checked where y is
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
        """Keep the gallery.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The embeddings. With ``n_modalities=2``, [image columns | profile columns],
            where NaN throughout a half means that the view is missing.
        y : array-like of shape (n_samples,)
            The labels, with None, NaN or `unlabeled` for unlabelled rows.

        Returns
        -------
        GalleryKNNClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If X and y differ in length, no row is labelled, there is only one class, or
            a view is partly NaN or infinite.
        TypeError
            If the labels mix strings, numbers and bools.

        Warns
        -----
        UserWarning
            If no row of a class has a view in `gallery_modalities`: the class is left
            out. If a class is called "None", "nan" or the like.
        """
        self._n_modalities = self.n_modalities
        self._metric = self.metric
        self._gallery_modalities = self.gallery_modalities
        X = self._validate_embeddings(X, reset=True)
        if y is not None:
            check_y(X, y)
        labels, labelled = split_labels(y, self.unlabeled)
        warn_of_missing_words(labels, stacklevel=4)
        if not labelled.any():
            also = "" if self.unlabeled is None else f" and {self.unlabeled!r}"
            raise ValueError(
                f"All {len(labelled)} rows are unlabelled: y holds nothing but missing "
                f"values{also}. Label at least one particle of each of two classes."
            )
        check_two_classes(labels)
        usable = np.any(present_views(self._views(X, self.gallery_modalities)), axis=1)
        labels = self._drop_unusable(labels, usable[labelled])
        rows = np.flatnonzero(labelled & usable)
        kept = draw_per_class(labels, self.gallery_size, self.random_state)
        self.gallery_indices_ = rows[kept]
        self.gallery_labels_ = labels[kept]
        # A copy: X stays the caller's.
        self.gallery_ = np.ascontiguousarray(X[self.gallery_indices_])
        self.classes_ = np.unique(self.gallery_labels_)
        self.missing_label_ = label_of_no_class(self.classes_)
        self._build_search()
        self.view_scales_ = self._learnt_scales(X)
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
            The labels. On a tie, the first in `classes_`. A row that is NaN throughout
            has no view, and gets `missing_label_`.

        Raises
        ------
        ValueError
            If a query has views, but none in `query_modalities`, or a view that is
            partly NaN or infinite.

        Warns
        -----
        UserWarning
            If a row is NaN throughout.
        """
        shares, no_view = self._shares(X)
        labels = self.classes_[np.argmax(shares, axis=1)]
        if no_view.any():
            # An array, which makes signed numbers of unsigned ones and of bools.
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
            NaN throughout has equal shares: nothing is known of it.

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
            Number of neighbours for each view a query asks with; None takes the
            parameter `n_neighbors`. At most the number of gallery entries are found.
        return_distance : bool, default=True
            Whether to return the distances too.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_views * n_neighbors)
            Ascending for each view: first the image's neighbours, then the profile's.
            Infinite where the query lacks the view. As `metric` has them, whatever
            `view_scales_` are. Only if `return_distance`.
        indices : ndarray of shape (n_queries, n_views * n_neighbors)
            Rows of `gallery_`; -1 where the query lacks the view. With two views in
            the gallery, one row may be there twice, once for either view.

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
        """Accuracy on the labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The embeddings.
        y : array-like of shape (n_queries,)
            The true labels. Rows that are unlabelled, as in `fit`, are skipped.
        sample_weight : array-like of shape (n_queries,), default=None
            Weights of the rows.

        Returns
        -------
        float
            The share of labelled rows whose predicted label is right.

        Raises
        ------
        ValueError
            If no row is labelled.
        """
        labels, labelled = split_labels(y, self.unlabeled)
        check_consistent_length(X, labelled, sample_weight)
        if not labelled.any():
            raise ValueError(
                f"All {len(labelled)} rows are unlabelled: there is nothing to score. "
                "Pass rows of which some have a label."
            )
        if not labelled.all():
            X = safe_indexing(X, np.flatnonzero(labelled))
            if sample_weight is not None:
                sample_weight = np.asarray(sample_weight)[labelled]
        return super().score(X, labels, sample_weight)

    def _validate_embeddings(self, X, reset: bool) -> np.ndarray:
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,  # split_views knows what NaN means
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
        """Shares of the votes, and which rows have no view and so equal shares."""
        distances, rows = self.kneighbors(X)
        no_view = np.all(rows < 0, axis=1)
        distances[no_view] = 1.0  # any number: their votes are not used
        if self.query_modalities == "all":
            n_neighbors = distances.shape[1] // len(self.view_scales_)
            distances /= np.repeat(self.view_scales_, n_neighbors)
        codes = np.searchsorted(self.classes_, self.gallery_labels_)
        shares = vote_shares(distances, codes[rows], len(self.classes_), self.weights)
        shares[no_view] = 1 / len(self.classes_)
        return shares, no_view

    def _build_search(self) -> None:
        """What searches the gallery's views, and the gallery row of each entry."""
        views = self._views(self.gallery_, self._gallery_modalities)
        present = present_views(views)
        self._entry_rows = np.nonzero(present)[0]  # one entry a view
        # Where every view is there, no copy.
        entries = views.reshape(-1, views.shape[2]) if present.all() else views[present]
        self._search = NearestEntries(entries, self._metric)

    def _learnt_scales(self, X: np.ndarray) -> np.ndarray:
        """Median distance of each view of X to the nearest entry of another row."""
        scales = np.ones(self._n_modalities)
        if self._n_modalities == 1 or not self.scale_views:
            return scales
        rows = np.linspace(0, len(X) - 1, min(len(X), _N_FOR_SCALES)).astype(int)
        views = self._views(X[rows])
        # Two entries may be a row's own, and there are two classes: one is another's.
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
        # The search holds the gallery once more, and is quickly built.
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
                f"X is NaN throughout in {_name(no_view)}: without a view there is "
                f"nothing to classify. The predicted label is {self.missing_label_!r}, "
                "which is no class.",
                UserWarning,
                stacklevel=3,
            )
        lost = ~np.any(present, axis=1) & ~no_view
        if lost.any():
            remedy = "Drop such rows"
            if self.query_modalities != "all":
                remedy += (
                    ", or ask with the views that are there by query_modalities='all'"
                )
            raise ValueError(
                f"query_modalities={self.query_modalities!r} asks with "
                f"{_VIEWS[self.query_modalities]}, and X has none in {_name(lost)}. "
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
                f"The gallery is empty: no labelled row of X has {view}. {remedy}."
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
        The embeddings. Where a view is missing, its columns are NaN throughout.
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
            "[image | profile], of one width, or set n_modalities=1."
        )
    views = X.reshape(len(X), n_modalities, -1)
    missing = np.isnan(views)
    partly = missing.any(axis=2) & ~missing.all(axis=2)
    halves = ("The image half of X", "The profile half of X")
    parts = halves if n_modalities == 2 else ("X",)
    for block, part in enumerate(parts):
        if partly[:, block].any():
            one = " Set n_modalities=2 if X is [image | profile]."
            raise ValueError(
                f"{part} is partly NaN in {_name(partly[:, block])}. "
                "A view that is missing is NaN throughout; fill in or drop a view "
                f"with gaps.{one if n_modalities == 1 else ''}"
            )
    infinite = np.isinf(X).any(axis=1)
    if infinite.any():
        raise ValueError(
            f"X is infinite in {_name(infinite)}. Expected finite embeddings, or a "
            "half that is NaN throughout where the view is missing."
        )
    return views


def present_views(views: np.ndarray) -> np.ndarray:
    """Which views are there, of shape (n_samples, n_views)."""
    return ~np.isnan(views[:, :, 0])  # a view is NaN throughout or not at all


def _list(values: list) -> str:
    shown = ", ".join(repr(value) for value in values[:5])
    return shown + (f" and {len(values) - 5} more" if len(values) > 5 else "")


def _name(mask: np.ndarray) -> str:
    """The rows of X where `mask` is True, counted from 0."""
    rows = np.flatnonzero(mask).tolist()
    return ("row " if len(rows) == 1 else "rows ") + _list(rows)
