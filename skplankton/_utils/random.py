"""Random states that never touch numpy's global one."""

import numpy as np
from sklearn.utils import check_random_state

_LARGEST_SEED = 2**31


def fresh_random_state(
    random_state: int | np.random.RandomState | None,
) -> np.random.RandomState:
    """Turn ``random_state`` into a generator, without numpy's global state.

    scikit-learn's ``check_random_state(None)`` returns the generator behind
    ``np.random.seed``: drawing from it changes the next draws of the caller's own
    code. Here ``None`` means fresh entropy from the operating system.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        A seed, a generator (used as it is, and advanced by each draw), or None.

    Returns
    -------
    numpy.random.RandomState
        The generator to draw from.

    Raises
    ------
    ValueError
        If ``random_state`` is none of these.
    """
    if random_state is None:
        return np.random.RandomState(np.random.MT19937())
    return check_random_state(random_state)


def draw_seeds(
    n_repeats: int, random_state: int | np.random.RandomState | None
) -> list[int]:
    """Seeds of the repeats; a larger `n_repeats` does not change the first ones."""
    random = fresh_random_state(random_state)
    return [int(random.randint(_LARGEST_SEED)) for _ in range(n_repeats)]
