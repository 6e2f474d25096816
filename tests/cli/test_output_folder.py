"""The folder that ``classify`` fills: names, locks, former results and the cache."""

import json
import os
import shutil
import sys

import joblib
import pandas as pd
import pytest
from PIL import Image

from skplankton._cli import _files, _output_folder
from skplankton._cli._samples import find_samples
from skplankton.datasets import load_cyz_json, write_cyz_json, write_particles

from .station import SAMPLES, break_an_image, classify, copied, fit, results, run

pytestmark = pytest.mark.once


def test_lab_files_that_are_missing(tmp_path, X, y, capsys):
    """A missing file is treated like any image or profile that cannot be read."""
    folder = tmp_path / "LAB"
    write_particles(X[:40], y[:40], folder)
    image = folder / "images" / "000001.png"
    content = image.read_bytes()
    for file in (image, *folder.glob("*/000002.*")):
        file.unlink()
    model, out, samples = tmp_path / "m.joblib", tmp_path / "out", [folder]
    assert fit(None, "--output", model, samples=samples, labels=False) == 3
    printed = capsys.readouterr()
    assert (
        "40 particles: 38 with image and profile, to train on; 40 labeled"
        in printed.out
    )
    assert "'images/000001.png', looked for as" in printed.err
    assert "LAB_000002" not in joblib.load(model)["gallery_ids"]

    assert classify(None, out, "--ecotaxa", model=model, samples=samples) == 3
    problems = (out / "LAB_problems.txt").read_text(encoding="utf-8")
    assert "2 of 40 image files do not exist" in problems
    unlabeled = pd.read_csv(out / "LAB.csv", index_col=0)["name"].isna()
    assert unlabeled[unlabeled].index.tolist() == ["LAB_000002"]
    capsys.readouterr()
    assert run("evaluate", model, folder) == 3
    assert "1 particle without a readable image or profile" in capsys.readouterr().out

    strict = ("--strict", "--ecotaxa")
    again = {"model": model, "samples": samples}
    assert classify(None, tmp_path / "strict", *strict, **again) == 1
    assert "errors= is leaving out --strict here" in capsys.readouterr().err
    # A file that comes later is a change of the sample.
    image.write_bytes(content)
    assert classify(None, out, **again) == 3
    problems = (out / "LAB_problems.txt").read_text(encoding="utf-8")
    assert "1 of 40 image files do not exist" in problems


def test_results_of_former_contents_are_removed(station, tmp_path):
    samples = copied(station, tmp_path, "bay", "cape")
    out = tmp_path / "out"
    assert classify(station, out, samples=samples) == 0
    samples[0].write_text("{", encoding="utf-8")
    assert classify(station, out, samples=samples) == 1
    of_all = ["abundance.csv", "samples.csv", "species.csv"]
    assert sorted(results(out)) == sorted(["cape.csv", *of_all])
    assert pd.read_csv(out / "species.csv")["sample"].tolist() == ["cape"]


