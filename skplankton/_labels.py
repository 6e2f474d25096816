"""Labels: which are there, which are missing, and a few of each class."""

import numbers
import warnings

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from skplankton._random import fresh_random_state


def split_labels(y, unlabeled=None) -> tuple[np.ndarray, np.ndarray]:
    """Tell labelled from unlabelled rows.

    None, NaN, NaT and pandas' NA are always unlabelled, and so is whatever equals
    ``unlabeled``. A number equals numbers only, a bool bools only and a string
    strings only, so that ``unlabeled=0`` spares the label False.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The labels: a list, an array of any dtype, a pandas Series or Categorical.
    unlabeled : scalar, default=None
        One more value that stands for "not labelled".

    Returns
    -------
    labels : ndarray of shape (n_labelled,)
        The labels that are there, in the order of `y`, as numbers, bools or strings.
    labelled : ndarray of shape (n_samples,), dtype bool
        Where `y` is labelled.

    Raises
    ------
    ValueError
        If `y` is None, not one-dimensional, or holds no class labels (for example
        fractions).
    TypeError
        If `unlabeled` is not a scalar or the labels mix strings, numbers and bools.
    """
    if not pd.api.types.is_scalar(unlabeled):
        raise TypeError(
            f"unlabeled={unlabeled!r} is a {type(unlabeled).__name__}, where one value "
            "was expected. To name several, replace them all by None in y."
        )
    labels = column_or_1d(_as_array(y), warn=True)
    labelled = ~pd.isna(labels)
    if not pd.isna(unlabeled):
        labelled[labelled] = ~_equals(labels[labelled], unlabeled)
    labels = _plain(labels[labelled])
    if labels.size:
        if labels.dtype.kind == "f":
            assert_all_finite(labels, input_name="y")
        with warnings.catch_warnings():
            # A label or two a class, which scikit-learn suspects to be regression, is
            # what a gallery is for.
            warnings.filterwarnings("ignore", message="The number of unique classes")
            check_classification_targets(labels)
    return labels, labelled


def check_y(X, y) -> None:
    """Raise for a `y` of another length than X, or of texts mixed with numbers.

    For a transformer before a classifier, which would find out after the training. No
    more is checked: another last step may take labels that a gallery does not.
    """
    check_consistent_length(X, y)
    labels = _as_array(y)
    if labels.dtype == object and labels.ndim == 1:
        kinds = {_kind(label) for label in labels[~pd.isna(labels)]}
        if str in kinds and len(kinds) > 1:
            _plain(labels[~pd.isna(labels)])


def check_two_classes(labels: np.ndarray) -> None:
    """Raise a ValueError unless there are two classes to tell apart."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"There is only one class in y that can be in the gallery, "
            f"{classes.tolist()[0]!r}. Expected two or more: label particles of "
            "another class."
        )


def draw_per_class(labels: np.ndarray, size: int | None, random_state) -> np.ndarray:
    """Draw at most `size` positions of each class.

    Parameters
    ----------
    labels : ndarray of shape (n_labels,)
        The labels, none missing.
    size : int or None
        A class with fewer keeps all of them. None keeps everything, undrawn.
    random_state : int, RandomState instance or None
        With the same int, what is drawn for a smaller size is part of what is drawn
        for a larger one.

    Returns
    -------
    ndarray of shape (n_drawn,)
        The positions, ascending.
    """
    if size is None:
        return np.arange(len(labels))
    # One order for all sizes, of which each class keeps its first members.
    order = fresh_random_state(random_state).permutation(len(labels))
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = order[np.argsort(codes[order], kind="stable")]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(by_class[rank < size])


def _as_array(y) -> np.ndarray:
    """`y` as an array in which no missing label has become a number or a string."""
    if y is None:
        raise ValueError(
            "Expected array-like (array or non-string sequence), got None: this "
            "estimator requires y to be passed, but the target y is None. Pass one "
            "label a row of X, and None within y for the unlabelled rows."
        )
    in_pandas = isinstance(y, pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
    if in_pandas and not isinstance(y.dtype, np.dtype):
        # Straight to numpy, whole numbers with gaps would turn into floats.
        return pd.Series(y).astype(object).to_numpy()
    if hasattr(y, "__array__"):
        return np.asarray(y)
    # np.asarray(["diatom", nan]) would make the string "nan" of the gap.
    return np.asarray(y, dtype=object)


def _kind(label) -> type:
    """What a label can be compared with."""
    if isinstance(label, bool | np.bool_):  # a bool is a number too: ask first
        return bool
    return next(
        (kind for kind in (numbers.Number, str) if isinstance(label, kind)),
        type(label),
    )


def _equals(labels: np.ndarray, value) -> np.ndarray:
    kind = _kind(value)
    same = (_kind(label) is kind and bool(label == value) for label in labels)
    return np.fromiter(same, dtype=bool, count=len(labels))


def _plain(labels: np.ndarray) -> np.ndarray:
    """Objects as an array of numbers, of bools or of strings."""
    if labels.dtype != object or not labels.size:
        return labels
    kinds = {_kind(label) for label in labels}
    if len(kinds) > 1:
        names = sorted({type(label).__name__ for label in labels})
        raise TypeError(
            f"The labels in y are of the types {', '.join(names)}. Expected one kind, "
            "strings, numbers or bools: convert them, for example by "
            "[None if label is None else str(label) for label in y]."
        )
    if kinds <= {bool, numbers.Number, str}:
        return np.array(labels.tolist())
    return labels
