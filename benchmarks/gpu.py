"""Training and embedding on a GPU, compared with a bare PyTorch loop.

    python benchmarks/gpu.py

Pairs are decoded beforehand: this is the time of the device and of what feeds it. In
each row of results/gpu.csv

- "plain" is a hand-written loop over tensors that are on the device already, with the
  same modules, batches, augmentation, loss, optimizer, schedule and number format;
- "ours" are the epochs of `CrossModalEmbedder.fit` (or `transform` after decoding);
- "input" are our batches alone: gathered, copied to the device and augmented;
- "compiled" is the plain loop with both encoders in torch.compile;
- "busy" is the share of our time in which the device computes, by torch's profiler;
- "kernels" and "waits" are counted by the profiler in each of our training steps:
  kernels that are launched, and calls in which the processor waits for the device.

Without a CUDA device nothing is measured, and the script says so.
"""

import time

import _timing
import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from torch.autograd import DeviceType
from torch.optim.lr_scheduler import LambdaLR
from torch.profiler import ProfilerActivity, profile

from skplankton import CrossModalEmbedder, losses
from skplankton._nn.augmentation import augment_pairs
from skplankton._training.batches import BalancedBatches, PairDataset
from skplankton._training.contrastive import ContrastiveNet
from skplankton._training.devices import autocast, seeded
from skplankton._training.schedule import WarmupCosine

SEED = 0
N_CHANNELS = 6  # of a profile
FEMTO = {
    "image_encoder": "convnext_femto",
    "image_size": 224,
    "profile_length": 224,
    "batch_size": 512,
}
# Name: parameters, pairs, epochs.
CONFIGURATIONS = {
    "defaults": ({}, 4096, 2),
    "defaults, batches of 512": ({"batch_size": 512}, 16384, 2),
    "ConvNeXt-femto at 224 pixels, batches of 512": (FEMTO, 4096, 2),
}
N_PROFILED = 8  # steps
# Calls of CUDA's runtime that return only when the device has caught up.
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def random_pairs(embedder: CrossModalEmbedder, n_pairs: int) -> dict[str, np.ndarray]:
    """Decoded pairs: their values do not change the time."""
    rng = np.random.default_rng(SEED)
    side, length = embedder.image_size, embedder.profile_length
    return {
        "image": rng.integers(0, 256, (n_pairs, 1, side, side), dtype=np.uint8),
        "image_size": rng.random((n_pairs, 2), dtype=np.float32),
        "profile": rng.random((n_pairs, N_CHANNELS, length), dtype=np.float32),
        "profile_size": rng.random((n_pairs, 1), dtype=np.float32),
    }


class Epochs:
    """Fits the embedder to decoded pairs, and measures the loop over the epochs."""

    def __init__(self, embedder: CrossModalEmbedder, arrays: dict[str, np.ndarray]):
        n_pairs = len(arrays["image"])
        # Two columns that pass for particles; what they hold is never decoded.
        self.X = pd.DataFrame(
            {"image": ["unread"] * n_pairs, "profile": ["unread"] * n_pairs}
        )
        self.embedder = embedder
        embedder._read_pairs = lambda source, rows: arrays

    def fit(self) -> float:
        loop = ContrastiveNet.fit_loop

        def timed(net, *args, **kwargs):
            torch.cuda.synchronize()
            start = time.perf_counter()
            result = loop(net, *args, **kwargs)
            torch.cuda.synchronize()
            self.seconds = time.perf_counter() - start
            return result

        ContrastiveNet.fit_loop = timed
        try:
            self.embedder.fit(self.X)
        finally:
            ContrastiveNet.fit_loop = loop
        return self.seconds


