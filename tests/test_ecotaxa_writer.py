import csv
import datetime
import os
import tracemalloc
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skplankton._views.stored import StoredImage
from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa

DATE = datetime.datetime(2026, 3, 1, 9, 5, 7)
GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOR = np.arange(144, dtype=np.uint8).reshape(6, 8, 3)


def particles(images=(GRAY, COLOR), **columns):
    ids = [f"p{i}" for i in range(len(images))]
    entries = {"object_id": ids, "image": pd.Series(list(images), dtype=object)}
    return pd.DataFrame(entries | columns)


def write(path, table, predictions=None, **kwargs):
    predictions = ["Copepoda"] * len(table) if predictions is None else predictions
    return write_ecotaxa(path, table, predictions, **{"date": DATE} | kwargs)


def as_ecotaxa_reads(path):
    """Rows of the table, read and checked as EcoTaxa's import does it."""
    (table,) = Path(path).glob("**/ecotaxa*.tsv")
    with open(table, encoding="latin_1") as file:
        has_mark = file.read(3) == "ï»¿"
    encoding = "utf-8-sig" if has_mark else "latin_1"
    with open(table, encoding=encoding, newline="") as file:
        types, *rows = csv.DictReader(file, delimiter="\t", quotechar='"')
    prefixes = {name.split("_")[0] for name in types}
    assert prefixes <= {"img", "object", "sample", "acq", "process"}
    assert {f"{prefix}_id" for prefix in prefixes - {"img"}} <= set(types)
    for name, type_ in types.items():
        assert type_ in ("[t]", "[f]")
        if type_ == "[f]":
            for row in rows:
                float(row[name] or 0)
    for row in rows:
        with Image.open(table.parent / row["img_file_name"]) as image:
            image.load()
            assert image.format in ("PNG", "JPEG")
        if row["object_annotation_status"]:
            assert row["object_annotation_category"]
    return rows


def test_bytes_and_urls_are_copied_like_files(tmp_path):
    Image.fromarray(COLOR).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    urls = [f"file://{tmp_path / name}" for name in ("a.jpg", "no.jpg")]
    images = [content, {"bytes": content, "path": None}, *urls]
    with pytest.warns(UserWarning, match="p3.*there is no such file or object"):
        written = write(
            tmp_path / "out",
            particles(images),
            without_image="aside",
            errors="warn",
        )
    rows = as_ecotaxa_reads(written)
    assert [row["object_id"] for row in rows] == ["p0", "p1", "p2"]
    for row in rows:
        assert row["img_file_name"].endswith(".jpg")
        assert (written / row["img_file_name"]).read_bytes() == content


def test_what_is_written(tmp_path):
    table = particles(
        object_lat=[60.5, np.nan],
        object_lon=["22.25", None],
        object_date=[pd.Timestamp("2025-07-01"), pd.NaT],
        object_time=[93000.0, np.nan],
        sample_id=["s1", "s1"],
        acq_id=[7, 8],
        object_length=[1.5, np.nan],
        object_seen=[True, False],
        object_note=['tab\tand "quotes"', None],
        sample_depth=[3, 4],
        profile=[None, None],
        label=["x", "y"],
        object_annotation_person_name=["old", "old"],
        object_score=[9.0, 9.0],
    )
    written = write(
        tmp_path / "station",
        table,
        ["Ångström<µ", None],
        proba=np.array([[0.25, 0.75], [0.5, 0.5]]),
        neighbors=[["g1", "g2"], ["g3", None]],
    )
    assert written == tmp_path / "station"
    first, second = as_ecotaxa_reads(written)
    assert first == {
        "img_file_name": "images/p0_169b5b82.png",
        "img_rank": "0",
        "object_id": "p0",
        "object_annotation_category": "Ångström<µ",
        "object_annotation_status": "predicted",
        "object_annotation_date": "20260301",
        "object_annotation_time": "090507",
        "object_score": "0.75",
        "object_neighbor_1": "g1",
        "object_neighbor_2": "g2",
        "object_lat": "60.5",
        "object_lon": "22.25",
        "object_date": "20250701",
        "object_time": "093000",
        "sample_id": "s1",
        "acq_id": "7",
        "object_length": "1.5",
        "object_seen": "1",
        "object_note": 'tab\tand "quotes"',
        "sample_depth": "3",
    }
    assert list(second.values()) == (
        [
            "images/p1_f64551fc.png",
            "0",
            "p1",
            "",
            "",
            "",
            "",
            "0.5",
            "g3",
            "",
            "",
            "",
            "",
            "",
            "s1",
            "8",
            "",
            "0",
            "",
            "4",
        ]
    )
    assert sorted(os.listdir(written)) == ["ecotaxa_station.tsv", "images"]


