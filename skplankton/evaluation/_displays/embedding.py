"""Embeddings projected to two dimensions."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize
from sklearn.utils import check_array, check_consistent_length

from skplankton._gallery.views import present_views, split_views
from skplankton._utils.labels import split_labels
from skplankton._utils.parameters import check_choice
from skplankton._utils.random import fresh_random_state
from skplankton._views.particle_table import reject_particle_table
from skplankton.evaluation._displays.style import (
    COLORS,
    FONT_SIZE,
    MARKERS,
    UNLABELED,
    as_labels,
    axis_and_figure,
    place_legend,
)

_METHODS = ("pca", "tsne")
_MIN_POINTS = 4
_PERPLEXITY = 30  # scikit-learn's default, too large for small sets
_LEGEND_ROW = 0.15  # inches


class EmbeddingDisplay:
    """Map of an embedding in two dimensions, colored by species.

    It is recommended to use :meth:`from_embeddings` to make one. The arguments are
    stored as attributes.

    Parameters
    ----------
    positions : array-like of shape (n_samples, n_views, 2)
        Coordinates of each view of each particle; NaN where the view is missing. With
        two views the first is the image.
    labels : array-like of shape (n_samples,)
        The species, or None for unlabeled particles.
    axis_names : sequence of str, default=("dimension 1", "dimension 2")
        Labels of the two axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axis that was drawn on.
    figure_ : matplotlib Figure
        Its figure.

    See Also
    --------
    NeighborsDisplay : The images and profiles.

    Examples
    --------
    >>> from skplankton.evaluation import EmbeddingDisplay
    >>> display = EmbeddingDisplay(
    ...     [[[0.1, 0.2]], [[0.8, 0.3]]], labels=["diatom", None]
    ... )
    >>> display.plot().ax_.get_xlabel()  # doctest: +SKIP
    'dimension 1'
    """

    def __init__(
        self,
        positions: ArrayLike,
        *,
        labels: ArrayLike,
        axis_names: tuple[str, str] = ("dimension 1", "dimension 2"),
    ):
        self.positions = positions
        self.labels = labels
        self.axis_names = axis_names

    @classmethod
    def from_embeddings(
        cls,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        n_modalities: int = 1,
        unlabeled: Any = None,
        method: str = "pca",
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        size: float = 12.0,
    ) -> "EmbeddingDisplay":
        """Project embeddings to two dimensions and draw them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The embeddings. Rows are scaled to unit length first, since they are
            compared by their cosine. A view that is all NaN is missing.
        y : array-like of shape (n_samples,), default=None
            The labels, with None, NaN or `unlabeled` for unlabeled particles, which
            are gray. None means no labels.
        n_modalities : {1, 2}, default=1
            With 2, the first half of the columns is the image view and the second half
            the profile view, as ``CrossModalEmbedder(output="concat")`` returns them.
            Both are projected together, and the two of a particle are joined by a line.
        unlabeled : scalar, default=None
            A value in `y` that means "not labeled", besides the missing values.
        method : {"pca", "tsne"}, default="pca"
            The projection: :class:`~sklearn.decomposition.PCA`, which preserves large
            distances, or :class:`~sklearn.manifold.TSNE`, which preserves
            neighborhoods.
        random_state : int, RandomState instance or None, default=None
            Seeds the projection.
        ax : matplotlib Axes, default=None
            The axis to draw on; None makes a figure 9 cm wide.
        size : float, default=12.0
            Area of a marker in points².

        Returns
        -------
        EmbeddingDisplay
            The display.

        Raises
        ------
        ValueError
            If a parameter is invalid, the lengths of X and y differ, there
            are fewer than four points or two columns to project, or a view is partly
            NaN or infinite.

        Notes
        -----
        With ``CrossModalEmbedder(features="both")``, modality is the main difference
        between views. Use ``features="projection"`` to see how close the two views of a
        particle are.
        """
        check_choice("method", method, _METHODS)
        check_choice("n_modalities", n_modalities, (1, 2))
        reject_particle_table(X)
        embeddings: np.ndarray = check_array(
            X, dtype=np.float64, ensure_all_finite=False
        )
        y = np.full(len(embeddings), None) if y is None else y
        labels, labeled = split_labels(y, unlabeled)
        check_consistent_length(embeddings, labeled)
        views = split_views(embeddings, n_modalities)
        present = present_views(views)
        positions = np.full((*present.shape, 2), np.nan)
        points = normalize(views[present])
        random_state = fresh_random_state(random_state)
        positions[present], names = _projected(points, method, random_state)
        display = cls(positions, labels=as_labels(labels, labeled), axis_names=names)
        return display.plot(ax, size=size)

    def plot(
        self, ax: Any = None, *, size: float = 12.0, legend: bool = True
    ) -> "EmbeddingDisplay":
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axis to draw on; None makes a figure 9 cm wide.
        size : float, default=12.0
            Area of a marker in points².
        legend : bool, default=True
            Whether to draw a legend of the species.

        Returns
        -------
        EmbeddingDisplay
            The display itself, with `ax_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        own_figure = ax is None
        positions = np.asarray(self.positions, dtype=float)
        labels = np.asarray(self.labels, dtype=object)
        is_labeled = np.array([label is not None for label in labels], dtype=bool)
        species = sorted(set(labels[is_labeled]))
        height = 3.1 + _LEGEND_ROW * (-(-len(species) // 2) + 1) * legend
        self.ax_, self.figure_ = axis_and_figure(type(self).__name__, ax, height)
        if positions.shape[1] == 2:
            self._join_views(positions)
        if not is_labeled.all():
            self._scatter(positions[~is_labeled], "unlabeled", UNLABELED, ".", size)
        for number, name in enumerate(species):
            self._scatter(
                positions[labels == name],
                str(name),
                COLORS[number % len(COLORS)],
                MARKERS[number % len(MARKERS)],
                size,
            )
        self._label_axes()
        if legend:
            self._add_legend(own_figure, positions.shape[1] == 2)
        return self

    def _join_views(self, positions: np.ndarray) -> None:
        # Matplotlib breaks a line at NaN, so one artist can draw all of them.
        gaps = np.full((len(positions), 1, 2), np.nan)
        joined = np.concatenate([positions, gaps], axis=1).reshape(-1, 2)
        self.ax_.plot(*joined.T, color="0.8", linewidth=0.4, zorder=1)

    def _scatter(self, positions, name, color, marker, size) -> None:
        """Filled markers for images or the only view, hollow ones for profiles."""
        for view, face in zip(range(positions.shape[1]), (color, "none"), strict=False):
            self.ax_.scatter(
                *positions[:, view].T,
                s=size,
                facecolors=face,
                edgecolors=color,
                marker=marker,
                linewidths=0.7 if face == "none" else 0,
                label=name if view == 0 else None,
                zorder=2,
            )

    def _add_legend(self, own_figure: bool, has_two_views: bool) -> None:
        from matplotlib.lines import Line2D

        handles = self.ax_.get_legend_handles_labels()[0]
        for face, name in (("0.3", "filled: image"), ("none", "hollow: profile")):
            if has_two_views:
                handles.append(
                    Line2D(
                        *([], []),
                        linestyle="none",
                        marker="o",
                        markersize=3.5,
                        markerfacecolor=face,
                        markeredgecolor="0.3",
                        markeredgewidth=0.7,
                        label=name,
                    )
                )
        place_legend(
            self.ax_,
            own_figure,
            handles=handles,
            labels=[handle.get_label() for handle in handles],
            ncols=2,
            handletextpad=0.2,
        )

    def _label_axes(self) -> None:
        self.ax_.set_xlabel(self.axis_names[0], fontsize=FONT_SIZE)
        self.ax_.set_ylabel(self.axis_names[1], fontsize=FONT_SIZE)
        # Coordinates have no unit; only their distances have a meaning.
        self.ax_.set_xticks([])
        self.ax_.set_yticks([])
        self.ax_.set_aspect("equal", adjustable="datalim")


def _projected(points, method, random_state) -> tuple[np.ndarray, tuple[str, str]]:
    if len(points) < _MIN_POINTS or points.shape[1] < 2:
        raise ValueError(
            f"X has {len(points)} points of {points.shape[1]} columns to project; "
            f"expected at least {_MIN_POINTS} points and 2 columns per view."
        )
    if method == "tsne":
        from sklearn.manifold import TSNE  # slow to import, and rarely used

        perplexity = min(_PERPLEXITY, (len(points) - 1) / 3)
        projection = TSNE(perplexity=perplexity, random_state=random_state)
        return projection.fit_transform(points), ("t-SNE 1", "t-SNE 2")
    pca = PCA(n_components=2, random_state=random_state)
    positions = pca.fit_transform(points)
    shares = pca.explained_variance_ratio_
    names = [
        f"component {number} ({100 * share:.0f} % of variance)"
        for number, share in enumerate(shares, start=1)
    ]
    return positions, (names[0], names[1])
