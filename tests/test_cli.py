"""``python -m skplankton``: what the commands write, print and return."""

import csv
import html
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline

from skplankton import (
    CrossModalEmbedder,
    GalleryKNNClassifier,
    __version__,
    _cli,
)
from skplankton._cli import (
    _arguments,
    _contact_sheet,
    _files,
    _model,
    _output_folder,
    _work_folder,
)
from skplankton._cli._labels import read_labels
from skplankton._cli._samples import find_samples, load_all
from skplankton._views.entries import image_pixels
from skplankton.abundance import abundance_table, gallery_calibration
from skplankton.datasets import (
    load_cyz_json,
    load_ifcb,
    make_particles,
    read_samples,
    write_cyz_json,
    write_ifcb,
    write_particles,
)
from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa
from skplankton.evaluation import suspect_labels
from skplankton.exports import read_csv
from skplankton.model_selection import select_to_label
from skplankton.size import measure_particles

SPECIES = 3
PER_SAMPLE = 24
SAMPLES = ("bay", "cape", "delta")


@pytest.fixture(scope="session")
def station(tmp_path_factory):
    """Three samples as JSON files, labels of two of them, and a model of these."""
    folder = tmp_path_factory.mktemp("station")
    X, y = make_particles(
        PER_SAMPLE * len(SAMPLES), n_species=SPECIES, random_state=0, return_X_y=True
    )
    X = X.astype(object)
    X.loc[::6, "image"] = None
    ids = []
    for i, name in enumerate(SAMPLES):
        rows = slice(i * PER_SAMPLE, (i + 1) * PER_SAMPLE)
        write_cyz_json(X[rows], folder / "season" / f"{name}.json")
        ids += [f"{name}_{particle}" for particle in range(PER_SAMPLE)]
    labels = pd.Series(y, index=ids)
    known = labels[: 2 * PER_SAMPLE]
    write_labels(folder / "ecotaxa_export.tsv", known)
    made = SimpleNamespace(
        folder=folder,
        season=folder / "season",
        labels=labels,
        export=folder / "ecotaxa_export.tsv",
        model=folder / "model.joblib",
    )
    assert fit(made, "--output", made.model) == 0
    return made


@pytest.fixture(scope="session")
def other_model(station):
    """One with other predictions."""
    model = station.folder / "other.joblib"
    assert fit(station, "--output", model, "--random-state", 1) == 0
    return model


def write_labels(path, labels, status="validated"):
    rows = pd.DataFrame(
        {
            "object_id": labels.index,
            "object_annotation_category": labels.to_numpy(),
            "object_annotation_status": status,
            "object_annotation_hierarchy": labels.to_numpy(),
        }
    )
    rows.to_csv(path, sep="\t", index=False)


def run(*arguments):
    return _cli.main([str(argument) for argument in arguments])


def fit(station, *arguments, samples=None, labels=True):
    samples = samples or [station.season]
    chosen = ("--labels", station.export) if labels else ()
    quick = ("--max-epochs", 1, "--gallery-size", 4)
    return run("fit", *samples, *chosen, *quick, *arguments)


def classify(station, output, *arguments, samples=None, model=None):
    samples = samples or [station.season]
    return run(
        "classify", model or station.model, *samples, "--output", output, *arguments
    )


def results(folder):
    """Content of the result files, by name; without progress/ and archives."""
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.is_file() and file.suffix != ".zip"
    }


def copied(station, tmp_path, *names):
    """Paths of the samples in a folder of their own."""
    for name in names:
        shutil.copy2(station.season / f"{name}.json", tmp_path / f"{name}.json")
    return [tmp_path / f"{name}.json" for name in names]


def break_an_image(path, particle):
    """Truncate a stored image after its header, which loading does not check."""
    measurement = json.loads(path.read_text(encoding="utf-8-sig"))
    image = next(i for i in measurement["images"] if i["particleId"] == particle)
    image["base64"] = image["base64"][:100]
    path.write_text(json.dumps(measurement), encoding="utf-8")


# The command line


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
        ("suggest", "--model FILE", "FILE cannot be opened as a model"),
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


# Samples


def test_a_folder_of_json_files(station):
    assert [sample.name for sample in find_samples([station.season])] == list(SAMPLES)


