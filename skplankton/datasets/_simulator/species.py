"""Artificial species: body plans, pigments and sizes, combined in a fixed order.

Species come in pairs that share a body plan and a size. A pair differs by pigment only
(visible in the profile alone), by shape across the flow only (visible in the image
alone), or by both. The i-th species is the same for any number of species.

Lengths in the body plans are µm for a medium-sized individual. They were chosen by eye
for a plausible appearance, and so that the species overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skplankton.datasets._simulator.body import (
    CHLOROPLAST,
    CYTOPLASM,
    GRANULE,
    MUCUS,
    THREAD,
    Body,
    ellipsoids,
    hollow,
    join,
    needles,
    scattered,
    thread,
)

# A stretch across the flow in the image plane, undone along the optical axis: every
# slice across the flow keeps its area, so the profile does not change.
_FLATTENING = 1.8


def _varied(rng: np.random.Generator, typical: float, spread: float) -> float:
    """Draw a log-normal size; ``spread`` is the logarithm's standard deviation."""
    return typical * np.exp(rng.normal(0, spread))


def _flattened(body: Body, factor: float = _FLATTENING) -> Body:
    return body.transformed(np.diag([1.0, factor, 1.0 / factor]))


def _flagellum(
    rng: np.random.Generator, start: float, length: float, side: float
) -> Body:
    """Draw a beating thread that leaves the cell backwards along the flow."""
    along = np.linspace(0, 1, 9)
    phase = rng.uniform(0, 2 * np.pi)
    beat = along * length * 0.14 * np.sin(2 * np.pi * 1.2 * along + phase)
    points = np.stack(
        [start - length * along, side * length * along * 0.5 + beat, 0 * along], axis=1
    )
    return thread(points, 0.35, THREAD)


def _chain(rng: np.random.Generator, with_setae: bool) -> Body:
    n_cells = 3 + rng.binomial(9, 0.45)
    half_length, radius = _varied(rng, 4.6, 0.12), _varied(rng, 7.0, 0.1)
    pitch = 2.0 * half_length * rng.uniform(0.98, 1.12)
    x = pitch * (np.arange(n_cells) - (n_cells - 1) / 2)
    # A chain drifts as a shallow arc.
    y = rng.normal(0, 0.0016) * (x**2 - np.mean(x**2))
    centers = np.stack([x, y, 0 * x], axis=1)
    parts = [hollow(centers, [half_length, radius, radius], 0.6)]
    for center in centers:
        plastids = scattered(
            rng, 3, [half_length, radius, radius], [2.4, 2.2, 2.2], CHLOROPLAST
        )
        parts.append(Body(plastids.centers + center, plastids.shapes, plastids.content))
    if with_setae:
        joints = np.repeat((centers[1:] + centers[:-1]) / 2, 4, axis=0)
        angle = rng.uniform(0, np.pi, len(joints) // 2)
        angle = np.stack([angle, angle + np.pi], axis=1).ravel()
        length = rng.uniform(18, 34, len(joints))
        lean = rng.normal(0, 0.12, len(joints))
        outwards = np.stack([lean, np.cos(angle), np.sin(angle)], axis=1)
        parts.append(needles(joints, joints + length[:, None] * outwards, 0.38, THREAD))
    return join(parts)


def _cell(rng: np.random.Generator, flat: bool) -> Body:
    length, width = _varied(rng, 14.0, 0.08), _varied(rng, 9.0, 0.08)
    semi_axes = np.array([length, width, width])
    parts = [
        hollow([0, 0, 0], semi_axes, 0.45),
        scattered(
            rng, int(rng.integers(3, 7)), 0.9 * semi_axes, [4.2, 3, 3], CHLOROPLAST
        ),
        scattered(rng, 3, semi_axes, 1.1, GRANULE, shell=(0.0, 0.5)),
    ]
    body = join(parts)
    body = _flattened(body) if flat else body
    tails = [_flagellum(rng, -0.95 * length, rng.uniform(14, 26), rng.normal(0, 0.3))]
    return join([body, *tails])


def _disc(rng: np.random.Generator, spiny: bool) -> Body:
    radius = _varied(rng, 24.0, 0.08)
    semi_axes = np.array([radius, radius * np.exp(rng.normal(0, 0.04)), radius * 0.35])
    parts = [
        hollow([0, 0, 0], semi_axes, 0.9),
        scattered(rng, 26, semi_axes, [2.6, 2.6, 1.6], CHLOROPLAST, (0.25, 0.85)),
        ellipsoids([0, 0, 0], [3.5, 3.5, 3], 0.5 * GRANULE),
    ]
    if spiny:
        # On the flanks only: spines at the ends would lengthen the profile.
        flank = np.deg2rad(np.linspace(53, 127, rng.integers(6, 10)))
        angle = np.concatenate([flank, flank + np.pi])
        angle = angle + rng.normal(0, 0.05, len(angle))
        rim = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1) * semi_axes
        reach = rng.uniform(1.25, 1.45, (len(angle), 1))
        parts.append(needles(rim, rim * reach, 0.5, THREAD))
    return join(parts)


