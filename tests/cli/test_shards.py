"""``classify --shard`` and ``merge``: many processes have the results of one."""

import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from skplankton import _cli
from skplankton._cli import _classify, _output_folder
from skplankton._cli._classify import SampleJob
from skplankton._cli._shards import Shard
from skplankton.datasets import make_particles, write_cyz_json, write_ifcb

pytestmark = pytest.mark.once

N_SAMPLES, PER_SAMPLE = 4, 8
NAMES = [f"s{i}" for i in range(N_SAMPLES)]
FULL = ("--ecotaxa", "--report", "--pixel-size", "0.7", "--chunk-size", "5")


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """Samples with missing images, one of them with an image that cannot be read."""
    folder = tmp_path_factory.mktemp("station")
    X, y = make_particles(
        N_SAMPLES * PER_SAMPLE, n_species=3, random_state=0, return_X_y=True
    )
    X = X.astype(object)
    X.loc[::6, "image"] = None
    known = {"sample_id": NAMES, "start": "2025-07-01T09:30:15.123Z"}
    samples = pd.DataFrame(known | {"analyzed_volume_ml": 1 / 3})
    ids = []
    for i, name in enumerate(NAMES):
        rows = X[i * PER_SAMPLE : (i + 1) * PER_SAMPLE]
        write_cyz_json(rows, folder / "season" / f"{name}.json", samples=samples)
        ids += [f"{name}_{k}" for k in range(PER_SAMPLE)]
    path = folder / "season" / "s3.json"
    measurement = json.loads(path.read_text(encoding="utf-8-sig"))
    measurement["images"][0]["base64"] = measurement["images"][0]["base64"][:100]
    path.write_text(json.dumps(measurement), encoding="utf-8")
    labels = pd.DataFrame({"object_id": ids, "label": y})[: 3 * PER_SAMPLE]
    labels.to_csv(folder / "labels.csv", index=False)
    text = "sample_id,latitude,sample_ship\ns0,48.4,Neomysis\ns3,48.5,Tara\n"
    (folder / "stations.csv").write_text(text, encoding="utf-8")
    made = SimpleNamespace(
        folder=folder,
        season=folder / "season",
        metadata=folder / "stations.csv",
        model=folder / "model.joblib",
        other_model=folder / "other.joblib",
    )
    for model, seed in ((made.model, 0), (made.other_model, 1)):
        chosen = ("--labels", folder / "labels.csv", "--random-state", seed)
        words = (*chosen, "--max-epochs", 1, "--output", model)
        assert run("fit", made.season, *words) == 3  # s3
    return made


@pytest.fixture(autouse=True)
def frozen_clock(monkeypatch):
    """Archives for EcoTaxa contain the time of the prediction."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    clock = SimpleNamespace(datetime=Clock, timezone=datetime.timezone)
    monkeypatch.setattr("skplankton.ecotaxa._import_table.datetime", clock)


@pytest.fixture(autouse=True)
def counted_once(monkeypatch):
    """Intervals of counts take the most time, and are the same for the same rows."""
    original = _classify.count_sample

    def remembered(model, rows, has_image, samples):
        key = repr((model.training, rows, has_image.tolist(), samples.to_dict()))
        if key not in COUNTS:
            COUNTS[key] = original(model, rows, has_image, samples)
        return COUNTS[key]

    monkeypatch.setattr("skplankton._cli._classify.count_sample", remembered)


COUNTS = {}


def run(*arguments):
    return _cli.main([str(argument) for argument in arguments])


def classify(station, output, *options, samples=None, model=None):
    samples = samples or [station.season]
    model = model or station.model
    return run("classify", model, *samples, "--output", output, *options)


def run_shards(station, output, count, *options, only=None, **named):
    return [
        classify(station, output, *options, "--shard", f"{i}/{count}", **named)
        for i in (range(count) if only is None else only)
    ]


def content(folder):
    """All files, what a next run resumes from included, without those of shards."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and file.relative_to(folder).parts[:2] != ("progress", "shards")
        and file.name != "lock"
    }


@pytest.fixture(scope="module")
def expected(station, tmp_path_factory):
    """The results of single runs, by options: module-wide, and therefore by hand."""
    made = {}

    def of(*options, code=3):
        if options not in made:
            made[options] = tmp_path_factory.mktemp("expected") / "names"
            assert classify(station, made[options], *options) == code
        return made[options]

    return of