def test_files_of_others_are_not_replaced(station, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("species.csv", "samples.csv", "abundance.csv"):
        (out / name).write_text("mine")
        assert classify(station, out) == 1
        (out / name).unlink()
    (out / "bay.csv").write_text("mine")
    assert classify(station, out) == 1
    printed = capsys.readouterr().err
    assert printed.count("exists and was not written by this command") == 4
    assert (out / "bay.csv").read_text() == "mine"
    assert (out / "cape.csv").is_file()
    (tmp_path / "file").touch()
    assert classify(station, tmp_path / "file") == 1
    assert "is a file; expected a folder" in capsys.readouterr().err


@pytest.fixture(scope="session")
def tiny(station):
    """The text of a sample of two particles, 0 and 1, both with an image."""
    X = load_cyz_json(station.season / "bay.json", cache=station.folder / "tiny")
    X = X[X["image"].notna()][:2].assign(particle_id=[0, 1])
    return write_cyz_json(X, station.folder / "tiny.json").read_text("utf-8-sig")


def test_every_name_has_its_own_files(station, tiny, tmp_path, capsys):
    """Also names that the output folder itself uses, or that are folders."""
    names = ["a", "a.json", "a_problems", "ecotaxa_a", "lock", "run", "done", "begun"]
    names += ["x.part", "views", "progress", ".", "..", ".json", "species.csv"]
    samples = [tmp_path / f"{name}.json" for name in names]
    for sample in samples:
        sample.write_text(tiny, encoding="utf-8")
    out = tmp_path / "out"
    assert classify(station, out, samples=samples) == 0
    before = results(out)
    assert set(before) == {
        *("abundance.csv", "samples.csv", "species.csv"),
        *(f"{name}.csv" for name in names),
    }
    # Each is classified again, and no other with it.
    for name in ("a", "x.part", ".", "..", ".json"):
        capsys.readouterr()
        (tmp_path / f"{name}.json").write_text(tiny + "\n", encoding="utf-8")
        assert classify(station, out, samples=samples) == 0
        printed = f"{len(names) - 1} samples classified before; left as they are"
        assert printed in capsys.readouterr().out
        assert results(out) == before


@pytest.mark.parametrize("name", ["Species", "samples"])
def test_the_name_of_the_table_of_all(name, station, tiny, tmp_path, capsys):
    (tmp_path / f"{name}.json").write_text(tiny, encoding="utf-8")
    assert classify(station, tmp_path / "out", samples=[tmp_path]) == 1
    printed = capsys.readouterr().err
    assert f"'{name}' would be written to {name}.csv, like the table of all" in printed


def test_long_names(station, tiny, tmp_path, capsys):
    longest = tmp_path / f"{'é' * 121}.json"
    longest.write_text(tiny, encoding="utf-8")
    break_an_image(longest, 1)
    out = tmp_path / "out"
    assert classify(station, out, "--ecotaxa", samples=[longest]) == 3
    assert len(list(out.iterdir())) == 7  # all that a sample can have, and the folder's

    too_long = tmp_path / f"{'é' * 121}n.json"
    too_long.write_text(tiny, encoding="utf-8")
    capsys.readouterr()
    assert classify(station, tmp_path / "none", samples=[longest, too_long]) == 1
    printed = capsys.readouterr().err
    assert "has 243 bytes; expected at most 242" in printed
    assert f"Rename {too_long}" in printed
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are only bytes")
def test_names_that_are_not_utf8(station, tiny, tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    sample = folder / "a.json"
    measurement = json.loads(tiny)
    measurement["particles"][0]["pulseShapes"][0]["values"] = ["?"]
    sample.write_text(json.dumps(measurement), encoding="utf-8")
    assert classify(station, folder / "out", "--ecotaxa", samples=[sample]) == 3
    assert "see " + str(tmp_path) + r"/\udcff/out/a_problems" in capsys.readouterr().err
    problems = (folder / "out" / "a_problems.txt").read_text(encoding="utf-8")
    assert r"\udcff/a.json, particle 0" in problems

    bad = sample.rename(tmp_path / os.fsdecode(b"caf\xe9.json"))
    assert classify(station, tmp_path / "out", samples=[bad]) == 1
    printed = capsys.readouterr().err
    assert r"The name 'caf\udce9' of " in printed
    assert (
        "is not valid UTF-8, so it cannot be written to a table. Rename it." in printed
    )


def test_one_process_at_a_time(station, tmp_path, capsys):
    out = tmp_path / "out"
    with _output_folder.OutputFolder.opened(out):
        assert classify(station, out) == 1
    assert f"Another process writes into {out}" in capsys.readouterr().err
    assert classify(station, out) == 0


def test_a_disk_without_locks(station, tmp_path, monkeypatch):
    def no_locks(*_, **__):
        raise OSError("not supported")

    monkeypatch.setattr(_files.FileLock, "acquire", no_locks)
    assert classify(station, tmp_path / "out") == 0


def test_a_lock_that_is_not_ours(station, tmp_path, capsys, monkeypatch):
    """Of another user: without it, two processes would write at once."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "lock")

    monkeypatch.setattr(_files.FileLock, "acquire", refuse)
    assert classify(station, tmp_path / "out") == 1
    assert "Permission denied: 'lock'" in capsys.readouterr().err


def test_a_table_that_is_open_elsewhere(station, tmp_path, capsys, monkeypatch):
    """On Windows; it is written once, at the end, when the samples are finished."""
    replace, tried = _files.os.replace, []

    def refuse(part, path):
        if path.name == "species.csv":
            tried.append(path)
            raise PermissionError(13, "in use")
        replace(part, path)

    monkeypatch.setattr(_files.os, "replace", refuse)
    out = tmp_path / "out"
    assert classify(station, out) == 1
    assert len(tried) == 1
    assert (
        "species.csv cannot be replaced (in use). Close it" in capsys.readouterr().err
    )
    assert {f"{name}.csv" for name in SAMPLES} <= set(results(out))
    monkeypatch.setattr(_files.os, "replace", replace)
    assert classify(station, out) == 0
    assert len(pd.read_csv(out / "species.csv")) == 3


def test_lab_and_cytoprocess_samples(station, tmp_path, X, y):
    """A model of JSON files classifies particles from any other kind of file."""
    write_particles(X[:6], y[:6], tmp_path / "LAB")
    project = tmp_path / "cruise"
    table = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")
    write_cyz_json(table, project / "converted" / "Vilaine 3.json")
    images = project / "images" / "Vilaine 3"
    images.mkdir(parents=True)
    for particle, entry in zip(table["particle_id"], table["image"], strict=True):
        if entry is not None:
            entry.open().save(images / f"{particle}.png")
    out = tmp_path / "out"
    both = [tmp_path / "LAB", project]
    assert classify(station, out, "--ecotaxa", samples=both) == 0
    assert "LAB_000005" in set(pd.read_csv(out / "LAB.csv")["object_id"])
    vilaine = pd.read_csv(out / "Vilaine 3.csv")
    assert "Vilaine 3_5" in set(vilaine["object_id"])
    assert classify(station, tmp_path / "bay", samples=[station.season]) == 0
    bay = pd.read_csv(tmp_path / "bay" / "bay.csv")
    assert vilaine["name"].tolist() == bay["name"].tolist()
    # An image that changes is a change of the sample.
    (sample,) = find_samples([project])
    before = sample.state()
    Image.new("L", (9, 9)).save(images / "1.png")
    assert sample.state() != before
    # The later layout of CytoProcess.
    (project / "work" / "Vilaine 3").mkdir(parents=True)
    shutil.move(
        project / "converted" / "Vilaine 3.json",
        project / "work" / "Vilaine 3" / "converted_data.json",
    )
    (sample,) = find_samples([project])
    assert len(list(sample.files())) == 1


def test_cache_is_kept_and_used_again(station, tmp_path, monkeypatch):
    cache = ("--cache", tmp_path / "views")
    assert classify(station, tmp_path / "one", *cache) == 0
    stores = sorted(file.name for file in (tmp_path / "views").iterdir())
    assert len(stores) == 2 * len(SAMPLES)
    assert classify(station, tmp_path / "two", *cache) == 0
    assert sorted(file.name for file in (tmp_path / "views").iterdir()) == stores


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is not a file. Expected a model"),
        (b"junk", "cannot be opened as a model"),
        ({"format": "something else"}, "contains 'something else'; expected"),
        ([1], "contains 'list'; expected 'skplankton model 1'"),
    ],
)
def test_files_that_are_not_models(content, words, station, tmp_path, capsys):
    path = tmp_path / "model.joblib"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        joblib.dump(content, path)
    assert classify(station, tmp_path / "out", model=path) == 1
    assert words in capsys.readouterr().err


def test_device_is_checked_once(station, tmp_path, capsys):
    assert classify(station, tmp_path / "out", "--device", "xpu") == 1
    printed = capsys.readouterr().err
    assert printed.count("device='xpu'") == 1
    assert "device= is --device here" in printed


def test_debug_shows_where(station, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a file"):
        classify(station, tmp_path, "--debug", model=tmp_path / "none.joblib")
    (sample,) = copied(station, tmp_path, "bay")
    sample.write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="not a JSON file of cyz2json"):
        classify(station, tmp_path / "out", "--debug", samples=[sample])


def test_warnings_are_one_line(station, tmp_path, capsys, monkeypatch):
    import warnings

    def warn(options):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("beware", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("skplankton._cli._classify.run", warn)
    assert classify(station, tmp_path) == 0
    assert capsys.readouterr().err == "warning: beware\n"


def test_bars_only_on_a_terminal(station, tmp_path, capsys, monkeypatch):
    samples = {"samples": [station.season / "bay.json"]}
    assert classify(station, tmp_path / "log", **samples) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert classify(station, tmp_path / "terminal", **samples) == 0
    assert "bay:   0%" in capsys.readouterr().err
    assert classify(station, tmp_path / "quiet", "--quiet", **samples) == 0
    assert capsys.readouterr().err == ""
