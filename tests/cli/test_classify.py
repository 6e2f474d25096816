"""``classify``: predicted labels, scores, unknown particles and what cannot be read."""

import json
import shutil
from codecs import BOM_UTF8

import joblib
import numpy as np
import pandas as pd
import pytest

from skplankton._cli import _model
from skplankton.datasets import load_cyz_json, write_cyz_json, write_particles
from skplankton.ecotaxa import read_ecotaxa

from .station import (
    PER_SAMPLE,
    SAMPLES,
    break_an_image,
    classify,
    content_of,
    copied,
    fit,
    results,
    run,
    write_labels,
)


def test_predicted_labels_are_those_of_the_pipeline(station, tmp_path):
    out = tmp_path / "out"
    assert classify(station, out) == 0
    model = content_of(station.model)
    pipe, ids = model["pipeline"], np.array(model["gallery_ids"])
    tables = list(out.glob("*.csv"))
    assert all(table.read_bytes().startswith(BOM_UTF8) for table in tables)
    counts = pd.read_csv(out / "species.csv", index_col="sample")
    for name in SAMPLES:
        X = load_cyz_json(station.season / f"{name}.json", cache=tmp_path / "cache")
        table = pd.read_csv(out / f"{name}.csv")
        assert table["familiarity"].is_monotonic_increasing
        table = table.set_index("object_id").loc[X["object_id"]].reset_index()
        Z = pipe["embed"].transform(X)
        distances, nearest = pipe["gallery"].kneighbors(Z)
        assert table["name"].tolist() == pipe.predict(X).tolist()
        np.testing.assert_allclose(
            table["score"], pipe.predict_proba(X).max(axis=1), atol=5e-5
        )
        for k in range(3):
            assert table[f"neighbor_{k + 1}"].tolist() == ids[nearest[:, k]].tolist()
            np.testing.assert_allclose(
                table[f"similarity_{k + 1}"], 1 - distances[:, k], atol=5e-5
            )
        printed = counts.loc[name].drop("(no name)")
        assert printed[printed > 0].to_dict() == table["name"].value_counts().to_dict()
    assert sorted(file.name for file in out.iterdir()) == [
        "abundance.csv",
        *(f"{name}.csv" for name in SAMPLES),
        *("progress", "samples.csv", "species.csv"),
    ]
    assert not list((out / "progress" / "begun").iterdir())


def test_chunks_do_not_matter(station, tmp_path):
    X = load_cyz_json(station.season / "bay.json", cache=tmp_path)[:7]
    samples = [write_cyz_json(X, tmp_path / "bay.json")]
    assert classify(station, tmp_path / "whole", samples=samples) == 0
    for size in (1, 3, 7):
        parts = tmp_path / f"parts{size}"
        assert classify(station, parts, "--chunk-size", size, samples=samples) == 0
        assert results(parts) == results(tmp_path / "whole")


def test_finished_samples_are_left_as_they_are(station, tmp_path, capsys, monkeypatch):
    samples = copied(station, tmp_path, *SAMPLES)
    out = tmp_path / "out"
    assert classify(station, out, samples=samples[:2]) == 0
    classified = []
    original = _model.classify_particles

    def spy(model, particles):
        classified.append(particles["sample_id"].iloc[0])
        return original(model, particles)

    monkeypatch.setattr("skplankton._cli._classify.classify_particles", spy)
    (out / "bay.csv").write_text("edited by hand")
    assert classify(station, out, samples=samples) == 0
    assert classified == ["delta"]
    assert "2 samples classified before; left as they are" in capsys.readouterr().out
    assert (out / "bay.csv").read_text() == "edited by hand"
    assert len(pd.read_csv(out / "species.csv")) == 3

    # A file that has changed, a deleted table, a result that was not written before.
    measurement = samples[0].read_text(encoding="utf-8-sig")
    samples[0].write_text(measurement + "\n", encoding="utf-8")
    (out / "delta.csv").unlink()
    assert classify(station, out, samples=samples) == 0
    assert classified == ["delta", "bay", "delta"]
    assert classify(station, out, "--ecotaxa", samples=samples[:1]) == 0
    assert classify(station, out, samples=samples[:1]) == 0
    assert classified == ["delta", "bay", "delta", "bay"]
    assert (out / "ecotaxa_bay.zip").is_file()


