"""``suggest``: which particles to label first, and the contact sheet."""

import json
import os
import shlex
import sys
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest

from skplankton import CrossModalEmbedder
from skplankton._cli import _contact_sheet, _work_folder
from skplankton._views.entries import image_pixels
from skplankton.datasets import (
    load_cyz_json,
    make_particles,
    write_cyz_json,
    write_particles,
)
from skplankton.ecotaxa import read_ecotaxa
from skplankton.model_selection import select_to_label

from .station import (
    PER_SAMPLE,
    SAMPLES,
    break_an_image,
    chosen_by,
    classify,
    content_of,
    copied,
    fit,
    results,
    run,
    suggest,
)

pytestmark = pytest.mark.once


def filled(folder, labels, n=None):
    """Write labels into the table, as a person does; of the first `n` rows only."""
    table = chosen_by(folder)
    table["label"] = table["object_id"].map(labels)
    if n is not None:
        table.loc[n:, "label"] = ""
    table.to_csv(folder / "labels.csv", index=False)
    return table


def test_suggestions_are_those_of_the_python_api(station, suggested, tmp_path):
    X = load_cyz_json(sorted(station.season.glob("*.json")), cache=tmp_path)
    embedder = CrossModalEmbedder(max_epochs=1, random_state=0)
    embeddings = embedder.fit(X).transform(X)
    embeddings[X["image"].isna()] = np.nan  # nobody could name them
    rows = select_to_label(embeddings, 40)
    table = chosen_by(suggested)
    assert table.columns.tolist() == ["object_id", "label", "rank", "sample_id"]
    assert table["object_id"].tolist() == X["object_id"].iloc[rows].tolist()
    assert table["sample_id"].tolist() == X["sample_id"].iloc[rows].tolist()
    assert table["rank"].tolist() == [str(rank) for rank in range(1, 41)]
    assert set(table["label"]) == {""}
    assert sorted(file.name for file in suggested.iterdir()) == [
        *("contact_sheet_1.png", "contact_sheet_2.png"),
        *("ecotaxa_to_label.zip", "labels.csv"),
    ]


def test_suggested_objects_for_ecotaxa(suggested, tmp_path):
    table = chosen_by(suggested)
    objects = read_ecotaxa(suggested / "ecotaxa_to_label.zip", cache=tmp_path)
    assert set(objects["object_id"]) == set(table["object_id"])
    assert objects["label"].isna().all()
    assert objects["status"].isna().all()
    assert all(os.path.isfile(image) for image in objects["image"])
    ranks = table.set_index("object_id")["rank"].astype(float)
    assert objects["object_rank"].tolist() == ranks[objects["object_id"]].tolist()
    with zipfile.ZipFile(suggested / "ecotaxa_to_label.zip") as members:
        assert "without_image.csv" not in members.namelist()


@pytest.mark.parametrize("kind", ["LAB", "json"])
def test_a_cold_start_in_two_commands(kind, X, y, tmp_path, capsys):
    if kind == "LAB":
        sample = write_particles(X, np.full(len(y), None), tmp_path / "LAB").parent
        ids = [f"LAB_{i:06d}" for i in range(len(y))]
    else:
        sample = write_cyz_json(X, tmp_path / "bay.json")
        ids = [f"bay_{i}" for i in range(len(y))]
    out, model = tmp_path / "to_label", tmp_path / "m.joblib"
    few = ("--n", 12, "--crop-top", 1)
    assert suggest(None, out, *few, samples=[sample]) == 0
    printed = capsys.readouterr().out
    assert "60 particles: 60 with image and profile, to train on" in printed
    assert f"{out / 'labels.csv'}: 12 particles to label, the most" in printed
    assert "12 of them with an image; shown in contact_sheet.png" in printed
    assert (out / "contact_sheet.png").is_file()
    table = filled(out, dict(zip(ids, y, strict=True)), n=10)
    assert table["label"].nunique() > 2  # "" is one

    # The command that it prints.
    command = next(line for line in printed.splitlines() if "skplankton fit" in line)
    words = shlex.split(command)[3:]
    assert words[-2:] == ["--crop-top", "1"]
    words[words.index("model.skops")] = model
    assert run(*words, "--max-epochs", 1) == 0
    assert "60 particles: 60 with image and profile, to train on; 10 labeled, 50" in (
        capsys.readouterr().out
    )
    gallery = joblib.load(model)["gallery_ids"]
    assert set(gallery) == set(table["object_id"][:10])
    names = tmp_path / "names"
    assert classify(None, names, samples=[sample], model=model) == 0
    predicted = pd.read_csv(names / f"{sample.stem}.csv", index_col=0)["name"]
    expected = pd.Series(y, index=ids)[predicted.index]
    assert (predicted == expected)[gallery].mean() > 0.5