def test_types(tmp_path):
    table = particles(
        object_lat=["60.5", "61"],
        object_area=np.array([0.1, 2], dtype=np.float32),
        object_count=pd.array([1, None], dtype="Int64"),
        object_mixed=[1, None],
        object_name=["a", "b"],
        object_none=[None, None],
        object_date=["20250701", "2025-07-02"],
    )
    write(tmp_path / "x", table, neighbors=[["1"], ["2"]], proba=[1, 0])
    lines = (tmp_path / "x" / "ecotaxa_x.tsv").read_text("utf-8-sig").splitlines()
    names, types, first, _ = (
        [entry.strip('"') for entry in line.split("\t")] for line in lines
    )
    types = dict(zip(names, types, strict=True))
    numeric = {name for name, type_ in types.items() if type_ == "[f]"}
    assert numeric == {
        "img_rank",
        "object_score",
        "object_lat",
        "object_area",
        "object_count",
        "object_mixed",
    }
    assert dict(zip(names, first, strict=True))["object_area"] == "0.1"


def test_score_that_is_missing(tmp_path):
    path = write(
        tmp_path / "x", particles(), proba=np.float32([[np.nan] * 2, [0.1, 0]])
    )
    assert [row["object_score"] for row in as_ecotaxa_reads(path)] == ["", "0.1"]


def test_folder_and_archive_hold_the_same(tmp_path):
    table = particles()
    folder = write(tmp_path / "station", table)
    archive = write(tmp_path / "station.zip", table)
    with zipfile.ZipFile(archive) as content:
        assert content.testzip() is None
        held = {name: content.read(name) for name in content.namelist()}
    assert held == {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_same_input_same_bytes(tmp_path):
    one = write(tmp_path / "one" / "a.zip", particles())
    two = write(tmp_path / "two" / "a.zip", particles())
    assert one.read_bytes() == two.read_bytes()


def test_date_is_now_in_utc(tmp_path):
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    path = write(tmp_path / "x", particles(), date=None)
    row, *_ = as_ecotaxa_reads(path)
    text = row["object_annotation_date"] + row["object_annotation_time"] + "+0000"
    written = datetime.datetime.strptime(text, "%Y%m%d%H%M%S%z")
    assert before <= written <= datetime.datetime.now(datetime.timezone.utc)


def test_date_with_a_time_zone_is_turned_into_utc(tmp_path):
    zone = datetime.timezone(datetime.timedelta(hours=10))
    path = write(tmp_path / "x", particles(), date=DATE.replace(tzinfo=zone))
    row, *_ = as_ecotaxa_reads(path)
    assert row["object_annotation_date"] == "20260228"
    assert row["object_annotation_time"] == "230507"


# EcoTaxa drops blanks at the ends, and no database keeps a NUL.
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
    max_size=20,
).filter(lambda text: text == text.strip())


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(
        st.tuples(texts, texts | st.none(), texts | st.none(), st.floats(width=32)),
        min_size=1,
        max_size=4,
        unique_by=lambda row: row[0],
    ),
    suffix=st.sampled_from(["", ".zip"]),
)
def test_round_trip(rows, suffix):
    ids, labels, notes, numbers = (list(column) for column in zip(*rows, strict=True))
    numbers = [np.nan if np.isinf(number) else number for number in numbers]
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (5, 7), dtype=np.uint8) for _ in ids]
    table = pd.DataFrame({"object_id": ids, "object_note": notes}, dtype=object)
    table["object_size"] = numbers
    table["image"] = pd.Series(images, dtype=object)
    with TemporaryDirectory() as folder:
        path = write(Path(folder, f"x{suffix}"), table, labels, proba=np.ones(len(ids)))
        objects = read_ecotaxa(path, status="predicted", cache=folder)
        assert objects["object_id"].tolist() == ids
        assert objects["label"].tolist() == labels
        assert objects["object_note"].tolist() == notes
        np.testing.assert_array_equal(objects["object_size"], numbers)
        for image, expected in zip(objects["image"], images, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(image)), expected)
        assert read_ecotaxa(path, cache=folder)["label"].isna().all()


