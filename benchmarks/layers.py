"""Layers and steps of training on a CPU, compared with torch's own.

The default encoders on a batch of 64 particles, with our layers and with those of torch
that they replace: forward and backward as in training, and forward alone as in
transform. Then the grid of the crops, and the optimizer's step. Both compute the same:
the script stops if features or gradients differ by more than rounding. Times are of the
processor.

    OMP_NUM_THREADS=1 python benchmarks/layers.py
"""

from copy import deepcopy
from functools import partial

import _timing
import torch
import torch.nn.functional as F
from torch import nn

from skplankton._nn import encoders
from skplankton._nn.augmentation import _cropped_centers

SEED, BATCH_SIZE, SIDE, N_CHANNELS, LENGTH = 0, 64, 48, 6, 64
TORCH_LAYERS = {encoders._GroupNorm: nn.GroupNorm, encoders._Conv1d: nn.Conv1d}
TOLERANCE = 1e-6  # relative to the largest value


def with_torch_layers(encoder: nn.Module) -> nn.Module:
    """A copy of the encoder, with the layers of torch."""
    copied = deepcopy(encoder)
    for module in copied.modules():
        module.__class__ = TORCH_LAYERS.get(type(module), type(module))
    return copied


def trained(encoder: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Forward and backward; the features and the gradients."""
    encoder.zero_grad()
    features = encoder(x)
    features.square().mean().backward()
    return [features.detach(), *(p.grad for p in encoder.parameters())]


def check_same(ours, plain) -> None:
    """Raise if tensors differ by more than rounding."""
    for one, other in zip(ours, plain, strict=True):
        difference = float((one - other).abs().max() / other.abs().max())
        if difference > TOLERANCE:
            raise AssertionError(f"The largest difference is {difference:.2g}.")


def timed(row: str, plain, ours, n_runs: int, n_calls: int = 1) -> dict:
    """Measure both in alternating runs."""

    def repeated(way) -> None:
        for _ in range(n_calls):
            way()

    figures = _timing.take_turns(
        {
            name: partial(_timing.processor_seconds, partial(repeated, way))
            for name, way in (("plain", plain), ("ours", ours))
        },
        n_runs,
    )
    return _timing.compare(row, figures)


def encoder_rows(name: str, encoder: nn.Module, x: torch.Tensor, n_runs: int):
    """Rows of one encoder."""
    encoder = encoder.to(memory_format=torch.channels_last).train()
    encoder(x)  # sets scales from data
    plain = with_torch_layers(encoder)
    # In float64: with less precision, a maximum over time may be at another place.
    check_same(*(trained(deepcopy(e).double(), x.double()) for e in (encoder, plain)))
    yield timed(
        f"{name}: forward and backward",
        partial(trained, plain, x),
        partial(trained, encoder, x),
        n_runs,
    )
    with torch.inference_mode():
        yield timed(f"{name}: forward", partial(plain, x), partial(encoder, x), n_runs)


def grid_row(n_runs: int) -> dict:
    """The grid of the crops of a batch of images."""
    side, left = torch.rand(2, BATCH_SIZE)
    theta = torch.zeros(BATCH_SIZE, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = side
    theta[:, 0, 2] = theta[:, 1, 2] = left
    shape = (BATCH_SIZE, SIDE, SIDE)

    def plain():
        return F.affine_grid(theta, [BATCH_SIZE, 1, SIDE, SIDE], align_corners=False)

    def ours():
        centers = _cropped_centers(SIDE, side, left)
        return torch.stack(
            [centers[:, None].expand(shape), centers[:, :, None].expand(shape)], dim=-1
        )

    check_same([ours()], [plain()])
    return timed("grid of the crops of 64 images, 10 times", plain, ours, n_runs, 10)


def optimizer_row(parameters: list[nn.Parameter], n_runs: int) -> dict:
    """A step of AdamW with the parameters of both encoders."""
    ways = {}
    for name, fused in (("plain", None), ("ours", True)):
        copied = [nn.Parameter(p.detach().clone()) for p in parameters]
        for copy in copied:
            copy.grad = torch.ones_like(copy)
        ways[name] = torch.optim.AdamW(copied, fused=fused).step
    row = "step of AdamW, fused, 10 times"
    return timed(row, ways["plain"], ways["ours"], n_runs, 10)


def main() -> None:
    options = _timing.parser(__doc__)
    options.set_defaults(n_runs=15)
    options = options.parse_args()
    torch.manual_seed(SEED)
    image = encoders.ImageCNN((1, SIDE, SIDE))
    profile = encoders.ProfileCNN((N_CHANNELS, LENGTH))
    records = [
        *encoder_rows(
            "image encoder",
            image,
            torch.randn(BATCH_SIZE, 1, SIDE, SIDE),
            options.n_runs,
        ),
        *encoder_rows(
            "profile encoder",
            profile,
            torch.randn(BATCH_SIZE, N_CHANNELS, LENGTH),
            options.n_runs,
        ),
        grid_row(options.n_runs),
        optimizer_row([*image.parameters(), *profile.parameters()], options.n_runs),
    ]
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
