"""``evaluate``: predicted labels against validated ones."""

import json
from types import SimpleNamespace

import joblib
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from skplankton.datasets import load_cyz_json, write_particles
from skplankton.ecotaxa import write_ecotaxa

from .station import (
    PER_SAMPLE,
    break_an_image,
    classify,
    copied,
    fit,
    run,
    write_labels,
)


def test_evaluate(station, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = (station.season, "--labels", station.export, "--output", out)
    assert run("evaluate", station.model, *arguments) == 0
    printed = capsys.readouterr().out
    assert "48 labeled particles, 12 of them in the model's gallery and left" in printed
    predicted = pd.read_csv(out / "evaluation_particles.csv")
    model = joblib.load(station.model)
    assert not set(predicted["object_id"]) & set(model["gallery_ids"])
    assert (
        predicted["label"].tolist() == station.labels[predicted["object_id"]].tolist()
    )
    accuracy = accuracy_score(predicted["label"], predicted["name"])
    assert f"accuracy {accuracy:.3f} of 36 particles" in printed
    f1 = f1_score(
        predicted["label"], predicted["name"], average="macro", zero_division=0
    )
    assert f"F1 {f1:.3f}" in printed
    scores = pd.read_csv(out / "evaluation.csv", index_col="species")
    assert scores["f1"].mean() == pytest.approx(f1, abs=1e-4)
    assert scores["particles"].to_dict() == predicted["label"].value_counts().to_dict()
    assert classify(station, tmp_path / "names") == 0
    bay = pd.read_csv(tmp_path / "names" / "bay.csv").set_index("object_id")
    of_bay = predicted[predicted["object_id"].str.startswith("bay")]
    assert of_bay["name"].tolist() == bay["name"][of_bay["object_id"]].tolist()


def test_evaluate_on_a_new_sample_with_a_new_species(station, tmp_path, capsys):
    labels = station.labels[2 * PER_SAMPLE :].copy()
    labels.iloc[0] = "kraken"
    write_labels(tmp_path / "ecotaxa_new.tsv", labels)
    samples = copied(station, tmp_path, "delta")
    break_an_image(samples[0], 1)
    labels_of = ("--labels", tmp_path / "ecotaxa_new.tsv")
    assert run("evaluate", station.model, *samples, *labels_of) == 3
    printed = capsys.readouterr().out
    assert "24 labeled particles, 0 of them" in printed
    assert (
        "1 particle of species that are not in the model's gallery: kraken" in printed
    )


def test_particles_without_a_predicted_label_are_errors(station, tmp_path, capsys):
    (sample,) = copied(station, tmp_path, "delta")
    measurement = json.loads(sample.read_text(encoding="utf-8-sig"))
    measurement["particles"][0]["pulseShapes"][0]["values"] = ["?"]  # has no image
    sample.write_text(json.dumps(measurement), encoding="utf-8")
    write_labels(tmp_path / "ecotaxa_new.tsv", station.labels[2 * PER_SAMPLE :][:1])
    labels_of = ("--labels", tmp_path / "ecotaxa_new.tsv")
    assert run("evaluate", station.model, sample, *labels_of) == 3
    printed = capsys.readouterr().out
    assert "accuracy 0.000 of 1 particle;" in printed
    assert "1 particle without a readable image or profile" in printed


def test_nothing_left_to_evaluate(station, tmp_path, capsys):
    in_gallery = joblib.load(station.model)["gallery_ids"]
    write_labels(tmp_path / "ecotaxa_x.tsv", station.labels[in_gallery])
    arguments = (station.season, "--labels", tmp_path / "ecotaxa_x.tsv")
    assert run("evaluate", station.model, *arguments) == 1
    assert "All 12 labeled particles are in the model's gallery" in (
        capsys.readouterr().err
    )


def test_labels_of_their_own(X, y, tmp_path, capsys):
    """LAB folders need no EcoTaxa, from training to evaluation."""
    for name, rows in (("home", slice(0, 40)), ("away", slice(40, 60))):
        write_particles(X[rows], y[rows], tmp_path / name)
    model = tmp_path / "m.joblib"
    assert fit(None, "--output", model, samples=[tmp_path / "home"], labels=False) == 0
    assert run("evaluate", model, tmp_path / "away") == 0
    assert "20 labeled particles, 0 of them" in capsys.readouterr().out
    assert (
        classify(None, tmp_path / "out", model=model, samples=[tmp_path / "away"]) == 0
    )


def test_labels_in_an_archive(station, tmp_path):
    X = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")
    X = X[X["image"].notna()]
    archive = write_ecotaxa(tmp_path / "x.zip", X, station.labels[X["object_id"]])
    model = tmp_path / "m.joblib"
    made = SimpleNamespace(season=station.season, export=archive)
    # Predictions that nobody has validated are not labels.
    assert fit(made, "--output", model) == 1