def test_paths_that_are_not_samples(station, tmp_path):
    (tmp_path / "raw.cyz").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    for name, words in {
        "nowhere.json": "does not exist. Expected a .json file of cyz2json",
        "raw.cyz": "Convert it with cyz2json first",
        "notes.txt": "is not a file of a supported format",
        "empty": r"contains \[\]. Expected a .json file",
    }.items():
        with pytest.raises((ValueError, OSError), match=words):
            find_samples([tmp_path / name])


def test_two_samples_of_one_name(station, tmp_path):
    shutil.copy(station.season / "bay.json", tmp_path / "Bay.json")
    with pytest.raises(ValueError, match=r"Two samples are named 'Bay'"):
        find_samples([station.season, tmp_path])


def test_lab_ids_are_those_of_the_files(X, y, tmp_path):
    table = write_particles(X[:4], y[:4], tmp_path / "LAB")
    rows = pd.read_csv(table, index_col=0)
    rows.loc[1, "image"] = None
    (tmp_path / "LAB" / "fold1").mkdir()
    split = rows.iloc[[2, 1]].copy()
    for view in ("image", "profile"):
        split[view] = "../" + split[view]
    split.to_csv(tmp_path / "LAB" / "fold1" / "train.csv")
    (whole,) = find_samples([tmp_path / "LAB"])
    (part,) = find_samples([tmp_path / "LAB" / "fold1" / "train.csv"])
    assert (whole.name, part.name) == ("LAB", "fold1_train")
    assert whole.load()["object_id"].tolist() == [f"LAB_{i:06d}" for i in range(4)]
    assert part.load()["object_id"].tolist() == ["LAB_000002", "LAB_000001"]
    assert whole.load()["label"].tolist() == y[:4].tolist()
    # They do not depend on which files exist.
    (tmp_path / "LAB" / "images" / "000002.png").unlink()
    table = part.load(errors="coerce")
    assert table["object_id"].tolist() == ["LAB_000002", "LAB_000001"]
    assert table["image"].isna().all()


def test_lab_ids_that_are_not_unique_or_given(X, y, tmp_path):
    table = write_particles(X[:2], y[:2], tmp_path / "LAB")
    rows = pd.read_csv(table, index_col=0)
    rows["image"] = rows["image"].iloc[0]
    rows.to_csv(table)
    (sample,) = find_samples([tmp_path / "LAB"])
    with pytest.raises(ValueError, match=r"'LAB_000000'.*Add a column object_id"):
        sample.load()
    rows["object_id"] = ["left", "right"]
    rows.to_csv(table)
    assert sample.load()["object_id"].tolist() == ["left", "right"]
    pd.DataFrame({"image": ["a.png", ""], "profile": ""}).to_csv(table)
    with pytest.raises(ValueError, match=r"row 1 .*has neither an image nor a profile"):
        sample.load(errors="coerce")


def test_state_changes_with_any_file(station, tmp_path, X, y):
    write_particles(X[:3], y[:3], tmp_path / "LAB")
    (sample,) = find_samples([tmp_path / "LAB"])
    before = sample.state()
    assert sample.state() == before
    Image.fromarray(X["image"][1][1:]).save(tmp_path / "LAB/images/000001.png")
    assert sample.state() != before


BINS = ("D20220522T003051_IFCB134", "D20220523T003051_IFCB134")


@pytest.fixture
def bins(X, tmp_path):
    """Two bins in the tree of a year; the first particle of each has no image."""
    table = X[:5].astype(object)
    table["profile"] = [profile[:2, :5].ravel() for profile in table["profile"]]
    table.loc[0, "image"] = None
    for name in BINS:
        write_ifcb(table, tmp_path / "data" / "2022" / name[:9] / name)
    return tmp_path / "data"


def test_bins_are_samples(bins):
    assert [sample.name for sample in find_samples([bins])] == list(BINS)
    path = bins / "2022" / BINS[0][:9] / BINS[0]
    for suffix in ("", ".adc", ".hdr", ".roi"):
        (sample,) = find_samples([f"{path}{suffix}"])
        table = sample.load(channels="auto", cache=None, errors="raise", verbose=0)
        assert table["object_id"].tolist() == [
            f"{BINS[0]}_0000{i}" for i in range(2, 6)
        ]
        assert table["label"].isna().all()
        expected = load_ifcb(path).assign(label=None)
        pd.testing.assert_frame_equal(table, expected)
    few = sample.load(channels=["PeakA", "PMTB"])
    np.testing.assert_array_equal(
        np.stack(few["profile"]), np.stack(table["profile"])[:, [4, 1]]
    )
    with pytest.raises(ValueError, match=r"IFCB134: measurements of an IFCB cannot"):
        sample.load(channels={"red": "PMTB"})