@pytest.mark.parametrize("count", [2, 5])
def test_merged_shards_are_a_single_run(count, station, expected, tmp_path, capsys):
    options = (*FULL, "--metadata", station.metadata)
    whole = expected(*options)
    capsys.readouterr()
    assert run("merge", whole) == 1  # nothing to merge
    assert "contains no shards" in capsys.readouterr().err
    codes = run_shards(station, tmp_path, count, *options)
    assert codes == [3 if 3 % count == i else 0 for i in range(count)]  # s3
    assert [file.name for file in tmp_path.iterdir()] == ["progress"]
    assert f"python -m skplankton merge {tmp_path}" in capsys.readouterr().out
    assert run("merge", tmp_path) == 3
    assert "s3: something could not be read" in capsys.readouterr().err
    assert content(tmp_path) == content(whole)
    names = {"report.html", "abundance.csv", "biovolume.csv", "ecotaxa_s0.zip"}
    assert names < set(content(tmp_path))
    # Again, and as the same command without shards.
    assert run("merge", tmp_path) == 3
    assert content(tmp_path) == content(whole)
    assert classify(station, tmp_path, *options) == 3
    assert content(tmp_path) == content(whole)
    assert f"{N_SAMPLES} samples classified before" in capsys.readouterr().out
    # What remains of shards is small, whatever the samples.
    left = list((tmp_path / "progress" / "shards").rglob("*.*"))
    assert {file.name for file in left if file.is_file()} == {"merged.json", "run.json"}


def test_shares_are_disjoint_complete_and_even():
    items = list(range(23))
    for count in (1, 2, 10, 30):
        shares = [Shard(i, count).share(items) for i in range(count)]
        assert sorted(item for share in shares for item in share) == items
        assert np.ptp([len(share) for share in shares]) <= 1


def test_imaged_only(station, expected, tmp_path):
    whole = expected("--imaged-only")
    run_shards(station, tmp_path, 2, "--imaged-only")
    assert run("merge", tmp_path) == 3
    assert content(tmp_path) == content(whole)


def test_bins_of_an_ifcb(tmp_path):
    """Class scores are of the shards, and the same as well."""
    pytest.importorskip("h5py")
    X, y = make_particles(
        24, n_species=2, profile="measurements", random_state=0, return_X_y=True
    )
    X["profile"] = list(np.stack(X["profile"])[:, :10])
    bins = []
    for i in range(3):
        bin = tmp_path / "bins" / f"D2025070{i + 1}T101112_IFCB107"
        write_ifcb(X[8 * i : 8 * i + 8], bin)
        bins.append(bin)
    labels = [f"{bin.name}_{k + 1:05}" for bin in bins for k in range(8)]
    table = pd.DataFrame({"object_id": labels, "label": y})
    table.to_csv(tmp_path / "labels.csv", index=False)
    model = tmp_path / "model.joblib"
    words = ("--labels", tmp_path / "labels.csv", "--output", model, "--max-epochs", 1)
    assert run("fit", tmp_path / "bins", *words) == 0
    station = SimpleNamespace(season=tmp_path / "bins", model=model)
    assert classify(station, tmp_path / "whole", "--ifcb") == 0
    assert run_shards(station, tmp_path / "names", 2, "--ifcb") == [0, 0]
    assert run("merge", tmp_path / "names") == 0
    assert content(tmp_path / "names") == content(tmp_path / "whole")
    assert f"{bins[0].name}_class.h5" in content(tmp_path / "names")


def test_a_sample_that_cannot_be_classified(station, tmp_path, capsys):
    paths = [station.season / f"{name}.json" for name in NAMES[:3]]
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    paths.insert(1, broken)
    whole, names = tmp_path / "whole", tmp_path / "names"
    assert classify(station, whole, "--report", samples=paths) == 1
    assert run_shards(station, names, 2, "--report", samples=paths) == [0, 1]
    capsys.readouterr()
    assert run("merge", names) == 1
    printed = capsys.readouterr().err
    assert "broken could not be classified" in printed
    assert "error: 1 sample could not be classified: broken" in printed
    assert content(names) == content(whole)
    # Mended, its shard alone is run again.
    shutil.copy(station.season / "s0.json", broken)
    assert classify(station, whole, "--report", samples=paths) == 0
    assert run_shards(station, names, 2, "--report", samples=paths, only=[1]) == [0]
    assert run("merge", names) == 0
    assert content(names) == content(whole)


def test_day_after_day(station, tmp_path, capsys, monkeypatch):
    """What was merged is not classified again, by any number of shards."""
    first = [station.season / f"{name}.json" for name in NAMES[:3]]
    names, whole = tmp_path / "names", tmp_path / "whole"
    run_shards(station, names, 2, samples=first)
    assert run("merge", names) == 0
    classified = []
    spied = SampleJob.classify_sample

    def spy(job, sample, state):
        classified.append(sample.name)
        return spied(job, sample, state)

    monkeypatch.setattr(SampleJob, "classify_sample", spy)
    run_shards(station, names, 3)
    assert sorted(classified) == NAMES[3:]
    assert run("merge", names) == 3
    monkeypatch.undo()
    folders = {f.name for f in (names / "progress" / "shards").iterdir()}
    assert folders == {f"{i}-of-3" for i in range(3)}  # those of 2 have served
    classify(station, whole, samples=first)
    classify(station, whole)
    assert tables(names) == tables(whole)


