"""``fit``: a model from samples and labels."""

import re
import shutil
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import load_cyz_json, write_cyz_json, write_particles
from skplankton.evaluation import suspect_labels

from .station import (
    PER_SAMPLE,
    SAMPLES,
    break_an_image,
    classify,
    content_of,
    copied,
    fit,
    run,
    write_labels,
)


def test_model_is_that_of_the_python_api(station, tmp_path):
    model = content_of(station.model)
    files = sorted(station.season.glob("*.json"))
    X = load_cyz_json(files, cache=tmp_path)
    y = X["object_id"].map(station.labels[: 2 * PER_SAMPLE])
    y = y.astype(object).where(y.notna(), None)
    used = X["image"].notna() | y.notna()  # the others cannot train
    X, y = X[used].reset_index(drop=True), y[used]
    pipe = Pipeline(
        [
            ("embed", CrossModalEmbedder(max_epochs=1, random_state=0)),
            (
                "gallery",
                GalleryKNNClassifier(
                    gallery_size=4,
                    use_unlabeled=True,
                    outlier_label="unknown",
                    random_state=0,
                ),
            ),
        ]
    ).fit(X, y.to_numpy())
    np.testing.assert_array_equal(
        model["pipeline"].predict_proba(X), pipe.predict_proba(X)
    )
    kept = X["object_id"].iloc[pipe["gallery"].gallery_indices_]
    assert model["gallery_ids"] == kept.tolist()
    assert model["channels"] == list(X["profile"][0].channels)
    assert {"skplankton", "scikit-learn", "torch"} <= set(model["card"]["versions"])


def test_fit_prints_a_summary_and_cleans_up(station, tmp_path, capsys):
    assert fit(station, "--output", tmp_path / "m.joblib") == 0
    printed = capsys.readouterr().out
    assert f"{2 * PER_SAMPLE} labels from {station.export}" in printed
    assert (
        "72 particles: 60 with image and profile, to train on; 48 labeled, 24 unl"
        in printed
    )
    assert "3 species, and 12 labeled particles in the gallery" in printed
    assert f"Next: python -m skplankton classify {tmp_path / 'm.joblib'} SAM" in printed
    assert [file.name for file in tmp_path.iterdir()] == ["m.joblib"]


def test_fit_does_not_overwrite(station, tmp_path, capsys):
    output = tmp_path / "m.joblib"
    output.write_text("precious")
    assert fit(station, "--output", output, samples=["nowhere"]) == 1
    assert "exists. Choose another --output, or pass --overwrite" in (
        capsys.readouterr().err
    )
    assert output.read_text() == "precious"
    assert fit(station, "--output", output, "--overwrite") == 0
    assert joblib.load(output)["format"] == "skplankton model 1"
    assert fit(station, "--output", tmp_path) == 1
    assert "is a folder; expected the name of a file" in capsys.readouterr().err


def test_a_labels_file_that_does_not_exist(station, tmp_path, capsys):
    missing = ("--labels", tmp_path / "labels.csv", "--output", tmp_path / "m.joblib")
    assert fit(station, *missing, labels=False) == 1
    assert "labels.csv does not exist. Expected the col" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())  # nothing was read yet, so nothing is kept


@pytest.mark.parametrize(
    ("labels", "status", "words"),
    [
        ({"elsewhere_1": "a"}, "validated", "None of the 1 label in"),
        ({"bay_1": "a", "bay_2": "b"}, "predicted", "no validated object, only 2 pred"),
        ({"bay_1": "a", "bay_2": "a"}, "validated", "have the label 'a', and two"),
    ],
)
def test_labels_that_cannot_be_used(
    labels, status, words, station, tmp_path, capsys, monkeypatch
):
    def train(*_):
        raise AssertionError("found out after the training")

    monkeypatch.setattr(CrossModalEmbedder, "fit", train)
    write_labels(tmp_path / "ecotaxa_x.tsv", pd.Series(labels), status)
    made = SimpleNamespace(season=station.season, export=tmp_path / "ecotaxa_x.tsv")
    assert fit(made, "--output", tmp_path / "m.joblib") == 1
    assert words in capsys.readouterr().err


def test_no_labels_at_all(station, tmp_path, capsys):
    assert fit(station, "--output", tmp_path / "m.joblib", labels=False) == 1
    printed = capsys.readouterr().err
    assert "None of the particles is labeled. Pass --labels" in printed
    assert "to label first: python -m skplankton suggest SAMPLE... --output" in printed
    # The images and profiles are read already: hours, for a season.
    assert f"is kept in {tmp_path / 'm.joblib.work'} for the next run" in printed
    assert list((tmp_path / "m.joblib.work" / "views").iterdir())


def test_the_same_particle_in_two_samples(X, y, tmp_path, capsys):
    table = write_particles(X[:4], y[:4], tmp_path / "LAB")
    shutil.copy(table, table.with_name("again.csv"))
    samples = (tmp_path / "LAB", table.with_name("again.csv"))
    assert run("fit", *samples, "--output", tmp_path / "m.joblib") == 1
    assert "occurs 2 times, in ['LAB', 'LAB_again']" in capsys.readouterr().err