def test_tables_that_were_read_can_be_written_again(tmp_path):
    table = particles(object_lat=[1.0, 2.0], sample_id=["s", "s"], object_x=["a", None])
    first = write(tmp_path / "a", table, proba=[0.5, 1], neighbors=[["g"], ["h"]])
    objects = read_ecotaxa(first, status="predicted")
    second = write(
        tmp_path / "b",
        objects,
        objects["label"],
        proba=[0.5, 1],
        neighbors=[["g"], ["h"]],
    )
    pd.testing.assert_frame_equal(
        read_ecotaxa(second, status="predicted").drop(columns="image"),
        objects.drop(columns="image"),
    )


def read_images(path):
    objects = read_ecotaxa(path, status="predicted")
    return [np.asarray(Image.open(image)) for image in objects["image"]]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.PNG", "wrong_name.jpg"])
def test_files_are_copied_as_they_are(tmp_path, name):
    source = tmp_path / name
    form = "JPEG" if name == "a.jpg" else "PNG"
    Image.fromarray(COLOR).save(source, format=form)
    path = write(tmp_path / "x", particles([str(source), source]))
    for row in as_ecotaxa_reads(path):
        copied = path / row["img_file_name"]
        assert copied.read_bytes() == source.read_bytes()
        assert copied.suffix == (".jpg" if form == "JPEG" else ".png")


@pytest.mark.parametrize(
    ("name", "pixels", "expected"),
    [
        ("a.bmp", COLOR, COLOR),
        ("a.tif", GRAY, GRAY),
        ("a.gif", GRAY, None),
        ("a.png", GRAY.astype(np.uint16) * 257, GRAY),
        ("a.tif", GRAY.astype(np.uint16) * 257, GRAY),
        ("a.tif", (GRAY / 255).astype(np.float32), GRAY),
    ],
)
def test_other_files_become_png_of_8_bits(tmp_path, name, pixels, expected):
    Image.fromarray(pixels).save(tmp_path / name)
    path = write(tmp_path / "x", particles([tmp_path / name]))
    (row,) = as_ecotaxa_reads(path)
    assert row["img_file_name"].endswith(".png")
    (image,) = read_images(path)
    if expected is None:  # a palette becomes colors
        expected = np.repeat(GRAY[..., None], 3, axis=2)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    "pixels", [GRAY, COLOR, GRAY.astype(np.uint16) * 257, GRAY / 255, COLOR / 255]
)
def test_arrays_become_png_of_8_bits(tmp_path, pixels):
    (image,) = read_images(write(tmp_path / "x", particles([pixels])))
    np.testing.assert_array_equal(image, GRAY if pixels.ndim == 2 else COLOR)


def stored(folder, pixels, form, crop=None):
    """An image that begins at byte 3 of a file that goes on after it."""
    Image.fromarray(pixels).save(folder / "alone", format=form)
    content = (folder / "alone").read_bytes()
    path = folder / "measurement"
    path.write_bytes(b"abc" + content + b"def")
    return StoredImage(str(path), 3, len(content), "particle 1", crop), content


def test_stored_images(tmp_path):
    image, content = stored(tmp_path, COLOR, "JPEG")
    (row,) = as_ecotaxa_reads(write(tmp_path / "x", particles([image])))
    assert row["img_file_name"].endswith(".jpg")
    assert (tmp_path / "x" / row["img_file_name"]).read_bytes() == content


def test_stored_images_of_other_kinds(tmp_path):
    image, _ = stored(tmp_path, COLOR, "BMP")
    (read,) = read_images(write(tmp_path / "x", particles([image])))
    np.testing.assert_array_equal(read, COLOR)