def test_results_of_two_models_are_not_mixed(station, other_model, tmp_path, capsys):
    other = other_model
    out, expected = tmp_path / "out", tmp_path / "expected"
    assert classify(station, out, "--ecotaxa") == 0
    before = results(out)
    one = [station.season / "cape.json"]
    assert classify(station, out, model=other, samples=one) == 1
    assert "Results are not mixed: choose another --output" in capsys.readouterr().err
    assert results(out) == before

    broken = tmp_path / "broken.joblib"
    broken.write_bytes(b"no model")
    assert classify(station, out, "--overwrite", model=broken, samples=one) == 1
    assert results(out) == before

    assert classify(station, out, "--overwrite", model=other, samples=one) == 0
    assert classify(station, expected, model=other, samples=one) == 0
    assert results(out) == results(expected)
    assert not list(out.glob("*.zip"))


def test_begun_with_another_model(station, other_model, tmp_path, monkeypatch):
    """Parts are results as well; but a folder without any belongs to no model."""
    other, samples = other_model, [station.season / "bay.json"]
    out, expected = tmp_path / "out", tmp_path / "expected"
    for n_parts, code in ((0, 0), (1, 1)):
        calls = []

        def interrupted(model, particles, n_parts=n_parts, calls=calls):
            calls.append(particles)
            if len(calls) > n_parts:
                raise KeyboardInterrupt
            return _model.classify_particles(model, particles)

        with monkeypatch.context() as patch:
            patch.setattr("skplankton._cli._classify.classify_particles", interrupted)
            chunks = ("--chunk-size", 9)
            assert classify(station, out, *chunks, samples=samples) == 130
        assert classify(station, out, model=other, samples=samples) == code
        if code == 0:
            shutil.rmtree(out)
    of_other = {"model": other, "samples": samples}
    assert classify(station, out, "--overwrite", **of_other) == 0
    assert classify(station, expected, **of_other) == 0
    assert results(out) == results(expected)


def test_what_ecotaxa_refuses(station, tmp_path, X, y, capsys):
    table = write_particles(X[:2], y[:2], tmp_path / "LAB")
    rows = pd.read_csv(table, index_col=0).assign(object_id=["a", "b" * 256])
    rows.to_csv(table)
    out = tmp_path / "out"
    assert classify(station, out, "--ecotaxa", samples=[tmp_path / "LAB"]) == 1
    assert "LAB could not be classified: 'object_id', row 1" in capsys.readouterr().err
    assert classify(station, out, samples=[tmp_path / "LAB"]) == 0


def test_ecotaxa_round_trip(station, tmp_path):
    out = tmp_path / "out"
    assert classify(station, out, "--ecotaxa") == 0
    objects = read_ecotaxa(out / "ecotaxa_bay.zip", status="predicted", cache=tmp_path)
    table = pd.read_csv(out / "bay.csv").set_index("object_id")
    assert len(objects) == PER_SAMPLE - 4  # four without an image
    expected = table.loc[objects["object_id"]]
    assert objects["label"].tolist() == expected["name"].tolist()
    assert objects["object_score"].tolist() == expected["score"].tolist()
    assert objects["object_neighbor_1"].tolist() == expected["neighbor_1"].tolist()
    assert set(objects["sample_id"]) == {"bay"}