def _horned(rng: np.random.Generator, winged: bool) -> Body:
    length = _varied(rng, 19.0, 0.08)
    semi_axes = np.array([length, _varied(rng, 15.0, 0.08), 10.0])
    front, back = rng.uniform(40, 58), rng.uniform(34, 46)
    spread, radius = (33.0, 1.75) if winged else (6.0, 2.0)
    roots = np.array([[-8.0, 8.0, 0.0], [-8.0, -8.0, 0.0]])
    tips = roots + np.array([[-back, spread, 0], [-0.9 * back, -spread, 0]])
    horn = 3 * CYTOPLASM
    return join(
        [
            hollow([0, 0, 0], semi_axes, 0.8),
            needles([[6.0, 0, 0]], [[length + front, 0, 0]], 2.6, horn),
            needles(roots, tips, radius, horn),
            # The girdle, a furrow round the waist.
            ellipsoids([0, 0, 0], semi_axes * [0.07, 1, 1], GRANULE / 4),
            scattered(rng, 12, semi_axes, [3.2, 3.0, 2.6], CHLOROPLAST, (0.2, 0.8)),
        ]
    )


def _needle(rng: np.random.Generator, broad: bool) -> Body:
    length, width = _varied(rng, 58.0, 0.12), _varied(rng, 4.0, 0.1)
    semi_axes = np.array([length, width, width])
    at = np.array([[-0.3, 0, 0], [0.3, 0, 0]]) * length
    body = join(
        [
            hollow([0, 0, 0], semi_axes, 0.45),
            ellipsoids(at, [0.2 * length, 0.6 * width, 0.5 * width], 0.8 * CHLOROPLAST),
            ellipsoids([0, 0, 0], 0.6 * width, 0.6 * GRANULE),
        ]
    )
    return _flattened(body, 1.7) if broad else body


def _colony(rng: np.random.Generator, sheet: bool) -> Body:
    n_cells = int(rng.integers(24, 52))
    radius = _varied(rng, 20.0, 0.1)
    semi_axes = np.array([radius * 1.15, radius, radius])
    cells = scattered(rng, n_cells, semi_axes, 2.9, CYTOPLASM * 2, (0.3, 0.92), 0.15)
    plastids = Body(
        cells.centers, cells.shapes * 0.4, np.tile(CHLOROPLAST, (n_cells, 1))
    )
    envelope = hollow([0, 0, 0], semi_axes * 1.15, 0.5, inside=MUCUS, wall=12 * MUCUS)
    body = join([envelope, cells, plastids])
    return _flattened(body, 1.45) if sheet else body


def _coil(rng: np.random.Generator, sheathed: bool) -> Body:
    n_beads, radius = rng.integers(26, 46), _varied(rng, 2.8, 0.08)
    width, turn = _varied(rng, 9.0, 0.12), rng.uniform(15, 21)
    step = 1.75 * radius * turn / np.hypot(turn, 2 * np.pi * width)
    x = step * (np.arange(n_beads) - (n_beads - 1) / 2)
    angle = 2 * np.pi * x / turn + rng.uniform(0, 2 * np.pi)
    centers = np.stack([x, width * np.cos(angle), width * np.sin(angle)], axis=1)
    parts = [
        hollow(centers, radius, 0.4),
        ellipsoids(centers, 0.7 * radius, 0.6 * CHLOROPLAST),
    ]
    if sheathed:
        around = [x[-1] + 1.2 * radius, width + 2.2 * radius, width + 2.2 * radius]
        parts.append(hollow([0, 0, 0], around, 0.5, inside=MUCUS, wall=16 * MUCUS))
    return join(parts)


