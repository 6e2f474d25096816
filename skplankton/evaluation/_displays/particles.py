"""Some particles with their labels."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skplankton._utils.labels import split_labels
from skplankton.evaluation._displays.particle_grid import (
    ParticleGrid,
    check_columns,
    title_prediction,
    true_label,
)
from skplankton.evaluation._displays.style import as_labels

_N_COLUMNS = 4


class ParticlesDisplay:
    """Some particles with their labels: images and profiles.

    A profile that is a vector of measurements has a bar for each: the percentile of its
    value among all `particles`.

    It is recommended to use :meth:`from_particles` to make one. The arguments are
    stored as attributes.

    Parameters
    ----------
    particles : DataFrame of shape (n_particles, n_columns)
        The particles, with the columns `image` and `profile`.
    labels : array-like of shape (n_particles,), default=None
        Their labels, predicted or not. None means no titles.
    y_true : array-like of shape (n_particles,), default=None
        The true labels, with None where unknown. None means that all are unknown.

    Attributes
    ----------
    axes_ : ndarray of shape (2 * n_rows, n_columns)
        The axes: for each row of particles a row of images and a row of profiles.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    NeighborsDisplay : Particles beside their nearest ones in the gallery.

    Examples
    --------
    >>> from skplankton.datasets import make_particles
    >>> from skplankton.evaluation import ParticlesDisplay
    >>> X, y = make_particles(6, n_species=2, random_state=0, return_X_y=True)
    >>> display = ParticlesDisplay(X, labels=y)
    >>> display.plot(n_columns=3, pixel_size=0.7).axes_.shape  # doctest: +SKIP
    (4, 3)
    """

    def __init__(
        self,
        particles: pd.DataFrame,
        *,
        labels: ArrayLike | None = None,
        y_true: ArrayLike | None = None,
    ):
        self.particles = particles
        self.labels = labels
        self.y_true = y_true

    @classmethod
    def from_particles(
        cls,
        particles: pd.DataFrame,
        labels: ArrayLike | None = None,
        y_true: ArrayLike | None = None,
        *,
        unlabeled: Any = None,
        n_columns: int = _N_COLUMNS,
        channel_names: Any = None,
        pixel_size: float | None = None,
    ) -> "ParticlesDisplay":
        """Draw particles with their labels, and whether these are right.

        Parameters
        ----------
        particles : DataFrame of shape (n_particles, n_columns)
            The particles, with the columns `image` and `profile`.
        labels : array-like of shape (n_particles,), default=None
            Their labels, predicted or not. None means no titles.
        y_true : array-like of shape (n_particles,), default=None
            The true labels, or a missing value where unknown. A label that is right has
            a tick and is blue, a wrong one has a cross and is orange, with the true one
            below. None means that all are unknown.
        unlabeled : scalar, default=None
            A value in `y_true` that means "not labeled", besides the missing values.
        n_columns : int, default=4
            Number of particles in a row.
        channel_names : sequence of str, default=None
            Names of the profile's channels, for the legend, or of the measurements of a
            vector, for its bars, where profiles are arrays. Files contain the names.
        pixel_size : float, default=None
            Size of a pixel in µm, for the scale bars below the images. With None, the
            bars are in pixels.

        Returns
        -------
        ParticlesDisplay
            The display.

        Raises
        ------
        TypeError
            If `particles` is not a DataFrame.
        ValueError
            If a column is missing, lengths differ, there are no particles, or
            `n_columns` or `pixel_size` is not above 0.
        """
        truth = None
        if y_true is not None:
            truth = as_labels(*split_labels(y_true, unlabeled))
        display = cls(particles, labels=labels, y_true=truth)
        return display.plot(
            n_columns=n_columns, channel_names=channel_names, pixel_size=pixel_size
        )

    def plot(
        self,
        *,
        n_columns: int = _N_COLUMNS,
        channel_names: Any = None,
        pixel_size: float | None = None,
    ) -> "ParticlesDisplay":
        """Draw the particles in rows.

        Parameters
        ----------
        n_columns : int, default=4
            Number of particles in a row.
        channel_names : sequence of str, default=None
            Names of the profile's channels or measurements where profiles are arrays.
        pixel_size : float, default=None
            Size of a pixel in µm, for the scale bars below the images. With None, the
            bars are in pixels.

        Returns
        -------
        ParticlesDisplay
            The display itself, with `axes_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a column is missing, lengths differ, there are no particles, `n_columns`
            or `pixel_size` is not above 0, or there are more or fewer names than
            channels or measurements.
        """
        self._check(n_columns)
        n_particles = len(self.particles)
        n_columns = min(n_columns, n_particles)
        n_rows = -(-n_particles // n_columns)
        grid = ParticleGrid(
            type(self).__name__,
            (n_rows, n_columns),
            [self.particles],
            channel_names=channel_names,
            pixel_size=pixel_size,
        )
        for number in range(n_rows * n_columns):
            row, column = divmod(number, n_columns)
            if number >= n_particles:
                grid.leave_empty(row, column)
                continue
            ax = grid.draw(row, column, self.particles.iloc[number])
            if self.labels is not None:
                label = np.asarray(self.labels, dtype=object)[number]
                title_prediction(ax, label, true_label(self.y_true, number))
        grid.finish()
        self.figure_, self.axes_ = grid.figure, grid.axes
        return self

    def _check(self, n_columns: int) -> None:
        check_columns("particles", self.particles)
        n_particles = len(self.particles)
        for name, values in (("labels", self.labels), ("y_true", self.y_true)):
            if values is not None and len(np.asarray(values)) != n_particles:
                raise ValueError(
                    f"{name} has {len(np.asarray(values))} values, and particles "
                    f"{n_particles} rows. Expected one per particle."
                )
        if not n_particles:
            raise ValueError("particles has no rows: there is nothing to show.")
        if n_columns < 1:
            raise ValueError(f"n_columns={n_columns!r}; expected at least 1.")