def tables(folder):
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}


def test_a_file_that_has_changed(station, tmp_path):
    """The new results replace the merged ones."""
    path = tmp_path / "bay.json"
    shutil.copy(station.season / "s0.json", path)
    names, whole = tmp_path / "names", tmp_path / "whole"
    run_shards(station, names, 1, samples=[path])
    assert run("merge", names) == 0
    shutil.copy(station.season / "s1.json", path)
    run_shards(station, names, 1, samples=[path])
    assert run("merge", names) == 0
    assert classify(station, whole, samples=[path]) == 0
    assert content(names) == content(whole)


def test_missing_shards_are_named(station, tmp_path, capsys):
    run_shards(station, tmp_path, 4, only=[0, 2])
    (tmp_path / "progress" / "shards" / "2-of-4" / "shard.json").unlink()
    before = content(tmp_path)
    capsys.readouterr()
    assert run("merge", tmp_path) == 1
    printed = capsys.readouterr().err
    assert "3 of 4 shards are missing: 1/4, 2/4, 3/4 (begun, but" in printed
    assert "not done: 2/4)" in printed
    assert "--shard 1/4 and with --shard 2/4 and with --shard 3/4, and merge" in printed
    assert content(tmp_path) == before


def test_a_shard_that_is_stopped_resumes(station, expected, tmp_path, monkeypatch):
    """It is missing until it is done, also if it was done before."""
    run_shards(station, tmp_path, 2, "--chunk-size", "5")
    calls = []
    module = "skplankton._cli._classify"
    original = _classify.classify_particles

    def stopped(model, particles):
        calls.append(len(particles))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(model, particles)

    shutil.rmtree(tmp_path / "progress" / "shards" / "0-of-2")
    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.classify_particles", stopped)
        assert run_shards(station, tmp_path, 2, "--chunk-size", "5", only=[0]) == [130]
    assert run("merge", tmp_path) == 1
    calls.clear()
    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.classify_particles", stopped)
        calls += [0, 0, 0]
        run_shards(station, tmp_path, 2, "--chunk-size", "5", only=[0])
    assert len(calls) == 3 + 2 * 2 - 2  # two samples of two parts; two parts were done
    assert run("merge", tmp_path) == 3
    assert content(tmp_path) == content(expected("--chunk-size", "5"))


CHANNELS = "FWS,SWS,FL Yellow,FL Orange,FL Red,Curvature"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "other"}, "differ in the model (0/2 against 1/2). "),
        ({"model": "other"}, "; --overwrite lets them replace what they have written."),
        (
            {"options": ["--ecotaxa", "--report"]},
            "differ in --ecotaxa (0/2 against 1/2), --report (0/2 against 1/2). Run",
        ),
        ({"options": ["--chunk-size", "4"]}, "differ in --chunk-size (0/2"),
        ({"options": ["--metadata", "stations"]}, "differ in --metadata (0/2"),
        ({"options": ["--channels", CHANNELS]}, "differ in --channels (0/2"),
        ({"samples": NAMES[:3]}, "('s3' was passed to 0/2 alone)"),
        ({"samples": NAMES[::-1]}, "with other samples (in another order)"),
    ],
)
def test_shards_of_other_runs_are_refused(options, words, station, tmp_path, capsys):
    changed = {"stations": station.metadata}
    run_shards(station, tmp_path, 2, only=[0])
    named = {}
    if "model" in options:
        named["model"] = station.other_model
    if "samples" in options:
        named["samples"] = [station.season / f"{n}.json" for n in options["samples"]]
    added = [changed.get(word, word) for word in options.get("options", [])]
    run_shards(station, tmp_path, 2, *added, only=[1], **named)
    before = content(tmp_path)
    capsys.readouterr()
    assert run("merge", tmp_path) == 1
    assert words in capsys.readouterr().err
    assert content(tmp_path) == before


def test_the_shard_that_differs_is_named(station, tmp_path, capsys):
    """And --overwrite, which the message advises, mends it."""
    run_shards(station, tmp_path, 3, only=[0, 2])
    run_shards(station, tmp_path, 3, only=[1], model=station.other_model)
    assert run("merge", tmp_path) == 1
    assert "differ in the model (1/3 against 0/3, 2/3)." in capsys.readouterr().err
    run_shards(station, tmp_path, 3, "--overwrite", only=[1])
    assert run("merge", tmp_path) == 3


