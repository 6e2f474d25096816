"""Model files of both formats on the command line."""

import json
import re
import zipfile
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest

from skplankton import load_model, model_card, save_model
from skplankton._cli._model import Model
from skplankton._sharing.archive import FORMAT

from .station import classify, content_of, fit, results, run

pytestmark = pytest.mark.once

TRUST = "which can run any program when it is opened"


@pytest.fixture(scope="module")
def as_joblib(station, tmp_path_factory):
    """The station's model as a joblib file."""
    path = tmp_path_factory.mktemp("joblib") / "model.joblib"
    joblib.dump({"format": "skplankton model 1", **content_of(station.model)}, path)
    return path


def with_member(path, output, name, change):
    """A copy of a model file, with a change in one of its JSON members."""
    with zipfile.ZipFile(path) as archive:
        content = {n: archive.read(n) for n in archive.namelist()}
    content[name] = json.dumps(change(json.loads(content[name]))).encode()
    with zipfile.ZipFile(output, "w") as archive:
        for member, value in content.items():
            archive.writestr(member, value)
    return output


def test_both_formats_give_the_same_results(station, as_joblib, tmp_path, capsys):
    assert classify(station, tmp_path / "a") == 0
    assert TRUST not in capsys.readouterr().err
    assert classify(station, tmp_path / "b", model=as_joblib) == 0
    printed = capsys.readouterr().err
    assert printed.count(f"warning: {as_joblib} is a joblib file, {TRUST}") == 1
    assert results(tmp_path / "a") == results(tmp_path / "b")
    assert run("info", as_joblib) == 0
    printed = capsys.readouterr()
    assert TRUST in printed.err
    facts = printed.out.splitlines()[1:]
    assert run("info", station.model) == 0
    assert capsys.readouterr().out.splitlines()[1:] == facts


def test_channels_other_than_the_models():
    for is_vector, given, words in (
        (True, ["b", "a"], "b, a, and the model was trained with a, b. Leave out"),
        (True, ["a"], "--channels has a, and the model was trained with a, b"),
        (False, ["a"], "--channels has a, and the model was trained with a, b"),
        (False, ["b", "other name of b"], None),
        (True, ["A", "b"], None),
        (True, None, None),
    ):
        pipeline = {"embed": SimpleNamespace(_is_vector=is_vector)}
        model = Model(pipeline, [], ["a", "b"])
        if words is None:
            model.check_channels(given)
        else:
            with pytest.raises(ValueError, match=words):
                model.check_channels(given)


def test_the_model_in_python(station):
    pipeline = load_model(station.model)
    assert [name for name, _ in pipeline.steps] == ["embed", "gallery"]
    expected = content_of(station.model)["pipeline"]["gallery"].gallery_labels_
    np.testing.assert_array_equal(pipeline["gallery"].gallery_labels_, expected)


def test_fit_writes_the_card(station, tmp_path, capsys):
    model = tmp_path / "model.skops"
    texts = ("--license", "CC-BY-4.0", "--authors", "Ada", "--description", "Of a bay")
    assert fit(station, "--output", model, *texts) == 0
    capsys.readouterr()
    text = model_card(model)
    assert text.startswith("# model.skops\n\nOf a bay\n")
    assert "| License | CC-BY-4.0 |" in text
    assert "| Samples | bay, cape, delta |" in text
    assert "| Channels | FWS, SWS, FL Yellow" in text
    assert run("info", model) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^License +CC-BY-4.0$", printed, re.MULTILINE)
    assert re.search(r"^Authors +Ada$", printed, re.MULTILINE)
    assert re.search(r"^Particles +72, 60 of them with image", printed, re.MULTILINE)


def test_models_of_python_lack_what_commands_need(station, tmp_path, capsys):
    save_model(load_model(station.model), tmp_path / "model.skops")
    assert run("info", tmp_path / "model.skops") == 0
    assert "Gallery" in capsys.readouterr().out
    assert classify(station, tmp_path / "out", model=tmp_path / "model.skops") == 1
    printed = capsys.readouterr().err
    assert "written by skplankton.save_model, without the object ids" in printed


def test_files_that_do_not_open(station, tmp_path, capsys):
    newer = with_member(
        station.model,
        tmp_path / "newer.skops",
        "card.json",
        lambda card: {**card, "format": FORMAT + 1},
    )
    few = with_member(
        station.model,
        tmp_path / "few.skops",
        "station.json",
        lambda station: {**station, "gallery_ids": []},
    )
    odd = with_member(station.model, tmp_path / "odd.skops", "station.json", len)
    cut = tmp_path / "cut.skops"
    cut.write_bytes(station.model.read_bytes()[:-100])
    for path, words in [
        (newer, f"has format {FORMAT + 1}"),
        (few, "0 object ids for a gallery of 12"),
        (odd, "is damaged"),
        (cut, "is incomplete or damaged"),
    ]:
        assert classify(station, tmp_path / "out", model=path) == 1
        printed = capsys.readouterr().err
        assert words in printed
        assert str(path) in printed
        assert "Traceback" not in printed


def test_info_of_a_card_that_is_odd(station, tmp_path, capsys):
    path = tmp_path / "odd.skops"
    odd = {"training": {"samples": ["bay\x1b[2J"]}}
    with_member(station.model, path, "card.json", lambda card: card | odd)
    assert run("info", path) == 0
    assert "\x1b" not in capsys.readouterr().out
    odd = {"gallery": [1]}
    with_member(station.model, path, "card.json", lambda card: card | odd)
    assert run("info", path) == 1
    assert "The card of" in capsys.readouterr().err


def test_results_name_the_gallery(station, tmp_path):
    assert classify(station, tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "bay.csv")
    ids = content_of(station.model)["gallery_ids"]
    assert set(table["neighbor_1"].dropna()) <= set(ids)
