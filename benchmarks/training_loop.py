"""Time of fit, compared with a bare PyTorch loop on prepared tensors.

The bare loop has the same modules, batch size, augmentation, loss, optimizer and
schedule, and nothing else. Ours is the epochs of `CrossModalEmbedder.fit`, and in the
second row all of `fit` from decoded arrays, with the steps done once: building the
modules, learning the scales, centering the features. ConvNeXt-femto at 224 pixels takes
seconds per step on a CPU: one run of it is two steps of 16 pairs.

    OMP_NUM_THREADS=1 python benchmarks/training_loop.py
"""

import time

import _timing
import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from skplankton import CrossModalEmbedder, losses
from skplankton._nn.augmentation import augment_pairs
from skplankton._training.contrastive import ContrastiveNet
from skplankton._training.devices import seeded
from skplankton._training.schedule import WarmupCosine
from skplankton.datasets import make_particles

SEED = 0


class Clock:
    """Measures the duration of the epochs of a fit."""

    def __enter__(self):
        self.loop = ContrastiveNet.fit_loop

        def timed(net, *args, **kwargs):
            self.start = time.perf_counter()
            result = self.loop(net, *args, **kwargs)
            self.seconds = time.perf_counter() - self.start
            return result

        ContrastiveNet.fit_loop = timed
        return self

    def __exit__(self, *error):
        ContrastiveNet.fit_loop = self.loop


def bare_loop(module, tensors, embedder) -> float:
    """Seconds of the same epochs in a hand-written loop."""
    n = len(tensors["image"])
    n_batches = -(-n // embedder.batch_size)
    n_steps = embedder.max_epochs * n_batches
    optimizer = torch.optim.AdamW(
        module.parameters(),
        lr=embedder.learning_rate,
        weight_decay=embedder.weight_decay,
    )
    schedule = LambdaLR(optimizer, WarmupCosine(n_batches, n_steps))
    module.train()
    start = time.perf_counter()
    for _ in range(embedder.max_epochs):
        for rows in torch.randperm(n).tensor_split(n_batches):
            views = {name: values[rows] for name, values in tensors.items()}
            views["image"], views["profile"] = augment_pairs(
                views["image"], views["profile"]
            )
            image, profile = module(**views)
            loss = losses.clip_loss(image, profile, module.logit_scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return time.perf_counter() - start


def measure(name: str, embedder: CrossModalEmbedder, n_pairs: int, n_runs: int):
    """Rows for one pair of encoders."""
    X, _ = make_particles(n_pairs, random_state=SEED, return_X_y=True)
    source = embedder._check_X(X, reset=True)
    arrays = embedder._read_pairs(source, np.arange(n_pairs))
    tensors = {view: torch.from_numpy(values) for view, values in arrays.items()}
    module = embedder.fit(X).net_.module_
    embedder._read_pairs = lambda source, rows: arrays
    whole = []

    def plain() -> float:
        with seeded("cpu", SEED):
            return bare_loop(module, tensors, embedder)

    def ours() -> float:
        with Clock() as clock:
            start = time.perf_counter()
            embedder.fit(X)
            whole.append(time.perf_counter() - start)
        return clock.seconds

    figures = _timing.take_turns({"plain": plain, "ours": ours}, n_runs)
    of = f"{n_pairs} pairs in batches of {embedder.batch_size}, "
    of += f"{embedder.max_epochs} epoch{'s' * (embedder.max_epochs > 1)}"
    yield _timing.compare(
        f"{name}, epochs: {of}", figures, target="<= 1.10", ours_over_plain=True
    )
    figures["ours"] = whole[-n_runs:]
    yield _timing.compare(f"{name}, all of fit: {of}", figures, ours_over_plain=True)


def main() -> None:
    options = _timing.parser(__doc__)
    options.add_argument("--n-pairs", type=int, default=1024)
    options = options.parse_args()
    default = CrossModalEmbedder(batch_size=128, max_epochs=2, random_state=SEED)
    femto = CrossModalEmbedder(
        image_encoder="convnext_femto",
        image_size=224,
        profile_length=224,
        batch_size=16,
        max_epochs=1,
        random_state=SEED,
    )
    records = list(
        measure("default encoders", default, options.n_pairs, options.n_runs)
    )
    _timing.write_table(__file__, records)
    records += measure("convnext_femto at 224 pixels", femto, 32, options.n_runs)
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
