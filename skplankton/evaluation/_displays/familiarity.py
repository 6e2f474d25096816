"""Scores of familiarity: known species against unknown ones."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from skplankton._gallery.classifier import check_gallery
from skplankton._utils.labels import split_labels
from skplankton.evaluation._displays.style import (
    BLUE,
    FONT_SIZE,
    SMALL_FONT_SIZE,
    UNLABELED,
    VERMILION,
    as_labels,
    axis_and_figure,
    place_legend,
)

_GROUPS = (
    ("species in the gallery", BLUE),
    ("other species", VERMILION),
    ("unlabeled", UNLABELED),
)
_HEIGHT = 2.6  # inches


class FamiliarityDisplay:
    """Distribution of the scores for novelty detection, and their threshold.

    It is recommended to use :meth:`from_estimator` to make one. The arguments are
    stored as attributes.

    Parameters
    ----------
    scores : array-like of shape (n_queries,)
        The scores, higher for more familiar queries.
    is_known : array-like of shape (n_queries,)
        True for queries of a species in the gallery, False for those of others, and
        None where the species is not known.
    offset : float
        The score below which a query is an outlier.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axis that was drawn on.
    figure_ : matplotlib Figure
        Its figure.

    See Also
    --------
    skplankton.GalleryKNNClassifier : Its `score_samples` and `offset_`.

    Examples
    --------
    >>> from skplankton.evaluation import FamiliarityDisplay
    >>> display = FamiliarityDisplay(
    ...     [3.1, 2.2, -4.0], is_known=[True, True, False], offset=0.5
    ... )
    >>> display.plot().ax_.get_xlabel()  # doctest: +SKIP
    'familiarity'
    """

    def __init__(self, scores: ArrayLike, *, is_known: ArrayLike, offset: float):
        self.scores = scores
        self.is_known = is_known
        self.offset = offset

    @classmethod
    def from_estimator(
        cls,
        classifier: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        ax: Any = None,
    ) -> "FamiliarityDisplay":
        """Score some queries and draw the distribution.

        Parameters
        ----------
        classifier : GalleryKNNClassifier
            The fitted classifier.
        X : array-like of shape (n_queries, n_features)
            The embeddings. Rows without any view are left out.
        y : array-like of shape (n_queries,), default=None
            The true labels, with None where unlabeled. None means no labels.
        ax : matplotlib Axes, default=None
            The axis to draw on; None makes a figure 9 cm wide.

        Returns
        -------
        FamiliarityDisplay
            The display.

        Raises
        ------
        TypeError
            If `classifier` has no gallery, or X is a table of particles.
        ValueError
            If the lengths of X and y differ.
        """
        check_gallery(classifier)
        scores = classifier.score_samples(X)
        y = np.full(len(scores), None) if y is None else y
        check_consistent_length(scores, y)
        labels = as_labels(*split_labels(y, classifier.unlabeled))
        known = set(classifier.classes_.tolist())
        is_known = np.array(
            [None if label is None else label in known for label in labels.tolist()],
            dtype=object,
        )
        has_view = np.isfinite(scores)
        display = cls(
            scores[has_view], is_known=is_known[has_view], offset=classifier.offset_
        )
        return display.plot(ax)

    def plot(self, ax: Any = None, *, n_bins: int = 40) -> "FamiliarityDisplay":
        """Draw the distribution of each group, and the offset.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axis to draw on; None makes a figure 9 cm wide.
        n_bins : int, default=40
            Number of bars.

        Returns
        -------
        FamiliarityDisplay
            The display itself, with `ax_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_, self.figure_ = axis_and_figure(type(self).__name__, ax, _HEIGHT)
        scores = np.asarray(self.scores, dtype=float)
        is_known = np.asarray(self.is_known, dtype=object)
        edges = np.histogram_bin_edges(scores, n_bins)
        for value, (name, color) in zip((True, False, None), _GROUPS, strict=True):
            own = scores[[known is value for known in is_known.tolist()]]
            if not own.size:
                continue
            below = 100 * np.mean(own < self.offset)
            # Shares: the groups may differ much in size.
            self.ax_.hist(
                own,
                edges,
                weights=np.full(own.size, 100 / own.size),
                histtype="stepfilled",
                facecolor=(color, 0.35),
                edgecolor=color,
                label=f"{name} ({below:.0f} % below the offset)",
            )
        if np.isfinite(self.offset):
            self.ax_.axvline(self.offset, color="black", linewidth=0.9, linestyle="--")
        self.ax_.set_xlabel("familiarity", fontsize=FONT_SIZE)
        self.ax_.set_ylabel("queries of each group, %", fontsize=FONT_SIZE)
        self.ax_.tick_params(labelsize=SMALL_FONT_SIZE)
        self.ax_.spines[["top", "right"]].set_visible(False)
        place_legend(self.ax_, ax is None)
        return self
