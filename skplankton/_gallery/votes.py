"""Shares of the votes for each class from the distances of the neighbors."""

import numpy as np

# Sums of votes whose relative difference is smaller differ by rounding only.
_SAME_VOTES = 1e-12


def vote_shares(
    distances: np.ndarray, classes: np.ndarray, n_classes: int, weights: str
) -> np.ndarray:
    """Share of the neighbors' votes for each class.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, n_neighbors)
        Infinite where there is no neighbor, and so no vote.
    classes : ndarray of shape (n_queries, n_neighbors), int
        The neighbors' classes, from 0.
    n_classes : int
        Number of classes.
    weights : {"distance", "uniform"}
        "distance" weights a vote by 1 / distance; if any distance is 0, only those
        neighbors vote, equally.

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        Rows sum to 1. Tied shares are exactly equal.
    """
    votes = summed_votes(distances, classes, n_classes, weights)
    return np.divide(votes, votes.sum(axis=1, keepdims=True), out=votes)


def summed_votes(
    distances: np.ndarray, classes: np.ndarray, n_classes: int, weights: str
) -> np.ndarray:
    """Sums of the votes, which `vote_shares` normalizes."""
    n_queries = len(distances)
    bins = classes + n_classes * np.arange(n_queries)[:, None]
    votes = np.bincount(
        bins.ravel(),
        weights=_votes(distances, weights).ravel(),
        minlength=n_queries * n_classes,
    ).reshape(n_queries, n_classes)
    # The same votes, added in another order, may differ in the last digit.
    largest = votes.max(axis=1, keepdims=True)
    np.copyto(votes, largest, where=votes >= largest * (1 - _SAME_VOTES))
    return votes


def _votes(distances: np.ndarray, weights: str) -> np.ndarray:
    if weights == "uniform":
        return np.isfinite(distances).astype(np.float64)
    # Relative to the nearest neighbor's vote, since 1 / distance would be infinite for
    # a distance of 0 or close to 0.
    nearest = distances.min(axis=1, keepdims=True)
    exact = distances == 0
    ratio = np.divide(nearest, distances, where=~exact, out=np.zeros_like(distances))
    return np.where(nearest == 0, exact, ratio)
