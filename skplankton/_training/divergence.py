"""Detect a diverged training, and its error."""

import torch


def is_finite(module: torch.nn.Module) -> bool:
    """Whether all weights and buffers are finite numbers."""
    return all(bool(v.isfinite().all()) for v in module.state_dict().values())


def diverged(learning_rate: float) -> ValueError:
    """The error for a loss or weights that are no longer finite numbers."""
    return ValueError(
        "Training diverged: the loss, the weights or the features are no longer finite "
        f"numbers. Lower learning_rate (it is {learning_rate}), or use precision='32' "
        "if it is '16'."
    )
