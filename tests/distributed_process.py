"""What each process of test_distributed.py does.

All cases run in one pair of processes, since starting them takes longer than any. The
results of a process are pickled, for the test to compare.
"""

import os
import pickle
import runpy
import signal
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
import torch

from skplankton import CrossModalEmbedder
from skplankton._training import checkpoint
from skplankton._training.contrastive import ContrastiveNet, train_dual_encoder
from skplankton._training.distributed import join
from skplankton._views import table
from skplankton.datasets import make_particles

from .helpers import quick, weights

GRADIENTS = [
    (loss, n_pairs, micro_batch_size)
    for loss in ("clip", "siglip")
    for n_pairs in (64, 63)
    for micro_batch_size in (None, 10)
]
SHARES = [((61, 3), 16), ((14, 2), 2)]  # and batch sizes; no pair in most batches
N_PAIRS = 60
OF_VECTORS = {"profile_encoder_params": {"width": 8}}
VERBOSE = {"verbose": 2, "precision": "bf16"}
STOPPING = {
    "early_stopping": True,
    "validation_fraction": 0.35,
    "patience": 2,
    "learning_rate": 0.05,
    "learn_temperature": True,
    "max_epochs": 40,
}


def pairs(n_pairs):
    rng = np.random.RandomState(0)
    return {
        "image": rng.rand(n_pairs, 1, 16, 16).astype(np.float32),
        "profile": rng.rand(n_pairs, 3, 16).astype(np.float32),
    }


def trained(arrays, processes, **params):
    """The net after training without anything drawn at random but the batches."""
    view = {"encoder": "cnn", "encoder_params": {"width": 8, "n_stages": 2}}
    module_params = {
        name: {**view, "sample_shape": values.shape[1:], "n_sizes": 0}
        for name, values in arrays.items()
    }
    params = {
        "max_epochs": 1,
        "batch_size": 10_000,
        "loss": "clip",
        "micro_batch_size": None,
        **params,
    }
    with mock.patch("skplankton._nn.dual_encoder.FEATURE_DROPOUT", 0.0):
        net, _ = train_dual_encoder(
            arrays,
            None,
            module_params={
                **module_params,
                "n_components": 8,
                "temperature": 0.5,
                "learn_temperature": True,
                "initial_bias": -2.0,
            },
            initial_weights=None,
            optimizer="adamw",
            learning_rate=1e-3,
            weight_decay=0.01,
            warmup_epochs=0,
            patience=1,
            seed=0,
            verbose=0,
            device="cpu",
            augment=False,
            processes=processes,
            **params,
        )
    return net


def gradients(processes, loss, n_pairs, micro_batch_size):
    """Of one step over all pairs, and the weights after it."""
    arrays = {name: processes.share(rows) for name, rows in pairs(n_pairs).items()}
    net = trained(arrays, processes, loss=loss, micro_batch_size=micro_batch_size)
    parameters = dict(net.module_.named_parameters())
    found = {n: p.grad.numpy() for n, p in parameters.items() if p.grad is not None}
    return found, {n: v.numpy() for n, v in net.module_.state_dict().items()}


def weights_of_shares(processes, shares, batch_size):
    start = sum(shares[: processes.rank])
    arrays = {
        name: rows[start : start + shares[processes.rank]]
        for name, rows in pairs(sum(shares)).items()
    }
    net = trained(arrays, processes, max_epochs=3, batch_size=batch_size)
    return {n: v.numpy() for n, v in net.module_.state_dict().items()}


def particles():
    return make_particles(N_PAIRS, n_species=4, random_state=0, return_X_y=True)[0]


def vectors():
    """Measurements; one is known in the second process's share alone, in part."""
    X = make_particles(
        N_PAIRS, n_species=4, profile="measurements", random_state=0, return_X_y=True
    )[0]
    values = np.stack(X["profile"].tolist())
    values[::2, 0] = 7.0
    values[1::4, 0] = np.nan
    X["profile"] = list(values)
    return X


class BatchNorm(torch.nn.Sequential):
    def __init__(self, shape):
        n_values = int(np.prod(shape))
        layers = torch.nn.Flatten(), torch.nn.BatchNorm1d(n_values, eps=0.1)
        super().__init__(*layers, torch.nn.Linear(n_values, 8))


def raised(function):
    """The error as text, to be compared."""
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


@contextmanager
def counted_images():
    n_read = []

    def decode(*args, **kwargs):
        n_read.append(1)
        return decode_image(*args, **kwargs)

    decode_image = table.decode_image
    with mock.patch.object(table, "decode_image", decode):
        yield n_read


