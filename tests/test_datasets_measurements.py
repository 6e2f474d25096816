"""Tables with an image file and measurements per particle."""

import logging
import zipfile

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from skplankton._views.entries import image_pixels
from skplankton.datasets import load_measurements

PIXELS = (np.arange(12 * 20) % 251).astype(np.uint8).reshape(12, 20)


@pytest.fixture
def folder(tmp_path):
    """Two images of particles, and a collage."""
    for name in ("one.png", "two.png", "run_000001.tif"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def ecotaxa(folder):
    """As ZooProcess writes it: a row of types, and columns that nobody needs."""
    path = folder / "ecotaxa_scan.tsv"
    path.write_text(
        "img_file_name\tobject_id\tobject_area\tobject_circ.\tsample_id\n"
        "[t]\t[t]\t[f]\t[f]\t[t]\n"
        "one.png\ta_1\t120\t0.75\twp2\n"
        "two.png\ta_2\t1e3\t\twp2\n"
        "\ta_3\t\t\twp3\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def flowcam(folder):
    """As VisualSpreadsheet exports it: particles in a collage, with their place."""
    path = folder / "run.csv"
    path.write_text(
        "Particle ID,Image File,Image X,Image Y,Image Width,Image Height,Ch1 Peak\n"
        "1,run_000001.tif,0,0,20,12,3.5\n"
        "2,run_000001.tif,3,2,5,4,-1\n"
    )
    return path


PLACE = {
    "image_column": "Image File",
    "id_column": "Particle ID",
    "crop_columns": ["Image X", "Image Y", "Image Width", "Image Height"],
}


def test_a_table_for_ecotaxa(ecotaxa, folder):
    table = load_measurements(ecotaxa, columns=["object_circ.", "object_area"])
    assert table.columns.tolist() == [
        *("image", "profile", "object_id", "sample_id"),
        *("particle_id", "instrument", "has_image"),
    ]
    assert table.attrs["measurements"] == ["object_circ.", "object_area"]
    assert table["object_id"].tolist() == ["a_1", "a_2", "a_3"]
    assert table["sample_id"].tolist() == ["wp2", "wp2", "wp3"]
    assert table["has_image"].tolist() == [True, True, False]
    assert_array_equal(table["profile"][0], np.float32([0.75, 120]))
    assert_array_equal(table["profile"][1], np.float32([np.nan, 1000]))
    assert table["profile"][0].dtype == np.float32
    assert table["profile"][2] is None  # nothing was measured
    assert table["image"][2] is None
    assert table["image"][0] == str(folder / "one.png")


def test_places_in_a_collage(flowcam):
    table = load_measurements(flowcam, columns=["Ch1 Peak"], **PLACE)
    assert table["object_id"].tolist() == ["run_1", "run_2"]
    assert set(table["sample_id"]) == {"run"}
    assert_array_equal(image_pixels(table["image"][0]), PIXELS)
    assert_array_equal(image_pixels(table["image"][1]), PIXELS[2:6, 3:8])
    assert str(table["image"][1]) == "run_2"
    assert_array_equal(table["profile"][1], np.float32([-1]))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(folder, separator):
    text = "file;a;b\none.png;1;2\n\n;;\ntwo.png;3;4\n;;\n"
    (folder / "t.csv").write_text(text.replace(";", separator), encoding="utf-8-sig")
    table = load_measurements(folder / "t.csv", columns=["b", "a"], image_column="file")
    assert table["object_id"].tolist() == ["t_one", "t_two"]
    assert np.stack(table["profile"]).tolist() == [[2, 1], [4, 3]]


def test_a_data_frame(folder):
    X = pd.DataFrame(
        {"f": ["one.png", None], "n": [5, 7], "a": [1, np.nan], "b": [2, 3]}
    )
    table = load_measurements(
        X, columns=["a", "b"], images=folder, image_column="f", id_column="n"
    )
    assert table["object_id"].tolist() == ["table_5", "table_7"]
    assert_array_equal(table["profile"][1], np.float32([np.nan, 3]))
    assert_array_equal(image_pixels(table["image"][0]), PIXELS)


def test_names_of_another_folder(folder, tmp_path):
    """And with the backslashes of Windows."""
    (tmp_path / "sub").mkdir()
    (folder / "one.png").rename(tmp_path / "sub" / "one.png")
    (folder / "t.csv").write_text("img_file_name,a\nsub\\one.png,1\n")
    table = load_measurements(folder / "t.csv", columns=["a"])
    assert table["object_id"].tolist() == ["t_one"]
    assert table["image"][0] == str(tmp_path / "sub" / "one.png")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("img_file_name,a\none.png,x\n", "line 2: a is 'x'; expected a number"),
        ("img_file_name;a\none.png;1,5\n", "line 2: a is '1,5'.*with a decimal point"),
        ("img_file_name,a\none.png,1e39\n", "a is '1e39'"),
        ("img_file_name,a\none.png,inf\n", "a is 'inf'"),
        ("img_file_name,a\none.png,1_0\n", "a is '1_0'"),
    ],
)
def test_values_that_are_not_numbers(folder, text, words, caplog):
    (folder / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"t.csv, {words}|t.csv, line 2: {words}"):
        load_measurements(folder / "t.csv", columns=["a"])
    with caplog.at_level(logging.WARNING, "skplankton"):
        table = load_measurements(folder / "t.csv", columns=["a"], errors="coerce")
    assert table["profile"][0] is None
    assert "once, a value that is not a number" in caplog.text