def _larva(rng: np.random.Generator, with_antennae: bool) -> Body:
    length, width = _varied(rng, 30.0, 0.1), _varied(rng, 17.0, 0.1)
    semi_axes = np.array([length, width, 0.8 * width])
    parts = [
        hollow([0, 0, 0], semi_axes, 0.8, inside=2 * CYTOPLASM),
        ellipsoids([0.78 * length, 0, 0], 2.4, 2 * GRANULE),
        # The gut contains what the animal has grazed.
        scattered(
            rng, 9, [0.6 * length, 0.4 * width, 5], [4.5, 3, 3], 0.6 * CHLOROPLAST
        ),
    ]
    root = np.array([0.45, 0.1, -0.25]) * length
    for side in (-1, 1):
        roots = np.stack([root, side * np.full(3, 0.8 * width), 0 * root], axis=1)
        reach = rng.uniform(10, 15, (3, 1))
        lean = np.stack([[0.5, 0.0, -0.6], np.full(3, side), np.zeros(3)], axis=1)
        parts.append(needles(roots, roots + reach * lean, 1.5, 2 * CYTOPLASM))
        if with_antennae:
            sway = rng.normal(0, 3)
            start = np.array([0.5 * length, side * 0.7 * width, 0])
            arch = np.linspace(0, 1, 7)[:, None]
            outwards = np.array([4.0, side * rng.uniform(28, 38), 0])
            bend = np.array([1.0, 0, 0]) * (sway - 8 * arch) * arch
            parts.append(thread(start + arch * outwards + bend, 0.6, THREAD))
        parts.append(
            needles(
                [[-0.9 * length, side * 4, 0]],
                [[-0.9 * length - rng.uniform(10, 15), side * 7, 0]],
                0.7,
                THREAD,
            )
        )
    return join(parts)


@dataclass(frozen=True)
class _Plan:
    """A body plan with two forms that hardly differ along the flow."""

    name: str
    forms: tuple[str, str]
    build: Callable[[np.random.Generator, bool], Body]


_PLANS = (
    _Plan("chain", ("bare", "bristled"), _chain),
    _Plan("cell", ("round", "flat"), _cell),
    _Plan("disc", ("smooth", "spiny"), _disc),
    _Plan("horned", ("straight", "winged"), _horned),
    _Plan("needle", ("slim", "broad"), _needle),
    _Plan("colony", ("ball", "sheet"), _colony),
    _Plan("coil", ("naked", "sheathed"), _coil),
    _Plan("larva", ("plain", "feelers"), _larva),
)

# Relative amounts of chlorophyll, phycoerythrin and other (yellow-emitting) pigments.
PIGMENTS = {
    "brown": (1.0, 0.04, 0.12),
    "red": (0.7, 0.55, 0.12),
    "green": (1.15, 0.015, 0.03),
    "amber": (0.9, 0.08, 0.65),
}
_PIGMENT_PAIRS = (("brown", "red"), ("green", "amber"))

_SIZES = {"small": 0.7, "medium": 1.0, "large": 1.35}

# The difference between the two species of a pair, pair after pair.
_DIFFERENCES = ("both", "form", "pigment", "form")

# Two species for each plan, size and pair of pigments: more would need more names.
MAX_SPECIES = 2 * len(_PLANS) * len(_SIZES) * len(_PIGMENT_PAIRS)


@dataclass(frozen=True)
class Species:
    """One artificial species.

    Attributes
    ----------
    plan : _Plan
        The body plan.
    form : int
        Which of the plan's two forms, 0 or 1.
    pigment : str
        A key of `PIGMENTS`.
    size : str
        "small", "medium" or "large".
    """

    plan: _Plan
    form: int
    pigment: str
    size: str

    @property
    def name(self) -> str:
        """Readable label such as ``"chain_bare_brown_small"``."""
        return "_".join(
            [self.plan.name, self.plan.forms[self.form], self.pigment, self.size]
        )

    def grow(self, rng: np.random.Generator) -> Body:
        """Draw one individual's body, its long axis along x."""
        body = self.plan.build(rng, bool(self.form))
        return body.transformed(_varied(rng, _SIZES[self.size], 0.10) * np.eye(3))


def species(index: int) -> Species:
    """Return the species number ``index``, from 0 to ``MAX_SPECIES - 1``."""
    pair, second = divmod(index, 2)
    lap, plan = divmod(pair, len(_PLANS))
    pigments = _PIGMENT_PAIRS[(plan + lap // len(_SIZES)) % len(_PIGMENT_PAIRS)]
    # Sizes are spread over neighboring plans so that size alone identifies no species.
    size = list(_SIZES)[(1 + plan + lap) % len(_SIZES)]
    difference = _DIFFERENCES[(plan + lap) % len(_DIFFERENCES)]
    form = second if difference != "pigment" else 0
    pigment = pigments[second if difference != "form" else 0]
    return Species(_PLANS[plan], form, pigment, size)
