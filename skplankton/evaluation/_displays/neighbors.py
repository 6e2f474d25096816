"""Queries beside their nearest particles in the gallery."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skplankton._utils.labels import split_labels
from skplankton.evaluation._displays.particle import draw_particle, measurements_of
from skplankton.evaluation._displays.style import (
    BLUE,
    FONT_SIZE,
    PAGE_WIDTH,
    SMALL_FONT_SIZE,
    VERMILION,
    as_labels,
    import_pyplot,
    wrapped,
)

_PANEL_WIDTH, _IMAGE_HEIGHT, _PROFILE_HEIGHT = 1.18, 0.75, 0.5  # inches
_BAR_HEIGHT = 0.085  # inches, of one measurement
_TITLE_WIDTH = 18  # characters


class NeighborsDisplay:
    """Queries with their nearest gallery particles: images, profiles, labels.

    A profile that is a vector of measurements has a bar for each: the percentile of its
    value among all `queries` and all of `gallery`.

    It is recommended to use :meth:`from_estimator` to make one. The arguments are
    stored as attributes.

    Parameters
    ----------
    queries : DataFrame of shape (n_queries, n_columns)
        The query particles, with the columns `image` and `profile`.
    gallery : DataFrame of shape (n_gallery, n_columns)
        The gallery's particles, with the same columns.
    gallery_labels : array-like of shape (n_gallery,)
        Their species.
    indices : array-like of shape (n_queries, n_neighbors)
        Rows of `gallery`, the nearest first; -1 where there is none.
    similarities : array-like of shape (n_queries, n_neighbors)
        Similarities to the neighbors.
    predicted : array-like of shape (n_queries,)
        The predicted labels.
    y_true : array-like of shape (n_queries,), default=None
        The true species, with None where unknown. None means that all are unknown.
    similarity_name : str, default="cos"
        Name of the similarity.

    Attributes
    ----------
    axes_ : ndarray of shape (2 * n_queries, 1 + n_neighbors)
        The axes: for each query a row of images and a row of profiles, the query first.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    skplankton.GalleryKNNClassifier : Finds the neighbors.

    Examples
    --------
    >>> from skplankton.datasets import make_particles
    >>> from skplankton.evaluation import NeighborsDisplay
    >>> X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
    >>> display = NeighborsDisplay(
    ...     X[:1], gallery=X[1:], gallery_labels=y[1:], indices=[[0, 2]],
    ...     similarities=[[0.9, 0.7]], predicted=[y[1]], y_true=y[:1],
    ... )
    >>> display.plot().axes_.shape  # doctest: +SKIP
    (2, 3)
    """

    def __init__(
        self,
        queries: pd.DataFrame,
        *,
        gallery: pd.DataFrame,
        gallery_labels: ArrayLike,
        indices: ArrayLike,
        similarities: ArrayLike,
        predicted: ArrayLike,
        y_true: ArrayLike | None = None,
        similarity_name: str = "cos",
    ):
        self.queries = queries
        self.gallery = gallery
        self.gallery_labels = gallery_labels
        self.indices = indices
        self.similarities = similarities
        self.predicted = predicted
        self.y_true = y_true
        self.similarity_name = similarity_name

    @classmethod
    def from_estimator(
        cls,
        classifier: Any,
        X: ArrayLike,
        particles: pd.DataFrame,
        gallery_particles: pd.DataFrame,
        y_true: ArrayLike | None = None,
        *,
        n_neighbors: int = 3,
        channel_names: Any = None,
    ) -> "NeighborsDisplay":
        """Find the neighbors of some queries and draw them.

        Parameters
        ----------
        classifier : GalleryKNNClassifier
            Fitted on embeddings.
        X : array-like of shape (n_queries, n_features)
            The queries' embeddings.
        particles : DataFrame of shape (n_queries, n_columns)
            The queries, with the columns `image` and `profile`.
        gallery_particles : DataFrame of shape (n_samples, n_columns)
            All particles whose embeddings the classifier was fitted on, in the same
            order.
        y_true : array-like of shape (n_queries,), default=None
            The true labels, or a missing value where unknown.
        n_neighbors : int, default=3
            Number of neighbors to show, which may differ from those that voted. A
            particle whose two views are both near is shown once.
        channel_names : sequence of str, default=None
            Names of the profile's channels, for the legend, or of the measurements of a
            vector, for its bars, where profiles are arrays. Files contain the names.

        Returns
        -------
        NeighborsDisplay
            The display.

        Raises
        ------
        ValueError
            If a column is missing, or lengths differ.
        """
        X = np.asarray(X)
        _check_tables(classifier, X, particles, gallery_particles, y_true)
        # A gallery row occurs at most once per view, so twice as many are enough.
        distances, indices = classifier.kneighbors(X, 2 * n_neighbors)
        distances, indices = _nearest_particles(distances, indices, n_neighbors)
        is_cosine = classifier._metric == "cosine"
        truth = None
        if y_true is not None:
            truth = as_labels(*split_labels(y_true, classifier.unlabeled))
        display = cls(
            particles,
            gallery=gallery_particles.iloc[classifier.gallery_indices_],
            gallery_labels=classifier.gallery_labels_,
            indices=indices,
            similarities=1 - distances if is_cosine else distances,
            predicted=classifier.predict(X),
            y_true=truth,
            similarity_name="cos" if is_cosine else "distance",
        )
        return display.plot(channel_names=channel_names)

    def plot(self, *, channel_names: Any = None) -> "NeighborsDisplay":
        """Draw one row per query: the query, then its neighbors.

        Parameters
        ----------
        channel_names : sequence of str, default=None
            Names of the profile's channels or measurements where profiles are arrays.

        Returns
        -------
        NeighborsDisplay
            The display itself, with `axes_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are more or fewer names than channels or measurements.
        """
        plt = import_pyplot(type(self).__name__)
        indices = np.asarray(self.indices)
        n_queries, n_neighbors = indices.shape
        measurements = measurements_of(self.queries, self.gallery)
        profile_height = _PROFILE_HEIGHT
        if measurements is not None:
            bars = _BAR_HEIGHT * measurements.shape[1]
            profile_height = max(profile_height, bars)
        width = min(_PANEL_WIDTH * (1 + n_neighbors), PAGE_WIDTH)
        height = n_queries * (_IMAGE_HEIGHT + profile_height + 0.4) + 0.75
        self.figure_ = plt.figure(figsize=(width, height), layout="constrained")
        self.figure_.get_layout_engine().set(h_pad=0.01, w_pad=0.03, hspace=0.02)
        self.axes_ = self.figure_.subplots(
            2 * n_queries,
            1 + n_neighbors,
            height_ratios=n_queries * [_IMAGE_HEIGHT, profile_height],
            squeeze=False,
        )
        channels: dict[str, Any] = {}
        how = (channel_names, measurements)
        for query in range(n_queries):
            axes = self.axes_[2 * query : 2 * query + 2]
            particle = self.queries.iloc[query]
            channels |= draw_particle(axes[:, 0], particle, *how)
            self._title_query(axes[0, 0], query)
            for column, index in enumerate(indices[query], start=1):
                if index < 0:
                    _blank(axes[:, column])
                    continue
                particle = self.gallery.iloc[index]
                channels |= draw_particle(axes[:, column], particle, *how)
                self._title_neighbor(axes[0, column], query, column - 1)
            if measurements is not None:
                _label_once(axes[1])
        self._finish(channels, is_vector=measurements is not None)
        return self

    def _truth(self, query: int) -> Any:
        if self.y_true is None:
            return None
        truth = np.asarray(self.y_true, dtype=object)[query]
        return None if pd.isna(truth) else truth

    def _title_query(self, ax: Any, query: int) -> None:
        truth, label = self._truth(query), np.asarray(self.predicted)[query]
        text = wrapped(f"{_verdict(label, truth)}{label}", _TITLE_WIDTH)
        is_wrong = truth is not None and label != truth
        note = "\n" + wrapped(f"is {truth}", _TITLE_WIDTH) if is_wrong else ""
        _title(ax, text + note, label, truth)
        ax.title.set_fontweight("bold")

    def _title_neighbor(self, ax: Any, query: int, neighbor: int) -> None:
        index = np.asarray(self.indices)[query, neighbor]
        label = np.asarray(self.gallery_labels)[index]
        truth = self._truth(query)
        similarity = np.asarray(self.similarities)[query, neighbor]
        text = wrapped(f"{_verdict(label, truth)}{label}", _TITLE_WIDTH)
        _title(ax, f"{text}\n{self.similarity_name} {similarity:.2f}", label, truth)

    def _finish(self, channels: dict[str, Any], is_vector: bool) -> None:
        self.figure_.suptitle(
            "left: query; then its nearest in the gallery", fontsize=FONT_SIZE
        )
        for ax in self.axes_[-1]:
            ax.set_xlabel(
                "percentile" if is_vector else "time (samples)",
                fontsize=SMALL_FONT_SIZE - 0.5,
            )
        for ax in self.axes_[1::2, 0]:
            ax.set_ylabel("" if is_vector else "mV", fontsize=SMALL_FONT_SIZE - 0.5)
        if channels:
            self.figure_.legend(
                list(channels.values()),
                list(channels),
                loc="outside lower center",
                ncols=min(len(channels), 3 if self.axes_.shape[1] < 4 else 6),
                fontsize=SMALL_FONT_SIZE,
                frameon=False,
                handlelength=1.2,
                columnspacing=1.0,
            )


def _check_tables(classifier, X, particles, gallery_particles, y_true) -> None:
    for name, table in (
        ("particles", particles),
        ("gallery_particles", gallery_particles),
    ):
        missing = [c for c in ("image", "profile") if c not in table]
        if missing:
            raise ValueError(
                f"{name} has no column {missing[0]!r}; got {list(table.columns)}. "
                "Expected a table of particles with 'image' and 'profile'."
            )
    n_true = len(X) if y_true is None else len(np.asarray(y_true, dtype=object))
    if not len(X) == len(particles) == n_true:
        raise ValueError(
            f"X has {len(X)} rows, particles {len(particles)} and y_true {n_true}. "
            "Expected one row per query in each."
        )
    n_needed = classifier.gallery_indices_.max() + 1
    if len(gallery_particles) < n_needed:
        raise ValueError(
            f"gallery_particles has {len(gallery_particles)} rows, and the gallery "
            f"contains row {n_needed - 1}. Pass all the particles whose embeddings the "
            "classifier was fitted on, in the same order."
        )


def _nearest_particles(distances, indices, n_neighbors):
    """The nearest distinct particles among each query's neighbors of any view."""
    found = np.full((len(indices), n_neighbors), -1)
    kept_distances = np.full(found.shape, np.inf)
    for query in range(len(indices)):
        order = np.argsort(distances[query], kind="stable")
        order = order[indices[query, order] >= 0]
        _, first = np.unique(indices[query, order], return_index=True)
        kept = order[np.sort(first)][:n_neighbors]
        found[query, : len(kept)] = indices[query, kept]
        kept_distances[query, : len(kept)] = distances[query, kept]
    return kept_distances, found


def _verdict(label: Any, truth: Any) -> str:
    """A mark in addition to the color, for color-blind readers."""
    return "" if truth is None else "✓ " if label == truth else "✗ "


def _title(ax: Any, text: str, label: Any, truth: Any) -> None:
    color = "black" if truth is None else BLUE if label == truth else VERMILION
    ax.set_title(text, fontsize=SMALL_FONT_SIZE - 0.5, color=color, pad=2)
    # Included in matplotlib, and has both marks if the user's font lacks them.
    ax.title.set_fontfamily([*ax.title.get_fontfamily(), "DejaVu Sans"])
    for spine in ax.spines.values():
        spine.set(color=color, linewidth=0.8 if truth is None else 1.4)


def _label_once(axes: Any) -> None:
    """Keep the names of the measurements beside the first vector of a row only."""
    for ax in [ax for ax in axes if ax.patches][1:]:
        ax.tick_params(labelleft=False)


def _blank(axes: Any) -> None:
    for ax in axes:
        ax.set_axis_off()
