"""Labels: present and missing ones, and draws of a few per class."""

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
from skplankton._utils.warn import warn

# In results: particles that are probably of no class of the gallery, and those with
# neither a readable image nor a readable profile.
UNKNOWN, WITHOUT_VIEW = "unknown", "without a readable view"

# How tables and programs write "missing" in text.
_MISSING_STRINGS = ("", "None", "nan", "NaN", "NA", "<NA>", "null")


def check_y(X, y) -> None:
    """Raise if X and y differ in length, or if y mixes strings and numbers.

    For the start of a long `fit`: nothing else is checked, so that y may be anything
    that a classifier or a regressor takes. One number among strings, or one string
    among numbers, however often, may be the value of ``unlabeled``.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...) or DataFrame
        The data; only its length is read.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels or targets, in which None and NaN mark missing ones.

    Raises
    ------
    ValueError
        If the lengths differ.
    TypeError
        If y contains several strings and several numbers.
    """
    n_rows, n_labels = num_samples(X), num_samples(y)
    if n_rows != n_labels:
        raise ValueError(
            f"X has {n_rows} rows, and y {n_labels} labels. Pass one label per row, "
            "None for unlabeled rows."
        )
    labels = _as_array(y)
    if labels.dtype == object:
        types = set(map(type, labels.flat))
        if not all(any(issubclass(t, k) for t in types) for k in (str, Number)):
            return
        kinds = [{v for v in labels.flat if isinstance(v, k)} for k in (str, Number)]
        if min(map(len, kinds)) > 1:
            _raise_mixed(set.union(*kinds))


def split_labels(y, unlabeled=None) -> tuple[np.ndarray, np.ndarray]:
    """Separate labeled from unlabeled rows.

    None, NaN, NaT and pandas' NA are always unlabeled, and so is any value equal to
    ``unlabeled``. A number equals only numbers, a bool only bools and a string only
    strings, so that ``unlabeled=0`` does not match the label False.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The labels: a list, an array of any dtype, a pandas Series or Categorical.
    unlabeled : scalar, default=None
        One more value that means "not labeled".

    Returns
    -------
    labels : ndarray of shape (n_labeled,)
        The labels that are not missing, in the order of `y`: numbers, bools or strings.
    labeled : ndarray of shape (n_samples,), dtype bool
        Where `y` is labeled.

    Raises
    ------
    ValueError
        If `y` is None, not one-dimensional, or not class labels (but, for example,
        fractions or dates).
    TypeError
        If `unlabeled` is not a scalar or the labels mix strings, numbers and bools.
    """
    if not pd.api.types.is_scalar(unlabeled):
        raise TypeError(
            f"unlabeled={unlabeled!r} is a {type(unlabeled).__name__}, where one value "
            "was expected. For several values, replace them all by None in y."
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
            # A gallery may have one or two labels per class, for which scikit-learn
            # suspects a regression.
            warnings.filterwarnings("ignore", message="The number of unique classes")
            check_classification_targets(labels)
    return labels, labeled


def check_two_classes(labels: np.ndarray) -> None:
    """Raise a ValueError if there are fewer than two classes."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"There is only one class in y that can be in the gallery, "
            f"{classes.tolist()[0]!r}. Expected two or more: label particles of "
            "another class."
        )


def check_outlier_label(outlier_label, labels: np.ndarray) -> None:
    """Raise unless the label for outliers is None, or is like the labels and new."""
    if outlier_label is None:
        return
    kinds = {"U": str, "b": bool}
    kind = kinds.get(labels.dtype.kind, Number)
    is_label = pd.api.types.is_scalar(outlier_label) and bool(pd.notna(outlier_label))
    if not is_label or _kind(outlier_label) is not kind:
        expected = {str: "a string", bool: "a bool", Number: "a number"}[kind]
        raise TypeError(
            f"outlier_label={outlier_label!r} is a {type(outlier_label).__name__}, but "
            f"the labels in y are like {labels[0].item()!r}. Pass {expected}."
        )
    if outlier_label in labels:
        raise ValueError(
            f'outlier_label={outlier_label!r} is a label in y. If it means "not '
            f'labeled" there, pass unlabeled={outlier_label!r} as well; otherwise '
            "choose another outlier_label."
        )


def warn_of_missing_words(labels: np.ndarray) -> None:
    """Warn of labels such as "None", which are classes like any other string.

    ``np.array(["diatom", None], dtype=str)`` turns a missing label into such a string.
    """
    if labels.dtype.kind != "U":
        return
    counts = {text: int(np.sum(labels == text)) for text in _MISSING_STRINGS}
    found = [f"{text!r} ({n} rows)" for text, n in counts.items() if n]
    if found:
        first = next(text for text, n in counts.items() if n)
        warn(
            f"y contains the text {', '.join(found)}, which is treated as a class like "
            'any other. If it means "not labeled", pass None in an array of objects, '
            f"np.array(labels, dtype=object), or unlabeled={first!r}."
        )


def label_of_no_class(classes: np.ndarray) -> str | int | float:
    """A label that is not a class, of the type of the classes (a number for bools)."""
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
        A smaller class keeps all of them. None keeps everything, without a draw.
    random_state : int, RandomState instance or None
        With the same int, the draw for a smaller size is a subset of the draw for a
        larger one.

    Returns
    -------
    ndarray of shape (n_drawn,)
        The positions, ascending.
    """
    if size is None:
        return np.arange(len(labels))
    # One order for all sizes, in which each class keeps its first members.
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
            "label per row of X, and None in y for the unlabeled rows."
        )
    in_pandas = isinstance(y, pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
    if in_pandas and not isinstance(y.dtype, np.dtype):
        # Directly to numpy, integers with missing values would become floats.
        return pd.Series(y).astype(object).to_numpy()
    if hasattr(y, "__array__"):
        array = np.asarray(y)
        # scikit-learn cannot handle numpy's strings of variable width.
        return array.astype(object) if array.dtype.kind == "T" else array
    # np.asarray(["diatom", nan]) would turn the missing label into the string "nan".
    return np.asarray(y, dtype=object)


def _kind(label) -> type:
    """The type that a label can be compared with."""
    return _kind_of(type(label))


def _kind_of(own: type) -> type:
    """The type that labels of type `own` can be compared with."""
    if issubclass(own, bool | np.bool_):  # a bool is a number too: check first
        return bool
    return next((kind for kind in (Number, str) if issubclass(own, kind)), own)


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
    """Convert objects to an array of numbers, of bools or of strings."""
    if labels.dtype.kind not in "OMm" or not labels.size:
        return labels
    kinds = set(map(_kind_of, set(map(type, labels))))
    if len(kinds) > 1:
        _raise_mixed(labels)
    if not kinds <= {bool, Number, str}:
        raise ValueError(
            f"Unknown label type: the labels in y are like {labels[0]!r}. Expected "
            "strings, numbers or bools: convert them, for example by "
            "[None if label is None else str(label) for label in y]."
        )
    return np.array(labels.tolist())