def test_labeled_particles_are_not_chosen(station, tmp_path, capsys):
    """Those of --labels, of the model's gallery, and of LAB folders."""
    labeled = station.labels.index[: 2 * PER_SAMPLE]
    pictured = {name for i, name in enumerate(station.labels.index) if i % 6}
    assert suggest(station, tmp_path / "a", "--labels", station.export, "--n", 20) == 0
    assert set(chosen_by(tmp_path / "a")["object_id"]) == pictured - set(labeled)
    assert "48 labels from" in capsys.readouterr().out

    gallery = content_of(station.model)["gallery_ids"]
    others = pictured - set(gallery)
    known = ("--model", station.model, "--n", len(others))
    assert suggest(station, tmp_path / "b", *known) == 0
    assert set(chosen_by(tmp_path / "b")["object_id"]) == others

    # What was chosen and labeled before, as a CSV file.
    filled(tmp_path / "b", station.labels, n=30)
    known = ("--model", station.model, "--labels", tmp_path / "b" / "labels.csv")
    n_left = len(others) - 30
    assert suggest(station, tmp_path / "c", *known, "--n", n_left) == 0
    assert chosen_by(tmp_path / "c")["object_id"].tolist() != []
    assert set(chosen_by(tmp_path / "c")["object_id"]) == set(
        chosen_by(tmp_path / "b")["object_id"][30:]
    )
    assert "Add the labels from before to the file" in capsys.readouterr().out


def test_labels_of_lab_folders_are_not_chosen(X, y, tmp_path):
    labels = y.astype(object)
    labels[10:] = None
    folder = write_particles(X, labels, tmp_path / "LAB").parent
    assert suggest(None, tmp_path / "out", samples=[folder]) == 0
    assert set(chosen_by(tmp_path / "out")["object_id"]) == {
        f"LAB_{i:06d}" for i in range(10, 60)
    }


def test_suggestions_of_a_model(station, tmp_path, capsys, monkeypatch):
    def train(*_):
        raise AssertionError("there is a model")

    monkeypatch.setattr(CrossModalEmbedder, "fit", train)
    known = ("--model", station.model, "--n", 5)
    assert suggest(station, tmp_path / "out", *known) == 0
    assert f"embedded by {station.model}" in capsys.readouterr().out
    model = content_of(station.model)
    X = load_cyz_json(sorted(station.season.glob("*.json")), cache=tmp_path / "cache")
    labeled = X["object_id"].isin(model["gallery_ids"]).to_numpy()
    embeddings = model["pipeline"]["embed"].transform(X)
    embeddings[X["image"].isna() & ~labeled] = np.nan
    rows = select_to_label(embeddings, 5, labeled=labeled)
    chosen = chosen_by(tmp_path / "out")["object_id"]
    assert chosen.tolist() == X["object_id"].iloc[rows].tolist()


def test_channels_of_the_model(station, tmp_path, capsys):
    few = ("--channels", "FWS,FL Red=Fl Red")
    model = tmp_path / "m.joblib"
    assert fit(station, "--output", model, *few) == 0
    known = ("--model", model, "--n", 5)
    assert suggest(station, tmp_path / "out", *known) == 0
    capsys.readouterr()
    assert suggest(station, tmp_path / "new", *few, "--n", 5) == 0
    assert "--channels 'FWS=FWS,FL Red=Fl Red'" in capsys.readouterr().out


