"""Split rows into batches of equal size, every row once per epoch."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


class PairDataset(torch.utils.data.Dataset):
    """The arrays of the training pairs, indexed by the rows of a whole batch."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["image"])

    def __getitem__(self, rows) -> dict[str, Tensor]:
        return {name: torch.from_numpy(a[rows]) for name, a in self.arrays.items()}


class BalancedBatches:
    """Every pair once per epoch, in batches whose sizes differ by one at most.

    A contrastive loss cannot use a batch of one pair, and its value depends on the size
    of the batch: a short last batch would add noise, and dropping it would leave
    nothing of a table smaller than a batch.
    """

    def __init__(self, dataset: PairDataset, batch_size: int, random_state=None):
        self.dataset = dataset
        self.random_state = random_state  # None keeps the rows in order
        self.n_batches = max(1, math.ceil(len(dataset) / batch_size))

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        rows = np.arange(len(self.dataset))
        if self.random_state is not None:
            rows = self.random_state.permutation(rows)
        for batch in np.array_split(rows, self.n_batches):
            yield self.dataset[batch], torch.empty(0)  # skorch expects a target
