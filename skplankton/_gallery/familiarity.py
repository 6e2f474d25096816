"""How familiar a query is: the log-odds that its walk meets the gallery."""

import numpy as np

# Probabilities closer to 0 or 1 than this count as this.
_CLOSEST = 1e-6

# With so many scores of its own, a class has a level halfway between them and all.
# benchmarks/unknown.py compares one level for all.
_N_FOR_HALF = 4


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """``log(p / (1 - p))``, of -13.8 to 13.8."""
    p = np.clip(probabilities, _CLOSEST, 1 - _CLOSEST)
    return np.log(p / (1 - p))


def class_levels(scores: np.ndarray, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """How much more familiar the particles of each class are than all of them.

    A walk in an abundant species passes many unlabeled particles before it meets a
    labeled one. Medians of few scores are shrunk towards that of all.
    """
    levels = np.zeros(n_classes)
    for code in np.unique(codes):
        own = scores[codes == code]
        weight = len(own) / (len(own) + _N_FOR_HALF)
        levels[code] = weight * (np.median(own) - np.median(scores))
    return levels
