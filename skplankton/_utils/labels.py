"""Labels: which are there, which are missing, and a few of each class."""

import warnings
from collections.abc import Iterable
from numbers import Number

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from skplankton._utils.random import fresh_random_state
from skplankton._utils.sklearn import num_samples

# How tables and programs write "missing" in text.
_MISSING_WORDS = ("None", "nan", "NaN", "NA", "<NA>", "null")


def check_y(X, y) -> None:
    """Raise if X and y differ in length, or if y mixes strings and numbers.

    For the start of a long `fit`: nothing else is checked, so that y may be anything
    that a classifier or a regressor takes. One number among strings, or one string
    among numbers, however often, may be what a classifier calls ``unlabeled``.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...) or DataFrame
        The data; only its length is read.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels or targets, in which None and NaN may stand for missing ones.

    Raises
    ------
    ValueError
        If the lengths differ.
    TypeError
        If y holds several strings and several numbers.
    """
    n_rows, n_labels = num_samples(X), num_samples(y)
    if n_rows != n_labels:
        raise ValueError(
            f"X has {n_rows} rows, and y {n_labels} labels. Pass one label a row, None "
            "for those that are unlabeled."
        )
    labels = _as_array(y)
    if labels.dtype == object:
        kinds = [{v for v in labels.flat if isinstance(v, k)} for k in (str, Number)]
        if min(map(len, kinds)) > 1:
            _raise_mixed(set.union(*kinds))


def split_labels(y, unlabeled=None) -> tuple[np.ndarray, np.ndarray]:
    """Tell labeled from unlabeled rows.

    None, NaN, NaT and pandas' NA are always unlabeled, and so is whatever equals
    ``unlabeled``. A number equals numbers only, a bool bools only and a string
    strings only, so that ``unlabeled=0`` spares the label False.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The labels: a list, an array of any dtype, a pandas Series or Categorical.
    unlabeled : scalar, default=None
        One more value that stands for "not labeled".

    Returns
    -------
    labels : ndarray of shape (n_labeled,)
        The labels that are there, in the order of `y`, as numbers, bools or strings.
    labeled : ndarray of shape (n_samples,), dtype bool
        Where `y` is labeled.

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
    labeled = ~pd.isna(labels)
    if not pd.isna(unlabeled):
        labeled[labeled] = ~_equals(labels[labeled], unlabeled)
    labels = _plain(labels[labeled])
    if labels.size:
        if labels.dtype.kind == "f":
            assert_all_finite(labels, input_name="y")
        with warnings.catch_warnings():
            # A label or two a class, which scikit-learn suspects to be regression, is
            # what a gallery is for.
            warnings.filterwarnings("ignore", message="The number of unique classes")
            check_classification_targets(labels)
    return labels, labeled


def check_two_classes(labels: np.ndarray) -> None:
    """Raise a ValueError unless there are two classes to tell apart."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"There is only one class in y that can be in the gallery, "
            f"{classes.tolist()[0]!r}. Expected two or more: label particles of "
            "another class."
        )


def warn_of_missing_words(labels: np.ndarray, stacklevel: int) -> None:
    """Warn of labels such as "None", which are classes like any other text.

    ``np.array(["diatom", None], dtype=str)`` makes such a text of a missing label.
    """
    if labels.dtype.kind != "U":
        return
    counts = {word: int(np.sum(labels == word)) for word in _MISSING_WORDS}
    found = [f"{word!r} ({n} rows)" for word, n in counts.items() if n]
    if found:
        first = next(word for word, n in counts.items() if n)
        warnings.warn(
            f"y holds the text {', '.join(found)}, which is taken for a class like any "
            'other. If it means "not labeled", pass None in an array of objects, '
            f"np.array(labels, dtype=object), or unlabeled={first!r}.",
            UserWarning,
            stacklevel=stacklevel,
        )


def label_of_no_class(classes: np.ndarray) -> str | int | float:
    """A label of the classes' kind, a number for bools, that is none of them."""
    if classes.dtype.kind == "U":
        label = ""
        while label in classes:
            label += "?"
        return label
    return min(-1, classes.min().item() - 1)


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
            "label a row of X, and None within y for the unlabeled rows."
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
        (kind for kind in (Number, str) if isinstance(label, kind)),
        type(label),
    )


def _equals(labels: np.ndarray, value) -> np.ndarray:
    kind = _kind(value)
    same = (_kind(label) is kind and bool(label == value) for label in labels)
    return np.fromiter(same, dtype=bool, count=len(labels))


def _raise_mixed(labels: Iterable) -> None:
    names = sorted({type(label).__name__ for label in labels})
    raise TypeError(
        f"The labels in y are of the types {', '.join(names)}. Expected one kind, "
        "strings, numbers or bools: convert them, for example by "
        "[None if label is None else str(label) for label in y]."
    )


def _plain(labels: np.ndarray) -> np.ndarray:
    """Objects as an array of numbers, of bools or of strings."""
    if labels.dtype != object or not labels.size:
        return labels
    kinds = {_kind(label) for label in labels}
    if len(kinds) > 1:
        _raise_mixed(labels)
    if kinds <= {bool, Number, str}:
        return np.array(labels.tolist())
    return labels
