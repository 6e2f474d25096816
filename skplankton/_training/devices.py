"""Device, number format and random states of the computation."""

import threading
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor


def choose_device(device: str) -> str:
    """Name of the torch device for `device`; "auto" selects the fastest."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(
            f"Unknown device={device!r}. Expected 'auto', 'cpu', 'cuda', 'cuda:1' or "
            "'mps'."
        ) from error
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(kind, False):
        raise ValueError(
            f"device={device!r} is not available on this machine. Use device='auto', "
            "or set_params(device='auto') of a fitted estimator."
        )
    return device


def choose_precision(precision: str, device: str) -> str:
    """The number format for `precision` on `device`."""
    if precision != "auto":
        return precision
    if torch.device(device).type != "cuda":
        return "32"
    return "bf16" if torch.cuda.is_bf16_supported() else "16"


Module = TypeVar("Module", bound=torch.nn.Module)


def on_device(module: Module, device: str) -> Module:
    """The module, moved if it was trained or loaded on another device.

    Moving checks each weight, which takes as long as embedding a few particles.
    """
    wanted, current = torch.device(device), next(module.parameters()).device
    is_on_it = current.type == wanted.type and wanted.index in (None, current.index)
    return module if is_on_it else module.to(wanted)


def autocast(device, precision: str):
    """Autocast to `precision` on `device`; nothing for "32"."""
    dtype = torch.float16 if precision == "16" else torch.bfloat16
    return torch.autocast(
        torch.device(device).type, dtype=dtype, enabled=precision != "32"
    )


# torch draws weights and dropout masks from one generator per device, shared by all
# threads: fits in threads take turns, or they would draw from each other's numbers.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def seeded(device, seed: int):
    """Seed the generators of the CPU and of `device` for a block.

    Their states are restored at its end, and no other generator is changed (as
    torch.manual_seed would). Only one thread of a process at a time runs such a block.
    cuDNN's algorithms are the deterministic ones within it.
    """
    device = torch.device(device)
    devices = {torch.device("cpu"), device}
    with _ONE_AT_A_TIME:
        states = {each: get_random_state(each) for each in devices}
        was_deterministic = torch.backends.cudnn.deterministic
        torch.backends.cudnn.deterministic = True
        try:
            for each in devices:
                _seed(each, seed)
            yield
        finally:
            torch.backends.cudnn.deterministic = was_deterministic
            for each, state in states.items():
                set_random_state(each, state)


def _seed(device: torch.device, seed: int) -> None:
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def get_random_state(device) -> Tensor:
    """State of the generator that dropout on `device` draws from."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else torch.get_rng_state()


def set_random_state(device, state: Tensor) -> None:
    """Set the state returned by `get_random_state`."""
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state)
    else:
        torch.set_rng_state(state)