def test_labels_are_never_overwritten_silently(station, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    assert suggest(station, out, "--n", 31, "--ecotaxa") == 0
    filled(out, station.labels)
    before = results(out)

    def load(*_, **__):
        raise AssertionError("found out after reading")

    with monkeypatch.context() as patch:
        patch.setattr("skplankton._cli._samples.CyzSample.load_with_samples", load)
        assert suggest(station, out, "--n", 5) == 1
        assert "labels.csv exists, perhaps with labels" in capsys.readouterr().err
        own = ("--labels", out / "labels.csv", "--overwrite")
        assert suggest(station, out, *own) == 1
        assert "is the file of --labels, and would be" in capsys.readouterr().err
    assert results(out) == before
    # Nothing remains of the former results.
    (out / "mine.png").touch()
    assert suggest(station, out, "--n", 5, "--overwrite") == 0
    assert set(chosen_by(out)["label"]) == {""}
    assert sorted(file.name for file in out.iterdir()) == [
        *("contact_sheet.png", "labels.csv", "mine.png"),
    ]


def test_more_than_can_be_chosen(station, tmp_path, capsys, monkeypatch):
    def train(*_):
        raise AssertionError("found out after the training")

    monkeypatch.setattr(CrossModalEmbedder, "fit", train)
    labels = ("--labels", station.export)
    assert suggest(station, tmp_path / "out", *labels) == 1
    assert (
        "--n 50 is more than the 20 particles that can be chosen: of 72, 48 are "
        "labeled already, and 4 have no image. Pass a smaller --n"
    ) in capsys.readouterr().err


def test_suggest_with_problems(station, tmp_path, capsys):
    (sample,) = copied(station, tmp_path, "bay")
    break_an_image(sample, 1)
    measurement = json.loads(sample.read_text(encoding="utf-8"))
    # Particle 0 has no image, particle 1 no readable one.
    for particle in (0, 1):
        measurement["particles"][particle]["pulseShapes"][0]["values"] = ["?"]
    sample.write_text(json.dumps(measurement), encoding="utf-8")
    out = tmp_path / "out"
    assert suggest(station, out, "--n", 24, samples=[sample]) == 1
    assert "of 24, 0 are labeled already, and 4 have no image" in (
        capsys.readouterr().err
    )
    # That the image cannot be read is found after the training.
    assert suggest(station, out, "--n", 20, samples=[sample]) == 3
    printed = capsys.readouterr()
    assert "Only 19 of the particles without a label can be read" in printed.err
    assert "bay.json, particle 0" in printed.err
    assert "19 particles to label" in printed.out
    assert not {"bay_0", "bay_1"} & set(chosen_by(out)["object_id"])
    strict = ("--n", 5, "--strict")
    assert suggest(station, tmp_path / "strict", *strict, samples=[sample]) == 1
    assert "errors= is leaving out --strict here" in capsys.readouterr().err


def test_suggest_with_unreadable_images(station, tmp_path, capsys):
    (sample,) = copied(station, tmp_path, "bay")
    break_an_image(sample, 1)
    out = tmp_path / "out"
    assert suggest(station, out, "--n", 20, samples=[sample]) == 3
    assert "bay_1" in set(chosen_by(out)["object_id"])  # by its profile
    assert (out / "contact_sheet.png").is_file()


def test_suggest_without_images(station, tmp_path, capsys):
    X = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")
    write_cyz_json(X.assign(image=None), tmp_path / "dark.json")
    known = ("--model", station.model, "--n", 5, "--ecotaxa")
    dark = [tmp_path / "dark.json"]
    assert suggest(station, tmp_path / "out", *known, samples=dark) == 0
    printed = capsys.readouterr()
    assert "Nothing is written for EcoTaxa. None of the 5 rows" in printed.err
    assert "ecotaxa_to_label" not in printed.out
    assert not (tmp_path / "out" / "ecotaxa_to_label.zip").exists()


def test_suggest_needs_matplotlib(station, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert suggest(station, tmp_path / "out") == 1
    assert "Run: pip install 'skplankton[plot]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_suggestion_at_a_time(station, tmp_path, capsys):
    out = tmp_path / "out"
    with _work_folder.work_folder(out / "suggest.work", "busy"):
        assert suggest(station, out, "--n", 5) == 1
    assert f"Another process writes into {out}" in capsys.readouterr().err


def test_interrupted_suggestion(station, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(CrossModalEmbedder, "fit", interrupted)
        assert suggest(station, out, "--n", 5) == 130
    printed = capsys.readouterr().err
    assert "No labels.csv was written. Data read from the samples is kept" in printed
    assert len(list((out / "suggest.work" / "views").glob("*.views"))) == len(SAMPLES)
    assert suggest(station, out, "--n", 5) == 0
    assert not (out / "suggest.work").exists()


def test_a_contact_sheet(X, tmp_path):
    """Ids with any sign, missing entries, and images that cannot be read."""
    particles = X[["image", "profile"]].astype(object)[:32]
    particles["object_id"] = [f"a$b_{i}^$_" for i in range(31)] + ["x" * 300]
    particles.loc[0, "image"] = None
    particles.loc[1, "profile"] = None
    particles.loc[2, "image"] = str(tmp_path / "none.png")
    figure = _contact_sheet._page(particles, 0, 2)
    texts = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert texts[:6] == [
        *(["no image"], ["a$b_0^$_"], []),
        *(["no profile", "a$b_1^$_"], ["no image"], ["a$b_2^$_"]),
    ]
    ranks = [ax.get_title(loc="left") for ax in figure.axes[::2]]
    assert ranks == [str(rank) for rank in range(1, 31)]
    assert [len(ax.images) for ax in figure.axes[:8:2]] == [0, 1, 0, 1]
    pages = _contact_sheet.write_pages(particles, tmp_path)
    assert [page.name for page in pages] == [
        "contact_sheet_1.png",
        "contact_sheet_2.png",
    ]
    assert len({image_pixels(page).shape[1] for page in pages}) == 1
    (page,) = _contact_sheet.write_pages(particles[:30], tmp_path)
    assert page.name == "contact_sheet.png"


def test_a_contact_sheet_of_vectors(tmp_path):
    particles = make_particles(8, profile="measurements", random_state=0).data
    particles["object_id"] = [f"p{i}" for i in range(8)]
    particles.at[1, "profile"] = np.full(14, np.inf)  # unreadable: as if missing
    particles.at[2, "profile"] = None
    figure = _contact_sheet._page(particles, 0, 1)
    assert [len(ax.patches) for ax in figure.axes[1:8:2]] == [14, 0, 0, 14]
    assert figure.axes[3].texts[0].get_text() == "no profile"
    known = [v[0] for i, v in enumerate(particles["profile"]) if i not in (1, 2)]
    first = figure.axes[1].patches[0].get_width()
    assert first == pytest.approx(
        100 * (np.mean(known < known[0]) + np.mean(known == known[0]) / 2)
    )
    assert "Bars: each measurement's percentile" in figure.texts[-1].get_text()
    assert not figure.legends
    assert len(_contact_sheet.write_pages(particles, tmp_path)) == 1
