"""What is known of misclassification, from particles whose true label is known."""

import numpy as np
import pandas as pd

from skplankton._gallery.classifier import GalleryKNNClassifier, check_gallery
from skplankton._utils.labels import UNKNOWN
from skplankton.abundance._particles import (
    NO_VIEW,
    SHARE,
    as_labels,
    check_columns,
    has_image,
    shares,
    shown,
)
from skplankton.abundance._quantification import Calibration


def gallery_calibration(gallery: GalleryKNNClassifier) -> pd.DataFrame:
    """Calibration particles from a gallery: each is classified by the others.

    For :func:`abundance_table`, if no other particles are labeled. The rows of the
    gallery are classified by `GalleryKNNClassifier.leave_one_out`.

    Parameters
    ----------
    gallery : GalleryKNNClassifier
        The fitted classifier that predicts the labels of the particles. Its
        `query_modalities` say by which views: with ``n_modalities=2``, a copy with
        ``query_modalities="profile"`` gives the calibration for particles without an
        image.

    Returns
    -------
    DataFrame
        One row per gallery row: `label`, the true label, `predicted_label`, and columns
        ``share_<label>``, the shares of the votes. All labels are strings. Rows that
        are the only ones of their class, or that lack the views, are left out.

    Raises
    ------
    TypeError
        If `gallery` is not a GalleryKNNClassifier.
    ValueError
        If no row remains.
    sklearn.exceptions.NotFittedError
        If `gallery` is not fitted.

    See Also
    --------
    abundance_table : Counts and concentrations.

    Notes
    -----
    If one of its rows is left out, a class has one label fewer than the others, and
    with few labels it is left to chance which mistakes are seen. Validated particles
    are then the better calibration; ``benchmarks/abundance.py`` measures both.

    Examples
    --------
    >>> from skplankton import GalleryKNNClassifier
    >>> from skplankton.abundance import gallery_calibration
    >>> X = [[9, 1], [8, 2], [9, 3], [1, 9], [2, 8], [7, 9]]
    >>> y = ["ciliate"] * 3 + ["diatom"] * 3
    >>> gallery = GalleryKNNClassifier(n_neighbors=1).fit(X, y)
    >>> gallery_calibration(gallery)["predicted_label"].tolist()
    ['ciliate', 'ciliate', 'ciliate', 'diatom', 'diatom', 'diatom']
    """
    check_gallery(gallery, "gallery")
    table = calibration_of(gallery, *gallery.leave_one_out())
    return table.reset_index(drop=True)


def calibration_of(
    gallery: GalleryKNNClassifier, predicted: np.ndarray, votes: np.ndarray
) -> pd.DataFrame:
    """As `gallery_calibration`, from what `leave_one_out` returned.

    The index of the table are the rows of the gallery.
    """
    labels, codes = np.unique(gallery.gallery_labels_, return_inverse=True)
    has_others = np.bincount(codes)[codes] > 1
    usable = has_others & (predicted != gallery.missing_label_)
    if not usable.any():
        raise ValueError(
            "No row of the gallery can be left out: no class has two rows with a view "
            "to compare. Label more particles, or pass validated particles."
        )
    table = pd.DataFrame(
        {
            "label": gallery.gallery_labels_.astype(str),
            "predicted_label": predicted.astype(str),
            **{f"{SHARE}{name}": votes[:, i] for i, name in enumerate(labels)},
        }
    )
    return table[usable]


def read_calibration(calibration: pd.DataFrame) -> pd.DataFrame:
    """The labeled rows with a prediction, with labels as strings."""
    check_columns(calibration, "calibration", ["label", "predicted_label"])
    has_image(calibration, "calibration")
    calibration = calibration.assign(
        label=as_labels(calibration["label"]),
        predicted_label=as_labels(calibration["predicted_label"]),
    )
    usable = (calibration[["label", "predicted_label"]] != NO_VIEW).all(axis=1)
    if not usable.any():
        raise ValueError(
            f"None of the {len(calibration)} rows of calibration has a label and a "
            "predicted_label. Pass particles whose true label is known."
        )
    return calibration[usable].reset_index(drop=True)


def check_taxonomy(
    calibration: pd.DataFrame, predicted: np.ndarray, classes: list[str]
) -> None:
    """Raise if the calibration has other labels than the classifier."""
    other = np.setdiff1d(calibration["label"], [*classes, UNKNOWN])
    if len(other):
        raise ValueError(
            f"calibration has the label {shown(other)}, which is never predicted; "
            f"predicted are {shown(classes)}. Use the classifier's labels, and "
            f"{UNKNOWN!r} for particles of none of its classes."
        )
    known = [label for label in np.unique(predicted) if label not in (NO_VIEW, UNKNOWN)]
    if known and not np.isin(known, calibration["label"]).any():
        raise ValueError(
            f"No predicted label of particles, {shown(known)}, is a label of "
            f"calibration, {shown(np.unique(calibration['label']))}. Pass calibration "
            "particles of the same classifier."
        )


def confusion_of(
    calibration: pd.DataFrame, labels: list[str], with_shares: bool
) -> Calibration:
    """Count the calibration particles by true and predicted label."""
    position = pd.Index(labels)
    true = position.get_indexer(calibration["label"])
    predicted = calibration["predicted_label"].to_numpy()
    confusion = np.zeros((len(labels), len(labels)))
    np.add.at(confusion, (true, position.get_indexer(predicted)), 1)
    if not with_shares or not len(calibration):
        return Calibration(confusion, np.zeros(len(labels)))
    found = shares(calibration, predicted, labels, "calibration")
    means = pd.DataFrame(found).groupby(true).mean()
    return Calibration(confusion, means.mean(axis=0).to_numpy())
