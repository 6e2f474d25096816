"""From predicted labels to how many particles of each label there are.

Each method estimates the counts of one group of particles, and draws of the counts that
are expected in so much water: their spread joins the counting error (Poisson) and what
is not known about misclassification.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

# Draws per sample: the ends of a 95 % interval then vary by some 2 % of its width.
N_DRAWS = 1000

# Gibbs sampling: parallel chains, steps before the first draw, and from draw to draw.
_N_CHAINS = 100
_N_BURN_IN = 60
_N_BETWEEN = 8

# Shape of the gamma prior of an expected count: Jeffreys' prior of a Poisson rate.
PRIOR_SHAPE = 0.5

# So many labels of each class are worth as much as the prior of its misclassification.
_PRIOR_STRENGTH = 4.0

# Bootstrap draws of EMQ: each solves a problem of the size of the sample.
_N_DRAWS_EMQ = 200
_N_WEIGHTS = 2**22  # of bootstrap draws at a time

_N_STEPS = 500
_TOLERANCE = 1e-6  # of the sum of the counts, between two steps

_TINY = 1e-300


@dataclass(frozen=True)
class Group:
    """Particles that are classified by the same views.

    Attributes
    ----------
    counts : ndarray of shape (n_labels,), int
        Number of particles with each predicted label.
    shares : ndarray of shape (n_particles, n_labels) or None
        The shares of the votes, or one 1 for labels without a share.
    """

    counts: np.ndarray
    shares: np.ndarray | None


@dataclass(frozen=True)
class Calibration:
    """What is known of misclassification.

    Attributes
    ----------
    confusion : ndarray of shape (n_labels, n_labels)
        Number of calibration particles by true (rows) and predicted label.
    prior_shares : ndarray of shape (n_labels,)
        Mean share of each label in a set with as many particles of each true label; 0
        if there are no shares.
    """

    confusion: np.ndarray
    prior_shares: np.ndarray

    @property
    def is_calibrated(self) -> np.ndarray:
        """Which true labels occur."""
        return self.confusion.sum(axis=1) > 0


Estimate = tuple[np.ndarray, np.ndarray]
Method = Callable[[Group, Calibration, float, np.random.Generator], Estimate]


def classify_and_count(
    group: Group, calibration: Calibration, shape: float, rng: np.random.Generator
) -> Estimate:
    """The numbers of predictions, uncorrected."""
    counts = group.counts.astype(float)
    return counts, poisson_draws(counts, np.ones(len(counts)), shape, rng)


def probabilistic_count(
    group: Group, calibration: Calibration, shape: float, rng: np.random.Generator
) -> Estimate:
    """Sums of the shares of the votes."""
    assert group.shares is not None
    counts = group.shares.sum(axis=0)
    squares = np.square(group.shares).sum(axis=0)
    # A sum of weights is like a Poisson count times a typical weight: Bohm and Zech
    # 2014, "Statistics of weighted Poisson events and its applications".
    weight = np.divide(squares, counts, out=np.ones_like(counts), where=counts > 0)
    return counts, poisson_draws(counts, weight, shape, rng)


def adjusted_count(
    group: Group, calibration: Calibration, shape: float, rng: np.random.Generator
) -> Estimate:
    """The counts under which the numbers of predictions are the most likely.

    The draws are a bootstrap of the calibration particles and of the predictions.
    """
    confusion = _identity_where_unknown(calibration)
    n_labels = confusion.sum(axis=1)
    rates = confusion / n_labels[:, None]
    counts = most_likely_counts(rates.T, group.counts[None].astype(float))[0]
    resampled = rng.multinomial(
        n_labels.astype(int), rates, size=(N_DRAWS, len(confusion))
    ).astype(float)
    resampled /= resampled.sum(axis=2, keepdims=True)
    predictions = rng.poisson(group.counts, size=(N_DRAWS, len(group.counts)))
    likelihoods = np.swapaxes(resampled, 1, 2)
    return counts, most_likely_counts(likelihoods, predictions.astype(float))


def expectation_maximization(
    group: Group, calibration: Calibration, shape: float, rng: np.random.Generator
) -> Estimate:
    """The counts under which the shares of all particles are the most likely (EMQ).

    The draws are a bootstrap of the particles.
    """
    assert group.shares is not None
    prior = calibration.prior_shares
    likelihoods = group.shares / np.where(prior > 0, prior, 1.0)
    n_particles = len(likelihoods)
    counts = most_likely_counts(likelihoods, np.ones((1, n_particles)))[0]
    at_a_time = max(1, _N_WEIGHTS // max(1, n_particles))
    draws = []
    for start in range(0, _N_DRAWS_EMQ, at_a_time):
        n_draws = min(at_a_time, _N_DRAWS_EMQ - start)
        weights = rng.poisson(1.0, size=(n_draws, n_particles)).astype(float)
        draws.append(most_likely_counts(likelihoods, weights))
    return counts, np.concatenate(draws)


def bayesian_count(
    group: Group, calibration: Calibration, shape: float, rng: np.random.Generator
) -> Estimate:
    """Posterior mean and draws, given the predictions and the calibration particles.

    The model is that of Ziegler and Czyż 2023, "Bayesian quantification with black-box
    estimators", with expected counts instead of prevalences: the number of predictions
    of a label is Poisson, with the sum over true labels of expected count times
    misclassification rate. Gibbs sampling alternates between the true labels behind the
    predictions, the expected counts (gamma), and the rates (Dirichlet).
    """
    known = calibration.confusion + _rate_prior(calibration)
    n_labels = len(known)
    # Overdispersed starts: rates that the calibration alone allows.
    rates = _dirichlet(np.broadcast_to(known, (_N_CHAINS, *known.shape)), rng)
    predictions = np.broadcast_to(group.counts, (_N_CHAINS, n_labels))
    expected = most_likely_counts(np.swapaxes(rates, 1, 2), predictions.astype(float))
    expected += shape
    mean = np.zeros(n_labels)
    draws: list[np.ndarray] = []
    n_rounds = N_DRAWS // _N_CHAINS
    for step in range(1, _N_BURN_IN + n_rounds * _N_BETWEEN + 1):
        behind = np.maximum(expected[:, :, None] * rates, _TINY)
        behind /= behind.sum(axis=1, keepdims=True)
        true = rng.multinomial(predictions, np.swapaxes(behind, 1, 2))
        true = np.swapaxes(true, 1, 2)
        counts = true.sum(axis=2)
        expected = rng.standard_gamma(counts + shape)
        rates = _dirichlet(known + true, rng)
        if step > _N_BURN_IN:
            mean += counts.mean(axis=0)
            if (step - _N_BURN_IN) % _N_BETWEEN == 0:
                draws.append(np.where(counts > 0, expected, 0.0))
    return mean / (n_rounds * _N_BETWEEN), np.concatenate(draws)


METHODS: dict[str, Method] = {
    "acc": adjusted_count,
    "bayes": bayesian_count,
    "cc": classify_and_count,
    "emq": expectation_maximization,
    "pcc": probabilistic_count,
}
NEED_CALIBRATION = ("acc", "bayes", "emq")
NEED_SHARES = ("emq", "pcc")


def poisson_draws(
    counts: np.ndarray, weight: np.ndarray, shape: float, rng: np.random.Generator
) -> np.ndarray:
    """Draws of the expected counts behind Poisson counts, of shape (n_draws, n_labels).

    Of gamma distributions, by evenly spaced probabilities in random order. Where a
    count is 0, draws are 0, and `interval` sets the upper end.
    """
    spaced = (np.arange(N_DRAWS) + 0.5) / N_DRAWS
    spaced = rng.permuted(np.tile(spaced[:, None], len(counts)), axis=0)
    draws = weight * gammaincinv(counts / weight + shape, spaced)
    return np.where(counts > 0, draws, 0.0)


def interval(
    draws: np.ndarray, confidence_level: float, smallest_high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the central intervals.

    Even no count at all does not exclude an expected count of -log(alpha / 2), the
    exact Poisson limit. `smallest_high` is that of one particle counted.
    """
    alpha = 1 - confidence_level
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2], axis=0, method="hazen")
    return low, np.maximum(high, -np.log(alpha / 2) * smallest_high)


