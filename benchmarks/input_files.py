"""Training from PNG and CSV files, compared with a Dataset that opens them per item.

The plain way has a Dataset that opens the image and the CSV file of each item in each
epoch, torchvision's transforms per item (pad to a square, resize, crop, flips,
brightness and contrast), linear interpolation of the profile, and a DataLoader with two
workers; the network, batch size, loss and optimizer are ours. Ours is
`CrossModalEmbedder.fit` on the table of paths. One row is the time from start to end,
one the time of the processors in it, of all threads and processes, one until after the
first step, and one the input alone: all batches of all epochs, augmented, without a
network.

    OMP_NUM_THREADS=1 python benchmarks/input_files.py
"""

import os
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import _timing
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2 as transforms

from skplankton import CrossModalEmbedder, losses
from skplankton._nn.augmentation import augment_pairs
from skplankton._nn.dual_encoder import DualEncoder
from skplankton._training.batches import BalancedBatches, PairDataset
from skplankton._training.contrastive import ContrastiveNet
from skplankton.datasets import load_particles, make_particles, write_particles

SEED, SIDE, LENGTH = 0, 48, 64


class PlainParticles(Dataset):
    """An image and a profile, opened and augmented when the item is requested."""

    def __init__(self, table: pd.DataFrame):
        self.table = table
        self.transform = transforms.Compose(
            [
                transforms.Resize((SIDE, SIDE)),
                transforms.RandomResizedCrop(SIDE, scale=(0.8, 1), ratio=(1, 1)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomVerticalFlip(),
                transforms.ColorJitter(brightness=0.2, contrast=0.2),
                transforms.PILToTensor(),
                transforms.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: int):
        paths = self.table.iloc[row]
        with Image.open(paths["image"]) as file:
            image = file.convert("L")
            size = torch.tensor([image.height, image.width]).float().log()
        side = max(image.size)
        square = Image.new("L", (side, side), image.getpixel((0, 0)))
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        samples = pd.read_csv(paths["profile"]).to_numpy(np.float32)
        profile = torch.from_numpy(np.sign(samples) * np.log1p(np.abs(samples))).T
        profile = F.interpolate(profile[None], LENGTH, mode="linear")[0]
        if torch.rand(()) < 0.5:
            profile = profile.flip(1)
        profile = profile * (0.95 + 0.1 * torch.rand(len(profile), 1))
        length = torch.tensor([float(len(samples))]).log()
        return {
            "image": self.transform(square),
            "profile": profile,
            "image_size": size,
            "profile_size": length,
        }


def loader(table: pd.DataFrame, batch_size: int) -> DataLoader:
    """A DataLoader as in tutorials."""
    return DataLoader(
        PlainParticles(table), batch_size, shuffle=True, num_workers=2, drop_last=True
    )


def module_for(table: pd.DataFrame) -> DualEncoder:
    """A network with the default encoders."""
    sample = PlainParticles(table)[0]
    views = {
        view: {
            "encoder": "auto",
            "encoder_params": None,
            "sample_shape": tuple(sample[view].shape),
            "n_sizes": len(sample[f"{view}_size"]),
        }
        for view in ("image", "profile")
    }
    return DualEncoder(
        **views,
        n_components=128,
        temperature=0.5,
        learn_temperature=False,
        initial_bias=0.0,
    )


def plain(table, batch_size, n_epochs) -> dict[str, float]:
    """A plain PyTorch training loop."""
    start, busy = time.perf_counter(), processor_seconds()
    torch.manual_seed(SEED)
    module = module_for(table).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    first = None
    batches = loader(table, batch_size)
    for _ in range(n_epochs):
        for views in batches:
            image, profile = module(**views)
            loss = losses.clip_loss(image, profile, module.logit_scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            first = first or time.perf_counter() - start
    return {
        "whole": time.perf_counter() - start,
        "processor": processor_seconds() - busy,
        "first step": first,
    }


def processor_seconds() -> float:
    """Processor time of this process and of those that have ended, so far."""
    return sum(os.times()[:4])


def ours(table, batch_size, n_epochs) -> dict[str, float]:
    """The library's fit."""
    steps, train_step = [], ContrastiveNet.train_step

    def timed(net, *args, **kwargs):
        result = train_step(net, *args, **kwargs)
        steps.append(time.perf_counter())
        return result

    ContrastiveNet.train_step = timed
    start, busy = time.perf_counter(), processor_seconds()
    CrossModalEmbedder(
        batch_size=batch_size, max_epochs=n_epochs, random_state=SEED
    ).fit(table)
    ContrastiveNet.train_step = train_step
    return {
        "whole": time.perf_counter() - start,
        "processor": processor_seconds() - busy,
        "first step": steps[0] - start,
    }


def plain_input(table, batch_size, n_epochs) -> None:
    """The plain way's batches, without training."""
    batches = loader(table, batch_size)
    for _ in range(n_epochs):
        for _ in batches:
            pass


def our_input(table, batch_size, n_epochs) -> None:
    """The library's batches: decoded once, augmented batch by batch."""
    embedder = CrossModalEmbedder()
    source = embedder._check_X(table, reset=True)
    dataset = PairDataset(embedder._read_pairs(source, np.arange(len(table))))
    batches = BalancedBatches(dataset, batch_size, np.random.RandomState(SEED))
    for _ in range(n_epochs):
        for views, _ in batches:
            augment_pairs(views["image"], views["profile"])


def main() -> None:
    options = _timing.parser(__doc__)
    options.add_argument("--n-pairs", type=int, default=512)
    options.add_argument("--n-epochs", type=int, nargs="+", default=[1, 5])
    options.add_argument("--batch-size", type=int, default=64)
    options = options.parse_args()
    records = []
    with TemporaryDirectory() as folder:
        X, y = make_particles(options.n_pairs, random_state=SEED, return_X_y=True)
        table = load_particles(write_particles(X, y, Path(folder, "data"))).data
        table = table[["image", "profile"]].map(str)
        for n_epochs in options.n_epochs:
            settings = table, options.batch_size, n_epochs
            of = f"{options.n_pairs} pairs, {n_epochs} epochs"
            seconds = {"plain": [], "ours": []}
            for run in range(options.n_runs + 1):
                for name, way in (("plain", plain), ("ours", ours)):
                    taken = way(*settings)
                    if run:  # the first warms up
                        seconds[name].append(taken)
            for row in ("whole", "processor", "first step"):
                figures = {
                    name: [taken[row] for taken in runs]
                    for name, runs in seconds.items()
                }
                name = {
                    "whole": f"files to trained network, {of}",
                    "processor": f"files to trained network, processors, {of}",
                    "first step": f"until the first step, {options.n_pairs} pairs",
                }[row]
                if row != "first step" or n_epochs == options.n_epochs[0]:
                    target = "" if row == "first step" else ">= 3"
                    records.append(_timing.compare(name, figures, target=target))
            figures = _timing.take_turns(
                {
                    name: partial(_timing.seconds, partial(way, *settings))
                    for name, way in (("plain", plain_input), ("ours", our_input))
                },
                options.n_runs,
            )
            records.append(
                _timing.compare(f"input alone, {of}", figures, target=">= 3")
            )
            _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
