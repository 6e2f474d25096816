"""Classification of particles by nearest neighbors in a small labeled gallery."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from skplankton._gallery.familiarity import class_levels, log_odds
from skplankton._gallery.nearest import NearestEntries, neighbors_of_views
from skplankton._gallery.views import present_views, row_names, split_views
from skplankton._gallery.votes import vote_shares
from skplankton._gallery.walk import GalleryWalk
from skplankton._utils.cluster_frames import reject_cluster_frame
from skplankton._utils.fitting import all_or_nothing
from skplankton._utils.labels import (
    check_outlier_label,
    check_two_classes,
    check_y,
    draw_per_class,
    label_of_no_class,
    split_labels,
    warn_of_missing_words,
)
from skplankton._utils.parameters import check_int
from skplankton._utils.reports import listed
from skplankton._utils.sklearn import Interval, StrOptions, fit_context, safe_indexing
from skplankton._utils.warn import warn
from skplankton._views.particle_table import reject_particle_table

# With one modality there is only block 0, which "all" selects too.
_BLOCKS = {"all": slice(0, 2), "image": slice(0, 1), "profile": slice(1, 2)}
_VIEWS = {
    "all": "an image or a profile",
    "image": "an image",
    "profile": "a profile",
}

# Number of evenly spaced rows from which the scales of the views are learned.
_N_FOR_SCALES = 2000

# Number of evenly spaced rows that a walk passes, besides the gallery's.
_N_POOL = 10_000

# Number of evenly spaced gallery rows, each left out in turn, to learn the offset from.
_N_LEFT_OUT = 200


class GalleryKNNClassifier(ClassifierMixin, BaseEstimator):
    """Nearest-neighbor classifier with a small labeled gallery.

    Keeps some labeled rows of each class as the gallery, and classifies a query by the
    votes of its k nearest gallery entries. If the columns contain an image embedding
    and a profile embedding side by side, each view of a query is compared with each
    view in the gallery, and the votes are summed [1]_. Unlabeled rows may be passed to
    `fit`; with `use_unlabeled` they help to classify.

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

    use_unlabeled : bool, default=False
        Whether the unlabeled rows passed to `fit` (10,000 of them evenly spaced, if
        there are more) take part: the vote of a gallery row is then the probability
        that an absorbing random walk from the query, from particle to similar particle,
        ends at it [2]_. A label then counts for all particles that are connected to it.
        Needs ``n_modalities=1``: one embedding, such as that of both views.
        `n_neighbors` and `weights` are then for `kneighbors` and for queries from which
        no walk ends at the gallery.

    outlier_label : str, int, float or bool, default=None
        The label to predict for queries whose `score_samples` is below `offset_`, such
        as "unknown": probably particles of a species that is not in the gallery. It
        must have the type of the labels, and not be one of them. None predicts a class
        for each query.

    contamination : float, default=0.05
        Share of the particles of known species that may fall below `offset_`, above 0
        and at most 0.5.

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

    offset_ : float
        The `score_samples` below which a query is an outlier: the quantile
        `contamination` of the scores of the gallery rows, or 200 of them evenly spaced,
        each left out of the gallery for its own score. Rows that are the only ones of
        their class do not count. If no row counts: with `use_unlabeled`, the quantile
        of the scores of the unlabeled rows passed to `fit`; otherwise -inf, and no
        query is an outlier.

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
    .. [2] Zhu, X., Ghahramani, Z. and Lafferty, J., "Semi-supervised learning using
       Gaussian fields and harmonic functions", ICML 2003.

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
        "use_unlabeled": ["boolean"],
        "outlier_label": "no_validation",  # any scalar, checked together with y
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
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
        use_unlabeled: bool = False,
        outlier_label: Any = None,
        contamination: float = 0.05,
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
        self.use_unlabeled = use_unlabeled
        self.outlier_label = outlier_label
        self.contamination = contamination
        self.unlabeled = unlabeled
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
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
        self._use_unlabeled = self.use_unlabeled
        self._outlier_label = self.outlier_label
        if self.use_unlabeled and self.n_modalities != 1:
            raise ValueError(
                "use_unlabeled=True needs n_modalities=1, got n_modalities=2. Pass one "
                "embedding of both views, as CrossModalEmbedder(output='fused') "
                "returns, or set use_unlabeled=False."
            )
        X = self._validate_embeddings(X, reset=True)
        if y is not None:
            check_y(X, y)
        labels, labeled = split_labels(y, self.unlabeled)
        warn_of_missing_words(labels)
        if not labeled.any():
            also = "" if self.unlabeled is None else f" and {self.unlabeled!r}"
            raise ValueError(
                f"All {len(labeled)} rows are unlabeled: y contains only missing "
                f"values{also}. Label at least one particle of each of two classes."
            )
        check_two_classes(labels)
        check_outlier_label(self.outlier_label, labels)
        usable = np.any(present_views(self._views(X, self.gallery_modalities)), axis=1)
        labels = self._drop_unusable(labels, usable[labeled])
        rows = np.flatnonzero(labeled & usable)
        kept = draw_per_class(labels, self.gallery_size, self.random_state)
        self.gallery_indices_ = rows[kept]
        self.gallery_labels_ = labels[kept]
        # A copy, so that changes to X do not affect the gallery.
        self.gallery_ = np.ascontiguousarray(X[self.gallery_indices_])
        self._set_classes()
        self._build_search()
        self.view_scales_ = self._fit_view_scales(X)
        self._n_rows_seen = len(X)
        self._all_labeled = self.gallery_size is None
        passed = self._unlabeled_rows(X) if self.use_unlabeled else X[:0]
        self._learn_familiarity(passed)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None
    ) -> "GalleryKNNClassifier":
        """Add labeled rows to the gallery, of known or new classes.

        The result is that of `fit` on the former rows followed by those of X, except
        for `view_scales_`, which stay as they are. Unlabeled rows of X are skipped: to
        let others take part with `use_unlabeled`, call `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The embeddings, from the embedder of the former rows.
        y : array-like of shape (n_samples,)
            The labels, as in `fit`.
        classes : array-like, default=None
            Ignored; present because scikit-learn passes it. A new class may be added at
            any time.

        Returns
        -------
        GalleryKNNClassifier
            The classifier; if it was not fitted, `fit` is called.

        Raises
        ------
        ValueError
            As `fit` does, or if `gallery_size` is not None: which rows are drawn
            depends on all labeled rows, and those not drawn are not kept.
        TypeError
            If the labels, old and new, mix strings, numbers and bools.

        Warns
        -----
        UserWarning
            As `fit` does.
        """
        if not hasattr(self, "gallery_"):
            return self.fit(X, y)
        if self.gallery_size is not None or not self._all_labeled:
            raise ValueError(
                "partial_fit needs a gallery of all labeled rows, gallery_size=None, "
                f"got gallery_size={self.gallery_size!r} or a gallery that was drawn. "
                "Call fit with all rows."
            )
        X = self._validate_embeddings(X, reset=False)
        check_y(X, y)
        new_labels, labeled = split_labels(y, self.unlabeled)
        warn_of_missing_words(new_labels)
        n_known = len(self.gallery_labels_)
        # Together, so that kinds that do not match raise.
        labels, _ = split_labels([*self.gallery_labels_.tolist(), *new_labels.tolist()])
        check_outlier_label(self._outlier_label, labels)
        views = self._views(X, self._gallery_modalities)
        usable = np.any(present_views(views), axis=1)
        kept = np.concatenate([np.ones(n_known, dtype=bool), usable[labeled]])
        rows = np.flatnonzero(labeled & usable)
        self.gallery_labels_ = self._drop_unusable(labels, kept)
        self.gallery_indices_ = np.concatenate(
            [self.gallery_indices_, self._n_rows_seen + rows]
        )
        self.gallery_ = np.vstack([self.gallery_, X[rows].astype(self.gallery_.dtype)])
        self._n_rows_seen += len(X)
        self._set_classes()
        self._build_search()
        pool = self.gallery_[:0]
        if self._walk is not None:
            pool = self._walk.nodes[n_known:]
        self._learn_familiarity(pool)
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
            The labels. On a tie, the first in `classes_`. A query whose familiarity is
            below `offset_` gets `outlier_label`, unless that is None. A row that is all
            NaN has no view, and gets `missing_label_`.

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
        return self._labels(*self._votes(X))

    def _labels(
        self, shares: np.ndarray, familiarity: np.ndarray, no_view: np.ndarray
    ) -> np.ndarray:
        """The predicted labels, from the result of `_votes`."""
        labels = self.classes_[np.argmax(shares, axis=1)]
        # Arrays, so that unsigned numbers and bools become signed numbers.
        if self._outlier_label is not None:
            unknown = familiarity < self.offset_
            labels = np.where(unknown, np.array([self._outlier_label]), labels)
        if no_view.any():
            labels = np.where(no_view, np.array([self.missing_label_]), labels)
        return labels

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Share of the votes for each class.

        These are shares among the known classes: a particle of an unknown species may
        well have a share of 1. `score_samples` shows whether a query belongs to any of
        these classes.

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
        return self._votes(X)[0]

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Score for novelty detection: higher is more likely of a class in the gallery.

        With `use_unlabeled`, this is the log-odds that a random walk from the query
        ends at the gallery, and not elsewhere among the unlabeled particles, corrected
        for how familiar particles of the predicted class usually are. Otherwise it is
        the negative distance to the nearest gallery entry, in units of `view_scales_`,
        which detects unknown species less reliably (see the user guide).

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The embeddings.

        Returns
        -------
        ndarray of shape (n_queries,)
            The scores. A row that is all NaN has -inf.

        Raises
        ------
        ValueError
            As `predict` does.
        """
        return self._votes(X)[1]

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Classify each gallery row by the other rows of the gallery.

        The result is what `predict` and `predict_proba` would return for a gallery row
        if its own label were not known: with `use_unlabeled`, walks pass the row like
        an unlabeled one. It shows which classes are confused, which
        :func:`skplankton.abundance.abundance_table` corrects for. `view_scales_`,
        `offset_` and the usual scores of each class stay as they were learned from all
        rows.

        Returns
        -------
        labels : ndarray of shape (n_gallery,)
            The predicted labels. A row without a view in `query_modalities` gets
            `missing_label_`. The only row of a class gets another class.
        shares : ndarray of shape (n_gallery, n_classes)
            The shares of the votes, in the order of `classes_`.

        Notes
        -----
        A class has one label fewer than the others when one of its rows is left out.
        With few labels per class, how often the predicted labels are wrong is therefore
        a rough estimate of how often those of new particles are.
        """
        check_is_fitted(self)
        self._validate_params()
        votes = self._votes_without()
        return self._labels(*votes), votes[0]

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
        check_int("n_neighbors", n_neighbors, at_least=1)
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
        reject_cluster_frame(X)
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
        reject_cluster_frame(X)
        reject_particle_table(X)
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

    def _votes(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shares of the votes, familiarity, and which rows have no view at all.

        The latter have equal shares, and no familiarity.
        """
        distances, rows = self.kneighbors(X)

        def absorption(walk, has_view):
            return walk.absorption(self._validate_embeddings(X, reset=False)[has_view])

        return self._combine(distances, rows, absorption)

    def _votes_without(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`_votes` of the gallery rows, each without its own entries."""
        views = self._views(self.gallery_, self.query_modalities)
        present = present_views(views)
        # At most two entries are a row's own.
        n_neighbors = min(self.n_neighbors, len(self._entry_rows))
        n_found = min(n_neighbors + 2, len(self._entry_rows))
        distances, entries = neighbors_of_views(self._search, views, present, n_found)
        rows = np.where(present[:, :, None], self._entry_rows[entries], -1)
        is_own = rows == np.arange(len(rows))[:, None, None]
        distances[is_own] = np.inf
        nearest = np.argsort(distances, axis=2, kind="stable")[:, :, :n_neighbors]
        distances, rows = (
            np.take_along_axis(found, nearest, axis=2).reshape(len(rows), -1)
            for found in (distances, rows)
        )
        return self._combine(
            distances, rows, lambda walk, has_view: walk.absorption_without(has_view)
        )

    def _combine(
        self, distances: np.ndarray, rows: np.ndarray, absorption: Callable
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`_votes` from the neighbors of each view, and the walks of some queries."""
        no_view = np.all(rows < 0, axis=1)
        distances[no_view] = 1.0  # any value: their votes are not used
        if self.query_modalities == "all":
            n_neighbors = distances.shape[1] // len(self.view_scales_)
            distances /= np.repeat(self.view_scales_, n_neighbors)
        shares = vote_shares(
            distances, self._codes[rows], len(self.classes_), self.weights
        )
        familiarity = -distances.min(axis=1)
        if self._walk is not None:
            has_view = np.flatnonzero(~no_view)
            ends = absorption(self._walk, has_view)
            familiarity[has_view] = self._familiarity(ends)
            total = ends.sum(axis=1)
            arrives = total > 0
            shares[has_view[arrives]] = ends[arrives] / total[arrives, None]
        shares[no_view] = 1 / len(self.classes_)
        familiarity[no_view] = -np.inf
        return shares, familiarity, no_view

    def _familiarity(self, absorption: np.ndarray) -> np.ndarray:
        levels = self._class_levels[absorption.argmax(axis=1)]
        return log_odds(absorption.sum(axis=1)) - levels

    def _set_classes(self) -> None:
        """Set what follows from the labels of the gallery."""
        self.classes_, self._codes = np.unique(
            self.gallery_labels_, return_inverse=True
        )
        taken = self.classes_
        if self._outlier_label is not None:
            taken = np.append(taken, self._outlier_label)
        self.missing_label_ = label_of_no_class(taken)

    def _learn_familiarity(self, pool: np.ndarray) -> None:
        """Learn what is usual for the gallery's classes, and the offset."""
        # Rows of classes that remain known when the row is left out.
        n_of_class = np.bincount(self._codes)[self._codes]
        rows = _evenly_spaced(np.flatnonzero(n_of_class > 1), _N_LEFT_OUT)
        self._walk = None
        if self._use_unlabeled:
            self._walk = GalleryWalk(self.gallery_, pool, self._codes, self._metric)
            absorption = self._walk.absorption_without(rows)
            scores = log_odds(absorption.sum(axis=1))
            codes = self._codes[rows]
            self._class_levels = class_levels(scores, codes, len(self.classes_))
            scores = scores - self._class_levels[codes]
            if not len(scores) and len(pool):
                scores = self._familiarity(self._walk.absorption(pool))
        else:
            scores = self._scores_without(rows) if len(rows) else np.empty(0)
        self.offset_ = -np.inf
        if len(scores):
            self.offset_ = float(np.quantile(scores, self.contamination))

    def _scores_without(self, rows: np.ndarray) -> np.ndarray:
        """The scores of gallery rows without a walk, each left out of the gallery."""
        views = self._views(self.gallery_[rows], self.query_modalities)
        distances = self._nearest_of_others(views, rows, np.arange(len(self.gallery_)))
        if self.query_modalities == "all":
            distances /= self.view_scales_
        nearest = distances.min(axis=1)
        return -nearest[np.isfinite(nearest)]

    def _nearest_of_others(
        self, views: np.ndarray, rows: np.ndarray, gallery_rows: np.ndarray
    ) -> np.ndarray:
        """Distances of each view to the nearest entry of another row.

        `rows` are the positions of the views, `gallery_rows` those of the gallery.
        """
        # At most two entries are a row's own, and the gallery has two classes or more:
        # one of three entries is another row's.
        distances, entries = neighbors_of_views(
            self._search, views, present_views(views), min(3, len(self._entry_rows))
        )
        owners = gallery_rows[self._entry_rows[entries]]
        distances[owners == rows[:, None, None]] = np.inf
        return distances.min(axis=2)

    def _unlabeled_rows(self, X: np.ndarray) -> np.ndarray:
        """The rows of X that walks pass, besides the gallery's."""
        is_passed = np.any(present_views(self._views(X)), axis=1)
        is_passed[self.gallery_indices_] = False
        return X[_evenly_spaced(np.flatnonzero(is_passed), _N_POOL)]

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
        rows = _evenly_spaced(np.arange(len(X)), _N_FOR_SCALES)
        views = self._views(X[rows])
        nearest = self._nearest_of_others(views, rows, self.gallery_indices_)
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
        # Models saved before there were these options were used like this.
        options = {"use_unlabeled": False, "outlier_label": None, "contamination": 0.05}
        super().__setstate__({**options, **state})
        if not hasattr(self, "gallery_"):
            return
        self._build_search()
        if not hasattr(self, "offset_"):
            self._all_labeled, self._use_unlabeled = False, False
            self._outlier_label = None
            self._set_classes()
            self._learn_familiarity(self.gallery_[:0])

    def _check_queries(self, X: np.ndarray, present: np.ndarray) -> None:
        no_view = ~np.any(present_views(self._views(X)), axis=1)
        if no_view.any():
            warn(
                f"X is all NaN in {row_names(no_view)}: without a view there is "
                "nothing to classify. The predicted label is "
                f"{self.missing_label_!r}, which is not a class."
            )
        lacking = ~np.any(present, axis=1) & ~no_view
        if lacking.any():
            remedy = "Drop such rows"
            if self.query_modalities != "all":
                remedy += ", or use the available views by query_modalities='all'"
            raise ValueError(
                f"query_modalities={self.query_modalities!r} needs "
                f"{_VIEWS[self.query_modalities]}, and X has none in "
                f"{row_names(lacking)}. {remedy}."
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
        classes = listed(map(repr, left_out))
        warn(
            f"Left out of the gallery, and never predicted: {classes}; no row "
            f"of such a class has {view}. {remedy}."
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


def check_gallery(classifier: Any, name: str = "classifier") -> None:
    """Raise unless it is a fitted classifier with a gallery."""
    if not hasattr(classifier, "leave_one_out"):
        raise TypeError(
            f"{name} is a {type(classifier).__name__}; expected a "
            "GalleryKNNClassifier, such as the last step of a pipeline, pipe[-1]."
        )
    check_is_fitted(classifier)


def _evenly_spaced(values: np.ndarray, n_values: int) -> np.ndarray:
    """The first, the last and others between them, `n_values` at most."""
    n_values = min(len(values), n_values)
    return values[np.linspace(0, len(values) - 1, n_values).astype(int)]