def plain_epochs(module, tensors, embedder, step) -> float:
    """Seconds of a hand-written loop around `step`, which returns a loss."""
    n = len(tensors["image"])
    n_batches = -(-n // embedder.batch_size)
    optimizer = torch.optim.AdamW(
        module.parameters(),
        lr=embedder.learning_rate,
        weight_decay=embedder.weight_decay,
    )
    n_steps = embedder.max_epochs * n_batches
    schedule = LambdaLR(optimizer, WarmupCosine(n_batches, n_steps))
    module.train()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(embedder.max_epochs):
        for rows in torch.randperm(n, device="cuda").tensor_split(n_batches):
            loss = step(augmented({k: v[rows] for k, v in tensors.items()}))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def augmented(views):
    image, profile = augment_pairs(views["image"], views["profile"])
    return views | {"image": image, "profile": profile}


def plain_step(module, precision):
    def step(views):
        with autocast("cuda", precision):
            image, profile = module(**views)
        return losses.clip_loss(image, profile, module.logit_scale)

    return step


def input_epochs(arrays, embedder) -> float:
    """Seconds of our batches without the networks."""
    dataset = PairDataset(arrays, device="cuda")
    batches = BalancedBatches(dataset, embedder.batch_size, np.random.RandomState(SEED))
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(embedder.max_epochs):
        for batch, _ in batches:
            augmented({name: v.to("cuda") for name, v in batch.items()})
    torch.cuda.synchronize()
    return time.perf_counter() - start


def profiled(embedder: CrossModalEmbedder, arrays: dict[str, np.ndarray]) -> dict:
    """Kernels and waits per training step, and the seconds of the kernels."""
    n_pairs = N_PROFILED * embedder.batch_size
    few = {name: values[:n_pairs] for name, values in arrays.items()}
    loop = ContrastiveNet.fit_loop
    found = {}

    def watched(net, *args, **kwargs):
        activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
        with profile(activities=activities, acc_events=True) as profiler:
            result = loop(net, *args, **kwargs)
            torch.cuda.synchronize()
        events = profiler.events()
        kernels = [e for e in events if e.device_type == DeviceType.CUDA]
        waits = sum(e.name in WAITS for e in events) - 1  # the one above
        found["kernels"] = round(len(kernels) / N_PROFILED)
        found["waits"] = round(waits / N_PROFILED, 2)
        found["seconds"] = sum(e.device_time for e in kernels) / 1e6 / N_PROFILED
        return result

    ContrastiveNet.fit_loop = watched
    try:
        Epochs(clone(embedder).set_params(max_epochs=1), few).fit()
    finally:
        ContrastiveNet.fit_loop = loop
    return found


def measure(
    name: str, params: dict, n_pairs: int, n_epochs: int, n_runs: int, compiles: bool
) -> list[dict]:
    embedder = CrossModalEmbedder(
        max_epochs=n_epochs, random_state=SEED, device="cuda", **params
    )
    arrays = random_pairs(embedder, n_pairs)
    epochs = Epochs(embedder, arrays)
    epochs.fit()
    precision = embedder._hardware()["precision"]
    module = embedder.net_.module_.to("cuda")
    tensors = {k: torch.from_numpy(v).to("cuda") for k, v in arrays.items()}
    encoders = [module.image.encoder, module.profile.encoder]
    compiled_encoders = [torch.compile(encoder) for encoder in encoders]

    def plain() -> float:
        with seeded("cuda", SEED):
            return plain_epochs(
                module, tensors, embedder, plain_step(module, precision)
            )

    def compiled() -> float:
        module.image.encoder, module.profile.encoder = compiled_encoders
        try:
            return plain()
        finally:
            module.image.encoder, module.profile.encoder = encoders

    ways = {
        "plain": plain,
        "ours": epochs.fit,
        "input": lambda: input_epochs(arrays, embedder),
    }
    if compiles:
        ways["compiled"] = compiled
    seconds = {k: np.median(v) for k, v in _timing.take_turns(ways, n_runs).items()}
    n_steps = n_epochs * -(-n_pairs // embedder.batch_size)
    counts = profiled(embedder, arrays)
    n = n_epochs * n_pairs
    training = {
        "row": f"training, {name}",
        "number format": precision,
        **{f"{way}, pairs/s": round(n / s) for way, s in seconds.items()},
        "ours / plain": round(float(seconds["ours"] / seconds["plain"]), 2),
        "busy": round(float(counts["seconds"] * n_steps / seconds["ours"]), 2),
        "kernels": counts["kernels"],
        "waits": counts["waits"],
    }
    print(training, flush=True)
    return [training, embedding(name, embedder, arrays, tensors, precision, n_runs)]


def embedding(name, embedder, arrays, tensors, precision, n_runs) -> dict:
    """Both modalities embedded, after decoding, against the bare forward passes."""
    module = embedder.net_.module_.to("cuda").eval()
    n_pairs = len(arrays["image"])
    encode, _ = embedder._encoder()

    def ours() -> float:
        start = time.perf_counter()
        for modality in ("image", "profile"):
            encode(modality, arrays[modality], arrays[f"{modality}_size"])
        return time.perf_counter() - start

    def plain() -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.inference_mode(), autocast("cuda", precision):
            for modality in ("image", "profile"):
                values, sizes = tensors[modality], tensors[f"{modality}_size"]
                for rows in zip(values.split(512), sizes.split(512), strict=True):
                    module.embed(modality, *rows, embedder.features, both_ways=True)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    turns = _timing.take_turns({"plain": plain, "ours": ours}, n_runs)
    seconds = {way: np.median(found) for way, found in turns.items()}
    row = {
        "row": f"embedding, {name}",
        "number format": precision,
        **{f"{way}, pairs/s": round(n_pairs / s) for way, s in seconds.items()},
        "ours / plain": round(float(seconds["ours"] / seconds["plain"]), 2),
    }
    print(row, flush=True)
    return row


def main() -> None:
    options = _timing.parser(__doc__)
    options.add_argument(
        "--no-compile", action="store_true", help="leave out what takes minutes"
    )
    options = options.parse_args()
    if not torch.cuda.is_available():
        print("No CUDA device was found: nothing is measured.")
        return
    print(torch.cuda.get_device_name(), flush=True)
    records = []
    for name, (params, n_pairs, n_epochs) in CONFIGURATIONS.items():
        records += measure(
            name, params, n_pairs, n_epochs, options.n_runs, not options.no_compile
        )
        for record in records:
            record["device"] = torch.cuda.get_device_name()
        _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