@pytest.mark.parametrize("suffix", [".adc", ".hdr", ".roi"])
def test_state_changes_with_any_file_of_a_bin(bins, suffix):
    sample, _ = find_samples([bins])
    before = sample.state()
    file = sample.source.with_suffix(suffix)
    file.write_bytes(file.read_bytes() + b"\n")
    assert sample.state() != before


def test_bins_of_one_table_have_the_same_measurements(bins):
    options = SimpleNamespace(labels=None, strict=True, quiet=True)
    settings = {"channels": None, "cache": None, "labels_cache": None}
    table = load_all(find_samples([bins]), options, **settings)
    assert len(table) == 8
    assert table["sample_id"].unique().tolist() == list(BINS)
    old = "IFCB5_2012_028_081515"
    vectors = pd.DataFrame({"image": [None], "profile": [np.zeros(4)]})
    write_ifcb(vectors, bins.parent / "old" / old)
    mixed = [*find_samples([bins]), *find_samples([bins.parent / "old"])]
    with pytest.raises(ValueError, match=rf"{old} has the measurements Fluo"):
        load_all(mixed, options, **settings)


def test_labels_of_an_ifcb(bins, tmp_path, capsys):
    """In folders of images, or in tables of classes."""
    image = tmp_path / "png" / "Dinobryon" / f"{BINS[1]}_00003.png"
    image.parent.mkdir(parents=True)
    image.touch()
    table = tmp_path / "tables" / f"{BINS[1]}.csv"
    table.parent.mkdir()
    table.write_text(f"file_name,class_name\n{BINS[1]}_00003.png,Dinobryon\n")
    other = tmp_path / "other.csv"
    shutil.copy(table, other)
    for path in (tmp_path / "png", tmp_path / "tables", table, other):
        options = SimpleNamespace(labels=path, strict=True, quiet=True)
        settings = {"channels": None, "cache": None, "labels_cache": None}
        particles = load_all(find_samples([bins]), options, **settings)
        labeled = particles[particles["label"].notna()]
        assert labeled["object_id"].tolist() == [f"{BINS[1]}_00003"]
        assert labeled["label"].tolist() == ["Dinobryon"]
    table.write_text(f"file_name,class_name\n{BINS[1]}_00003.png,unclassified\n")
    with pytest.raises(ValueError, match="has no label: all 1 particle in it are"):
        read_labels(table, strict=True, cache=None)


# fit


def test_model_is_that_of_the_python_api(station, tmp_path):
    model = joblib.load(station.model)
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
    assert set(model["versions"]) == {"skplankton", "scikit-learn", "torch"}


def test_fit_prints_a_summary_and_cleans_up(station, tmp_path, capsys):
    assert fit(station, "--output", tmp_path / "m.joblib") == 0
    printed = capsys.readouterr().out
    assert f"{2 * PER_SAMPLE} labels from {station.export}" in printed
    assert (
        "72 particles: 60 with image and profile, to train on; 48 labeled, 24 unl"
        in printed
    )
    assert "3 species, and 12 labeled particles in the gallery" in printed
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