def test_shards_of_two_numbers(station, tmp_path, capsys):
    run_shards(station, tmp_path, 2)
    run_shards(station, tmp_path, 3, only=[0])
    assert run("merge", tmp_path) == 1
    printed = capsys.readouterr().err
    assert "contains shards of 2 and of 3" in printed
    assert str(tmp_path / "progress" / "shards" / "*-of-3") in printed
    shutil.rmtree(tmp_path / "progress" / "shards" / "0-of-3")
    assert run("merge", tmp_path) == 3


def test_results_of_another_model(station, expected, tmp_path, capsys):
    """They are refused by each shard, and replaced by merge if all may."""
    shutil.copytree(expected(), tmp_path, dirs_exist_ok=True)
    other = {"model": station.other_model}
    assert run_shards(station, tmp_path, 2, **other) == [1, 1]
    assert "contains results of another model" in capsys.readouterr().err
    assert content(tmp_path) == content(expected())
    run_shards(station, tmp_path, 2, "--overwrite", **other)
    assert content(tmp_path) == content(expected())  # until they are merged
    assert run("merge", tmp_path) == 3
    whole = tmp_path.with_name("whole")
    classify(station, whole, **other)
    assert content(tmp_path) == content(whole)
    # A single run with the first model: the shards have been merged, and stay so.
    assert classify(station, tmp_path, "--overwrite") == 3
    assert run("merge", tmp_path) == 1
    assert "contains results of another model" in capsys.readouterr().err
    assert content(tmp_path) == content(expected())


def test_results_that_are_gone(station, tmp_path, capsys):
    run_shards(station, tmp_path, 2)
    record = tmp_path / "progress/shards/1-of-2/progress/done/s1.json"
    record.rename(tmp_path / "kept")
    assert run("merge", tmp_path) == 1
    words = "The shard 1/2 has no results of the sample 's1' any more"
    assert words in capsys.readouterr().err
    assert sorted(f.name for f in tmp_path.iterdir()) == ["kept", "progress"]
    (tmp_path / "kept").rename(record)
    (tmp_path / "progress/shards/1-of-2/s1.csv").unlink()
    assert run("merge", tmp_path) == 1
    assert "s1.csv is gone. Run the shard again" in capsys.readouterr().err
    run_shards(station, tmp_path, 2, only=[1])
    assert run("merge", tmp_path) == 3


def test_merge_is_killed_at_every_step(station, expected, tmp_path, monkeypatch):
    """Whenever it is killed, the next one ends with the same result."""
    options = ("--ecotaxa", "--report")
    whole = expected(*options)
    run_shards(station, tmp_path / "before", 2, *options)
    kinds = ("replace", "write_whole")
    step = 0
    while True:
        names = tmp_path / f"names{step}"
        shutil.copytree(tmp_path / "before", names)
        with monkeypatch.context() as patch:
            n_calls = [0]

            def killed(*arguments, _original=None, _n_calls=n_calls, _step=step):
                if _n_calls[0] == _step:
                    raise KeyboardInterrupt
                _n_calls[0] += 1
                return _original(*arguments)

            for kind in kinds:
                original = getattr(_output_folder, kind)
                patch.setattr(
                    _output_folder,
                    kind,
                    lambda *a, _o=original, _k=killed: _k(*a, _original=_o),
                )
            code = run("merge", names)
        if code == 3:
            break
        assert code == 130
        assert run("merge", names) == 3
        assert content(names) == content(whole)
        shutil.rmtree(names)
        step += 7
    assert step > 20


def test_one_merge_at_a_time(station, tmp_path, capsys):
    run_shards(station, tmp_path, 1)
    with _output_folder.OutputFolder.opened(tmp_path):
        assert run("merge", tmp_path) == 1
    assert "Another process writes into" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("3", "two whole numbers, such as 0/10"),
        ("a/b", "two whole numbers"),
        ("-1/3", "expected"),
        ("0/0", "two whole numbers"),
        ("10/10", "shards are counted from 0: expected 0/10 to 9/10, got '10/10'"),
    ],
)
def test_shards_are_counted_from_zero(arguments, words, capsys):
    with pytest.raises(SystemExit) as end:
        run("classify", "m", "s", "--output", "o", f"--shard={arguments}")
    assert end.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_nothing_to_merge(tmp_path, capsys):
    assert run("merge", tmp_path / "nowhere") == 1
    assert "nowhere is not a folder" in capsys.readouterr().err
    assert run("merge", tmp_path) == 1
    assert "contains no shards" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_of_merge_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "88")
    with pytest.raises(SystemExit):
        run("merge", "--help")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 88


def test_merge_needs_no_torch(station, tmp_path):
    """It may run where nothing is classified."""
    run_shards(station, tmp_path, 1, "--report")
    script = (
        "import sys\nfrom skplankton import _cli\n"
        f"code = _cli.main(['merge', {str(tmp_path)!r}])\n"
        "assert 'torch' not in sys.modules\nsys.exit(code)"
    )
    root = str(Path(__file__).parent.parent)
    paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == 3