def test_stored_images_are_cropped(tmp_path):
    image, _ = stored(tmp_path, COLOR, "PNG", crop=(2, 1, 4, 3))
    (read,) = read_images(write(tmp_path / "x", particles([image])))
    np.testing.assert_array_equal(read, COLOR[1:4, 2:6])


def test_names_are_safe_and_unique(tmp_path):
    ids = ["../a", "a/b", "a?b", "A?b", "CON", "é" * 200, "nul.", "a b"]
    table = particles([GRAY] * len(ids)).assign(object_id=ids)
    path = write(tmp_path / "st 1/2", table)
    rows = as_ecotaxa_reads(path)
    assert [row["object_id"] for row in rows] == ids
    names = [row["img_file_name"] for row in rows]
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        folder, file = name.split("/")
        assert folder == "images"
        assert file.removesuffix(".png").replace("_", "").isalnum()
        assert file.isascii()
        assert len(file) < 80


def test_names_do_not_depend_on_the_other_particles(tmp_path):
    """EcoTaxa would take an image of another name for a second one of the object."""
    table = particles([GRAY, COLOR, GRAY])
    names = [
        {row["object_id"]: row["img_file_name"] for row in as_ecotaxa_reads(path)}
        for path in (
            write(tmp_path / "a", table),
            write(tmp_path / "b", table[::-1]),
            write(tmp_path / "c", table[1:]),
        )
    ]
    assert names[0] == names[1] == {"p0": names[0]["p0"]} | names[2]


def test_particles_without_image(tmp_path):
    table = particles([GRAY, None, np.nan], object_depth_min=[1, 2, 3])
    with pytest.raises(
        ValueError, match=r"2 of 3 rows have no image, first the object "
    ):
        write(tmp_path / "x.zip", table)
    with pytest.raises(ValueError, match="without_image='skip': expected 'raise' or"):
        write(tmp_path / "x.zip", table, without_image="skip")
    assert not list(tmp_path.iterdir())
    path = write(
        tmp_path / "x.zip", table, list("abc"), without_image="aside", proba=[0, 0.5, 1]
    )
    with zipfile.ZipFile(path) as content:
        assert len(content.namelist()) == 3
        aside = pd.read_csv(content.open("without_image.csv"))
    assert aside["object_id"].tolist() == ["p1", "p2"]
    assert aside["object_annotation_category"].tolist() == ["b", "c"]
    assert aside["object_score"].tolist() == [0.5, 1]
    assert aside["object_depth_min"].tolist() == [2, 3]
    assert read_ecotaxa(path)["object_id"].tolist() == ["p0"]
    with pytest.raises(ValueError, match="None of the 3 rows has an image"):
        write(tmp_path / "y.zip", table.assign(image=None), without_image="aside")


@pytest.mark.parametrize("name", ["x", "x.zip"])
def test_nothing_is_overwritten_by_default(tmp_path, name):
    path = write(tmp_path / name, particles(), ["a", "a"])
    with pytest.raises(FileExistsError, match=r"exists\. Pass overwrite=True"):
        write(path, particles())
    assert read_ecotaxa(path, status=None)["label"].tolist() == ["a", "a"]
    write(path, particles([GRAY]), ["b"], overwrite=True)
    assert read_ecotaxa(path, status=None)["label"].tolist() == ["b"]
    assert os.listdir(tmp_path) == [name]
    if name == "x":
        assert os.listdir(path / "images") == ["p0_169b5b82.png"]


def test_empty_folder_may_be_written_to(tmp_path):
    (tmp_path / "x").mkdir()
    assert len(read_ecotaxa(write(tmp_path / "x", particles()))) == 2


def test_folder_with_other_files_is_never_replaced(tmp_path):
    write(tmp_path / "x", particles())
    (tmp_path / "x" / "notes.txt").write_text("mine")
    words = r"contains files of other programs: \['notes\.txt'\]"
    with pytest.raises(FileExistsError, match=words):
        write(tmp_path / "x", particles(), overwrite=True)


def test_folder_that_contains_the_images_is_not_replaced(tmp_path):
    path = write(tmp_path / "x", particles())
    objects = read_ecotaxa(path)
    with pytest.raises(
        ValueError, match="lies in the folder that is about to be repla"
    ):
        write(path, objects, overwrite=True)
    assert len(read_ecotaxa(path)) == 2