@pytest.mark.parametrize(
    ("labels", "status", "words"),
    [
        ({"elsewhere_1": "a"}, "validated", "None of the 1 label in"),
        ({"bay_1": "a", "bay_2": "b"}, "predicted", "no validated object, only 2 pred"),
        ({"bay_1": "a", "bay_2": "a"}, "validated", "only one class in y"),
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
    classes = joblib.load(tmp_path / "m")["pipeline"]["gallery"].classes_
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


# classify


def test_predicted_labels_are_those_of_the_pipeline(station, tmp_path):
    out = tmp_path / "out"
    assert classify(station, out) == 0
    model = joblib.load(station.model)
    pipe, ids = model["pipeline"], np.array(model["gallery_ids"])
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
    rows = pd.read_csv(table, index_col=0).assign(object_id=["a", " b"])
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


@pytest.fixture(scope="session")
def doubtful(station, tmp_path_factory):
    """A model that calls half of the particles unknown."""
    path = tmp_path_factory.mktemp("doubtful") / "model.joblib"
    model = joblib.load(station.model)
    out = path.parent / "out"
    assert classify(station, out) == 0
    tables = [pd.read_csv(out / f"{name}.csv") for name in SAMPLES]
    half = pd.concat(tables)["familiarity"].median()
    model["pipeline"]["gallery"].offset_ = half
    joblib.dump(model, path)
    return path


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
    gallery = joblib.load(station.model)["pipeline"]["gallery"]
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
    assert "outlier_label= is --contamination 0" in capsys.readouterr().err
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
    """On Windows; the table of all samples is tried again at the end."""
    replace, tried = _files.os.replace, []

    def refuse(part, path):
        if path.name == "species.csv":
            tried.append(path)
            raise PermissionError(13, "in use")
        replace(part, path)

    monkeypatch.setattr(_files.os, "replace", refuse)
    out = tmp_path / "out"
    assert classify(station, out) == 1
    assert len(tried) == len(SAMPLES) + 1
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


# Volumes, times and places


def measured(sample, tmp_path, **columns):
    """A copy of a sample with what an instrument knows of it."""
    X = load_cyz_json(sample, cache=tmp_path / "cache")
    known = {
        "sample_id": sample.stem,
        "instrument": "CytoSense CS-1",
        "start": "2025-07-01T09:30:15Z",
        "analyzed_volume_ml": 1.125,
    }
    return write_cyz_json(
        X, tmp_path / sample.name, samples=pd.DataFrame([known | columns])
    )


def stations(tmp_path, text):
    path = tmp_path / "stations.csv"
    path.write_text(text, encoding="utf-8")
    return path


def table_of_samples(out):
    return pd.read_csv(out / "samples.csv", index_col="sample_id")


def test_samples_are_described(station, tmp_path, X, y):
    sample = measured(station.season / "bay.json", tmp_path, n_particles=25)
    write_particles(X[:6], y[:6], tmp_path / "LAB")
    out = tmp_path / "out"
    samples = [sample, station.season / "cape.json", tmp_path / "LAB"]
    assert classify(station, out, samples=samples) == 0
    table = table_of_samples(out)
    assert table.index.tolist() == ["LAB", "bay", "cape"]
    bay = table.loc["bay"].dropna().to_dict()
    assert bay == {
        "instrument": "CytoSense CS-1",
        "start": "2025-07-01T09:30:15+00:00",
        "analyzed_volume_ml": 1.125,
        "n_particles": 25,
        "n_images": 20,
        "n_read": 24,
        "is_partial": True,
    }
    assert table["volume_problem"].fillna("").tolist() == [
        *("no volume is given", "", "analysedVolume is missing"),
    ]
    assert table["n_read"].tolist() == [6, 24, 24]
    assert table["is_partial"].tolist() == [False, True, False]
    # It can be read again, as the table that the readers return.
    again = read_samples(out / "samples.csv").set_index("sample_id").loc[["bay"]]
    _, expected = load_cyz_json(sample, return_samples=True)
    pd.testing.assert_frame_equal(again, expected.set_index("sample_id"))


def test_partial_samples_are_marked(station, tmp_path, capsys):
    samples = copied(station, tmp_path, "bay", "cape")
    content = samples[0].read_text(encoding="utf-8-sig")
    samples[0].write_text(content[:-20_000], encoding="utf-8")  # some images are left
    out = tmp_path / "out"
    for _ in range(2):
        assert classify(station, out, "--ecotaxa", samples=samples) == 3
        printed = capsys.readouterr()
        words = "1 sample read in part only, so that counts may be too low: bay. See"
        assert words in printed.err
    counts = pd.read_csv(out / "species.csv", index_col="sample")
    assert counts["(partial)"].to_dict() == {"bay": True, "cape": False}
    assert table_of_samples(out)["is_partial"].to_dict() == {"bay": True, "cape": False}
    record = json.loads((out / "progress" / "done" / "bay.json").read_bytes())
    assert record["sample"]["is_partial"] == "True"
    assert record["sample"]["n_read"] == str(record["particles"])
    for name, is_partial in (("bay", "True"), ("cape", "False")):
        objects = read_ecotaxa(out / f"ecotaxa_{name}.zip", cache=tmp_path / "zip")
        assert set(objects["acq_is_partial"]) == {is_partial}
    strict = classify(station, tmp_path / "strict", "--strict", samples=samples)
    assert strict == 1


def test_metadata_for_ecotaxa(station, tmp_path):
    sample = measured(station.season / "bay.json", tmp_path)
    metadata = stations(
        tmp_path,
        "sample_id,volume_ml,latitude,longitude,depth,sample_ship,process_by\n"
        "bay,2.5,48.5,-4.75,3,Neomysis,me\n",
    )
    out = tmp_path / "out"
    options = ("--ecotaxa", "--metadata", metadata)
    assert classify(station, out, *options, samples=[sample]) == 0
    table = pd.read_csv(out / "bay.csv").set_index("object_id")
    objects = read_ecotaxa(out / "ecotaxa_bay.zip", status=None, cache=tmp_path)
    constant = {
        "object_date": "20250701",
        "object_time": "093015",
        "object_lat": 48.5,
        "object_lon": -4.75,
        "object_depth_min": 3,
        "object_depth_max": 3,
        "sample_id": "bay",
        "sample_ship": "Neomysis",
        "acq_id": "bay",
        "acq_instrument": "CytoSense CS-1",
        "acq_analyzed_volume_ml": 2.5,
        "acq_n_particles": 24,
        "acq_n_images": 20,
        "acq_is_partial": "False",
        "process_id": "bay",
        "process_by": "me",
    }
    for name, value in constant.items():
        assert set(objects[name]) == {value}, name
    described = table_of_samples(out).loc["bay"]
    assert described["analyzed_volume_ml"] == 2.5
    assert described["latitude"] == 48.5
    assert described["sample_ship"] == "Neomysis"
    # The similarity to the nearest labeled particle; the most doubtful come first.
    expected = table.loc[objects["object_id"]]
    assert objects["object_similarity"].tolist() == expected["similarity_1"].tolist()
    assert objects["object_familiarity"].tolist() == expected["familiarity"].tolist()
    assert objects["object_familiarity"].is_monotonic_increasing
    assert len(objects) == PER_SAMPLE - 4


def test_metadata_day_after_day(station, tmp_path, capsys, monkeypatch):
    """Samples whose rows are new or have changed are classified again, no others."""
    samples = copied(station, tmp_path, "bay", "cape")
    out, classified = tmp_path / "out", []
    original = _model.classify_particles

    def spy(model, particles):
        classified.append(particles["sample_id"].iloc[0])
        return original(model, particles)

    monkeypatch.setattr("skplankton._cli._classify.classify_particles", spy)
    assert classify(station, out, samples=samples) == 0
    header = "sample_id,volume_ml,object_note\n"
    metadata = stations(tmp_path, f"{header}bay,1.5,a\nnorth,2,b\n")
    options = ("--metadata", metadata)
    assert classify(station, out, *options, samples=samples) == 0
    assert classified == ["bay", "cape", "bay"]
    printed = capsys.readouterr().err
    assert f"warning: 1 row in {metadata} for samples that are not pass" in printed
    assert f"warning: no row in {metadata} for 1 sample: cape" in printed
    # Without the option, what was given remains.
    for again in (options, ()):
        assert classify(station, out, *again, samples=samples) == 0
        assert table_of_samples(out)["analyzed_volume_ml"]["bay"] == 1.5
    assert classified == ["bay", "cape", "bay"]
    stations(tmp_path, f"{header}bay,1.75,a\ncape,2,\nnorth,2,b\n")
    assert classify(station, out, *options, samples=samples[:1]) == 0
    assert classified == ["bay", "cape", "bay", "bay"]
    table = table_of_samples(out)
    assert table["analyzed_volume_ml"]["bay"] == 1.75
    assert table["object_note"].fillna("").to_dict() == {"bay": "a", "cape": ""}
    # Unless the sample has to be classified again.
    capsys.readouterr()
    samples[0].write_text(samples[0].read_text("utf-8-sig") + "\n", encoding="utf-8")
    assert classify(station, out, samples=samples) == 0
    printed = capsys.readouterr().err
    assert "warning: bay is classified again, without the values that --met" in printed
    assert "cape is classified" not in printed
    assert table_of_samples(out)["analyzed_volume_ml"].isna().all()


def test_more_rows_than_are_shown(station, tmp_path, capsys):
    rows = "".join(f"s{i},1\n" for i in range(7))
    metadata = stations(tmp_path, f"sample_id,volume_ml\nbay,1\n{rows}")
    sample = [station.season / "bay.json"]
    options = ("--metadata", metadata)
    assert classify(station, tmp_path / "out", *options, samples=sample) == 0
    printed = capsys.readouterr().err
    assert "7 rows in" in printed
    assert "s0, s1, s2, s3, s4, … and 2 more" in printed
    assert "no row in" not in printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "stations.csv is not a file. Expected a CSV file with a column sample_"),
        (
            "sample_id,volume_ml\nbay,0\n",
            "line 2, column 'volume_ml': the value is zero",
        ),
        ("sample_id,volume_ml\nbay,1\nbay,2\n", "line 3: the sample 'bay' has a row"),
        ("sample_id,volumes\nbay,1\n", "the column 'volumes' is unknown"),
    ],
)
def test_metadata_with_mistakes(text, words, station, tmp_path, capsys, monkeypatch):
    def load(*_, **__):
        raise AssertionError("found out after reading")

    monkeypatch.setattr("skplankton._cli._samples.CyzSample.load_with_samples", load)
    if text is not None:
        stations(tmp_path, text)
    options = ("--metadata", tmp_path / "stations.csv")
    assert classify(station, tmp_path / "out", *options) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_metadata_that_would_be_replaced(station, tmp_path, capsys):
    out, sample = tmp_path / "out", [station.season / "bay.json"]
    assert classify(station, out, samples=sample) == 0
    before = results(out)
    options = ("--metadata", out / "samples.csv")
    assert classify(station, out, *options, samples=sample) == 1
    assert "is written by this command, and would be replaced" in (
        capsys.readouterr().err
    )
    assert results(out) == before
    (out / "samples.csv").rename(tmp_path / "samples.csv")
    options = ("--metadata", tmp_path / "samples.csv")
    assert classify(station, out, *options, samples=sample) == 0
    assert results(out) == before