def early_stopping():
    with counted_images() as n_read:
        embedder = quick(distributed=True, **STOPPING).fit(particles())
    return {
        "weights": weights(embedder),
        "history": embedder.history_,
        "n_read": len(n_read),
    }


def saved_model(folder):
    embedder = quick(distributed=True).fit(particles())
    joblib.dump(embedder, folder / f"{join().rank}.joblib")
    return embedder.transform(particles())


def broken_file(errors, broken):
    """The files of every second pair, which is in the share of the second process."""
    X = particles()
    X["image"] = X["image"].astype(object)
    for row in broken:
        X.at[row, "image"] = f"broken-{row}.png"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        embedder = quick(distributed=True, errors=errors)
        error = raised(lambda: embedder.fit(X))
    return {
        "error": error,
        "warnings": [str(w.message) for w in caught],
        "weights": None if error else weights(embedder),
    }


def other_particles(rank):
    fit = quick(distributed=True).fit
    return raised(lambda: fit(particles()[rank::2].reset_index(drop=True)))


def other_channels():
    X = particles()
    X["profile"] = [p[:, : 2 + row % 2] for row, p in enumerate(X["profile"])]
    return raised(lambda: quick(distributed=True).fit(X))


def full_disk(rank, folder):
    def full(_):
        raise OSError(28, "No space left on device")

    fit = quick(distributed=True, checkpoint=folder).fit
    with mock.patch.object(checkpoint.os, "fsync", full):
        return raised(lambda: fit(particles()))


def lost_process(rank, finished):
    """The second process ends in its second step, after all of its results."""
    train_step = ContrastiveNet.train_step
    steps = []

    def ending(net, *args, **kwargs):
        steps.append(1)
        if rank and len(steps) == 2:
            finished()
            os._exit(0)
        return train_step(net, *args, **kwargs)

    with mock.patch.object(ContrastiveNet, "train_step", ending):
        return raised(lambda: quick(distributed=True).fit(particles()))


def run_script(path, folder):
    """Run the script of the docs, then transform as they say, in a folder of pairs."""
    before = Path.cwd()
    os.chdir(folder)
    names = runpy.run_path(str(path), run_name="__main__")
    exec(path.with_name("transform.py").read_text(), names)
    os.chdir(before)


def killed_script(path, folder, n_steps):
    """The same, but the second process kills itself in the first attempt.

    A file for each process and attempt has one byte for each step.
    """
    train_step = ContrastiveNet.train_step
    attempt, rank = os.environ["TORCHELASTIC_RESTART_COUNT"], os.environ["RANK"]
    steps = Path(folder).resolve() / f"steps-{attempt}-{rank}"

    def dying(net, *args, **kwargs):
        with steps.open("ab") as file:
            file.write(b".")
        if attempt == "0" and rank == "1" and steps.stat().st_size > n_steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return train_step(net, *args, **kwargs)

    with mock.patch.object(ContrastiveNet, "train_step", dying):
        run_script(path, folder)


def all_cases(folder, script):
    processes = join()
    rank = processes.rank
    small = {"distributed": True, "max_epochs": 1, "batch_size": 20}
    flat = np.random.RandomState(0).rand(31, 12)
    results = {
        "gradients": [gradients(processes, *case) for case in GRADIENTS],
        "shares": [weights_of_shares(processes, *case) for case in SHARES],
        "early stopping": early_stopping(),
        "no seed": weights(quick(**{**small, "random_state": None}).fit(particles())),
        "vectors": weights(quick(**small, **OF_VECTORS).fit(vectors())),
        "array": weights(CrossModalEmbedder(**small, random_state=0).fit(flat)),
        "batch norm": weights(
            quick(**small, image_encoder=BatchNorm, image_encoder_params=None).fit(
                particles()
            )
        ),
        "verbose": weights(quick(**small, **VERBOSE).fit(particles())),
        "saved": saved_model(folder),
        "broken, raise": broken_file("raise", [7]),
        "broken, warn": broken_file("warn", range(1, 25, 2)),
        "other particles": other_particles(rank),
        "other parameters": raised(
            lambda: quick(distributed=True, batch_size=32 + rank).fit(particles())
        ),
        "other channels": other_channels(),
        "full disk": full_disk(rank, folder / "full"),
        "script": run_script(script, folder / "uninterrupted"),
    }

    def finished():
        (folder / f"{rank}.pickle").write_bytes(pickle.dumps(results))

    results["lost process"] = lost_process(rank, finished)
    finished()


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, folder, script, *n_steps = sys.argv[1:]
    if what == "all":
        all_cases(Path(folder), Path(script))
    else:
        killed_script(Path(script), Path(folder), int(*n_steps))
