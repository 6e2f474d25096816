"""Memory and time of a step on a large batch, whole and in chunks.

Plain processes the batch at once; ours is `micro_batch_size`, which computes the same
gradient with the graph of one chunk in memory. Memory is the peak above the process's
memory before its steps; each measurement runs in a separate process. The last row is
the norm of the difference between the two gradients of all weights, relative to the
gradient's norm.

    OMP_NUM_THREADS=1 python benchmarks/large_batches.py
"""

import json
import sys

import _timing
import numpy as np
import torch

from skplankton import CrossModalEmbedder
from skplankton._training.contrastive import ContrastiveNet
from skplankton._training.devices import seeded
from skplankton.datasets import make_particles

SEED, N_STEPS = 0, 3


def net_and_batch(n_pairs: int, chunk: int | None):
    """A net with learned scales, and a batch."""
    X, _ = make_particles(n_pairs, random_state=SEED, return_X_y=True)
    embedder = CrossModalEmbedder(image_size=64, random_state=SEED)
    source = embedder._check_X(X, reset=True)
    arrays = embedder._read_pairs(source, np.arange(n_pairs))
    views = {name: torch.from_numpy(values) for name, values in arrays.items()}
    params = embedder._module_params(arrays)
    with seeded("cpu", SEED):
        net = ContrastiveNet(
            optimizer=torch.optim.AdamW,
            optimizer__lr=1e-3,
            micro_batch_size=chunk,
            device="cpu",
            **{f"module__{name}": value for name, value in params.items()},
        ).initialize()
        for view in ("image", "profile"):
            getattr(net.module_, view).set_scales(arrays[view], arrays[f"{view}_size"])
        # What the first batch initializes is learned from a few pairs, without a graph.
        net._set_training(True)
        with torch.no_grad():
            net.module_(**{name: values[:64] for name, values in views.items()})
    return net, views


def measure(n_pairs: int, chunk: int | None) -> None:
    """Print the peak in MB and the seconds of a step."""
    net, views = net_and_batch(n_pairs, chunk)
    _timing.forget_peak()
    before = _timing.megabytes_of("VmRSS")
    seconds = [
        _timing.seconds(lambda: net.train_step((views, None))) for _ in range(N_STEPS)
    ]
    peak = _timing.megabytes_of("VmHWM") - before
    print(json.dumps({"peak": peak, "seconds": min(seconds)}))


def difference(n_pairs: int, chunk: int) -> float:
    """Norm of the difference of the two gradients, relative to the gradient's."""
    gradients = []
    for size in (None, chunk):
        net, views = net_and_batch(n_pairs, size)
        for dropout in net.module_.modules():
            if isinstance(dropout, torch.nn.Dropout):
                dropout.p = 0.0  # the masks differ with the size of a pass
        with seeded("cpu", SEED):
            net.train_step((views, None))
        gradients.append([p.grad for p in net.module_.parameters()])
    whole, chunked = (
        torch.cat([g.double().flatten() for g in found if g is not None])
        for found in gradients
    )
    return float((whole - chunked).norm() / whole.norm())


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        n_pairs, chunk = map(int, sys.argv[2:])
        measure(n_pairs, chunk or None)
        return
    options = _timing.parser(__doc__)
    options.add_argument("--n-pairs", type=int, default=1024)
    options.add_argument("--chunk", type=int, default=64)
    options = options.parse_args()
    n_pairs, chunk = options.n_pairs, options.chunk
    runs = {"plain": [], "ours": []}
    for _ in range(options.n_runs):
        for name, size in (("plain", 0), ("ours", chunk)):
            line = _timing.in_a_process(__file__, "--measure", n_pairs, size)
            runs[name].append(json.loads(line))
    what = f"of a step, batch {n_pairs} in chunks of {chunk}"
    records = [
        _timing.compare(
            f"{row} {what}",
            {name: [run[field] for run in figures] for name, figures in runs.items()},
            target=target,
            ours_over_plain=True,
            unit=unit,
        )
        for row, field, target, unit in (
            ("peak memory", "peak", "<= 0.25", "MB"),
            ("time", "seconds", "<= 1.6", "s"),
        )
    ]
    error = difference(256, chunk)
    records.append(
        {
            "row": f"gradients, batch 256 in chunks of {chunk}",
            "plain": "",
            "ours": "",
            "ratio": f"{error:.1e} relative difference",
            "target": "<= 1e-5",
            "met": "yes" if error <= 1e-5 else "no",
            "runs": 1,
        }
    )
    print(records[-1])
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
