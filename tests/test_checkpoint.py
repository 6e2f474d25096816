"""A fit that goes on where its process has ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from skplankton import CrossModalEmbedder
from skplankton._training import checkpoint
from skplankton._training.contrastive import ContrastiveNet
from skplankton.datasets import make_particles

from .helpers import quick, weights

N_STEPS_PER_EPOCH = 3  # of `small`
KILLS = int(os.environ.get("SKPLANKTON_KILLS", "1"))


def small(X, **params):
    params = {"max_epochs": 4, "batch_size": -(-len(X) // N_STEPS_PER_EPOCH), **params}
    return quick(**params)


def interrupted_fit(embedder, X, n_steps):
    """A fit that ends with an error after some steps."""
    train_step = ContrastiveNet.train_step
    steps = []

    def some_steps(net, *args, **kwargs):
        if len(steps) == n_steps:
            raise KeyboardInterrupt
        steps.append(1)
        return train_step(net, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ContrastiveNet, "train_step", some_steps)
        with pytest.raises(KeyboardInterrupt):
            embedder.fit(X)


def counted_steps(embedder, X):
    """Fit; return the number of steps that were taken."""
    train_step = ContrastiveNet.train_step
    steps = []

    def counted(net, *args, **kwargs):
        steps.append(1)
        return train_step(net, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ContrastiveNet, "train_step", counted)
        embedder.fit(X)
    return len(steps)


def assert_same(one, other):
    one_weights, other_weights = weights(one), weights(other)
    assert one_weights.keys() == other_weights.keys()
    for name, values in one_weights.items():
        np.testing.assert_array_equal(values, other_weights[name])
    assert one.history_ == other.history_


@pytest.mark.parametrize(
    ("n_epochs", "params"),
    [
        (0, {}),
        (3, {}),
        (1, {"optimizer": "sgd", "learn_temperature": True, "loss": "siglip"}),
        (1, {"optimizer": torch.optim.RMSprop}),
        (1, {"micro_batch_size": 5}),
        (1, {"precision": "bf16", "warmup_epochs": 2}),
        (2, {"early_stopping": True, "validation_fraction": 0.3, "patience": 1}),
    ],
)
def test_the_model_is_that_of_an_uninterrupted_fit(X, tmp_path, params, n_epochs):
    expected = small(X, **params).fit(X)
    embedder = small(X, checkpoint=tmp_path / "state", **params)
    n_epochs = min(n_epochs, expected.n_iter_ - 1)  # early stopping may end before
    n_steps = N_STEPS_PER_EPOCH * n_epochs + 1
    interrupted_fit(embedder, X, n_steps)
    n_left = N_STEPS_PER_EPOCH * (expected.n_iter_ - n_epochs)
    assert counted_steps(embedder, X) == n_left
    assert_same(embedder, expected)
    np.testing.assert_array_equal(embedder.transform(X), expected.transform(X))


def test_without_a_checkpoint_nothing_is_kept(X, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small(X).fit(X)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_does_not_change_the_model(X, tmp_path):
    assert_same(small(X, checkpoint=str(tmp_path)).fit(X), small(X).fit(X))


def test_a_finished_training_is_not_repeated(X, tmp_path):
    embedder = small(X, checkpoint=tmp_path)
    first = weights(embedder.fit(X))
    assert counted_steps(embedder, X) == 0
    for name, values in weights(embedder).items():
        np.testing.assert_array_equal(values, first[name])


def test_what_changes_no_model_may_change(X, tmp_path):
    interrupted_fit(small(X, checkpoint=tmp_path), X, 4)
    other = small(X, checkpoint=tmp_path, output="concat", n_jobs=1, errors="warn")
    assert counted_steps(other, X) == 3 * N_STEPS_PER_EPOCH


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 0.1}, "these differ: learning_rate"),
        ({"temperature": 0.1, "batch_size": 9}, "batch_size, temperature"),
        ({"random_state": 1}, "these differ: random_state"),
        ({"optimizer": torch.optim.RMSprop}, "these differ: optimizer"),
        ({"image_encoder_params": {"width": 16}}, "these differ: image_encoder_params"),
    ],
)
def test_another_training_is_refused(X, tmp_path, change, words):
    interrupted_fit(small(X, checkpoint=tmp_path), X, 4)
    before = (tmp_path / "training.pt").read_bytes()
    with pytest.raises(ValueError, match=words) as error:
        small(X, checkpoint=tmp_path, **change).fit(X)
    assert f"Remove {tmp_path / 'training.pt'} to start again" in str(error.value)
    assert (tmp_path / "training.pt").read_bytes() == before


def test_other_particles_and_versions_are_refused(X, tmp_path, monkeypatch):
    interrupted_fit(small(X, checkpoint=tmp_path), X, 4)
    other = X.copy()
    other.loc[0, "image"] = 255 - np.asarray(other["image"][0])
    with pytest.raises(ValueError, match="these differ: X"):
        small(X, checkpoint=tmp_path).fit(other)
    monkeypatch.setattr("skplankton.__version__", "99")
    with pytest.raises(ValueError, match="these differ: skplankton"):
        small(X, checkpoint=tmp_path).fit(X)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_a_seed_is_needed(X, tmp_path, random_state):
    with pytest.raises(ValueError, match="needs an int as random_state"):
        small(X, checkpoint=tmp_path, random_state=random_state).fit(X)


def test_parameters_that_cannot_be_compared(X, tmp_path):
    def encoder(shape):
        return torch.nn.Flatten()

    with pytest.raises(ValueError, match="cannot tell whether image_encoder=<function"):
        small(X, checkpoint=tmp_path, image_encoder=lambda shape: encoder(shape)).fit(X)


@pytest.mark.parametrize("content", [b"", b"x" * 1000])
def test_another_file_is_refused(X, tmp_path, content):
    (tmp_path / "training.pt").write_bytes(content)
    with pytest.raises(ValueError, match="is not a checkpoint of a training"):
        small(X, checkpoint=tmp_path).fit(X)


def test_no_file_can_run_code(X, tmp_path):
    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "has run"),)

    torch.save({"identity": Runs()}, tmp_path / "training.pt")
    with pytest.raises(ValueError, match="is not a checkpoint of a training"):
        small(X, checkpoint=tmp_path).fit(X)
    assert not (tmp_path / "has run").exists()


def test_the_former_checkpoint_survives_a_failed_write(X, tmp_path, monkeypatch):
    embedder = small(X, checkpoint=tmp_path)
    interrupted_fit(embedder, X, 4)
    before = (tmp_path / "training.pt").read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "fsync", full)
        with pytest.raises(OSError, match=r"no space is left.*training\.pt"):
            embedder.fit(X)
    assert [file.name for file in tmp_path.iterdir()] == ["training.pt"]
    assert (tmp_path / "training.pt").read_bytes() == before
    embedder.fit(X)
    assert_same(embedder, small(X).fit(X))


@pytest.mark.parametrize("n_epochs", [0, 1, 3])
@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_no_space_for_a_part_of_the_checkpoint(X, tmp_path, share, n_epochs):
    resource = pytest.importorskip("resource", reason="needs limits of file sizes")
    expected = small(X, checkpoint=tmp_path / "complete").fit(X)
    size = (tmp_path / "complete" / "training.pt").stat().st_size
    embedder = small(X, checkpoint=tmp_path / "full")
    interrupted_fit(embedder, X, N_STEPS_PER_EPOCH * n_epochs + 1)
    before = {f.name: f.read_bytes() for f in (tmp_path / "full").iterdir()}
    assert list(before) == ["training.pt"] * (n_epochs > 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), limits[1]))
    try:
        with pytest.raises(OSError, match=r"training\.pt"):
            embedder.fit(X)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {f.name: f.read_bytes() for f in (tmp_path / "full").iterdir()} == before
    assert_same(embedder.fit(X), expected)


def test_a_folder_that_cannot_be_made(X, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        small(X, checkpoint=tmp_path / "file" / "state").fit(X)


def test_warm_start_goes_on_with_its_own_checkpoint(X, tmp_path):
    def fitted(folder):
        embedder = small(X, warm_start=True, checkpoint=folder and folder / "1").fit(X)
        return embedder.set_params(checkpoint=folder and folder / "2")

    expected = fitted(None).fit(X)
    embedder = fitted(tmp_path)
    interrupted_fit(embedder, X, 4)
    assert counted_steps(embedder, X) == 3 * N_STEPS_PER_EPOCH
    assert_same(embedder, expected)


SCRIPT = """
import sys
from skplankton import CrossModalEmbedder
from skplankton.datasets import make_particles
X = make_particles(40, random_state=0, return_X_y=True)[0]
params = {"image_size": 16, "profile_length": 16, "batch_size": 10, "max_epochs": 12}
embedder = CrossModalEmbedder(**params, random_state=0, checkpoint=sys.argv[1]).fit(X)
embedder.transform(X).tofile(sys.argv[2])
"""


@pytest.mark.once
def test_killed_at_random_moments(tmp_path):
    """As often as the variable SKPLANKTON_KILLS says."""
    X = make_particles(40, random_state=0, return_X_y=True)[0]
    params = {"image_size": 16, "profile_length": 16, "batch_size": 10}
    expected = CrossModalEmbedder(**params, max_epochs=12, random_state=0).fit(X)
    rng = np.random.default_rng(os.environ.get("SKPLANKTON_SEED"))
    words = [sys.executable, "-c", SCRIPT, str(tmp_path), str(tmp_path / "result")]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    state = tmp_path / checkpoint.FILE_NAME
    for _ in range(KILLS):
        process = subprocess.Popen(words, env=environment, cwd=Path.cwd())
        written = state.stat().st_mtime_ns if state.exists() else None
        while process.poll() is None:  # until another epoch is finished
            if state.exists() and state.stat().st_mtime_ns != written:
                time.sleep(rng.exponential(0.05))
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "result").exists() or process.returncode == 0
    subprocess.run(words, check=True, env=environment, cwd=Path.cwd())
    result = np.fromfile(tmp_path / "result", dtype=np.float32)
    np.testing.assert_array_equal(result, expected.transform(X).ravel())
