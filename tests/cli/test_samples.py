"""Which files of the command line are samples, and what is read of them."""

import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skplankton._cli._labels import read_labels
from skplankton._cli._particles import load_all
from skplankton._cli._samples import find_samples
from skplankton.datasets import load_ifcb, write_ifcb, write_particles

from .station import SAMPLES


def test_a_folder_of_json_files(station):
    assert [sample.name for sample in find_samples([station.season])] == list(SAMPLES)


def test_paths_that_are_not_samples(station, tmp_path):
    (tmp_path / "raw.cyz").touch()
    (tmp_path / "model.skops").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    for name, words in {
        "nowhere.json": "does not exist. Expected a .json file of cyz2json",
        "raw.cyz": "Convert it with cyz2json first",
        "model.skops": "If it is a model, pass it first: MODEL SAMPLE",
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


def test_lab_tables_of_spreadsheet_programs(X, y, tmp_path):
    table = write_particles(X[:2], y[:2], tmp_path / "LAB")
    text = table.read_text(encoding="utf-8").replace("image,profile", "image, profile")
    table.write_text(text + ",,,\n", encoding="utf-8")
    (sample,) = find_samples([table])
    assert sample.load()["object_id"].tolist() == ["LAB_000000", "LAB_000001"]
    table.write_text(text.replace(",", "object_id,", 1).replace("0,", ",", 1))
    with pytest.raises(ValueError, match=r"row 0 .*: the object_id is missing"):
        sample.load()


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


def test_a_bin_named_by_each_of_its_files_is_one_sample(bins):
    path = bins / "2022" / BINS[0][:9] / BINS[0]
    files = [path.with_suffix(suffix) for suffix in (".adc", ".hdr", ".roi")]
    assert [sample.source for sample in find_samples([*files, bins])] == [
        find_samples([bins])[i].source for i in (0, 1)
    ]
    copy = bins / "copy" / BINS[0]
    copy.parent.mkdir()
    for file in files:
        shutil.copy(file, copy.parent)
    with pytest.raises(ValueError, match=r"Two samples are named"):
        find_samples([path, copy])


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


def test_images_that_are_not_named_after_particles(tmp_path, capsys):
    """Labels that are missing for it are not missed silently."""
    image = tmp_path / "labels" / "Dinobryon" / f"{BINS[1]}_00003.png"
    image.parent.mkdir(parents=True)
    for name in ("img1.png", "img2.png", f"{BINS[1]}_00004.jpg"):
        (image.parent / name).touch()
    words = r"contains no labels, only \[.*jpg'.*a table of EcoTaxa.*labels of an IFCB"
    with pytest.raises(FileNotFoundError, match=words):
        read_labels(tmp_path / "labels", strict=True, cache=None)
    image.touch()
    found = read_labels(tmp_path / "labels", strict=True, cache=None)
    assert found == {image.stem: "Dinobryon"}
    printed = capsys.readouterr().err
    assert "warning: 3 images in" in printed
    assert f"such as {image.parent.name}" in printed
