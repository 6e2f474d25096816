"""classify, killed at any moment: what was finished is kept, and the rest follows."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from skplankton import _cli
from skplankton._cli import _files, _output_folder
from skplankton._cli._naming import name_particles
from skplankton.datasets import make_particles, write_cyz_json
from skplankton.ecotaxa import read_ecotaxa

N_KILLS = 10
CHUNK_SIZE = "10"


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A model, three samples, and the results of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("station")
    X, y = make_particles(60, n_species=3, random_state=0, return_X_y=True)
    X = X.astype(object)
    X.loc[::6, "image"] = None
    for i, name in enumerate("abc"):
        write_cyz_json(X[20 * i : 20 * i + 20], folder / "season" / f"{name}.json")
    columns = ("category", "status", "hierarchy")
    rows = ["object_id\t" + "\t".join(f"object_annotation_{c}" for c in columns)]
    rows += [f"a_{i}\t{name}\tvalidated\t{name}" for i, name in enumerate(y[:20])]
    (folder / "ecotaxa_labels.tsv").write_text("\n".join(rows), encoding="utf-8")
    fit = ["fit", folder / "season", "--labels", folder / "ecotaxa_labels.tsv"]
    fit += ["--output", folder / "model.joblib", "--max-epochs", "1"]
    assert _cli.main([str(argument) for argument in fit]) == 0
    assert _cli.main(arguments(folder, folder / "expected")) == 0
    return folder


def arguments(folder, output):
    parts = ["classify", folder / "model.joblib", folder / "season", "--output", output]
    return [*map(str, parts), "--ecotaxa", "--chunk-size", CHUNK_SIZE]


def tables(output):
    return {file.name: file.read_bytes() for file in sorted(output.glob("*.csv"))}


def check_result(output, expected):
    """All as without interruption; but archives tell when the names were given."""
    assert tables(output) == tables(expected)
    names = sorted(file.name for file in expected.iterdir())
    assert sorted(file.name for file in output.iterdir()) == names
    for archive in expected.glob("*.zip"):
        told, wanted = (
            read_ecotaxa(path, status="predicted", cache=path.parent.parent / "zips")
            .drop(columns=["image"])
            .filter(regex="^(?!object_annotation_(date|time))")
            for path in (output / archive.name, archive)
        )
        assert told.equals(wanted)
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


# One process that has loaded everything, and a fork of it for each run to be killed: a
# start of Python with torch takes seconds. Nothing has been computed before the fork,
# so that there are no threads that a fork would lose.
FORKS = """
    import json, os, random, signal, sys, time
    import torch, skorch
    from skplankton import _cli
    from skplankton._cli import _classify
    from skplankton import _training

    station, folder, n_kills, arguments = json.loads(sys.argv[1])
    torch.set_num_threads(1)

    def started(output):
        pid = os.fork()
        if pid == 0:
            sys.stdout = open(os.devnull, "w")
            os._exit(_cli.main([output if a == "OUTPUT" else a for a in arguments]))
        return pid

    def ended(pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    begin = time.monotonic()
    assert ended(started(f"{folder}/whole")) == 0
    duration = time.monotonic() - begin
    moments = random.Random(0)
    codes = []
    for i in range(n_kills):
        pid = started(f"{folder}/killed{i}")
        time.sleep(duration * (i + moments.random()) / n_kills)
        os.kill(pid, signal.SIGKILL)
        codes.append(ended(pid))
    print(json.dumps({"duration": duration, "codes": codes}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_at_random_moments(station, tmp_path):
    words = arguments(station, "OUTPUT")
    told = subprocess.run(
        [
            *(sys.executable, "-c", textwrap.dedent(FORKS)),
            json.dumps([str(station), str(tmp_path), N_KILLS, words]),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    codes = json.loads(told.stdout)["codes"]
    # The moments are spread over the run, so most of them do interrupt it.
    assert codes.count(-9) >= N_KILLS / 2
    check_result(tmp_path / "whole", station / "expected")
    n_kept = 0
    for i in range(N_KILLS):
        output = tmp_path / f"killed{i}"
        kept = finished(output)
        n_kept += len(kept)
        assert _cli.main(arguments(station, output)) == 0
        check_result(output, station / "expected")
        for file, identity in kept.items():
            if file.exists():  # parts are joined and go
                assert (file.stat().st_ino, file.stat().st_mtime_ns) == identity
    assert n_kept


class Killed(BaseException):
    """As SIGKILL: nothing that handles errors sees it, but for ``finally``."""


def steps_of(monkeypatch, kill_at, after):
    """Raise at one of the moments when a file gets its name or goes."""
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
def test_killed_at_every_step(after, station, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        steps = steps_of(patch, kill_at=None, after=after)
        assert _cli.main(arguments(station, tmp_path / "whole")) == 0
        n_steps = len(steps)
    assert n_steps > 20
    # The samples are dealt with alike: every fourth step meets all kinds of them.
    for kill_at in range(1 + 2 * after, n_steps + 1, 4):
        output = tmp_path / f"killed{kill_at}"
        with pytest.MonkeyPatch.context() as patch:
            steps_of(patch, kill_at, after)
            with pytest.raises(Killed):
                _cli.main(arguments(station, output))
        assert _cli.main(arguments(station, output)) == 0
        check_result(output, station / "expected")


def test_ctrl_c(station, tmp_path, capsys, monkeypatch):
    calls = []

    def interrupted(model, particles):
        calls.append(len(particles))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return name_particles(model, particles)

    monkeypatch.setattr("skplankton._cli._sample_job.name_particles", interrupted)
    output = tmp_path / "out"
    assert _cli.main(arguments(station, output)) == 130
    told = capsys.readouterr().err
    assert f"What is finished is kept in {output}. Run the same command again" in told
    assert (output / "a.csv").is_file()
    assert len(tables(output)) == 2  # and that of all samples
    assert _cli.main(arguments(station, output)) == 0
    # Four calls, of which the last had no result, and no more than are missing.
    assert len(calls) == 4 + (6 - 3)
    check_result(output, station / "expected")


def test_interrupted_fit(station, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    words = ["fit", station / "season", "--labels", station / "ecotaxa_labels.tsv"]
    words += ["--output", tmp_path / "m.joblib", "--max-epochs", "1"]
    words = [str(word) for word in words]
    with monkeypatch.context() as patch:
        patch.setattr("skplankton._cli._fit._fitted", interrupted)
        assert _cli.main(words) == 130
    told = capsys.readouterr().err
    assert "No model was written. What was read from the samples is kept" in told
    stores = tmp_path / "m.joblib.work" / "views"
    assert len(list(stores.glob("*.views"))) == 3
    assert _cli.main(words) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["m.joblib"]


def test_a_file_that_changes_after_an_interruption(station, tmp_path, monkeypatch):
    """Names of what it held before are not taken for those of what it holds now."""
    sample, other = tmp_path / "a.json", station / "season" / "b.json"
    sample.write_bytes((station / "season" / "a.json").read_bytes())
    words = ["classify", str(station / "model.joblib"), str(sample), "--output"]
    words += [str(tmp_path / "out"), "--chunk-size", CHUNK_SIZE]
    calls = []

    def interrupted(model, particles):
        calls.append(particles)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return name_particles(model, particles)

    with monkeypatch.context() as patch:
        patch.setattr("skplankton._cli._sample_job.name_particles", interrupted)
        assert _cli.main(words) == 130
    assert list((tmp_path / "out").rglob("rows-*.json"))
    sample.write_bytes(other.read_bytes())
    assert _cli.main(words) == 0
    expected = (station / "expected" / "b.csv").read_text().splitlines()
    named = (tmp_path / "out" / "a.csv").read_text().splitlines()
    assert [row.split(",")[1:3] for row in named] == [
        row.split(",")[1:3] for row in expected
    ]