def test_unknown(station, doubtful, tmp_path, capsys):
    out = tmp_path / "out"
    assert classify(station, out, "--ecotaxa", model=doubtful) == 0
    table = pd.read_csv(out / "bay.csv").set_index("object_id")
    is_unknown = table["name"] == "unknown"
    offset = joblib.load(doubtful)["pipeline"]["gallery"].offset_
    assert 0 < is_unknown.sum() < len(table)
    assert (table["familiarity"][is_unknown] < offset + 1e-4).all()
    assert (table["familiarity"][~is_unknown] > offset - 1e-4).all()
    counts = pd.read_csv(out / "species.csv", index_col=0)
    assert (counts == is_unknown.sum()).to_numpy().any()
    objects = read_ecotaxa(out / "ecotaxa_bay.zip", status=None, cache=tmp_path)
    objects = objects.set_index("object_id")
    unnamed = objects["label"].isna()
    assert unnamed.sum() > 0
    assert (unnamed == is_unknown[objects.index]).all()
    written = objects["object_familiarity"]
    np.testing.assert_allclose(written, table["familiarity"][objects.index])


def test_contamination(station, tmp_path):
    gallery = content_of(station.model)["pipeline"]["gallery"]
    assert (gallery.outlier_label, gallery.contamination) == ("unknown", 0.05)
    model = tmp_path / "half.joblib"
    assert fit(station, "--contamination", "0.5", "--output", model) == 0
    assert joblib.load(model)["pipeline"]["gallery"].offset_ > gallery.offset_


def test_no_particle_is_unknown_with_contamination_0(station, tmp_path):
    model = tmp_path / "model.joblib"
    assert fit(station, "--contamination", "0", "--output", model) == 0
    gallery = joblib.load(model)["pipeline"]["gallery"]
    assert gallery.outlier_label is None
    assert gallery.use_unlabeled


