"""Confusion matrices of several setups."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.metrics import confusion_matrix
from sklearn.utils import check_array, check_consistent_length

from skplankton._gallery.classifier import check_gallery
from skplankton._gallery.views import present_views, split_views
from skplankton._utils.labels import split_labels
from skplankton._views.particle_table import reject_particle_table
from skplankton.evaluation._benchmark import checked_setups
from skplankton.evaluation._displays.style import (
    COLUMN_WIDTH,
    FONT_SIZE,
    PAGE_WIDTH,
    SMALL_FONT_SIZE,
    import_pyplot,
    setup_name,
)
from skplankton.evaluation._nested_galleries import BLOCKS

_PANELS_PER_ROW = 3
_PANEL_SIDES = 1.2, 2.4  # inches, minimum and maximum


class SetupConfusionDisplay:
    """Confusion matrices of several setups or models, side by side.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to make
    one. The arguments are stored as attributes.

    Parameters
    ----------
    confusion_matrices : array-like of shape (n_setups, n_classes, n_classes)
        Numbers of particles: rows are true, columns are predicted species.
    labels : array-like of shape (n_classes,)
        The species.
    names : sequence of str
        The titles of the panels.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes of the panels.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : One matrix, with numbers.

    Examples
    --------
    >>> from skplankton.evaluation import SetupConfusionDisplay
    >>> display = SetupConfusionDisplay(
    ...     [[[5, 0], [1, 4]]], labels=["ciliate", "diatom"], names=["images"]
    ... )
    >>> display.plot().axes_[0].get_title()  # doctest: +SKIP
    'images: 90 %'
    """

    def __init__(
        self,
        confusion_matrices: ArrayLike,
        *,
        labels: ArrayLike,
        names: Sequence[str],
    ):
        self.confusion_matrices = confusion_matrices
        self.labels = labels
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        classifier: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        setups: Any = "all",
    ) -> "SetupConfusionDisplay":
        """Classify queries with the views of each setup, from one gallery.

        Parameters
        ----------
        classifier : GalleryKNNClassifier
            Fitted, with ``n_modalities=2`` and ``gallery_modalities="all"``, so that
            its gallery contains both views.
        X : array-like of shape (n_queries, n_features)
            The queries' embeddings, [image columns | profile columns].
        y : array-like of shape (n_queries,)
            Their labels; rows that are unlabeled for the classifier are skipped.
        setups : "all" or iterable of (str, str), default="all"
            Pairs of the gallery's and the query's views, each "image", "profile" or
            "both". "all" is all nine.

        Returns
        -------
        SetupConfusionDisplay
            The display. A query without the setup's view is left out of its panel.

        Raises
        ------
        TypeError
            If `classifier` has no gallery, or X is a table of particles.
        ValueError
            If the classifier's gallery does not contain both views, `setups` is
            invalid, no row is labeled, or no query has a setup's view.
        """
        check_gallery(classifier)
        if classifier.n_modalities != 2 or classifier.gallery_modalities != "all":
            raise ValueError(
                f"The classifier has n_modalities={classifier.n_modalities} and "
                f"gallery_modalities={classifier.gallery_modalities!r}. Fit one with "
                "n_modalities=2 and gallery_modalities='all': setups need both views."
            )
        pairs = checked_setups("all" if setups is None else setups)
        reject_particle_table(X)
        embeddings: np.ndarray = check_array(
            X, dtype=np.float64, ensure_all_finite=False
        )
        true, labeled = split_labels(y, classifier.unlabeled)
        check_consistent_length(embeddings, labeled)
        embeddings = embeddings[labeled]
        present = present_views(split_views(embeddings))
        predictions, truths = {}, {}
        for gallery, query in pairs:
            queried = present[:, BLOCKS[query]].any(axis=1)
            name = setup_name(gallery, query)
            if not queried.any():
                raise ValueError(f"No labeled query has the view of {name!r}.")
            refitted = _with_views(classifier, gallery, query)
            predictions[name] = refitted.predict(embeddings[queried])
            truths[name] = true[queried]
        return cls._from_labels(truths, predictions, classifier.classes_)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        predictions: Mapping[str, ArrayLike],
        *,
        unlabeled: Any = None,
    ) -> "SetupConfusionDisplay":
        """Compare predictions, one panel each.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The true labels; rows that are unlabeled are skipped.
        predictions : dict of str to array-like of shape (n_samples,)
            The predicted labels, with the title of their panel as key.
        unlabeled : scalar, default=None
            A value in `y_true` that means "not labeled", besides the missing values.

        Returns
        -------
        SetupConfusionDisplay
            The display.

        Raises
        ------
        TypeError
            If `predictions` is not a dict.
        ValueError
            If lengths differ, there are no predictions, or no row is labeled.
        """
        if not isinstance(predictions, Mapping):
            raise TypeError(
                f"predictions is a {type(predictions).__name__}; expected a dict of "
                "predicted labels, {'title': labels}."
            )
        if not predictions:
            raise ValueError("predictions is empty: there is no panel to draw.")
        true, labeled = split_labels(y_true, unlabeled)
        check_consistent_length(labeled, *predictions.values())
        labeled_predictions = {
            name: np.asarray(values)[labeled] for name, values in predictions.items()
        }
        return cls._from_labels(
            dict.fromkeys(labeled_predictions, true), labeled_predictions, true
        )

    @classmethod
    def _from_labels(cls, truths, predictions, labels) -> "SetupConfusionDisplay":
        labels = np.unique(
            np.concatenate([labels, *truths.values(), *predictions.values()])
        )
        if not all(map(len, truths.values())):
            raise ValueError("All rows are unlabeled: there is nothing to compare.")
        matrices = [
            confusion_matrix(truths[name], predictions[name], labels=labels)
            for name in predictions
        ]
        return cls(np.stack(matrices), labels=labels, names=list(predictions)).plot()

    def plot(self, *, cmap: str = "Blues") -> "SetupConfusionDisplay":
        """Draw one panel per matrix, with rows that sum to 100 %.

        Parameters
        ----------
        cmap : str, default="Blues"
            A color map of matplotlib.

        Returns
        -------
        SetupConfusionDisplay
            The display itself, with `axes_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot(type(self).__name__)
        matrices = np.asarray(self.confusion_matrices)
        labels = [str(label) for label in np.asarray(self.labels)]
        n_columns = min(len(matrices), _PANELS_PER_ROW)
        n_rows = -(-len(matrices) // n_columns)
        # A single panel is too narrow for a bar beside it.
        has_bar_below = n_columns == 1
        labels_width = 0.065 * max(map(len, labels)) + 0.3  # inches
        beside = labels_width + (0.4 if has_bar_below else 1.0)
        width = COLUMN_WIDTH if n_columns == 1 else PAGE_WIDTH
        side = float(np.clip((width - beside) / n_columns, *_PANEL_SIDES))
        height = n_rows * (side + 0.3) + (1.0 if has_bar_below else 0.35)
        self.figure_, axes = plt.subplots(
            n_rows,
            n_columns,
            # Long labels widen the figure instead of shrinking the panels.
            figsize=(max(width, beside + n_columns * side), height),
            layout="constrained",
            squeeze=False,
        )
        self.axes_ = axes.ravel()[: len(matrices)]
        for ax in axes.ravel()[len(matrices) :]:
            ax.set_axis_off()
        for number, (ax, matrix, name) in enumerate(
            zip(self.axes_, matrices, self.names, strict=True)
        ):
            image = _draw_matrix(ax, matrix, cmap)
            accuracy = np.trace(matrix) / max(matrix.sum(), 1)
            ax.set_title(f"{name}: {100 * accuracy:.0f} %", fontsize=FONT_SIZE - 1)
            _number_species(ax, labels, with_names=number % n_columns == 0)
        for ax in self.axes_[-n_columns:]:
            ax.set_xlabel("predicted species (number)", fontsize=FONT_SIZE)
        self.figure_.supylabel("true species", fontsize=FONT_SIZE)
        bar = self.figure_.colorbar(
            image,
            ax=list(axes.ravel()),
            location="bottom" if has_bar_below else "right",
            aspect=30,
        )
        bar.set_label("share of the true species (%)", fontsize=FONT_SIZE)
        bar.ax.tick_params(labelsize=SMALL_FONT_SIZE)
        return self


def _with_views(classifier: Any, gallery: str, query: str) -> Any:
    """The same gallery with other views of its rows and of the queries."""
    views = {"both": "all"}
    query = views.get(query, query)
    if gallery == "both":  # its own, with the scales and the offset that it learned
        other = copy.copy(classifier).set_params(query_modalities=query)
        vars(other).pop("feature_names_in_", None)  # queries come as an array
        return other
    other = clone(classifier).set_params(
        gallery_size=None,  # all rows that were drawn
        gallery_modalities=gallery,
        query_modalities=query,
        unlabeled=None,
    )
    return other.fit(classifier.gallery_, classifier.gallery_labels_)


def _draw_matrix(ax: Any, matrix: np.ndarray, cmap: str) -> Any:
    n_true = matrix.sum(axis=1, keepdims=True)
    percent = 100 * matrix / np.maximum(n_true, 1)  # a species without queries is blank
    return ax.imshow(percent, cmap=cmap, vmin=0, vmax=100, interpolation="nearest")


def _number_species(ax: Any, labels: list[str], with_names: bool) -> None:
    """Names on the left, numbers below, where names would take half the panel."""
    numbers = [str(number) for number in range(1, len(labels) + 1)]
    rows = [f"{label}  {number}" for label, number in zip(labels, numbers, strict=True)]
    ax.set_xticks(range(len(labels)), labels=numbers)
    ax.set_yticks(range(len(labels)), labels=rows if with_names else numbers)
    ax.tick_params(labelsize=SMALL_FONT_SIZE, length=0)
