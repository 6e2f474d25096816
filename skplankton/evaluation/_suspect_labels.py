"""Labels that are probably wrong."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length


def suspect_labels(
    labels: ArrayLike, shares: ArrayLike, classes: ArrayLike
) -> np.ndarray:
    """Find rows whose label is probably wrong, the least likely label first.

    A row is suspected if another class is as likely for it as for the rows labeled with
    that class, on average. That is the rule of confident learning, which allows for
    classes that are recognized less well than others.

    Parameters
    ----------
    labels : array-like of shape (n_rows,)
        The labels.
    shares : array-like of shape (n_rows, n_classes)
        Probabilities of the classes, or shares of the votes, that do not know the row's
        own label: of :meth:`skplankton.GalleryKNNClassifier.leave_one_out`, or of
        :func:`~sklearn.model_selection.cross_val_predict`.
    classes : array-like of shape (n_classes,)
        The classes of the columns, such as `classes_` of a classifier.

    Returns
    -------
    ndarray of shape (n_suspected,)
        Positions of the rows, the smallest share of their own label first.

    Raises
    ------
    ValueError
        If the shapes do not agree, a label is not among the classes, or a share is NaN.

    References
    ----------
    Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in
    dataset labels", Journal of Artificial Intelligence Research 70, section 3.1
    (arXiv:1911.00068).

    Examples
    --------
    >>> from skplankton.evaluation import suspect_labels
    >>> labels = ["diatom", "diatom", "ciliate", "ciliate"]
    >>> shares = [[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]
    >>> suspect_labels(labels, shares, ["diatom", "ciliate"])
    array([1])
    """
    labels, classes = np.asarray(labels), np.asarray(classes)
    shares = np.asarray(shares, dtype=float)
    check_consistent_length(labels, shares)
    if shares.shape != (len(labels), len(classes)):
        raise ValueError(
            f"shares has the shape {shares.shape}; expected {len(labels)} rows with "
            f"one column for each of the {len(classes)} classes."
        )
    if np.isnan(shares).any():
        row = np.flatnonzero(np.isnan(shares).any(axis=1))[0]
        raise ValueError(f"shares is NaN in row {row}; leave out rows without shares.")
    is_own = labels[:, None] == classes
    if not is_own.any(axis=1).all():
        row = np.flatnonzero(~is_own.any(axis=1))[0]
        raise ValueError(
            f"The label {labels[row]!r} of row {row} is not among the classes."
        )
    n_labeled = is_own.sum(axis=0)
    usual = (shares * is_own).sum(axis=0) / np.maximum(n_labeled, 1)
    # A class without labels has no usual share.
    confident = (shares >= usual) & (n_labeled > 0)
    best = np.where(confident, shares, -1).argmax(axis=1)
    suspected = confident.any(axis=1) & ~is_own[np.arange(len(labels)), best]
    rows = np.flatnonzero(suspected)
    return rows[np.argsort(shares[is_own][rows], kind="stable")]