# evaluate


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


# suggest


@pytest.fixture(scope="session")
def suggested(station):
    """The folder that `suggest` writes for the three samples."""
    folder = station.folder / "to_label"
    assert suggest(station, folder, "--n", 40, "--ecotaxa") == 0
    return folder


def suggest(station, output, *arguments, samples=None):
    samples = samples or [station.season]
    quick = ("--max-epochs", 1)
    return run("suggest", *samples, "--output", output, *quick, *arguments)


def chosen_by(folder):
    return pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)


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
    words[words.index("model.joblib")] = model
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

    gallery = joblib.load(station.model)["gallery_ids"]
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
    model = joblib.load(station.model)
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


# --labels, a CSV file


@pytest.mark.parametrize(
    "saved",
    [
        {"sep": ";", "encoding": "utf-8-sig"},
        {"sep": ";", "lineterminator": "\r\n"},
        {"sep": "\t"},
        {"quoting": csv.QUOTE_ALL},
    ],
)
def test_labels_saved_by_a_spreadsheet_program(saved, suggested, station, tmp_path):
    table = chosen_by(suggested).assign(note="")[::-1]
    table["label"] = " " + table["object_id"].map(station.labels) + " "
    table.loc[table.index >= 20, "label"] = ""
    table.to_csv(tmp_path / "labels.csv", index=False, **saved)
    with open(tmp_path / "labels.csv", "a", encoding="utf-8") as file:
        file.write(4 * saved.get("sep", ",") + "\n")
    made = SimpleNamespace(season=station.season, export=tmp_path / "labels.csv")
    labels = read_labels(made.export, False, None)
    expected = station.labels[table["object_id"][table["label"] != ""]]
    assert labels == expected.to_dict()
    assert len(labels) == 20
    assert run("evaluate", station.model, station.season, "--labels", made.export) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the column object_id is missing; the columns are []. Expected"),
        ("id,label\na,b\n", "the column object_id is missing; the columns are ['id'"),
        ("object_id,rank\na,1\n", "the column label is missing; the columns are"),
        ("object_id,label,label\na,b,b\n", "the column label occurs twice"),
        (
            "object_id,label\na,\nb, \n",
            "has no label yet: the column label is empty in",
        ),
        (
            "object_id,label\na,x\n\nb,y\na,z\n",
            "line 5: the particle 'a' is labeled 'z'",
        ),
        ("object_id,label\na,x\na,z\n", "and 'x' in line 2. Keep one of the two"),
        (
            "object_id,label\na,x,y\n",
            "line 2: expected 2 values, as in the header, got",
        ),
        ("object_id;label\na;x;y\n", "A text with a ';' must be in quotes"),
        ("object_id,label\n ,x\n", "line 2: the object_id is missing"),
        ('object_id,label\na,"x\n', "line 2: the quotes do not match up"),
        ("object_id,label\nelsewhere_1,x\n", "None of the 1 label in"),
    ],
)
def test_tables_of_labels_that_cannot_be_used(text, words, station, tmp_path, capsys):
    table = tmp_path / "labels.csv"
    table.write_text(text, encoding="utf-8")
    made = SimpleNamespace(season=station.season, export=table)
    assert fit(made, "--output", tmp_path / "m.joblib") == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert str(table) in printed


