"""Simulated particles, each measured by a camera and by a laser."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skplankton._utils.random import fresh_random_state
from skplankton._utils.sklearn import Interval, validate_params
from skplankton.datasets._simulator.body import Body
from skplankton.datasets._simulator.cytometer import (
    CHANNEL_NAMES,
    PIXEL_UM,
    carried_by_flow,
    photograph,
    record_pulses,
)
from skplankton.datasets._simulator.species import (
    MAX_SPECIES,
    PIGMENTS,
    Species,
    species,
)

# Relative abundances of the species, in turn: the rarest is half as abundant as the
# commonest, which is far less unbalanced than the sea.
_ABUNDANCES = (4, 3, 3, 2)

# Standard deviations of logarithms: of an individual's pigment content (well lit cells
# make less), and of the mixture.
_PIGMENT_CONTENT_JITTER = 0.25
_PIGMENT_RATIO_JITTER = 0.25

# Independent streams of random numbers under one seed.
_SPECIES_STREAM, _PARTICLE_STREAM, _MISSING_STREAM = range(3)

_DESCRIPTION = """Simulated plankton particles
----------------------------

Artificial particles in a simulated imaging flow cytometer: for each one, an image
(8-bit gray, 0.7 µm per pixel, flow along the columns) and a pulse profile (mV, one row
per time sample, columns FWS, SWS, FL Yellow, FL Orange, FL Red, Curvature). Both are
computed from the same body. The species are invented: their names give the simulated
body plan, form, pigment and size, and are not taxa.