def test_a_missing_image_file(ecotaxa, folder):
    (folder / "two.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"row 1 .*no image file 'two.png'"):
        load_measurements(ecotaxa, columns=["object_area"])
    with pytest.warns(UserWarning, match="once, the image is missing"):
        table = load_measurements(ecotaxa, columns=["object_area"], errors="warn")
    assert table["image"].notna().tolist() == [True, False, False]
    assert table["has_image"].tolist() == [True, True, False]


@pytest.mark.parametrize(
    "place", ["16,0,5,4", "0,0,0,4", "-1,0,5,4", "0.5,0,5,4", ",,,"]
)
def test_places_outside_the_collage(flowcam, place, caplog):
    """Pillow would add black."""
    text = flowcam.read_text().replace("3,2,5,4", place)
    flowcam.write_text(text)
    words = r"run.csv, line 3: .*run_000001.tif: the particle has the left and upper"
    with pytest.raises(ValueError, match=words):
        load_measurements(flowcam, columns=["Ch1 Peak"], **PLACE)
    with caplog.at_level(logging.WARNING, "skplankton"):
        table = load_measurements(
            flowcam, columns=["Ch1 Peak"], **PLACE, errors="coerce"
        )
    assert table["image"].notna().tolist() == [True, False]


def test_a_collage_that_is_not_an_image(flowcam, folder):
    (folder / "run_000001.tif").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"line 2: .*not an image in a supported"):
        load_measurements(flowcam, columns=["Ch1 Peak"], **PLACE)


@pytest.mark.parametrize(
    ("text", "options", "error", "words"),
    [
        ("", {}, ValueError, "has no rows"),
        ("img_file_name,a\n", {}, ValueError, "has no rows"),
        ("img_file_name,a\n[t],[f]\n", {}, ValueError, "has no rows"),
        ("img_file_name,a\nx.png\n", {}, ValueError, "line 2: expected 2 values"),
        ("file,a\nx,1\n", {}, ValueError, "'img_file_name' does not exist"),
        ("img_file_name,b\nx,1\n", {}, ValueError, "the column 'a' does not exist"),
        ("img_file_name,a,a\nx,1,1\n", {}, ValueError, "the column 'a' occurs twice"),
        ("img_file_name,a\n,1\n", {}, ValueError, "line 2: the particle has no id"),
        (
            "img_file_name,a\none.png,1\none.png,2\n",
            {},
            ValueError,
            "line 3: the id 't_one' is that of another particle as well, .*line 2",
        ),
        ("a\n1\n", {"columns": "a"}, TypeError, "columns='a'; expected a list"),
        ("a\n1\n", {"columns": []}, ValueError, "each name once, and at least one"),
        ("a\n1\n", {"columns": ["a", "a"]}, ValueError, "each name once"),
        ("a\n1\n", {"crop_columns": ["a"]}, ValueError, "expected four names"),
        (
            "img_file_name,a\none.png,1\n",
            {"crop_columns": list("wxyz")},
            ValueError,
            "a collage shows several particles. Pass id_column",
        ),
    ],
)
def test_invalid_tables(folder, text, options, error, words):
    (folder / "t.csv").write_text(text)
    with pytest.raises(error, match=words):
        load_measurements(folder / "t.csv", **{"columns": ["a"], **options})


def test_a_table_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"t\.csv does not exist"):
        load_measurements(tmp_path / "t.csv", columns=["a"])


def test_problems_of_a_data_frame():
    X = pd.DataFrame({"img_file_name": [None, None], "n": ["a", "b"], "a": [1, "x"]})
    with pytest.raises(ValueError, match=r"table, row 1 \(counted from 0\): a is 'x'"):
        load_measurements(X, columns=["a"], id_column="n")


def test_a_particle_without_collage(flowcam):
    flowcam.write_text(
        flowcam.read_text().replace("2,run_000001.tif,3,2,5,4", "2,,,,,")
    )
    table = load_measurements(flowcam, columns=["Ch1 Peak"], **PLACE)
    assert table["image"].notna().tolist() == [True, False]
    assert table["has_image"].tolist() == [True, False]


def test_an_archive_is_not_a_table(tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ecotaxa_export.tsv", "object_id\n1\n")
    with pytest.raises(ValueError, match=r"is a zip archive .*read_ecotaxa"):
        load_measurements(path, columns=["object_mean"])
