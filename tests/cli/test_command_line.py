"""The commands' arguments, help and exit codes, and ``info``."""

import inspect
import logging
import re
import subprocess
import sys

import numpy as np
import pytest

from skplankton import CrossModalEmbedder, GalleryKNNClassifier, __version__
from skplankton._cli import _arguments
from skplankton._cli._reports import collected_reports

from .station import content_of, run

pytestmark = pytest.mark.once


def test_help_is_fast_and_explains_exit_codes():
    script = (
        "import runpy, sys\n"
        "sys.argv = ['skplankton', 'classify', '--help']\n"
        "try:\n    runpy.run_module('skplankton', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('loaded', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    text, _, loaded = done.stdout.rpartition("loaded")
    assert not {"torch", "sklearn", "numpy", "pandas", "PIL"} & set(loaded.split())
    assert "exit codes:" in text
    assert "can run any program" in text


@pytest.mark.parametrize("command", ["suggest", "fit", "classify", "evaluate"])
def test_help_fits_a_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "88")
    with pytest.raises(SystemExit) as end:
        run(command, "--help")
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 88
    assert "%" not in text


def test_defaults_are_the_librarys():
    library = {}
    for estimator in (GalleryKNNClassifier, CrossModalEmbedder):
        parameters = inspect.signature(estimator).parameters.values()
        library |= {p.name: p.default for p in parameters}
    for name, value in _arguments.FIT_DEFAULTS.items():
        assert library[name] == value
    for command in ("fit", "suggest"):
        options = _arguments.parse_arguments([command, "x", "--output", "m"])
        for name in ("device", "n_jobs", *_arguments.TRAINING_DEFAULTS):
            assert getattr(options, name) == library[name]
        assert options.random_state == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["fit", "a.json"], "--output"),
        (["suggest", "a.json"], "--output"),
        (["suggest", "a.json", "--output", "o", "--n", "0"], "1 or more, got '0'"),
        (["fit", "a.json", "--output", "m", "--max-epochs", "0"], "1 or more, got '0'"),
        (["fit", "a.json", "--output", "m", "--temperature", "nan"], "0.01 or more"),
        (["fit", "a.json", "--output", "m", "--crop-top", "x"], "0 or more, got 'x'"),
        (["classify", "m", "a", "--output", "o", "--channels", "A,,B"], "NAME=OTHER"),
        (["classify", "m", "a", "--output", "o", "--channels", "A="], "NAME=OTHER"),
        (["classify", "m", "a", "--output", "o", "--channels", "A,A"], "name once"),
        (["classify", "m", "a", "--output", "o", "--channels", "A=B,A"], "name once"),
        (["fit", "a.json", "--output", "m", "--temperature", "inf"], "0.01 or more"),
        (["fit", "a.json", "--output", "m", "--random-state", "4294967296"], "to 4294"),
        (["fit", "a.json", "--output", "m", "--n-jobs", "0"], "number, not 0, got '0'"),
    ],
)
def test_usage(arguments, words, capsys):
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert end.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FWS, SWS", ["FWS", "SWS"]),
        ("FWS,FL Red = FL Red HS", {"FWS": "FWS", "FL Red": "FL Red HS"}),
    ],
)
def test_channels(text, expected):
    options = _arguments.parse_arguments(["fit", "x", "--output=m", "--channels", text])
    assert options.channels == expected


def test_what_could_not_be_read_is_shown_before_an_error(capsys):
    def read():
        with collected_reports():
            logging.getLogger("skplankton").warning("a.json ends too early")
            raise ValueError("no pair")

    with pytest.raises(ValueError, match="no pair"):
        read()
    assert "a.json ends too early" in capsys.readouterr().err


def test_class_scores_without_bins(tmp_path, capsys):
    pytest.importorskip("h5py")
    sample, output = tmp_path / "a.json", tmp_path / "names"
    sample.touch()
    assert run("classify", "none.skops", sample, "--output", output, "--ifcb") == 1
    assert "--ifcb writes class scores of IFCB bins, and" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit):
        run("--version")
    assert capsys.readouterr().out.strip() == f"skplankton {__version__}"


@pytest.mark.parametrize(
    ("command", "option", "words"),
    [
        ("fit", "--device xpu", "device='xpu'"),
        ("classify", "--device xpu", "device='xpu'"),
        ("evaluate", "--device xpu", "device='xpu'"),
        ("fit", "--cache FILE", "--cache FILE is a file; expected a folder"),
        ("evaluate", "--cache FILE/c", "--cache FILE/c cannot be written (Not a dir"),
        ("fit", "--output FILE/m", "--output FILE/m.work cannot be written"),
        ("suggest", "--device xpu", "device='xpu'"),
        ("suggest", "--output FILE", "--output FILE is a file; expected a folder"),
        ("suggest", "--model FILE", "FILE is empty. Copy or download it again"),
        (
            "fit",
            "--labels FILE --output FILE --overwrite",
            "--output FILE is a file to read, and would be replaced",
        ),
        ("classify", "--output FILE", "--output FILE is a file; expected a folder"),
        ("evaluate", "--output FILE", "--output FILE is a file; expected a folder"),
    ],
)
def test_found_before_anything_is_read(
    command, option, words, station, tmp_path, capsys, monkeypatch
):
    def load(*_, **__):
        raise AssertionError("found out after reading")

    monkeypatch.setattr("skplankton._cli._samples.CyzSample.load_with_samples", load)
    file = tmp_path / "file"
    file.touch()
    samples = [station.season, "--output", tmp_path / "out"]
    if command in ("classify", "evaluate"):
        samples.insert(0, station.model)
    # The last --output is the one that counts.
    words_of_option = option.replace("FILE", str(file)).split()
    assert run(command, *samples, *words_of_option) == 1
    assert words.replace("FILE", str(file)) in capsys.readouterr().err


def test_info(station, capsys):
    assert run("info", station.model) == 0
    printed = capsys.readouterr().out
    content = content_of(station.model)
    gallery = content["pipeline"]["gallery"]
    for label in gallery.classes_:
        n_labels = np.sum(gallery.gallery_labels_ == label)
        assert re.search(rf"^{label} +{n_labels}$", printed, re.MULTILINE)
    assert re.search(r"^Samples +bay, cape, delta$", printed, re.MULTILINE)
    n_right, n_labels = content["training"]["left_out"]
    accuracy = f"{n_right / n_labels:.3f} of {n_labels} labeled particles"
    assert re.search(rf"^Leave-one-out accuracy +{accuracy}", printed, re.MULTILINE)
    assert re.search(rf"skplankton {__version__}", printed)


def test_info_about_something_else(tmp_path, capsys):
    assert run("info", tmp_path / "none.joblib") == 1
    assert "is not a file. Expected a model" in capsys.readouterr().err
    (tmp_path / "other.joblib").write_text("x")
    assert run("info", tmp_path / "other.joblib") == 1
    assert "cannot be opened as a model" in capsys.readouterr().err
