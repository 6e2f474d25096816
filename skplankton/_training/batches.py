"""Split rows into batches of equal size, every row once per epoch."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from skplankton._training.distributed import ALONE, Processes

# Largest share of a GPU's free memory for the pairs; the rest is for the networks.
LARGEST_SHARE_ON_GPU = 0.5
ROWS_PER_COPY = 4096


class PairDataset(torch.utils.data.Dataset):
    """The arrays of the training pairs, indexed by the rows of a whole batch.

    Batches for a CUDA device are on the device. So are all the pairs, if there is room
    for them: a batch is then gathered on the device, and nothing is copied to it.

    The arrays are this process's share; `shares` is the number of pairs of each
    process, and `rank` which of them this one is.
    """

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        device="cpu",
        processes: Processes = ALONE,
    ):
        self.arrays = arrays
        self.rank, self.shares = processes.rank, processes.gathered(len(self))
        self.device = torch.device(device)
        self.on_device = None
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            size = sum(values.nbytes for values in arrays.values())
            if size <= LARGEST_SHARE_ON_GPU * free:
                self.on_device = {
                    name: _copied(values, self.device)
                    for name, values in arrays.items()
                }

    def __len__(self) -> int:
        return len(self.arrays["image"])

    def __getitem__(self, rows) -> dict[str, Tensor]:
        if self.on_device is not None:
            index = torch.from_numpy(rows).to(self.device)
            return {name: values[index] for name, values in self.on_device.items()}
        batch = {name: torch.from_numpy(a[rows]) for name, a in self.arrays.items()}
        if self.device.type != "cuda":
            return batch
        # From pinned memory, a copy runs beside the processor's work and the device's.
        return {
            name: values.pin_memory().to(self.device, non_blocking=True)
            for name, values in batch.items()
        }


def _copied(values: np.ndarray, device: torch.device) -> Tensor:
    """The array on the device, without a copy of all of it on the way."""
    copied = torch.empty(
        values.shape, dtype=torch.from_numpy(values[:0].copy()).dtype, device=device
    )
    for start in range(0, len(values), ROWS_PER_COPY):
        rows = np.array(values[start : start + ROWS_PER_COPY])  # may be read-only
        copied[start : start + len(rows)] = torch.from_numpy(rows)
    return copied


class BalancedBatches:
    """Every pair once per epoch, in batches whose sizes differ by one at most.

    A contrastive loss cannot use a batch of one pair, and its value depends on the size
    of the batch: a short last batch would add noise, and dropping it would leave
    nothing of a table smaller than a batch.

    Each batch comes with the number of its pairs in the share of each process; the
    pairs themselves are those of this process.
    """

    def __init__(self, dataset: PairDataset, batch_size: int, random_state=None):
        self.dataset = dataset
        self.random_state = random_state  # None keeps the rows in order
        self.n_batches = max(1, math.ceil(sum(dataset.shares) / batch_size))
        self.sizes = _sizes_of_batches(dataset.shares, self.n_batches)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], np.ndarray]]:
        rows = np.arange(len(self.dataset))
        if self.random_state is not None:
            rows = self.random_state.permutation(rows)
        ends = np.cumsum(self.sizes[:, self.dataset.rank])
        for batch, sizes in zip(np.split(rows, ends[:-1]), self.sizes, strict=True):
            yield self.dataset[batch], sizes


def _sizes_of_batches(shares: list[int], n_batches: int) -> np.ndarray:
    """Numbers of pairs, of shape (n_batches, n_processes).

    Batches differ by one pair at most, and each has as much of a process's share as of
    the others': a process waits for the one with most pairs in a batch.
    """
    places = np.concatenate([(np.arange(n) + 0.5) / n for n in shares])
    owners = np.repeat(np.arange(len(shares)), shares)
    owners = owners[np.argsort(places, kind="stable")]
    return np.stack(
        [
            np.bincount(batch, minlength=len(shares))
            for batch in np.array_split(owners, n_batches)
        ]
    )
