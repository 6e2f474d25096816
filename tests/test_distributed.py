"""Several processes that train one model. See distributed_process.py for the cases."""

import os
import pickle
import re
import socket
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from filelock import FileLock

from skplankton import CrossModalEmbedder
from skplankton._training import distributed
from skplankton._training.batches import BalancedBatches, PairDataset
from skplankton._training.distributed import ALONE
from skplankton.datasets import load_particles, write_particles

from .distributed_process import (
    GRADIENTS,
    N_PAIRS,
    OF_VECTORS,
    SHARES,
    STOPPING,
    gradients,
    particles,
    vectors,
)
from .helpers import ROUNDING, quick, weights

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
SECONDS = 300  # of a quiet machine, far too many: only a process that hangs takes them
MODULE = "tests.distributed_process"


def environment(**variables):
    without = {
        name: value
        for name, value in os.environ.items()
        if name not in (*distributed.ENVIRONMENT, "LOCAL_RANK")
    }
    return {**without, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def outputs(processes):
    """What they print; all are ended if one hangs."""
    try:
        return [process.communicate(timeout=SECONDS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()


def start(*words, **variables):
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script on the page of the embedder, and beside it what it says to add."""
    page = (ROOT / "docs" / "user_guide" / "embedder.rst").read_text(encoding="utf-8")
    section = page.partition("Several processes or GPUs\n")[2]
    blocks = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", section)
    folder = tmp_path_factory.mktemp("script")
    for name, block in zip(("train", "transform", "join"), blocks, strict=True):
        code = re.sub("^   ", "", block, flags=re.MULTILINE)
        (folder / f"{name}.py").write_text(code)
    return folder / "train.py"


def with_particles(folder):
    """The folder with the particles that the script reads."""
    write_particles(particles().head(24), ["a", "b"] * 12, folder / "LAB")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, script):
    """With what two processes, without torchrun, leave after all cases."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all workers of pytest-xdist; one of them runs the cases
    folder = root / "two processes"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            run_all_cases(folder, script)
    return folder


def run_all_cases(folder, script):
    with_particles(folder / "uninterrupted")
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    processes = [
        start(MODULE, "all", folder, script, RANK=rank, WORLD_SIZE="2", **address)
        for rank in "01"
    ]
    texts = outputs(processes)
    for rank, text in enumerate(texts):
        (folder / f"{rank}.txt").write_text(text)


@pytest.fixture(scope="module")
def two(folder):
    """The results of the cases in each of two processes."""
    files = [folder / f"{rank}.pickle" for rank in (0, 1)]
    printed = "\n".join((folder / f"{rank}.txt").read_text() for rank in (0, 1))
    assert all(file.exists() for file in files), printed
    return [pickle.loads(file.read_bytes()) for file in files]


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("case", GRADIENTS, ids=str)
def test_gradients_are_those_of_one_process(two, case):
    expected, _ = gradients(ALONE, *case)
    found = [process["gradients"][GRADIENTS.index(case)] for process in two]
    for own, weights_after in found:
        assert own.keys() == expected.keys()
        for name, gradient in expected.items():
            error = np.linalg.norm(own[name] - gradient) / np.linalg.norm(gradient)
            assert error < 1e-5, name
        assert_same_bits(weights_after, found[0][1])


@pytest.mark.parametrize("case", SHARES, ids=str)
def test_unequal_shares(two, case):
    first, second = (process["shares"][SHARES.index(case)] for process in two)
    assert_same_bits(first, second)
    assert all(np.isfinite(values).all() for values in first.values())


@pytest.mark.parametrize("shares", [[5], [20, 20], [7, 6, 6], [61, 3], [2, 90, 2, 2]])
@pytest.mark.parametrize("batch_size", [2, 8, 1000])
def test_batches_of_several_processes(shares, batch_size):
    seen = [[] for _ in shares]
    datasets = []
    for rank, n_pairs in enumerate(shares):
        dataset = PairDataset({"image": np.arange(n_pairs)})
        dataset.rank, dataset.shares = rank, shares
        datasets.append(BalancedBatches(dataset, batch_size, np.random.RandomState(0)))
    sizes = []
    for batches in zip(*datasets, strict=True):
        for rank, (own, counts) in enumerate(batches):
            assert len(own["image"]) == counts[rank]
            seen[rank].append(own["image"].numpy())
            fair = counts.sum() * shares[rank] / sum(shares)
            assert abs(counts[rank] - fair) < 2
        sizes.append(counts.sum())
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    for rows, n_pairs in zip(seen, shares, strict=True):
        assert sorted(np.concatenate(rows)) == list(range(n_pairs))


def test_early_stopping_ends_all_in_the_same_epoch(two):
    first, second = (process["early stopping"] for process in two)
    assert first["history"] == second["history"]
    assert len(first["history"]) < STOPPING["max_epochs"]
    assert_same_bits(first["weights"], second["weights"])


def test_each_process_decodes_its_share(two):
    n_read = [process["early stopping"]["n_read"] for process in two]
    assert sum(n_read) == N_PAIRS
    assert abs(n_read[0] - n_read[1]) <= 2  # of training, and of validation


@pytest.mark.parametrize(
    "case", ["no seed", "vectors", "array", "batch norm", "verbose"]
)
def test_weights_are_the_same_in_every_bit(two, case):
    assert_same_bits(*(process[case] for process in two))


@pytest.mark.parametrize("case", ["vectors", "array"])
def test_scales_are_those_of_all_pairs(two, case):
    if case == "vectors":
        expected = weights(quick(max_epochs=1, **OF_VECTORS).fit(vectors()))
    else:
        X = np.random.RandomState(0).rand(31, 12)
        expected = weights(CrossModalEmbedder(max_epochs=1, random_state=0).fit(X))
    names = [n for n in expected if re.search(r"\.(mean|std|median|scale|marked)$", n)]
    names = [name for name in names if ".encoder." not in name]
    assert len(names) >= 4
    for name in names:
        np.testing.assert_allclose(two[0][case][name], expected[name], rtol=1e-6)


def test_one_process_prints(two, folder):
    texts = [(folder / f"{rank}.txt").read_text() for rank in (0, 1)]
    assert [text.count("train_loss") for text in texts] == [1, 0]


def test_a_model_is_used_in_one_process(two, folder):
    for rank, process in enumerate(two):
        embedder = joblib.load(folder / f"{rank}.joblib")
        assert embedder.distributed
        assert next(embedder.net_.module_.parameters()).device.type == "cpu"
        embedded = embedder.transform(particles())
        np.testing.assert_allclose(embedded, process["saved"], **ROUNDING)


def test_a_broken_file_ends_all(two):
    first, second = (process["broken, raise"]["error"] for process in two)
    assert second.startswith("FileNotFoundError: row 7: the image 'broken-7.png'")
    assert first == f"RuntimeError: Process 1 of 2 failed: {second}"


def test_broken_files_make_the_shares_unequal(two):
    first, second = (process["broken, warn"] for process in two)
    assert not first["warnings"]
    assert "12 times, an entry that cannot be read" in second["warnings"][0]
    assert_same_bits(first["weights"], second["weights"])


def test_other_particles_in_one_process(two):
    for process in two:
        words = r"ValueError: distributed=True needs the same X in each process; "
        words += r"process 0 has 30 rows, hash \w+, and process 1 30 rows, hash \w+\."
        assert re.fullmatch(words, process["other particles"])


def test_other_parameters_in_one_process(two):
    for process in two:
        assert process["other parameters"] == (
            "ValueError: distributed=True needs the same batch_size in each process; "
            "process 0 has 32, and process 1 33."
        )


def test_other_channels_in_one_process(two):
    for process in two:
        assert process["other channels"] == (
            "ValueError: distributed=True needs the same profiles in each process; "
            "process 0 has sequences of 2 channels, and process 1 sequences of 3 "
            "channels."
        )


def test_a_full_disk_ends_all(two):
    first, second = (process["full disk"] for process in two)
    assert first.startswith("OSError: [Errno 28] no space is left on the disk")
    assert second.startswith("RuntimeError: Process 0 of 2 failed: OSError: [Errno 28]")


def test_a_process_that_is_lost(two):
    assert re.match(
        r"RuntimeError: The processes of distributed=True could not exchange .* its "
        "own messages tell why",
        two[0]["lost process"],
        flags=re.DOTALL,
    )


def test_a_killed_process_goes_on_with_the_same_model(two, folder, script, tmp_path):
    with_particles(tmp_path)
    n_steps = 12
    torchrun = [
        *("torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1"),
        *("--master-addr=127.0.0.1", f"--master-port={free_port()}"),
    ]
    process = start(*torchrun, "-m", MODULE, "killed", tmp_path, script, n_steps)
    (text,) = outputs([process])
    assert process.returncode == 0, text
    steps = {
        name: (tmp_path / f"steps-{name}").stat().st_size for name in ("0-1", "1-1")
    }
    resumed, expected = (
        joblib.load(each / "embedder.joblib")
        for each in (tmp_path, folder / "uninterrupted")
    )
    # One step per epoch: of the step in which it was killed, nothing is kept.
    assert steps == {"0-1": n_steps + 1, "1-1": expected.max_epochs - n_steps}
    assert_same_bits(weights(resumed), weights(expected))
    assert resumed.history_ == expected.history_
    files = [
        torch.load(each / "training" / "training.pt", weights_only=True)
        for each in (tmp_path, folder / "uninterrupted")
    ]
    states = [[s["devices"]["cpu"] for s in f["random_states"]] for f in files]
    assert not torch.equal(*states[0])
    assert all(map(torch.equal, *states))


def test_processes_share_the_rows_of_transform(two, folder, script, monkeypatch):
    monkeypatch.chdir(folder / "uninterrupted")
    embedder = joblib.load("embedder.joblib")
    X, _ = load_particles("LAB", return_X_y=True)
    names = {"np": np, "X": X, "n_processes": 2}
    exec(script.with_name("join.py").read_text(), names)
    np.testing.assert_allclose(names["embeddings"], embedder.transform(X), **ROUNDING)


def test_a_checkpoint_of_another_number_of_processes(two, folder):
    before = joblib.load(folder / "uninterrupted" / "embedder.joblib")
    embedder = before.set_params(
        distributed=False, checkpoint=folder / "uninterrupted" / "training"
    )
    with pytest.raises(ValueError, match=r"these differ: number of processes\. "):
        embedder.fit(particles().head(24))


def test_one_process_of_torchrun_trains_as_without_it(X, monkeypatch):
    expected = quick(batch_size=22).fit(X)
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", **address}.items():
        monkeypatch.setenv(name, value)
    try:
        embedders = [quick(batch_size=22, distributed=True).fit(X) for _ in range(2)]
    finally:
        distributed._leave()
    for embedder in embedders:
        assert_same_bits(weights(embedder), weights(expected))


@pytest.mark.parametrize("without", distributed.ENVIRONMENT)
def test_without_torchrun(X, monkeypatch, without):
    for name in distributed.ENVIRONMENT:
        monkeypatch.setenv(name, "0")
    monkeypatch.delenv(without)
    embedder = quick(distributed=True)
    with pytest.raises(ValueError, match=rf"torchrun --nproc-per-node=2.*{without}"):
        embedder.fit(X)
    assert not hasattr(embedder, "net_")


def test_each_process_has_its_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    own = distributed.device_of_process
    assert own("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own(name) for name in ("cuda", "cpu", "cuda:1")] == [
        *("cuda:3", "cpu", "cuda:1")
    ]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert own("cuda") == "cuda:0"


def test_mps_is_refused(monkeypatch):
    assert distributed.device_of_process("mps") == "mps"  # to use a model
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(ValueError, match=r"not on MPS. Use device='cpu'"):
        distributed.device_of_process("mps")
