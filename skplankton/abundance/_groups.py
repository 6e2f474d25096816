"""Predicted labels, in groups of particles that were classified by the same views."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skplankton._utils.labels import UNKNOWN
from skplankton.abundance._calibration import check_taxonomy, confusion_of
from skplankton.abundance._particles import (
    NO_VIEW,
    as_labels,
    check_columns,
    has_image,
    share_labels,
    shares,
)
from skplankton.abundance._quantification import Calibration


@dataclass(frozen=True)
class Predictions:
    """The table of particles.

    Attributes
    ----------
    sample_ids : ndarray of shape (n_particles,)
        Their samples.
    labels : list of str
        The classes, sorted, and "unknown".
    codes : ndarray of shape (n_particles,), int
        The predicted labels, as positions in `labels`; -1 without a readable view.
    is_imaged : ndarray of shape (n_particles,), bool, or None
        Whether an image was used.
    shares : ndarray of shape (n_particles, n_labels) or None
        The shares of the votes.
    """

    sample_ids: np.ndarray
    labels: list[str]
    codes: np.ndarray
    is_imaged: np.ndarray | None
    shares: np.ndarray | None


@dataclass(frozen=True)
class ViewGroup:
    """Particles classified by the same views, and their calibration."""

    members: np.ndarray  # of shape (n_particles,), bool
    calibration: Calibration
    description: str


def read_predictions(
    particles: pd.DataFrame, calibration: pd.DataFrame | None, with_shares: bool
) -> Predictions:
    """Validate the table of particles, and compare its labels with the calibration."""
    check_columns(particles, "particles", ["sample_id", "predicted_label"])
    is_missing = particles["sample_id"].isna().to_numpy()
    if is_missing.any():
        raise ValueError(
            f"particles has no sample_id in row {np.flatnonzero(is_missing)[0]}. "
            "Each particle needs one."
        )
    predicted = as_labels(particles["predicted_label"])
    classes = {*predicted, *share_labels(particles)}
    if calibration is not None:
        classes |= {*calibration["predicted_label"], *share_labels(calibration)}
    names = sorted(classes - {NO_VIEW, UNKNOWN})
    if calibration is not None:
        check_taxonomy(calibration, predicted, names)
    labels = [*names, UNKNOWN]
    codes = pd.Index(labels).get_indexer(predicted)
    found = None
    if with_shares:
        found = np.zeros((len(particles), len(labels)))
        has_view = codes >= 0
        found[has_view] = shares(
            particles[has_view], predicted[has_view], labels, "particles"
        )
    return Predictions(
        particles["sample_id"].to_numpy(),
        labels,
        codes,
        has_image(particles, "particles"),
        found,
    )


def view_groups(
    table: Predictions, calibration: pd.DataFrame | None, imaged_only: bool
) -> list[ViewGroup]:
    """The groups to estimate the counts of, one after the other."""
    has_view, is_imaged = table.codes >= 0, table.is_imaged
    if is_imaged is None:
        if imaged_only:
            raise ValueError(
                "imaged_only=True needs the column has_image in particles: True where "
                "an image was used to classify the particle."
            )
        return [ViewGroup(has_view, _calibration(table, calibration), "")]
    if calibration is None or "has_image" not in calibration:
        members = has_view & is_imaged if imaged_only else has_view
        return [ViewGroup(members, _calibration(table, calibration), "")]
    views = {True: " with an image"}
    if not imaged_only:
        views[False] = " without an image"
    return [
        ViewGroup(
            has_view & (is_imaged == imaged),
            _calibration(table, calibration[calibration["has_image"] == imaged]),
            description,
        )
        for imaged, description in views.items()
    ]


def _calibration(table: Predictions, calibration: pd.DataFrame | None) -> Calibration:
    if calibration is None:
        n_labels = len(table.labels)
        return Calibration(np.zeros((n_labels, n_labels)), np.zeros(n_labels))
    return confusion_of(calibration, table.labels, table.shares is not None)