def test_labels_that_are_perhaps_not_meant(X, y, tmp_path, capsys):
    labels = y[:40].astype(object)
    labels[:6] = ["x", " x", "x ", "X", "None", None]
    table = write_particles(X[:40], labels, tmp_path / "LAB")
    assert fit(None, "--output", tmp_path / "m", samples=[table], labels=False) == 0
    printed = capsys.readouterr()
    assert "39 labeled, 1 unlabeled" in printed.out
    assert "warning: 1 particle labeled 'None', which is taken as a spe" in printed.err
    assert "the labels 'x' (3), 'X' (1) look alike, and are taken as dif" in printed.err
    assert printed.err.count("warning:") == 2
    classes = content_of(tmp_path / "m")["pipeline"]["gallery"].classes_
    assert set(classes) == {"x", "X", "None", *y[6:40]}


def test_fit_reports_the_gallery(station, tmp_path, capsys):
    labels = station.labels[:40].copy()
    labels["bay_1"] = "rare"
    write_labels(tmp_path / "ecotaxa_x.tsv", labels)
    made = SimpleNamespace(season=station.season, export=tmp_path / "ecotaxa_x.tsv")
    output = tmp_path / "m.joblib"
    assert fit(made, "--output", output) == 0
    printed = capsys.readouterr()
    gallery = joblib.load(output)["pipeline"]["gallery"]
    predicted, shares = gallery.leave_one_out()
    accuracy = np.mean(predicted == gallery.gallery_labels_)
    assert f"without its own label ({accuracy:.0%} right)" in printed.out
    assert re.search(r"^rare +1 \(few\) +0% ", printed.out, re.MULTILINE)
    for species in set(labels) - {"rare"}:
        of_it = gallery.gallery_labels_ == species
        share = np.mean(predicted[of_it] == species)
        assert re.search(rf"^{species} +{of_it.sum()} +{share:.0%}", printed.out, re.M)
    rows = suspect_labels(gallery.gallery_labels_, shares, gallery.classes_)
    doubtful = pd.read_csv(tmp_path / "m_doubtful_labels.csv")
    assert len(rows)
    assert f"{len(rows)} labels may be wrong: see {tmp_path}" in printed.err
    ids = np.asarray(joblib.load(output)["gallery_ids"])
    assert doubtful["object_id"].tolist() == ids[rows].tolist()
    assert doubtful["label"].tolist() == gallery.gallery_labels_[rows].tolist()
    assert doubtful["predicted"].tolist() == predicted[rows].tolist()
    own = np.searchsorted(gallery.classes_, gallery.gallery_labels_[rows])
    assert np.allclose(doubtful["share_of_label"], shares[rows, own], atol=1e-4)


def test_doubtful_labels_of_a_former_fit_are_removed(station, tmp_path):
    stale = tmp_path / "m_doubtful_labels.csv"
    stale.write_text("object_id\nbay_1\n")
    assert fit(station, "--output", tmp_path / "m.joblib") == 0
    assert not stale.exists() or "share_of_label" in stale.read_text("utf-8-sig")


@pytest.mark.parametrize("side", ["top", "bottom"])
def test_a_scale_bar_is_suspected_before_training(X, y, tmp_path, capsys, side):
    barred = X[:40].astype(object)
    for row in barred.index:
        image = np.asarray(barred.at[row, "image"])
        strip = np.full((12, image.shape[1]), 255, np.uint8)
        strip[4:7, 2:14] = 0
        parts = [strip, image] if side == "top" else [image, strip[::-1]]
        barred.at[row, "image"] = np.vstack(parts)
    table = write_particles(barred, y[:40], tmp_path / "LAB")
    fit(None, "--output", tmp_path / "m", samples=[table], labels=False)
    rows = "first 12 rows" if side == "top" else "last 12 rows"
    words = f"in the {rows}. It is no part of a particle. Pass --crop-{side} 12 to"
    assert words in capsys.readouterr().err
    options = ("--output", tmp_path / "m", "--overwrite", f"--crop-{side}", "12")
    fit(None, *options, samples=[table], labels=False)
    assert "scale bar" not in capsys.readouterr().err


def test_fit_with_problems(station, tmp_path, capsys):
    samples = copied(station, tmp_path, *SAMPLES)
    break_an_image(samples[0], 1)
    output = tmp_path / "m.joblib"
    assert fit(station, "--output", output, samples=samples) == 3
    assert (
        "an entry that cannot be read is treated as missing" in capsys.readouterr().err
    )
    strict = ("--overwrite", "--strict")
    assert fit(station, "--output", output, *strict, samples=samples) == 1
    printed = capsys.readouterr().err
    assert "could not be read" in printed
    assert "errors= is leaving out --strict here" in printed


def test_channels_by_name(station, tmp_path, capsys):
    """Prediction loads the channels of the fit; a file without them is an error."""
    few = "FWS,FL Red=Fl Red"
    model = tmp_path / "m.joblib"
    assert fit(station, "--output", model, "--channels", few) == 0
    assert joblib.load(model)["channels"] == {"FWS": "FWS", "FL Red": "Fl Red"}
    assert classify(station, tmp_path / "out", model=model) == 0

    other = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")
    names = ["FWS", "SWS", "FL Yellow", "FL Orange", "red", "Curvature"]
    write_cyz_json(other, tmp_path / "other.json", channels=names)
    sample = [tmp_path / "other.json"]
    assert classify(station, tmp_path / "o", model=model, samples=sample) == 1
    assert "no channel 'Fl Red'" in capsys.readouterr().err
    mapped = ("--channels", "FWS,FL Red=red")
    assert classify(station, tmp_path / "o", *mapped, model=model, samples=sample) == 0