def test_other_files_of_labels(station, tmp_path, capsys):
    (tmp_path / "labels.csv").write_bytes("object_id,label\na,é\n".encode("latin-1"))
    (tmp_path / "labels.xlsx").touch()
    for name, words in {
        "labels.csv": "line 2: the text is not UTF-8",
        "labels.xlsx": "is a file of a spreadsheet program. Save the table as 'CSV",
        "none.csv": "none.csv does not exist",
    }.items():
        made = SimpleNamespace(season=station.season, export=tmp_path / name)
        assert fit(made, "--output", tmp_path / "m.joblib") == 1
        assert words in capsys.readouterr().err


def test_a_label_written_twice(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("object_id,label\na,x\na,\na,x\nb,\n", encoding="utf-8")
    assert read_labels(table, False, None) == {"a": "x"}


# --report


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

    # A model that was made before there were reports.
    content = joblib.load(model)
    del content["training"]
    joblib.dump(content, tmp_path / "old.joblib")
    old = tmp_path / "out of old"
    assert classify(station, old, "--report", model=tmp_path / "old.joblib") == 0
    assert "not recorded in this model file" in text_of(old / "report.html")[0]


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


def test_info(station, capsys):
    assert run("info", station.model) == 0
    printed = capsys.readouterr().out
    content = joblib.load(station.model)
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


# Abundances


@pytest.fixture(scope="module")
def counted(station, tmp_path_factory):
    """The folder of a run, and its table of abundances."""
    out = tmp_path_factory.mktemp("counted")
    metadata = out / "volumes.csv"
    metadata.write_text("sample_id,analyzed_volume_ml\nbay,2\ncape,\n")
    assert classify(station, out / "names", "--metadata", metadata) == 0
    return out / "names", read_csv(out / "names" / "abundance.csv")


def test_abundances_are_those_of_the_predicted_labels(station, counted):
    out, table = counted
    model = _model.open_model(station.model.read_bytes(), station.model)
    calibration = pd.DataFrame(model.training["calibration"])
    mistakes = ["label", "predicted_label"]
    of_gallery = gallery_calibration(model.pipeline["gallery"])
    assert calibration[mistakes].equals(of_gallery[mistakes])
    assert calibration["has_image"].mean() == pytest.approx(5 / 6, abs=0.17)
    samples = read_samples(out / "samples.csv")
    for name in SAMPLES:
        predicted = pd.read_csv(out / f"{name}.csv", keep_default_na=False)
        read = load_cyz_json(station.season / f"{name}.json").set_index("object_id")
        particles = pd.DataFrame(
            {
                "sample_id": name,
                "predicted_label": predicted["name"],
                "has_image": read["has_image"][predicted["object_id"]].array,
            }
        )
        expected = abundance_table(
            particles,
            samples[samples["sample_id"] == name],
            calibration=calibration,
            random_state=0,
        )
        got = table[table["sample_id"] == name].reset_index(drop=True)
        assert got["label"].tolist() == expected["label"].tolist()
        for column in ("count", "count_low", "count_high", "concentration"):
            np.testing.assert_allclose(got[column], expected[column], rtol=1e-9)
        assert got["count_predicted"].sum() == len(predicted)
        assert got["count_imaged"].sum() == particles["has_image"].sum()


def test_concentrations_need_a_volume(counted):
    table = counted[1].set_index("sample_id")
    bay = table.loc["bay"]
    np.testing.assert_allclose(bay["concentration"], bay["count"] / 2)
    assert table.loc["cape", "concentration"].isna().all()
    assert table.loc["cape", "note"].str.contains("analysedVolume is missing").all()


def test_counting_those_with_an_image_does_not_classify_again(
    station, counted, monkeypatch, capsys
):
    out, table = counted

    def classified_again(*_):
        raise AssertionError

    monkeypatch.setattr(CrossModalEmbedder, "transform", classified_again)
    assert classify(station, out, "--imaged-only") == 0
    assert "counted by the profile" not in capsys.readouterr().out
    imaged = read_csv(out / "abundance.csv")
    assert not np.allclose(imaged["count"], table["count"])
    assert imaged["count_predicted"].tolist() == table["count_predicted"].tolist()
    totals = imaged.groupby("sample_id")["count"].sum()
    np.testing.assert_allclose(totals, PER_SAMPLE, rtol=0.05)
    assert classify(station, out) == 0
    assert "counted by the profile" in capsys.readouterr().out
    assert read_csv(out / "abundance.csv").equals(table)


def test_a_model_of_one_label_per_species_has_nothing_to_correct_by(station, tmp_path):
    model = tmp_path / "one.joblib"
    assert fit(station, "--gallery-size", 1, "--output", model) == 0
    assert classify(station, tmp_path / "names", model=model) == 0
    table = read_csv(tmp_path / "names" / "abundance.csv")
    assert (table["count"] == table["count_predicted"]).all()


def test_sizes(station, counted, tmp_path):
    out = tmp_path / "names"
    words = ("--metadata", counted[0].parent / "volumes.csv", "--pixel-size", "0.7")
    assert classify(station, out, *words) == 0
    totals = read_csv(out / "biovolume.csv").set_index(["sample_id", "label"])
    concentrations = read_csv(out / "abundance.csv").set_index(["sample_id", "label"])
    for name in SAMPLES:
        X = load_cyz_json(station.season / f"{name}.json", cache=tmp_path / "cache")
        sizes = read_csv(out / f"{name}_sizes.csv")
        expected = measure_particles(X, pixel_size=0.7)
        assert sizes["object_id"].tolist() == X["object_id"].tolist()
        np.testing.assert_allclose(sizes["biovolume_um3"], expected["biovolume_um3"])
        assert (sizes["note"] == "no image").sum() == X["image"].isna().sum()
        predicted = pd.read_csv(out / f"{name}.csv", index_col="object_id")["name"]
        assert sizes["name"].tolist() == predicted[sizes["object_id"]].tolist()
        measured = sizes[sizes["biovolume_um3"].notna()]
        for label, group in measured.groupby("name"):
            row = totals.loc[name, label]
            assert row["n_measured"] == len(group)
            mean = group["biovolume_um3"].mean()
            assert row["biovolume_um3"] == pytest.approx(mean)
            per_ml = mean * concentrations.loc[(name, label), "concentration"]
            assert row["biovolume_um3_per_ml"] == pytest.approx(per_ml, nan_ok=True)
    assert totals.loc["bay", "biovolume_um3_per_ml"].notna().all()

    # Another pixel size is another measurement; without one, the former stays.
    before = (out / "bay_sizes.csv").read_bytes()
    assert classify(station, out) == 0
    assert (out / "bay_sizes.csv").read_bytes() == before
    assert classify(station, out, "--pixel-size", "1.4") == 0
    doubled = read_csv(out / "bay_sizes.csv")
    bay = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")
    twice = 2 * measure_particles(bay, pixel_size=0.7)["equivalent_diameter_um"]
    np.testing.assert_allclose(doubled["equivalent_diameter_um"], twice)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "small"])
def test_impossible_pixel_sizes(station, tmp_path, size, capsys):
    with pytest.raises(SystemExit):
        classify(station, tmp_path, f"--pixel-size={size}")
    assert "expected a number of µm above 0" in capsys.readouterr().err
