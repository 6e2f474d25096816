"""Splitters for partly labeled data."""

from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator, check_cv
from sklearn.utils import check_consistent_length

from skplankton._utils.labels import draw_per_class, split_labels
from skplankton._utils.parameters import check_int
from skplankton._utils.random import draw_seeds, fresh_random_state
from skplankton._utils.sklearn import safe_indexing

# A tenth of ten rows must count as one row, even if it is 0.9999999999999999.
_ROUNDING = 1e-9


class GallerySplit(BaseCrossValidator):
    """Draw a few labeled rows per class as the gallery, test the others; repeat.

    Each repeat draws `gallery_size` labeled rows of each class as the training set; the
    other labeled rows are the test set [1]_. Unlabeled rows are in neither.

    Parameters
    ----------
    gallery_size : int
        Number of gallery rows per class. A class with no more than `gallery_size`
        labeled rows is entirely in the gallery: none of its rows is tested.
    n_repeats : int, default=5
        Number of draws.
    random_state : int, RandomState instance or None, default=None
        Seed for drawing the galleries. With an int, every call of `split` draws the
        same ones, and a smaller gallery is a subset of a larger one in the same repeat;
        a larger `n_repeats` does not change the first repeats.
    unlabeled : scalar, default=None
        A value in `y` that means "not labeled", besides the missing values.

    See Also
    --------
    skplankton.evaluation.cross_modal_benchmark : Many gallery sizes at once, with the
        same draws.
    LabeledTestSplit : Cross-validation with the unlabeled rows in the training sets.

    Notes
    -----
    Rows are drawn without regard to missing views.

    References
    ----------
    .. [1] Kareinen, J. et al., "Cross-modal learning for plankton recognition", 2026,
       arXiv:2603.16427: galleries of 1, 2, 4, 8 and 16 per class, drawn five times.

    Examples
    --------
    >>> import numpy as np
    >>> from skplankton.model_selection import GallerySplit
    >>> y = ["diatom", "ciliate", None, "diatom", "ciliate", "diatom"]
    >>> split = GallerySplit(1, n_repeats=2, random_state=0)
    >>> for gallery, queries in split.split(np.zeros((6, 2)), y):
    ...     print(gallery, queries)
    [0 1] [3 4 5]
    [1 5] [0 3 4]
    """

    def __init__(
        self,
        gallery_size: int,
        *,
        n_repeats: int = 5,
        random_state: int | np.random.RandomState | None = None,
        unlabeled: Any = None,
    ):
        check_int("gallery_size", gallery_size, at_least=1)
        check_int("n_repeats", n_repeats, at_least=1)
        self.gallery_size = gallery_size
        self.n_repeats = n_repeats
        self.random_state = random_state
        self.unlabeled = unlabeled

    def split(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Draw the galleries.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data; only its length is read.
        y : array-like of shape (n_samples,)
            The labels, with None, NaN or `unlabeled` for unlabeled rows.
        groups : None
            Ignored; present because scikit-learn passes it.

        Yields
        ------
        train : ndarray of shape (n_gallery,)
            The gallery's rows, ascending.
        test : ndarray of shape (n_queries,)
            The other labeled rows, ascending.

        Raises
        ------
        ValueError
            If no row is labeled, or if the gallery takes all labeled rows.
        """
        labels, rows, _ = _labeled_rows(X, y, self.unlabeled)
        for seed in draw_seeds(self.n_repeats, self.random_state):
            drawn = draw_per_class(labels, self.gallery_size, seed)
            rest = np.delete(rows, drawn)
            if not rest.size:
                raise ValueError(
                    f"gallery_size={self.gallery_size} takes all {len(rows)} labeled "
                    "rows, which leaves none to test. Use a smaller gallery_size, or "
                    "label more particles."
                )
            yield rows[drawn], rest

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Count the repeats.

        Parameters
        ----------
        X, y, groups : object
            Ignored; present because scikit-learn passes them.

        Returns
        -------
        int
            `n_repeats`.
        """
        return self.n_repeats


class LabeledTestSplit(BaseCrossValidator):
    """Cross-validation that trains on unlabeled rows and tests only labeled ones.

    Ordinary cross-validation puts unlabeled rows into the test sets, where any
    predicted label counts as wrong. Here another splitter splits the labeled rows, and
    all unlabeled rows are added to every training set.

    Parameters
    ----------
    cv : int, splitter or iterable, default=5
        How the labeled rows are split. An int is the number of stratified folds, as in
        scikit-learn; a splitter gets the labeled rows alone; an iterable yields pairs
        of positions among the labeled rows, counted from 0.
    unlabeled : scalar, default=None
        A value in `y` that means "not labeled", besides the missing values.

    See Also
    --------
    GallerySplit : Trains on a few labeled rows per class.

    Notes
    -----
    An int means ``StratifiedKFold`` without shuffling, which warns of a class with
    fewer labeled rows than folds. Pass ``StratifiedKFold(5, shuffle=True)`` for
    sorted rows, for example by station.

    Examples
    --------
    >>> import numpy as np
    >>> from skplankton.model_selection import LabeledTestSplit
    >>> y = ["diatom", None, "ciliate", "diatom", None, "ciliate"]
    >>> for train, test in LabeledTestSplit(2).split(np.zeros((6, 2)), y):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 1 2 4] [3 5]
    """

    # Pass groups to the wrapped splitter with metadata routing, too.
    __metadata_request__split = {"groups": True}

    def __init__(
        self, cv: int | BaseCrossValidator | Iterable = 5, *, unlabeled: Any = None
    ):
        if isinstance(cv, bool | str) or not (
            isinstance(cv, Integral | Iterable) or hasattr(cv, "split")
        ):
            raise ValueError(
                f"cv={cv!r}; expected a number of folds, a scikit-learn splitter or an "
                "iterable of (train, test)."
            )
        if isinstance(cv, Integral):
            check_int("cv", cv, at_least=2)
        elif not hasattr(cv, "split"):
            cv = list(cv)  # the first call would exhaust a generator
        self.cv = cv
        self.unlabeled = unlabeled

    def split(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Split the labeled rows, and add the unlabeled ones to the training sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.
        y : array-like of shape (n_samples,)
            The labels, with None, NaN or `unlabeled` for unlabeled rows.
        groups : array-like of shape (n_samples,), default=None
            Groups of all rows; those of the labeled rows are passed to `cv`.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Labeled rows for training and all unlabeled rows, ascending.
        test : ndarray of shape (n_test,)
            Labeled rows.

        Raises
        ------
        ValueError
            If no row is labeled, or if `cv` raises it.
        """
        labels, rows, n_rows = _labeled_rows(X, y, self.unlabeled)
        unlabeled = np.setdiff1d(np.arange(n_rows), rows)
        folds = check_cv(self.cv, labels, classifier=True)
        labeled_groups = _take(groups, rows)
        for train, test in folds.split(_take(X, rows), labels, labeled_groups):
            yield np.sort(np.concatenate([rows[train], unlabeled])), rows[test]

    def get_n_splits(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> int:
        """Count the splits.

        Parameters
        ----------
        X, y, groups : array-like, default=None
            As in `split`. Needed only if `cv` needs them, as ``LeaveOneOut`` does.

        Returns
        -------
        int
            The number of splits.
        """
        if y is None:
            return check_cv(self.cv).get_n_splits(X, y, groups)
        labels, rows, _ = _labeled_rows(X, y, self.unlabeled)
        folds = check_cv(self.cv, labels, classifier=True)
        return folds.get_n_splits(_take(X, rows), labels, _take(groups, rows))


class TrainValidationTestFolds(BaseCrossValidator):
    """Stratified folds, each split into validation and test rows.

    With the defaults, the labeled rows are assigned to five folds; of the held-out
    fold, a quarter is for validation (of the temperature, of the epochs) and three
    quarters for testing: 80/5/15 % as in [1]_. Unlabeled rows are in every training
    set.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    validation_fraction : float, default=0.25
        Share of the held-out fold for validation, between 0 and 1.
    random_state : int, RandomState instance or None, default=None
        Seed for shuffling. With an int, every call returns the same splits.
    unlabeled : scalar, default=None
        A value in `y` that means "not labeled", besides the missing values.

    See Also
    --------
    sklearn.model_selection.train_test_split : Splits without labels:
        ``train_test_split(X, test_size=0.05)`` is the 95/5 % in which [1]_ splits
        unlabeled particles into training and validation.

    Notes
    -----
    The rows of a class are assigned to the folds in turn, so that their numbers differ
    by at most one. A class with fewer rows than folds is missing from some folds,
    without a warning; within a fold, all rows of a rare class may be test rows, or all
    may be validation rows.

    References
    ----------
    .. [1] Kareinen, J. et al., "Cross-modal learning for plankton recognition", 2026,
       arXiv:2603.16427.

    Examples
    --------
    >>> import numpy as np
    >>> from skplankton.model_selection import TrainValidationTestFolds
    >>> X, y = np.zeros((100, 2)), np.repeat(["diatom", "ciliate"], 50)
    >>> folds = TrainValidationTestFolds(random_state=0)
    >>> for train, validation, test in folds.split_with_validation(X, y):
    ...     print(len(train), len(validation), len(test))
    80 5 15
    80 5 15
    80 5 15
    80 5 15
    80 5 15
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        validation_fraction: float = 0.25,
        random_state: int | np.random.RandomState | None = None,
        unlabeled: Any = None,
    ):
        check_int("n_splits", n_splits, at_least=2)
        is_number = isinstance(validation_fraction, Real)
        if not is_number or not 0 < validation_fraction < 1:
            raise ValueError(
                f"validation_fraction={validation_fraction!r}; expected a number "
                "between 0 and 1. For folds without validation, use scikit-learn's "
                "StratifiedKFold, in LabeledTestSplit where rows are unlabeled."
            )
        self.n_splits = n_splits
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.unlabeled = unlabeled

    def split(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Split for training and test; the validation rows are in neither.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data; only its length is read.
        y : array-like of shape (n_samples,)
            The labels, with None, NaN or `unlabeled` for unlabeled rows.
        groups : None
            Ignored; present because scikit-learn passes it.

        Yields
        ------
        train : ndarray of shape (n_train,)
            The rows for training, ascending.
        test : ndarray of shape (n_test,)
            The rows to test, ascending.

        Raises
        ------
        ValueError
            As `split_with_validation` does.
        """
        for train, _, test in self.split_with_validation(X, y):
            yield train, test

    def split_with_validation(
        self, X: ArrayLike, y: ArrayLike | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Split for training, validation and test.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data; only its length is read.
        y : array-like of shape (n_samples,)
            The labels, with None, NaN or `unlabeled` for unlabeled rows.

        Yields
        ------
        train : ndarray of shape (n_train,)
            The rows for training, ascending: labeled ones and all unlabeled ones.
        validation : ndarray of shape (n_validation,)
            The rows for validation, ascending. All are labeled.
        test : ndarray of shape (n_test,)
            The rows to test, ascending. All are labeled.

        Raises
        ------
        ValueError
            If so few rows are labeled that a fold could have no validation or no test
            rows.
        """
        labels, rows, n_rows = _labeled_rows(X, y, self.unlabeled)
        self._check_enough(len(rows))
        random = fresh_random_state(self.random_state)
        shuffled = _shuffled_by_class(labels, random)
        for fold in range(self.n_splits):
            held_out = rows[shuffled[fold :: self.n_splits]]
            is_validation = _evenly_spread(
                len(held_out), self.validation_fraction, random.uniform()
            )
            train = np.setdiff1d(np.arange(n_rows), held_out)
            yield (
                train,
                np.sort(held_out[is_validation]),
                np.sort(held_out[~is_validation]),
            )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Count the folds.

        Parameters
        ----------
        X, y, groups : object
            Ignored; present because scikit-learn passes them.

        Returns
        -------
        int
            `n_splits`.
        """
        return self.n_splits

    def _check_enough(self, n_labeled: int) -> None:
        smallest_fold = n_labeled // self.n_splits
        smaller_part = min(self.validation_fraction, 1 - self.validation_fraction)
        # Rounding may remove one row from the smaller part, but no more.
        if int(smallest_fold * smaller_part + _ROUNDING) < 1:
            raise ValueError(
                f"{n_labeled} labeled rows are too few for n_splits={self.n_splits} "
                f"and validation_fraction={self.validation_fraction}: a fold of "
                f"{smallest_fold} may have no validation or test rows. Label more "
                "particles, use fewer folds, or a validation_fraction nearer to 0.5."
            )


def _labeled_rows(X, y, unlabeled) -> tuple[np.ndarray, np.ndarray, int]:
    """The labels without missing values, their rows, and the number of all rows."""
    labels, labeled = split_labels(y, unlabeled)
    check_consistent_length(X, labeled)
    if not labeled.any():
        raise ValueError(
            f"All {len(labeled)} rows are unlabeled: there is nothing to test. Pass "
            "some labeled rows."
        )
    return labels, np.flatnonzero(labeled), len(labeled)


def _take(values, rows: np.ndarray):
    return None if values is None else safe_indexing(values, rows)


def _shuffled_by_class(labels: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Positions of the labels, class after class, shuffled within each."""
    order = random.permutation(len(labels))
    _, codes = np.unique(labels, return_inverse=True)
    return order[np.argsort(codes[order], kind="stable")]


def _evenly_spread(n_rows: int, fraction: float, phase: float) -> np.ndarray:
    """Mark an evenly spaced fraction of the rows, and so the same share per class."""
    steps = np.floor(np.arange(n_rows + 1) * fraction + phase)
    return np.diff(steps) > 0
