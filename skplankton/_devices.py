"""Where to compute, and in which number format."""

from typing import TypeVar

import torch


def choose_device(device: str) -> str:
    """Name of the torch device that `device` asks for; "auto" takes the fastest."""
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
            "for a fitted estimator by set_params(device='auto')."
        )
    return device


def choose_precision(precision: str, device: str) -> str:
    """The number format that `precision` asks for on `device`."""
    if precision != "auto":
        return precision
    if torch.device(device).type != "cuda":
        return "32"
    return "bf16" if torch.cuda.is_bf16_supported() else "16"


Module = TypeVar("Module", bound=torch.nn.Module)


def on_device(module: Module, device: str) -> Module:
    """The module, moved if it is elsewhere: it may have been trained or loaded there.

    Moving looks at each weight, which takes as long as to embed a few particles.
    """
    wanted, there = torch.device(device), next(module.parameters()).device
    is_there = there.type == wanted.type and wanted.index in (None, there.index)
    return module if is_there else module.to(wanted)