def test_evaluate_counts_the_unknown(station, doubtful, tmp_path, capsys):
    labels = station.labels[:PER_SAMPLE].copy()
    labels[::3] = "kraken"
    write_labels(tmp_path / "ecotaxa_new.tsv", labels)
    arguments = (station.season, "--labels", tmp_path / "ecotaxa_new.tsv")
    assert run("evaluate", doubtful, *arguments, "--output", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    found = pd.read_csv(tmp_path / "out" / "evaluation_particles.csv")
    is_unknown = found["name"] == "unknown"
    n_new = (is_unknown & (found["label"] == "kraken")).sum()
    assert f"{is_unknown.sum()} particles predicted as 'unknown', {n_new} of" in printed
    scores = pd.read_csv(tmp_path / "out" / "evaluation.csv", index_col="species")
    assert "unknown" not in scores.index


def test_a_label_that_is_called_unknown(station, tmp_path, capsys):
    labels = station.labels[: 2 * PER_SAMPLE].replace(
        {station.labels.iloc[0]: "unknown"}
    )
    write_labels(tmp_path / "ecotaxa.tsv", labels)
    arguments = ("--labels", tmp_path / "ecotaxa.tsv", "--max-epochs", "1")
    output = ("--output", tmp_path / "m.joblib")
    assert run("fit", station.season, *arguments, *output) == 1
    assert "rename it, or pass --contamination 0" in capsys.readouterr().err
    assert run("fit", station.season, *arguments, *output, "--contamination", "0") == 0


def test_a_sample_without_images(station, tmp_path, capsys):
    X = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")
    write_cyz_json(X.assign(image=None), tmp_path / "dark.json")
    out = tmp_path / "out"
    for _ in range(2):
        sample = [tmp_path / "dark.json"]
        assert classify(station, out, "--ecotaxa", samples=sample) == 0
    printed = capsys.readouterr().out
    assert printed.count("dark: no images, so nothing is written for EcoTaxa") == 1
    assert "1 sample classified before" in printed
    assert pd.read_csv(out / "dark.csv")["name"].notna().all()


@pytest.mark.parametrize("chunk_size", [4, 100])
def test_what_cannot_be_read_is_reported(chunk_size, station, tmp_path, capsys):
    (sample,) = copied(station, tmp_path, "bay")
    break_an_image(sample, 1)
    measurement = json.loads(sample.read_text(encoding="utf-8"))
    # Particle 0 has no image.
    measurement["particles"][0]["pulseShapes"][0]["values"] = ["?"]
    measurement["images"][4]["cropRectangle"] = {
        "X": 1,
        "Y": 1,
        "Width": 8,
        "Height": 8,
    }
    sample.write_text(json.dumps(measurement), encoding="utf-8")
    out = tmp_path / "out"
    arguments = ("--ecotaxa", "--chunk-size", chunk_size)
    assert classify(station, out, *arguments, samples=[sample]) == 3
    printed = capsys.readouterr()
    assert "bay: 24 particles, 1 without a predicted label" in printed.out
    assert (
        f"bay: something could not be read, see {out}/bay_problems.txt" in printed.err
    )
    problems = (out / "bay_problems.txt").read_text(encoding="utf-8")
    assert "bay.json, particle 0" in problems
    assert "'bay_1'" in problems
    table = pd.read_csv(out / "bay.csv", keep_default_na=False)
    assert (table["name"] == "").tolist() == [False] * 23 + [True]
    assert table["object_id"][23] == "bay_0"
    assert table.loc[23, ["score", "neighbor_1", "similarity_3"]].tolist() == [""] * 3
    assert pd.read_csv(out / "species.csv")["(no name)"].tolist() == [1]
    # A second run has the same problems.
    assert classify(station, out, *arguments, samples=[sample]) == 3
    # They are gone once the file is repaired.
    shutil.copy2(station.season / "bay.json", sample)
    assert classify(station, out, *arguments, samples=[sample]) == 0
    assert not (out / "bay_problems.txt").exists()


def test_an_image_that_ecotaxa_cannot_have(station, tmp_path, capsys, monkeypatch):
    """An image cropped from a frame must be decoded, which fails if it is damaged."""
    X = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")
    sample = write_cyz_json(X, tmp_path / "bay.json", frame_shape=(400, 400))
    break_an_image(sample, 1)
    out = tmp_path / "out"
    assert classify(station, out, "--ecotaxa", samples=[sample]) == 3
    problems = (out / "bay_problems.txt").read_text(encoding="utf-8")
    assert "once, a particle whose image cannot be read is written to" in problems
    assert "The image of the object 'bay_1': the PNG image is corrupt" in problems
    objects = read_ecotaxa(out / "ecotaxa_bay.zip", cache=tmp_path / "zip")
    assert "bay_1" not in set(objects["object_id"])
    assert "bay_2" in set(objects["object_id"])
    assert classify(station, tmp_path / "strict", "--strict", samples=[sample]) == 1


def test_only_images_that_ecotaxa_cannot_have(station, tmp_path):
    X = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")[1:2]
    sample = write_cyz_json(X, tmp_path / "bay.json", frame_shape=(400, 400))
    break_an_image(sample, 1)
    out = tmp_path / "out"
    assert classify(station, out, "--ecotaxa", samples=[sample]) == 3
    assert not (out / "ecotaxa_bay.zip").exists()
    problems = (out / "bay_problems.txt").read_text(encoding="utf-8")
    assert "None of the images can be read. The image of the object 'bay_1'" in problems


def test_one_broken_file_does_not_keep_the_others(station, tmp_path, capsys):
    samples = copied(station, tmp_path, "bay", "cape")
    samples[0].write_text("not JSON", encoding="utf-8")
    out = tmp_path / "out"
    assert classify(station, out, samples=samples) == 1
    printed = capsys.readouterr()
    assert "bay could not be classified:" in printed.err
    assert "is not a JSON file of cyz2json" in printed.err
    assert "error: 1 sample could not be classified: bay" in printed.err
    assert (out / "cape.csv").is_file()
    assert not (out / "bay.csv").exists()
    assert classify(station, tmp_path / "strict", "--strict", samples=samples) == 1
    assert not (tmp_path / "strict" / "cape.csv").exists()
    # What was finished before the error is in the tables of all samples.
    strict = {"samples": samples[::-1]}
    assert classify(station, tmp_path / "strict", "--strict", **strict) == 1
    counts = pd.read_csv(tmp_path / "strict" / "species.csv")
    assert counts["sample"].tolist() == ["cape"]