def test_archive_and_folder_are_not_mixed_up(tmp_path):
    (tmp_path / "x.zip").mkdir()
    (tmp_path / "y").touch()
    for name, kind in {"x.zip": "folder", "y": "file"}.items():
        with pytest.raises(
            FileExistsError, match=f"{name} is a {kind}; expected a path"
        ):
            write(tmp_path / name, particles(), overwrite=True)


@pytest.mark.parametrize("name", ["x", "x.zip"])
def test_interrupted_run_leaves_the_old_output(tmp_path, name, monkeypatch):
    path = write(tmp_path / name, particles(), ["a", "a"])

    def interrupt(entry):
        raise KeyboardInterrupt

    monkeypatch.setattr("skplankton.ecotaxa._writer.image_file", interrupt)
    for target in (path, tmp_path / f"new_{name}"):
        with pytest.raises(KeyboardInterrupt):
            write(target, particles(), overwrite=True)
    assert os.listdir(tmp_path) == [name]
    assert read_ecotaxa(path, status=None)["label"].tolist() == ["a", "a"]


def test_memory_does_not_grow_with_the_images(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (500, 1000), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    table = particles([str(tmp_path / "noise.png")] * 40)
    size = os.path.getsize(tmp_path / "noise.png")
    tracemalloc.start()
    try:
        path = write(tmp_path / "x.zip", table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert os.path.getsize(path) > 40 * size
    assert peak < 10 * size


def many(prefix, n, value):
    return {f"{prefix}_{i}": [value] * 2 for i in range(n)}


LATITUDES = "expected decimal degrees from -90 to 90, got 90.5"
MISTAKES = {
    "no id column": (
        {"table": particles().drop(columns="object_id")},
        r"The table has no column 'object_id', only \['image'\]",
    ),
    "missing id": (
        {"table": particles(object_id=["a", None])},
        r"'object_id', row 1 \(counted from 0\): expected a text of 1 to 255 char",
    ),
    "id with blanks": (
        {"table": particles(object_id=["a ", "b"])},
        "without blanks around it, got 'a '",
    ),
    "long id": ({"table": particles(object_id=["a" * 256, "b"])}, "1 to 255 charact"),
    "same ids": (
        {"table": particles(object_id=["a", "a"])},
        "1 ids occur more than once, first 'a'",
    ),
    "no image column": (
        {"table": particles().drop(columns="image")},
        r"The table has no column 'image', only \['object_id'\]",
    ),
    "too few predictions": (
        {"predictions": ["a"]},
        "predictions: expected one value for each of the 2 rows of the table, got 1",
    ),
    "table of predictions": (
        {"predictions": [["a"], ["b"]]},
        r"predictions: expected one label per row, got the shape \(2, 1\)",
    ),
    "empty prediction": (
        {"predictions": ["a", ""]},
        "The prediction for the object 'p1' is ''; expected a label",
    ),
    "too few probabilities": ({"proba": [1]}, "proba: expected one value for each"),
    "no probabilities": ({"proba": [0.5, 1.5]}, "from 0 to 1, got 0.5 to 1.5"),
    "texts as probabilities": ({"proba": ["a", "b"]}, "proba: expected numbers of sha"),
    "flat neighbors": (
        {"neighbors": ["a", "b"]},
        (
            r"neighbors: expected object ids of shape \(n_samples, n_neighbors\), "
            r"got the shape \(2,\)"
        ),
    ),
    "too few neighbors": ({"neighbors": [["a"]]}, "neighbors: expected one value"),
    "position": (
        {"table": particles(object_lat=[1.0, 90.5])},
        f"The column 'object_lat', object 'p1': {LATITUDES}",
    ),
    "position as text": (
        {"table": particles(object_lon=["here", "there"])},
        "The column 'object_lon', object 'p0': could not convert string to float",
    ),
    "date": (
        {"table": particles(object_date=["20250701", "20251301"])},
        "The column 'object_date', object 'p1': expected yyyymmdd, got '20251301'",
    ),
    "short date": (
        {"table": particles(object_date=[250701, 250702])},
        "expected yyyymmdd, got 250701",
    ),
    "time": (
        {"table": particles(object_time=["09:30:00", "9.30"])},
        "The column 'object_time', object 'p1': expected hhmmss, got '9.30'",
    ),
    "infinite": (
        {"table": particles(object_x=[1, np.inf])},
        "The column 'object_x', object 'p1': expected a finite number, got inf",
    ),
    "long text": (
        {"table": particles(object_x=["a", "b" * 251])},
        "The column 'object_x', object 'p1': expected at most 250 characters, got 251",
    ),
    "numbers": (
        {"table": particles(**many("object", 501, 1))},
        "501 free columns of numbers begin with object_; EcoTaxa allows at most 500",
    ),
    "texts": (
        {"table": particles(**many("object", 18, "a")), "neighbors": [[1, 2, 3]] * 2},
        "21 free columns of text begin with object_; EcoTaxa allows at most 20",
    ),
    "acquisition columns": (
        {"table": particles(acq_id=["a", "b"], **many("acq", 31, 1))},
        "31 free columns begin with acq_; EcoTaxa allows at most 30",
    ),
    "sample columns": (
        {"table": particles(sample_id=["a", "b"], **many("sample", 61, 1))},
        "61 free columns begin with sample_; EcoTaxa allows at most 60",
    ),
    "sample without id": (
        {"table": particles(sample_depth=[1, 2])},
        "The column 'sample_depth' needs a column 'sample_id', which EcoTaxa",
    ),
    "acquisition in two samples": (
        {"table": particles(sample_id=["a", "b"], acq_id=["1", "1"])},
        r"The acquisition '1' \('acq_id'\) belongs to 2 samples",
    ),
    "names that differ in case": (
        {"table": particles(object_A=[1, 2], object_a=[1, 2])},
        "2 columns are named 'object_a', as EcoTaxa ignores the case",
    ),
    "name with an equals sign": (
        {"table": particles(**{"object_a=b": [1, 2]})},
        "The column 'object_a=b' has a name that EcoTaxa cannot store",
    ),
    "image of no shape": (
        {"table": particles([GRAY, np.zeros((2, 2, 4), np.uint8)])},
        r"The image of the object 'p1': an image must have .* got \(2, 2, 4\)",
    ),
    "image out of range": (
        {"table": particles([GRAY, np.full((2, 2), 255.0)])},
        r"The image of the object 'p1': a float image must lie in \[0, 1\] without NaN",
    ),
    "image of 32 bits": (
        {"table": particles([GRAY, "deep.tif"])},
        "The image of the object 'p1': the image has more than 16 bits per pixel",
    ),
    "two columns of one name": (
        {"table": particles(object_x=[1, 2]).iloc[:, [0, 1, 2, 2]]},
        "2 columns are named 'object_x'",
    ),
    "no image": (
        {"table": particles([GRAY, __file__])},
        r"The image of the object 'p1': it is not an image in a supported format",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(tmp_path, mistake, monkeypatch):
    arguments, words = MISTAKES[mistake]
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((2, 2), 2**20, np.int32)).save("deep.tif")
    arguments = {"table": particles(), "predictions": ["a", "b"]} | arguments
    with pytest.raises(ValueError, match=words):
        write_ecotaxa(tmp_path / "x", **arguments)
    assert os.listdir(tmp_path) == ["deep.tif"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([GRAY], "table: expected a DataFrame, got list"),
        (
            particles([7]),
            "The image of the object 'p0': expected an array, the path of",
        ),
        (particles([np.ones((2, 2), int)]), "must be uint8, uint16 or float in"),
    ],
)
def test_mistakes_of_type(tmp_path, table, words):
    with pytest.raises(TypeError, match=words):
        write(tmp_path / "x", table)
    assert not list(tmp_path.iterdir())


def test_missing_image_file(tmp_path):
    table = particles([GRAY, tmp_path / "nowhere.png"])
    words = r"The image of the object 'p1': no such file: .*nowhere\.png"
    with pytest.raises(FileNotFoundError, match=words):
        write(tmp_path / "x", table)
    assert not list(tmp_path.iterdir())


def test_images_that_cannot_be_read(tmp_path, caplog):
    broken, nowhere = tmp_path / "broken.png", tmp_path / "nowhere.png"
    broken.write_bytes(b"no image")
    table = particles([GRAY, broken, nowhere, COLOR])
    with pytest.warns(UserWarning, match="2 times, a particle whose image") as caught:
        path = write(tmp_path / "x", table, errors="warn", without_image="aside")
    (warning,) = caught
    assert warning.filename == __file__
    assert str(warning.message).startswith(f"{path} was written with problems.")
    assert "The image of the object 'p1': it is " in str(warning.message)
    assert "The image of the object 'p2': no such file" in str(warning.message)
    assert [row["object_id"] for row in as_ecotaxa_reads(path)] == ["p0", "p3"]
    aside = pd.read_csv(path / "without_image.csv")
    assert aside["object_id"].tolist() == ["p1", "p2"]
    with caplog.at_level("WARNING", "skplankton"):
        write(tmp_path / "y", table, errors="coerce")
    (record,) = caplog.records
    assert record.getMessage() == str(warning.message).replace("/x ", "/y ")


def test_a_date_as_text(tmp_path):
    with pytest.raises(TypeError, match="date='2025-07-01'; expected a datetime"):
        write(tmp_path / "x", particles(), date="2025-07-01")


def test_unknown_errors(tmp_path):
    with pytest.raises(ValueError, match=r"errors='ignore'; expected one of \['raise'"):
        write(tmp_path / "x", particles(), errors="ignore")


def test_none_of_the_images_can_be_read(tmp_path):
    table = particles([tmp_path / "nowhere.png", None])
    with pytest.raises(ValueError, match=r"None of the images can be read. .*nowhere"):
        write(tmp_path / "x", table, errors="coerce", without_image="aside")
    assert not list(tmp_path.iterdir())


# Columns of the samples.


def measured(**columns):
    """Two samples, the first measured by an instrument, nothing known of the other."""
    known = {
        "sample_id": ["s1", "s2"],
        "instrument": ["CytoSense CS-1", None],
        "start": pd.Series(["2025-07-01T09:30:15.123456Z", None], dtype="M8[ns, UTC]"),
        "duration_s": [300.0, np.nan],
        "analyzed_volume_ml": [1.125, np.nan],
        "pumped_volume_ml": [1.5, np.nan],
        "n_particles": [24.0, np.nan],
        "n_images": [np.nan, np.nan],
        "n_read": [24.0, 3.0],
        "is_partial": [False, True],
        "volume_problem": ["", "no volume is given"],
    }
    return pd.DataFrame(known | columns)


def test_columns_of_the_samples(tmp_path):
    table = particles(sample_id=["s2", "s1"])
    samples = measured(
        latitude=[48.5, np.nan],
        depth_min=[1.0, 2.0],
        sample_ship=["Neomysis", None],
        process_by=[None, "me"],
        label=["not", "written"],
    )
    two, one = as_ecotaxa_reads(write(tmp_path / "x", table, samples=samples))
    common = ("img_", "object_annotation_", "object_id")
    one, two = (
        {name: text for name, text in row.items() if not name.startswith(common)}
        for row in (one, two)
    )
    assert one == {
        "sample_id": "s1",
        "object_date": "20250701",
        "object_time": "093015",
        "acq_instrument": "CytoSense CS-1",
        "acq_duration_s": "300.0",
        "acq_analyzed_volume_ml": "1.125",
        "acq_pumped_volume_ml": "1.5",
        "acq_n_particles": "24",
        "acq_is_partial": "False",
        "object_lat": "48.5",
        "object_depth_min": "1.0",
        "sample_ship": "Neomysis",
        "process_by": "",
        "acq_id": "s1",
        "process_id": "s1",
    }
    empty = dict.fromkeys(one, "")
    assert two == empty | {
        "sample_id": "s2",
        "acq_is_partial": "True",
        "object_depth_min": "2.0",
        "process_by": "me",
        "acq_id": "s2",
        "process_id": "s2",
    }


def test_dates_of_the_samples(tmp_path):
    """A date that was given has its own time or none; else, it is that of the start."""
    samples = measured(object_date=["20250702", None], object_time=[None, None])
    samples["start"] = samples["start"].ffill()
    table = particles([GRAY] * 4, sample_id=["s1", "s2", "s1", "s2"])
    table["object_date"] = [None, None, "2024-01-01", "2024-01-01"]
    table["object_time"] = [None, None, "080000", None]
    rows = as_ecotaxa_reads(write(tmp_path / "x", table, samples=samples))
    assert [(row["object_date"], row["object_time"]) for row in rows] == [
        ("20250702", ""),
        ("20250701", "093015"),
        ("20240101", "080000"),
        ("20240101", ""),
    ]


def test_values_of_the_table_come_first(tmp_path):
    table = particles(sample_id=["s1", "s2"], object_lat=[1.5, np.nan], acq_id=7)
    samples = measured(object_lat=[48.5, 49.5], acq_id=["a", "b"])[::-1]
    table = table.assign(acq_id=["x", None])
    one, two = as_ecotaxa_reads(write(tmp_path / "x", table, samples=samples))
    assert (one["object_lat"], two["object_lat"]) == ("1.5", "49.5")
    assert (one["acq_id"], two["acq_id"]) == ("x", "b")
    assert table.columns.tolist() == [
        *("object_id", "image", "sample_id", "object_lat", "acq_id"),
    ]


def test_columns_of_acquisitions_that_are_given(tmp_path):
    """They come before those of the instrument, where they are not missing."""
    samples = measured(acq_instrument=[None, "FlowCam"], n_images=[0.5, np.nan])
    samples = samples.assign(latitude=[1, 2], object_lat=[3, None])
    table = particles(sample_id=["s1", "s2"])
    one, two = as_ecotaxa_reads(write(tmp_path / "x", table, samples=samples))
    assert one["acq_instrument"] == "CytoSense CS-1"
    assert two["acq_instrument"] == "FlowCam"
    assert (one["acq_n_images"], two["acq_n_images"]) == ("0.5", "")
    assert (one["object_lat"], two["object_lat"]) == ("3.0", "2")


def test_samples_of_which_nothing_is_known(tmp_path):
    samples = pd.DataFrame({"sample_id": ["s"]})
    table = particles(sample_id="s")
    without = write(tmp_path / "a" / "x", table)
    path = write(tmp_path / "b" / "x", table, samples=samples)
    assert as_ecotaxa_reads(path) == as_ecotaxa_reads(without)


def test_too_many_columns_of_acquisitions(tmp_path):
    samples = measured(**{f"acq_{i}": ["a", "b"] for i in range(26)})
    table = particles(sample_id=["s1", "s2"])
    with pytest.raises(ValueError, match="31 free columns begin with acq_; Eco"):
        write(tmp_path / "x", table, samples=samples)


@pytest.mark.parametrize(
    ("table", "samples", "error", "message"),
    [
        (
            particles(),
            measured(),
            ValueError,
            "no column 'sample_id', which says ",
        ),
        (
            particles(sample_id=["s1", "s3"]),
            measured(),
            ValueError,
            "samples has no row for 's3', to which 1 of the particles belong; it has",
        ),
        (
            particles(sample_id="s1"),
            measured(sample_id="s1"),
            ValueError,
            "samples has 's1' twice; expected one row per sample",
        ),
        (particles(sample_id="s1"), ["s1"], TypeError, "samples: expected a DataFrame"),
    ],
)
def test_samples_that_do_not_fit(table, samples, error, message, tmp_path):
    with pytest.raises(error, match=message):
        write(tmp_path / "x", table, samples=samples)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("time", "written"), [("09:30:00", "093000"), (93000, "093000"), ("1", "000001")]
)
def test_times(time, written, tmp_path):
    path = write(tmp_path / "x", particles([GRAY], object_time=[time]))
    assert as_ecotaxa_reads(path)[0]["object_time"] == written


def test_a_time_without_seconds(tmp_path):
    """It was once taken as minutes and seconds."""
    with pytest.raises(ValueError, match=r"'object_time'.* expected hhmmss, got"):
        write(tmp_path / "x", particles([GRAY], object_time=["09:30"]))
