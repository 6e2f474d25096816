"""``--report`` of classify and evaluate."""

import html
import json
import re
import sys

import joblib
import pandas as pd
import pytest

from skplankton._cli import _model
from skplankton.datasets import load_cyz_json, write_cyz_json
from skplankton.exports import read_csv

from .station import (
    PER_SAMPLE,
    SAMPLES,
    break_an_image,
    classify,
    copied,
    fit,
    results,
    run,
    write_labels,
)

pytestmark = pytest.mark.once


def text_of(page):
    """The text of a page, and the names of its elements."""
    text = page.read_text(encoding="utf-8")
    body = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", text, flags=re.S)
    shown = html.unescape(re.sub(r"<[^>]*>", "", body.replace("</", " </")))
    return " ".join(shown.split()), re.findall(r"<(\w+)", text)


def section(text, title, following):
    return text.partition(f" {title} ")[2].partition(f" {following} ")[0]


def test_report_of_a_day(station, other_model, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    samples = [station.season / f"{name}.json" for name in ("bay", "cape")]
    assert classify(station, out, "--report", samples=samples) == 0
    assert f"report: {out / 'report.html'}" in capsys.readouterr().out
    text, tags = text_of(out / "report.html")
    counts = pd.read_csv(out / "species.csv", index_col="sample")
    shown = section(text, "Counts", "Check these first")
    table = read_csv(out / "abundance.csv").set_index(["label", "sample_id"])["count"]
    for species in counts.columns.drop(["(no name)", "(partial)"]):
        if counts[species].sum():
            n = [f"{table[species, sample]:.3g}" for sample in ("bay", "cape")]
            assert re.search(rf"{species} {n[0]} \S+ {n[1]} ", shown)
    assert "bay CytoSense 24 20 0" in text
    assert "not recorded" not in text
    assert "Leave-one-out accuracy" in text
    assert "img" in tags
    before = (out / "report.html").read_bytes()

    # The page is of the samples that are passed, and no particle is classified again.
    classified = []
    original = _model.classify_particles

    def spy(model, particles):
        classified.append(particles["sample_id"].iloc[0])
        return original(model, particles)

    monkeypatch.setattr("skplankton._cli._classify.classify_particles", spy)
    assert classify(station, out, "--report", samples=samples[:1]) == 0
    assert text_of(out / "report.html")[0].startswith("Plankton in bay")
    assert classify(station, out, "--report", samples=samples) == 0
    assert (out / "report.html").read_bytes() == before
    assert not classified

    # Without the option it stays.
    assert classify(station, out) == 0
    assert (out / "report.html").read_bytes() == before
    assert classify(station, out, "--report") == 0
    assert text_of(out / "report.html")[0].startswith("Plankton in 3 samples")
    assert classified == ["delta", "delta"]

    # No page of an earlier day stays if nothing can be classified.
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    assert classify(station, out, samples=[broken]) == 1
    assert (out / "report.html").exists()
    assert classify(station, out, "--report", samples=[broken]) == 1
    assert not (out / "report.html").exists()

    # With other results, it goes with the former ones.
    assert classify(station, out, "--report", samples=samples) == 0
    only = {"samples": samples[:1], "model": other_model}
    assert classify(station, out, "--overwrite", **only) == 0
    of_all = ["abundance.csv", "samples.csv", "species.csv"]
    assert sorted(results(out)) == sorted(["bay.csv", *of_all])
    assert not list((out / "progress" / "excerpts").iterdir())


def test_report_of_another_program_is_not_replaced(station, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("mine")
    assert classify(station, out, "--report") == 1
    assert "exists and was not written by this command" in capsys.readouterr().err
    assert (out / "report.html").read_text() == "mine"


def test_report_warns(station, tmp_path):
    samples = copied(station, tmp_path, "bay", "cape")
    particle = json.loads(samples[0].read_text("utf-8-sig"))["images"][0]["particleId"]
    break_an_image(samples[0], particle)
    samples[1].write_text("{", encoding="utf-8")
    X = load_cyz_json(station.season / "delta.json", cache=tmp_path / "cache")
    X = X.assign(image=None)
    samples.append(write_cyz_json(X, tmp_path / "blind <2>.json"))
    samples.append(write_cyz_json(X[:0], tmp_path / "nothing.json"))
    out = tmp_path / "out"
    assert classify(station, out, "--report", samples=samples) == 1
    text, _ = text_of(out / "report.html")
    warnings = section(text, "Warnings", "What was read")
    assert "Not classified cape: " in warnings
    assert "Unreadable bay: something could not be read" in warnings
    assert f"bay_{particle}" in warnings
    assert "No images blind <2>: classified by profiles alone" in warnings
    assert "nothing CytoSense 0 0 0" in text


def test_report_escapes_names_and_finds_those_that_look_alike(station, tmp_path):
    names = sorted(set(station.labels))
    odd = ["<script>alert(1)</script>", "Chaetoceros_sp", "chaetoceros sp"]
    labels = station.labels[: 2 * PER_SAMPLE].map(dict(zip(names, odd, strict=True)))
    write_labels(tmp_path / "export.tsv", labels)
    model = tmp_path / "model.joblib"
    words = ("--labels", tmp_path / "export.tsv", "--output", model)
    assert fit(station, *words, labels=False) == 0
    out = tmp_path / "out"
    assert classify(station, out, "--report", model=model) == 0
    text, tags = text_of(out / "report.html")
    assert tags.count("script") == 1
    assert odd[0] in section(text, "Species", "Model")
    assert "'Chaetoceros_sp', 'chaetoceros sp' look alike" in text
    words = ("--labels", tmp_path / "export.tsv", "--output", out, "--report")
    assert run("evaluate", model, station.season, *words) == 0
    text, tags = text_of(out / "evaluation.html")
    assert tags.count("script") == 1
    assert odd[0] in section(text, "Confusion matrix", "Reliability")

    # A model that was made before there were reports and cards.
    content = joblib.load(model)
    del content["training"], content["card"]
    content["versions"] = {"skplankton": "0.0.1"}
    joblib.dump(content, tmp_path / "old.joblib")
    old = tmp_path / "out of old"
    assert classify(station, old, "--report", model=tmp_path / "old.joblib") == 0
    facts = section(text_of(old / "report.html")[0], "Model", "Labeled particles")
    assert "skplankton 0.0.1" in facts
    assert "to train on" in facts


def test_report_of_an_evaluation(station, tmp_path, capsys):
    samples = copied(station, tmp_path, *SAMPLES)
    particle = json.loads(samples[0].read_text("utf-8-sig"))["images"][0]["particleId"]
    break_an_image(samples[0], particle)
    write_labels(tmp_path / "all.tsv", station.labels)
    words = ("--labels", tmp_path / "all.tsv", "--output", tmp_path / "out", "--report")
    assert run("evaluate", station.model, *samples, *words) == 3
    printed = capsys.readouterr().out
    text, _ = text_of(tmp_path / "out" / "evaluation.html")
    table = pd.read_csv(tmp_path / "out" / "evaluation_particles.csv").fillna("")
    is_right = table["label"] == table["name"]
    assert f"accuracy {is_right.mean():.3f}" in printed
    assert f"{len(table)} labeled particles" in text
    n_kinds = len(table[~is_right][["label", "name"]].drop_duplicates())
    assert f"{min(n_kinds, 20)} of {n_kinds} kinds of mistakes" in text
    assert "Unreadable Something could not be read" in text


def test_report_of_an_evaluation_needs_a_folder(station, capsys):
    with pytest.raises(SystemExit) as end:
        run("evaluate", station.model, station.season, "--report")
    assert end.value.code == 2
    assert "--report needs --output DIR" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["classify", "evaluate"])
def test_report_needs_jinja(command, station, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    words = (station.model, station.season, "--output", tmp_path / "out", "--report")
    assert run(command, *words) == 1
    assert "pip install 'skplankton[report]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
