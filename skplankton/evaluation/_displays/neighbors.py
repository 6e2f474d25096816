"""Queries beside their nearest particles in the gallery."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skplankton._gallery.classifier import check_gallery
from skplankton._utils.labels import split_labels
from skplankton._views.particle_table import reject_particle_table
from skplankton.evaluation._displays.particle_grid import (
    ParticleGrid,
    check_columns,
    title_label,
    title_prediction,
    true_label,
)
from skplankton.evaluation._displays.style import as_labels


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
    ParticlesDisplay : Particles without neighbors.
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
        pixel_size: float | None = None,
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
        pixel_size : float, default=None
            Size of a pixel in µm, for the scale bars below the images. With None, the
            bars are in pixels.

        Returns
        -------
        NeighborsDisplay
            The display.

        Raises
        ------
        TypeError
            If `classifier` has no gallery, X is a table of particles, or `particles` or
            `gallery_particles` is none.
        ValueError
            If a column is missing, lengths differ, or `pixel_size` is not above 0.
        """
        check_gallery(classifier)
        reject_particle_table(X)
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
        return display.plot(channel_names=channel_names, pixel_size=pixel_size)

    def plot(
        self, *, channel_names: Any = None, pixel_size: float | None = None
    ) -> "NeighborsDisplay":
        """Draw one row per query: the query, then its neighbors.

        Parameters
        ----------
        channel_names : sequence of str, default=None
            Names of the profile's channels or measurements where profiles are arrays.
        pixel_size : float, default=None
            Size of a pixel in µm, for the scale bars below the images. With None, the
            bars are in pixels.

        Returns
        -------
        NeighborsDisplay
            The display itself, with `axes_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are more or fewer names than channels or measurements, or
            `pixel_size` is not above 0.
        """
        indices = np.asarray(self.indices)
        n_queries, n_neighbors = indices.shape
        grid = ParticleGrid(
            type(self).__name__,
            (n_queries, 1 + n_neighbors),
            (self.queries, self.gallery),
            channel_names=channel_names,
            pixel_size=pixel_size,
        )
        for query in range(n_queries):
            truth = true_label(self.y_true, query)
            ax = grid.draw(query, 0, self.queries.iloc[query])
            title_prediction(ax, np.asarray(self.predicted)[query], truth)
            for neighbor, index in enumerate(indices[query]):
                if index < 0:
                    grid.leave_empty(query, 1 + neighbor)
                    continue
                ax = grid.draw(query, 1 + neighbor, self.gallery.iloc[index])
                similarity = np.asarray(self.similarities)[query, neighbor]
                note = f"\n{self.similarity_name} {similarity:.2f}"
                title_label(ax, np.asarray(self.gallery_labels)[index], truth, note)
        grid.finish("left: query; then its nearest in the gallery")
        self.figure_, self.axes_ = grid.figure, grid.axes
        return self


def _check_tables(classifier, X, particles, gallery_particles, y_true) -> None:
    check_columns("particles", particles)
    check_columns("gallery_particles", gallery_particles)
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
