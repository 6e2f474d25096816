"""Processes that train one model together, each with its own share of the pairs.

Each process embeds its own pairs of a batch. The embeddings of all of them are put
together, so that every process computes the loss of the whole batch, and passes the
gradient of its own rows back through its own copy of the networks. The gradients of the
weights are then added up, and each process takes the same step. (Not
DistributedDataParallel, which averages the losses of the shares: the pairs of the other
processes would be no negatives.)
"""

import atexit
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

# What torchrun sets for each of its processes.
ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# How long a process waits for one that says nothing: the shares take unequally long to
# read. A process that has ended is noticed at once, by the connection or by torchrun.
TIMEOUT = timedelta(minutes=30)


class Processes:
    """The processes of a training, as one of them sees them; by default one, alone.

    Parameters
    ----------
    rank : int
        The number of this process. Process 0 does what only one should do.
    size : int
        The number of processes. One exchanges nothing.
    """

    def __init__(self, rank: int = 0, size: int = 1):
        self.rank, self.size = rank, size

    def share(self, rows: np.ndarray) -> np.ndarray:
        """The rows of this process."""
        return rows[self.rank :: self.size]

    def gathered(self, value: Any) -> list:
        """The value of each process, in their order."""
        if self.size == 1:
            return [value]
        values: list = [None] * self.size
        with _lost_processes():
            dist.all_gather_object(values, value)
        return values

    def of_first(self, value: Any) -> Any:
        """The value of process 0."""
        if self.size == 1:
            return value
        values = [value]
        with _lost_processes():
            dist.broadcast_object_list(values, src=0)
        return values[0]

    def all_rows(self, rows: np.ndarray) -> np.ndarray:
        """The rows of all processes, those of process 0 first."""
        return rows if self.size == 1 else np.concatenate(self.gathered(rows))

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """If the block raises in one process, all raise at its end: none waits.

        In the block, nothing may be exchanged.
        """
        error = None
        try:
            yield
        except Exception as raised:
            error = raised
        reasons = self.gathered(None if error is None else _shown(error))
        if error is not None:
            raise error
        for rank, reason in enumerate(reasons):
            if reason is not None:
                raise RuntimeError(f"Process {rank} of {self.size} failed: {reason}")

    def require_same(self, values: Mapping[str, Any]) -> None:
        """Raise in all processes if one has another value of a name than process 0."""
        first, *others = self.gathered(values)
        for rank, other in enumerate(others, start=1):
            for name, value in first.items():
                if other.get(name) != value:
                    raise ValueError(
                        f"distributed=True needs the same {name} in each process; "
                        f"process 0 has {value}, and process {rank} {other.get(name)}."
                    )

    def whole_batch(
        self, image: Tensor, profile: Tensor, shares: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """The embeddings of a batch, from those of each process's pairs.

        `shares` is the number of pairs of each process. The gradient of this process's
        rows goes on to what they were computed from.
        """
        if self.size == 1:
            return image, profile
        own = torch.cat([image, profile], dim=1)
        start = int(shares[: self.rank].sum())
        whole = _WholeBatch.apply(own, start, int(shares.sum()))
        image, profile = whole.tensor_split(2, dim=1)
        return image, profile

    def add_gradients(self, module: nn.Module) -> None:
        """Add up the gradients that the processes' own rows gave the weights.

        The module's own parameters, outside the encoders, are those of the loss. Each
        process has the gradient of the whole loss with respect to them: one counts.
        """
        if self.size == 1:
            return
        gradients = []
        for parameter in module.parameters(recurse=False):
            if parameter.grad is not None:
                if self.rank:
                    parameter.grad.zero_()
                gradients.append(parameter.grad)
        for encoder in module.children():
            for parameter in encoder.parameters():
                if parameter.requires_grad:
                    if parameter.grad is None:  # no pair of the batch is here
                        parameter.grad = torch.zeros_like(parameter)
                    gradients.append(parameter.grad)
        total = torch.cat([gradient.reshape(-1) for gradient in gradients])
        with _lost_processes():
            dist.all_reduce(total)
        parts = total.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Give the tensors their values in process 0, in every bit."""
        if self.size == 1:
            return
        with torch.no_grad(), _lost_processes():
            for tensor in tensors:
                if tensor.numel():
                    values = tensor.contiguous()  # not so with the channels last
                    dist.broadcast(values, src=0)
                    tensor.copy_(values)

    def average(self, mean: Tensor, n: int) -> None:
        """Make the mean of this process's `n` rows that of all rows."""
        if self.size == 1:
            return
        total = torch.cat([mean.double() * n, mean.new_tensor([n]).double()])
        with _lost_processes():
            dist.all_reduce(total)
        mean.copy_(total[:-1] / total[-1])


ALONE = Processes()


def join() -> Processes:
    """This process's group: the one there is, or the one that torchrun describes.

    A group that is made here remains until the process ends, for its further fits: the
    processes could not leave and join again at one time.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not (dist.is_available() and dist.is_initialized()):
        missing = [name for name in ENVIRONMENT if name not in os.environ]
        if missing or not dist.is_available():
            without = "this torch" if not missing else ", ".join(missing)
            raise ValueError(
                "distributed=True trains in several processes, which torchrun starts: "
                "torchrun --nproc-per-node=2 script.py. Here there is only one "
                f"(without {without}); use set_params(distributed=False) for it."
            )
        on_gpus = torch.cuda.is_available() and dist.is_nccl_available()
        backend = "cpu:gloo,cuda:nccl" if on_gpus else "gloo"
        store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
        # torchrun may keep the store for another attempt, in which the addresses of the
        # processes that have ended must not be found.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        dist.init_process_group(
            backend,
            store=dist.PrefixStore(f"attempt {attempt}", store),
            rank=rank,
            world_size=size,
            timeout=TIMEOUT,
        )
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def device_of_process(device: str) -> str:
    """The GPU of this process on its machine, if `device` is any CUDA device.

    A process may also see its own GPU only, which is then number 0.

    Raises
    ------
    ValueError
        For MPS, in a process of torchrun: no backend exchanges its tensors.
    """
    local_rank = os.environ.get("LOCAL_RANK")
    if device == "mps" and local_rank is not None:
        raise ValueError(
            "distributed=True trains on CUDA or the CPU, not on MPS. Use device='cpu'."
        )
    if device != "cuda" or local_rank is None:
        return device
    return f"cuda:{int(local_rank) % torch.cuda.device_count()}"


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


class _WholeBatch(torch.autograd.Function):
    """Rows of all processes, by adding up matrices that are 0 but for the own rows."""

    @staticmethod
    def forward(ctx, rows: Tensor, start: int, n_rows: int) -> Tensor:
        ctx.own = slice(start, start + len(rows))
        whole = rows.new_zeros(n_rows, rows.shape[1])
        whole[ctx.own] = rows
        with _lost_processes():
            dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient[ctx.own], None, None


@contextmanager
def _lost_processes() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            "The processes of distributed=True could not exchange their results "
            f"({error}). If one of them has ended, its own messages tell why."
        ) from error