def most_likely_counts(likelihoods: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The expected counts that maximize the likelihood, by expectation maximization.

    Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to
    new a priori probabilities: a simple procedure"; here of counts, not of shares.

    Parameters
    ----------
    likelihoods : ndarray of shape (n_observations, n_labels), or with a first axis
        How likely each observation is for particles of each label, up to a factor.
    weights : ndarray of shape (n_problems, n_observations)
        How often each observation was made.

    Returns
    -------
    ndarray of shape (n_problems, n_labels)
        The expected counts: not negative, and they sum to the weights.
    """
    total = weights.sum(axis=1, keepdims=True)
    counts = np.repeat(total / likelihoods.shape[-1], likelihoods.shape[-1], axis=1)
    transposed = np.ascontiguousarray(np.swapaxes(likelihoods, -1, -2))
    for _ in range(_N_STEPS):
        if likelihoods.ndim == 2:
            ratios = weights / np.maximum(counts @ transposed, _TINY)
            new = counts * (ratios @ likelihoods)
        else:
            sums = (counts[:, None] @ transposed)[:, 0]
            ratios = weights / np.maximum(sums, _TINY)
            new = counts * (ratios[:, None] @ likelihoods)[:, 0]
        change = np.abs(new - counts).max(initial=0.0)
        counts = new
        if change <= _TOLERANCE * total.max(initial=1.0):
            break
    return np.where(counts > _TOLERANCE * total, counts, 0.0)


def _identity_where_unknown(calibration: Calibration) -> np.ndarray:
    """The confusion matrix, in which labels that do not occur are never mistaken."""
    is_new = ~calibration.is_calibrated
    return calibration.confusion + np.diag(is_new.astype(float))


def _rate_prior(calibration: Calibration) -> np.ndarray:
    """Parameters of the Dirichlet prior of each row of the misclassification rates.

    Its mean is the accuracy over all calibration particles, and the same rate of each
    mistake. Labels that do not occur are never mistaken.
    """
    is_calibrated = calibration.is_calibrated
    n_labels = len(is_calibrated)
    right = np.trace(calibration.confusion) + 1
    accuracy = right / (calibration.confusion.sum() + 2)
    mean = np.full((n_labels, n_labels), (1 - accuracy) / max(1, n_labels - 1))
    np.fill_diagonal(mean, accuracy)
    return np.where(is_calibrated[:, None], _PRIOR_STRENGTH * mean, np.eye(n_labels))


def _dirichlet(parameters: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws along the last axis; where a parameter is 0, so is the draw."""
    draws = rng.standard_gamma(parameters)
    draws /= np.maximum(draws.sum(axis=-1, keepdims=True), _TINY)
    return draws
