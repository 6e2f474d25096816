"""Killed at any moment, on a full disk, with closed streams: results are kept.

More often than usual: SKPLANKTON_KILLS=100 python -m pytest tests -k killed
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from skplankton import _cli
from skplankton._cli import _files, _fit, _output_folder
from skplankton._cli._model import classify_particles, open_model, read_model_file
from skplankton._training.contrastive import ContrastiveNet
from skplankton.datasets import make_particles, write_cyz_json
from skplankton.ecotaxa import read_ecotaxa

from ..helpers import weights

pytestmark = pytest.mark.once

N_KILLS = int(os.environ.get("SKPLANKTON_KILLS", "2"))
# All samples are processed alike: a few of the steps in each run, by hand all.
STRIDE = 29 if N_KILLS < 10 else 1
CHUNK_SIZE = "10"


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A model, three samples, and the results of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("station")
    X, y = make_particles(60, n_species=3, random_state=0, return_X_y=True)
    X = X.astype(object)
    X.loc[::6, "image"] = None
    known = {"sample_id": list("abc"), "start": "2025-07-01T09:30:15.123Z"}
    for i, name in enumerate("abc"):
        path = folder / "season" / f"{name}.json"
        samples = pd.DataFrame(known | {"analyzed_volume_ml": 1 / 3})
        write_cyz_json(X[20 * i : 20 * i + 20], path, samples=samples)
    text = "sample_id,latitude,sample_ship\na,48.4,Neomysis\nb,,\nc,48.5,Tara\n"
    (folder / "stations.csv").write_text(text, encoding="utf-8")
    columns = ("category", "status", "hierarchy")
    for file, sample, labels in (("labels", "a", y[:20]), ("new", "b", y[20:40])):
        rows = ["object_id\t" + "\t".join(f"object_annotation_{c}" for c in columns)]
        rows += [f"{sample}_{i}\t{x}\tvalidated\t{x}" for i, x in enumerate(labels)]
        path = folder / f"ecotaxa_{file}.tsv"
        path.write_text("\n".join(rows), encoding="utf-8")
    assert _cli.main(fit_arguments(folder, folder / "model.skops")) == 0
    assert _cli.main(arguments(folder, folder / "expected")) == 0
    return folder


@pytest.fixture
def cached_predictions(station, monkeypatch):
    """Predictions are cached: what matters here is what happens to files."""
    known = {}

    def remembered(model, particles):
        ids = tuple(particles["object_id"])
        if ids not in known:
            known[ids] = classify_particles(model, particles)
        return known[ids]

    monkeypatch.setattr("skplankton._cli._classify.classify_particles", remembered)


def arguments(folder, output):
    parts = ["classify", folder / "model.skops", folder / "season", "--output", output]
    parts += ["--metadata", folder / "stations.csv", "--ecotaxa", "--report"]
    return [*map(str, parts), "--chunk-size", CHUNK_SIZE]


def fit_arguments(station, output):
    words = ["fit", station / "season", "--labels", station / "ecotaxa_labels.tsv"]
    return [str(word) for word in [*words, "--output", output, "--max-epochs", "1"]]


def tables(output):
    files = [*output.glob("*.csv"), *output.glob("*.html")]
    return {file.name: file.read_bytes() for file in sorted(files)}


def check_result(output, expected):
    """All as without interruption, except for the date of prediction in archives."""
    assert tables(output) == tables(expected)
    names = sorted(file.name for file in expected.iterdir())
    assert sorted(file.name for file in output.iterdir()) == names
    for archive in expected.glob("*.zip"):
        printed, wanted = (
            read_ecotaxa(path, status="predicted", cache=path.parent.parent / "zips")
            .drop(columns=["image"])
            .filter(regex="^(?!object_annotation_(date|time))")
            for path in (output / archive.name, archive)
        )
        assert printed.equals(wanted)
    assert not list((output / "progress" / "begun").iterdir())
    leftover = [f for f in output.rglob("*") if f.suffix in (".part", ".views")]
    assert not leftover


def finished(output):
    """Identity of what is finished: these files are not written again."""
    records = (output / "progress" / "done").glob("*.json")
    files = [
        path
        for record in records
        for path in (
            output / f"{record.stem}.csv",
            output / f"ecotaxa_{record.stem}.zip",
        )
    ]
    files += (output / "progress" / "begun").glob("*/rows-*.json")
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


# A process that has loaded everything, and a fork of it for each command: a start of
# Python with torch takes seconds. It computes nothing itself, so that there are no
# threads that a fork would lose.
FORKS = """
    import json, os, signal, sys, time
    import skops.io, skorch, torch
    from skplankton._training import contrastive
    from skplankton._cli import _classify, _evaluate, main

    torch.set_num_threads(1)
    log, answers = sys.argv[1], os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        arguments, preparation, kill_after = json.loads(line)
        begin = time.monotonic()
        if not (pid := os.fork()):
            for stream in (1, 2):
                os.dup2(os.open(f"{log}{stream}", os.O_CREAT | os.O_WRONLY), stream)
                os.truncate(stream, 0)
            exec(preparation)
            sys.exit(main(arguments))
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps([code, time.monotonic() - begin]), file=answers, flush=True)
"""


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    """Runs a command; returns its exit code, its duration and its output."""
    log = tmp_path_factory.mktemp("forks") / "printed"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FORKS), log],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(words, preparation="", kill_after=None):
            print(
                json.dumps([words, preparation, kill_after]),
                file=process.stdin,
                flush=True,
            )
            code, duration = json.loads(process.stdout.readline())
            printed = (
                log.with_name(f"printed{stream}").read_text() for stream in (1, 2)
            )
            return code, duration, *printed

        yield run


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
def test_killed_at_random_moments(station, tmp_path, forked, cached_predictions):
    code, duration, *_ = forked(arguments(station, tmp_path / "whole"))
    assert code == 0
    check_result(tmp_path / "whole", station / "expected")
    moments = random.Random(0)
    codes, n_kept, i = [], 0, 0
    # A busy machine may be too slow or too fast for a moment: then there are more.
    while i < N_KILLS or -9 not in codes or not n_kept:
        assert i < N_KILLS + 20
        output = tmp_path / f"killed{i}"
        moment = duration * (i % N_KILLS + moments.random()) / N_KILLS
        codes.append(forked(arguments(station, output), kill_after=moment)[0])
        kept = finished(output)
        n_kept += len(kept)
        assert _cli.main(arguments(station, output)) == 0
        check_result(output, station / "expected")
        for file, identity in kept.items():
            if file.exists():  # parts are joined and go
                assert (file.stat().st_ino, file.stat().st_mtime_ns) == identity
        i += 1


class Killed(BaseException):
    """Like SIGKILL: no error handler catches it, except ``finally``."""


def steps_of(monkeypatch, kill_at, after):
    """Raise at one of the moments when a file is renamed or removed."""
    steps = []

    def counted(act):
        def step(*args, **kwargs):
            steps.append(act)
            is_last = len(steps) == kill_at
            if is_last and not after:
                raise Killed
            result = act(*args, **kwargs)
            if is_last:
                raise Killed
            return result

        return step

    monkeypatch.setattr(_files.os, "replace", counted(os.replace))
    monkeypatch.setattr(_output_folder.shutil, "rmtree", counted(rmtree))
    monkeypatch.setattr(Path, "mkdir", counted(Path.mkdir))
    return steps


rmtree = _output_folder.shutil.rmtree


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_step(after, station, tmp_path, cached_predictions):
    with pytest.MonkeyPatch.context() as patch:
        steps = steps_of(patch, kill_at=None, after=after)
        assert _cli.main(arguments(station, tmp_path / "whole")) == 0
        n_steps = len(steps)
    assert n_steps > 20
    for kill_at in range(1 + after * STRIDE // 2, n_steps + 1, STRIDE):
        output = tmp_path / f"killed{kill_at}"
        with pytest.MonkeyPatch.context() as patch:
            steps_of(patch, kill_at, after)
            with pytest.raises(Killed):
                _cli.main(arguments(station, output))
        assert _cli.main(arguments(station, output)) == 0
        check_result(output, station / "expected")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(number, station, tmp_path, capsys, monkeypatch):
    calls = []
    handler = signal.getsignal(number)

    def interrupted(model, particles):
        calls.append(len(particles))
        if len(calls) == 4:
            signal.raise_signal(number)
        return classify_particles(model, particles)

    monkeypatch.setattr("skplankton._cli._classify.classify_particles", interrupted)
    output = tmp_path / "out"
    assert _cli.main(arguments(station, output)) == 128 + number
    assert signal.getsignal(number) is handler
    printed = capsys.readouterr().err
    assert (
        f"Finished results are kept in {output}. Run the same command again" in printed
    )
    assert (output / "a.csv").is_file()
    assert len(tables(output)) == 1 + 3  # and those of all samples
    assert _cli.main(arguments(station, output)) == 0
    # Four calls, of which the last had no result, and no more than are missing.
    assert len(calls) == 4 + (6 - 3)
    check_result(output, station / "expected")


def test_another_thread_leaves_signals_alone(station, tmp_path):
    from threading import Thread

    codes = []
    words = arguments(station, tmp_path / "out")
    thread = Thread(target=lambda: codes.append(_cli.main(words)))
    thread.start()
    thread.join()
    assert codes == [0]


@needs_fork
def test_sigterm_leaves_no_temporary_folders(station, tmp_path, forked):
    words = ["evaluate", station / "model.skops", station / "season"]
    words += ["--labels", station / "ecotaxa_new.tsv"]
    preparation = (
        # As if set before the start: an import may have asked for the folder already.
        f"os.environ['TMPDIR'] = {str(tmp_path)!r}\n"
        "import tempfile; tempfile.tempdir = None\n"
        "def classify_particles(*_):\n"
        f"    assert os.listdir({str(tmp_path)!r})\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "_evaluate.classify_particles = classify_particles"
    )
    code, _, _, printed = forked([str(word) for word in words], preparation)
    assert (code, printed) == (143, "Stopped by SIGTERM.\n"), printed
    assert not list(tmp_path.iterdir())


BROKEN_PIPE = "r, w = os.pipe(); os.close(r); os.dup2(w, 1)"
LOST = "error: not all results could be written to stdout: [Errno 28] No space left"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize(
    ("preparation", "code", "words"),
    [
        (BROKEN_PIPE, 0, ""),
        (f"{BROKEN_PIPE}; os.dup2(w, 2)", 0, ""),
        ("sys.stdout = sys.stderr = None; os.close(1); os.close(2)", 0, ""),
        ("os.dup2(os.open('/dev/full', os.O_WRONLY), 1)", 1, LOST),
    ],
    ids=["| head", "2>&1 | head", ">&- 2>&-", "> /dev/full"],
)
def test_nobody_reads(preparation, code, words, station, tmp_path, forked):
    """The work is done even so, and Python prints no error at exit."""
    command = ["classify", station / "model.skops", station / "season" / "a.json"]
    command += ["--output", tmp_path / "out"]
    ended, _, _, printed = forked(list(map(str, command)), preparation)
    assert ended == code
    assert printed.startswith(words)
    assert printed.count("\n") == bool(words)
    files = [folder / "a.csv" for folder in (tmp_path / "out", station / "expected")]
    assert files[0].read_bytes() == files[1].read_bytes()


needs_dev_full = pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="needs /dev/full"
)


def fill_disk(monkeypatch, folder):
    """Leave no space for new files in a folder."""

    def opened(path, mode):
        full = mode == "xb" and Path(path).is_relative_to(folder)
        return open("/dev/full", "wb") if full else open(path, mode)

    for module in ("_cli._files", "_utils.files"):
        monkeypatch.setattr(f"skplankton.{module}.open", opened, raising=False)


@needs_dev_full
def test_classify_on_a_full_disk(station, tmp_path, capsys, monkeypatch):
    output = tmp_path / "out"
    calls = []

    def filling(model, particles):
        calls.append(particles)
        if len(calls) == 4:
            fill_disk(monkeypatch, output)
        return classify_particles(model, particles)

    with monkeypatch.context() as patch:
        patch.setattr("skplankton._cli._classify.classify_particles", filling)
        assert _cli.main(arguments(station, output)) == 1
    monkeypatch.undo()
    printed = capsys.readouterr().err
    assert f"no space is left on the disk to write {output}" in printed
    assert (
        f"Finished results are kept in {output}. Run the same command again" in printed
    )
    kept = finished(output)
    assert output / "a.csv" in kept
    assert _cli.main(arguments(station, output)) == 0
    check_result(output, station / "expected")
    assert {file: finished(output).get(file) for file in kept if file.exists()} == {
        file: identity for file, identity in kept.items() if file.exists()
    }


@needs_dev_full
def test_evaluate_on_a_full_disk(station, tmp_path, capsys, monkeypatch):
    words = ["evaluate", station / "model.skops", station / "season"]
    words += ["--labels", station / "ecotaxa_new.tsv", "--output", tmp_path / "out"]
    fill_disk(monkeypatch, tmp_path)
    assert _cli.main([str(word) for word in words]) == 1
    printed = capsys.readouterr()
    assert f"no space is left on the disk to write {tmp_path / 'out'}" in printed.err
    assert "accuracy" in printed.out
    assert not list((tmp_path / "out").iterdir())


@needs_dev_full
def test_fit_checks_disk_space_first(station, tmp_path, capsys, monkeypatch):
    def load(*_, **__):
        raise AssertionError("found out after reading")

    monkeypatch.setattr(_fit, "load_labeled", load)
    fill_disk(monkeypatch, tmp_path)
    assert _cli.main(fit_arguments(station, tmp_path / "m.joblib")) == 1
    printed = capsys.readouterr().err
    assert (
        f"to write {tmp_path / 'm.joblib.work'}. 67 MB are reserved for the" in printed
    )
    assert not (tmp_path / "m.joblib.work").exists()


def test_a_training_goes_on(station, tmp_path, monkeypatch):
    words = [*fit_arguments(station, tmp_path / "m.joblib")[:-1], "3"]
    others = [*fit_arguments(station, tmp_path / "other.joblib")[:-1], "3"]
    assert _cli.main(others) == 0
    train_step = ContrastiveNet.train_step
    steps = []

    def some_steps(net, *args, **kwargs):
        steps.append(1)
        if len(steps) == n_steps:
            raise KeyboardInterrupt
        return train_step(net, *args, **kwargs)

    monkeypatch.setattr(ContrastiveNet, "train_step", some_steps)
    n_steps = 2  # of one step per epoch
    assert _cli.main(words) == 130
    assert (tmp_path / "m.joblib.work" / "training" / "training.pt").is_file()
    steps.clear()
    n_steps = None
    assert _cli.main(words) == 0
    assert len(steps) == 2
    assert not (tmp_path / "m.joblib.work").exists()
    first, second = (
        joblib.load(tmp_path / f"{name}.joblib")["pipeline"]["embed"]
        for name in ("m", "other")
    )
    assert first.checkpoint is None
    for name, value in weights(first).items():
        np.testing.assert_array_equal(value, weights(second)[name])


def test_fit_reserves_disk_space_and_frees_it(station, tmp_path, monkeypatch):
    work = tmp_path / "m.joblib.work"
    held = []

    def trained(*_):
        held.append(sum(f.stat().st_size for f in work.iterdir() if f.is_file()))
        return open_model(
            read_model_file(station / "model.skops"), station / "model.skops"
        )

    def save(model, path, scratch):
        held.append(sum(f.stat().st_size for f in work.iterdir() if f.is_file()))

    monkeypatch.setattr(_fit, "_fitted", trained)
    monkeypatch.setattr(_fit, "save_model", save)
    assert _cli.main(fit_arguments(station, tmp_path / "m.joblib")) == 0
    assert held[0] >= 20 * (station / "model.skops").stat().st_size
    assert held[1] == 0


@needs_dev_full
@pytest.mark.parametrize("elsewhere", [True, False], ids=["elsewhere", "nowhere"])
def test_a_model_that_cannot_be_saved(
    elsewhere, station, tmp_path, capsys, monkeypatch
):
    """The disk is filled while it is trained."""
    output, temporary = tmp_path / "full" / "m.joblib", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("HOME", str(tmp_path))
    content = read_model_file(station / "model.skops")

    def trained(*_):
        fill_disk(patch, output.parent if elsewhere else tmp_path)
        return open_model(content, station / "model.skops")

    with monkeypatch.context() as patch:
        patch.setattr(_fit, "_fitted", trained)
        assert _cli.main(fit_arguments(station, output)) == 1
    printed = capsys.readouterr().err
    kept = list(temporary.iterdir())
    assert f"{output} cannot be written (No space left on device)." in printed
    if not elsewhere:
        assert "Nor could the trained model be written to any other folder" in printed
        assert not kept
        return
    assert "No model was written" not in printed
    assert f"is not lost: it is in {kept[0]}. Make {output} writable, with" in printed
    before = kept[0].read_bytes()
    ids = open_model(content, output).gallery_ids
    assert open_model(before, kept[0]).gallery_ids == ids
    # Another run does not touch it.
    assert _cli.main(fit_arguments(station, output)) == 0
    names = {file.name for file in output.parent.iterdir()}
    assert names - {"m_doubtful_labels.csv"} == {"m.joblib"}
    assert kept[0].read_bytes() == before


def test_interrupted_fit(station, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    words = fit_arguments(station, tmp_path / "m.joblib")
    with monkeypatch.context() as patch:
        patch.setattr("skplankton._cli._fit._fitted", interrupted)
        assert _cli.main(words) == 130
    printed = capsys.readouterr().err
    assert "No model was written. Data read from the samples is kept" in printed
    stores = tmp_path / "m.joblib.work" / "views"
    assert len(list(stores.glob("*.views"))) == 3
    assert _cli.main(words) == 0
    # None of the data that was read, and nothing of the model in the making.
    names = {file.name for file in tmp_path.iterdir()}
    assert names - {"m_doubtful_labels.csv"} == {"m.joblib"}


def test_a_file_that_changes_after_an_interruption(station, tmp_path, monkeypatch):
    """Predictions for its former contents are not taken for the present ones."""
    sample, other = tmp_path / "a.json", station / "season" / "b.json"
    sample.write_bytes((station / "season" / "a.json").read_bytes())
    words = ["classify", str(station / "model.skops"), str(sample), "--output"]
    words += [str(tmp_path / "out"), "--chunk-size", CHUNK_SIZE]
    calls = []

    def interrupted(model, particles):
        calls.append(particles)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return classify_particles(model, particles)

    with monkeypatch.context() as patch:
        patch.setattr("skplankton._cli._classify.classify_particles", interrupted)
        assert _cli.main(words) == 130
    assert list((tmp_path / "out").rglob("rows-*.json"))
    sample.write_bytes(other.read_bytes())
    assert _cli.main(words) == 0
    expected = (station / "expected" / "b.csv").read_text().splitlines()
    predicted = (tmp_path / "out" / "a.csv").read_text().splitlines()
    assert [row.split(",")[1:3] for row in predicted] == [
        row.split(",")[1:3] for row in expected
    ]