The kind of instrument, the channels and their range follow arXiv:2603.16427.
"""


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_species": [Interval(Integral, 2, MAX_SPECIES, closed="both")],
        "missing": [Interval(Real, 0.0, 0.5, closed="both")],
        "image_noise": [Interval(Real, 0.0, None, closed="left")],
        "profile_noise": [Interval(Real, 0.0, None, closed="left")],
        "scale_bar": ["boolean"],
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_particles(
    n_samples: int = 1000,
    *,
    n_species: int = 8,
    missing: float = 0.0,
    image_noise: float = 1.0,
    profile_noise: float = 1.0,
    scale_bar: bool = False,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[pd.DataFrame, np.ndarray]:
    """Simulate particles with an image and an optical pulse profile each.

    A particle is a body in space (a chain of cells, a cell with a flagellum, a disc, a
    horned cell, a needle, a colony, a coil, a larva) with walls, plastids and threads.
    The image is its shadow through a camera; each profile channel is the same body's
    matter or pigment, integrated across the flow and smoothed by the laser's width.
    Image and profile therefore share physical properties: length, number of cells,
    positions of the plastids, which end comes first.

    Species come in pairs with the same body plan and size. One pair in four differs by
    pigment only, which the camera cannot see; two in four by shape across the flow
    only, which the laser cannot see; one in four by both. Neither modality is enough.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of particles. The first particles are the same for the same
        ``random_state``, for any `n_samples`.
    n_species : int, default=8
        Number of species, from 2 to 96. The first species are the same for any
        `n_species`. Each is present if ``n_samples >= n_species``; the commonest are
        about twice as abundant as the rarest.
    missing : float, default=0.0
        Fraction of the rows without an image, and the same fraction (of other rows)
        without a profile, from 0 to 0.5, rounded down to whole rows. Missing ones are
        None.
    image_noise : float, default=1.0
        Multiplies the camera's sensor noise, defocus and uneven lighting.
    profile_noise : float, default=1.0
        Multiplies the detectors' noise and the jitter of gain, speed and position in
        the stream.
    scale_bar : bool, default=False
        Whether to add 25 rows with a scale bar of 20 µm at the top of each image, as in
        the published images.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same particles in each call. None draws new ones and
        does not change numpy's global random state.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame of shape (n_samples, 2)
            Column `image`: arrays of shape (height, width), uint8, bright background,
            0.7 µm per pixel, flow along the columns; cropped around the particle, so
            that each has its own size. Column `profile`: arrays of shape (length, 6),
            float32, in mV from 0 to 7487, about 0.5 µm per time sample, in the order of
            `channel_names`. Mirroring an image left to right is reversing its profile
            in time.
        target : ndarray of shape (n_samples,), dtype object
            The species' names, as str.
        target_names : list of str
            The names that can occur in `target`, sorted.
        feature_names : list of str
            ``["image", "profile"]``.
        channel_names : list of str
            The six channels of a profile, in order.
        volume : ndarray of shape (n_samples,)
            The bodies' true volumes in µm³, mucus and threads included, to about 1 %.
        pixel_size : float
            0.7, the images' µm per pixel.
        DESCR : str
            A description of the data.
    (data, target) : tuple if ``return_X_y`` is True
        The two of the above.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and TypeError: a parameter is of the wrong type or out of range.

    See Also
    --------
    write_particles : Write such a table as files.
    load_particles : Open a table of files.

    Notes
    -----
    The instrument imitates the one of [1]_ in its channels, units and range; its
    numbers are of the right order of magnitude, not a calibration. Real particles are
    far more varied: use this to learn and to test, not to claim an accuracy.

    References
    ----------
    .. [1] Kareinen et al., "Cross-modal learning for plankton recognition", 2026,
       arXiv:2603.16427.

    Examples
    --------
    >>> from skplankton.datasets import make_particles
    >>> X, y = make_particles(40, n_species=4, random_state=0, return_X_y=True)
    >>> X.columns.tolist(), X["profile"][0].shape[1], X["image"][0].dtype
    (['image', 'profile'], 6, dtype('uint8'))
    >>> sorted(set(y))[:2]
    ['cell_flat_green_large', 'cell_round_green_large']
    """
    entropy = int(fresh_random_state(random_state).randint(2**31 - 1))
    kinds = [species(index) for index in range(n_species)]
    names = np.array([kind.name for kind in kinds], dtype=object)
    drawn = _draw_species(n_samples, n_species, entropy)

    images, profiles = np.empty((2, n_samples), dtype=object)
    volume = np.empty(n_samples)
    for i, kind in enumerate(drawn):
        rng = _stream(entropy, _PARTICLE_STREAM, i)
        body = carried_by_flow(kinds[kind].grow(rng), rng)
        images[i], profiles[i] = _measure(
            body,
            kinds[kind],
            rng,
            image_noise=image_noise,
            profile_noise=profile_noise,
            scale_bar=scale_bar,
        )
        if not return_X_y:  # it takes about as long as the measurement
            volume[i] = body.volume()
    n_missing = int(missing * n_samples)
    order = _stream(entropy, _MISSING_STREAM, 0).permutation(n_samples)
    images[order[:n_missing]] = None
    profiles[order[n_missing : 2 * n_missing]] = None

    data = pd.DataFrame({"image": images, "profile": profiles}, dtype=object)
    target = names[drawn]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=sorted(names),
        feature_names=list(data.columns),
        channel_names=list(CHANNEL_NAMES),
        volume=volume,
        pixel_size=PIXEL_UM,
        DESCR=_DESCRIPTION,
    )


def _stream(entropy: int, stream: int, index: int) -> np.random.Generator:
    """Return the generator of one particle, independent of all others."""
    seeds = np.random.SeedSequence(entropy, spawn_key=(stream, index))
    return np.random.default_rng(seeds)


def _draw_species(n_samples: int, n_species: int, entropy: int) -> np.ndarray:
    """Draw species like cards: first one of each, then shuffled decks by abundance.

    Decks rather than independent draws, because a small table in which a species occurs
    only once by chance cannot be split for cross-validation.
    """
    deck = np.repeat(np.arange(n_species), np.resize(_ABUNDANCES, n_species))
    dealt = [_stream(entropy, _SPECIES_STREAM, 0).permutation(n_species)]
    n_dealt = n_species
    while n_dealt < n_samples:
        dealt.append(_stream(entropy, _SPECIES_STREAM, len(dealt)).permutation(deck))
        n_dealt += len(deck)
    return np.concatenate(dealt)[:n_samples]


def _measure(
    body: Body,
    kind: Species,
    rng: np.random.Generator,
    *,
    image_noise: float,
    profile_noise: float,
    scale_bar: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Measure one individual twice: image and profile."""
    content = np.exp(_PIGMENT_CONTENT_JITTER * rng.standard_normal())
    mixture = np.exp(_PIGMENT_RATIO_JITTER * rng.standard_normal(3))
    pigments = content * mixture * np.array(PIGMENTS[kind.pigment])
    return (
        photograph(body, rng, image_noise, scale_bar),
        record_pulses(body, pigments, rng, profile_noise),
    )
