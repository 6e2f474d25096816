import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from skplankton._views.images import png_bytes
from skplankton.datasets import (
    load_particles,
    make_particles,
    write_particles,
)
from skplankton.datasets._lab import writer


def decoded_png(content):
    with Image.open(io.BytesIO(content)) as file:
        assert file.format == "PNG"
        return np.asarray(file)


sides = st.tuples(st.integers(1, 7), st.integers(1, 7))
images = (
    hnp.arrays(np.uint8, sides)
    | hnp.arrays(np.uint16, sides)
    | hnp.arrays(np.uint8, sides.map(lambda shape: (*shape, 3)))
)


def profiles_with(n_channels):
    return hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 7), st.just(n_channels)),
        elements=st.floats(0, 2**13, width=32),
    )


labels = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1
).filter(str.strip)


@st.composite
def tables(draw):
    profiles = profiles_with(draw(st.integers(1, 7)))
    rows = draw(
        st.lists(
            st.tuples(images, profiles)
            | st.tuples(images, st.sampled_from([None, np.nan, pd.NaT]))
            | st.tuples(st.none(), profiles),
            min_size=1,
            max_size=5,
        )
    )
    X = pd.DataFrame(index=range(len(rows)), columns=["image", "profile"], dtype=object)
    for view, entries in zip(X, zip(*rows, strict=True), strict=True):
        X[view] = pd.Series(list(entries), dtype=object)
    y = draw(
        st.lists(
            labels | st.sampled_from([None, np.nan, "NA", "nan", "1", "1.50"]),
            min_size=len(rows),
            max_size=len(rows),
        )
    )
    return X, y


@settings(max_examples=60, deadline=None)
@given(tables())
def test_what_is_written_is_read_back(table):
    X, y = table
    with TemporaryDirectory() as folder:
        assert write_particles(X, y, folder) == Path(folder, "annotations.csv")
        X_back, y_back = load_particles(folder, return_X_y=True)
        assert X_back.columns.tolist() == ["image", "profile"]
        assert list(y_back) == [t.strip() if isinstance(t, str) else None for t in y]
        for view in X:
            for entry, path in zip(X[view], X_back[view], strict=True):
                if not isinstance(entry, np.ndarray):
                    assert path is None
                elif view == "image":
                    decoded = decoded_png(Path(path).read_bytes())
                    np.testing.assert_array_equal(decoded, entry)
                else:
                    values = pd.read_csv(path).to_numpy(np.float32)
                    np.testing.assert_array_equal(values, entry)


def test_png_of_an_array_that_is_not_contiguous():
    image = np.arange(60, dtype=np.uint16).reshape(6, 10)[::2, ::-1]
    np.testing.assert_array_equal(decoded_png(png_bytes(image)), image)


def test_float_images_become_16_bit():
    image = np.array([[0.0, 0.25, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(decoded_png(png_bytes(image)), [[0, 16384, 65535]])


@pytest.fixture
def particles():
    return make_particles(6, n_species=2, random_state=0, return_X_y=True)


@pytest.fixture
def written(tmp_path, particles):
    X, y = particles
    write_particles(X, y, tmp_path / "lab")
    return tmp_path / "lab"


def rewrite_table(folder, edit):
    table = pd.read_csv(folder / "annotations.csv", index_col=0, dtype=object)
    table = edit(table)
    table.to_csv(folder / "annotations.csv")
    return table


def test_layout_is_the_published_one(written):
    lines = (written / "annotations.csv").read_text().splitlines()
    assert lines[0] == ",image,profile,class"
    assert lines[1].startswith("0,images/000000.png,profiles/000000.csv,")
    header = (written / "profiles" / "000000.csv").read_text().splitlines()[0]
    assert header == "FWS,SWS,FL Yellow,FL Orange,FL Red,Curvature"


def test_load_gives_absolute_paths_and_labels(written, particles):
    bunch = load_particles(written)
    assert all(os.path.isabs(path) for path in bunch.data["image"])
    assert all(os.path.isfile(path) for path in bunch.data["profile"])
    assert list(bunch.target) == list(particles[1])
    assert bunch.target.dtype == object
    assert bunch.target_names == sorted(set(particles[1]))
    assert bunch.feature_names == ["image", "profile"]
    assert bunch.filename == str(written / "annotations.csv")
    assert "6 particles, 6 with an image" in bunch.DESCR


def test_split_file_has_paths_relative_to_its_own_folder(written):
    (written / "fold1").mkdir()
    table = pd.read_csv(written / "annotations.csv", index_col=0)
    table[["image", "profile"]] = "../" + table[["image", "profile"]]
    table[4:].to_csv(written / "fold1" / "train.csv")
    X, _ = load_particles(written / "fold1" / "train.csv", return_X_y=True)
    whole = load_particles(written).data
    assert X.equals(whole[4:].reset_index(drop=True))
    assert list(X.index) == [0, 1]


def test_without_a_class_column_all_are_unlabeled(written):
    rewrite_table(written, lambda table: table.drop(columns="class"))
    assert list(load_particles(written).target) == [None] * 6


def test_numeric_labels_stay_text(written):
    rewrite_table(written, lambda table: table.assign(**{"class": "007"}))
    assert set(load_particles(written).target) == {"007"}


def test_byte_order_mark_and_backslashes_are_understood(written):
    path = written / "annotations.csv"
    text = path.read_text().replace("/", "\\")
    text = "\n".join(line.partition(",")[2] for line in text.splitlines())
    path.write_text(text, encoding="utf-8-sig")
    assert os.path.isfile(load_particles(written).data["image"][0])


def test_absolute_paths_in_the_table_are_kept(written, tmp_path):
    where = load_particles(written).data["image"]
    rewrite_table(written, lambda table: table.assign(image=where.to_numpy()))
    assert load_particles(written).data["image"].equals(where)


def test_missing_file_is_reported_with_its_row(written):
    (written / "images" / "000002.png").unlink()
    message = (
        r"annotations.csv, row 2 \(counted from 0\): no image file "
        r"'images/000002.png', looked for as .*1 of 6 image files do not exist"
    )
    with pytest.raises(FileNotFoundError, match=message):
        load_particles(written)


def test_missing_folder_of_files_is_reported_as_missing_files(written):
    rewrite_table(written, lambda table: table.assign(profile="nowhere/a.csv"))
    with pytest.raises(FileNotFoundError, match="6 of 6 profile files"):
        load_particles(written)


def test_row_with_neither_image_nor_profile_is_refused(written):
    rewrite_table(
        written, lambda t: t.assign(image=None, profile=[None, *t.profile[1:]])
    )
    with pytest.raises(ValueError, match=r"row 0 .* neither an image nor a profile"):
        load_particles(written)


def test_missing_column_is_reported(written):
    rewrite_table(written, lambda table: table.drop(columns="profile"))
    with pytest.raises(ValueError, match="no column 'profile', only"):
        load_particles(written)


def test_empty_tables_are_refused(tmp_path):
    path = tmp_path / "annotations.csv"
    path.write_text("")
    with pytest.raises(ValueError, match="is empty; expected a header"):
        load_particles(tmp_path)
    path.write_text(",image,profile,class\n")
    with pytest.raises(ValueError, match="a header but no rows"):
        load_particles(path)


@pytest.mark.parametrize("errors", ["raise", "coerce"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image,profile\na,é\n".encode("latin-1"), "line 2: the text is not UTF-8"),
        ("image,profile\n".encode("utf-16"), "line 1: .* UTF-8 .*again as 'CSV UTF-8'"),
        (b"image,profile\na,b\nc,\0d\n", "line 3: a NUL byte"),
        (b'image,profile\na,b\n"c,d\ne,f\n', "line 3: the quotes do not match up"),
        (b'image,profile\n"a"b,c\n', r"line 2: the quotes .* \(',' expected after"),
        (b"image,profile\na,b\nc\n", "line 3: expected 2 values.*, got 1"),
        (b"image,profile\n\na,b,c\n", "line 3: expected 2 values.*, got 3"),
        (b"image,profile,image\n", "line 1: the column 'image' occurs 2 times"),
        (b"image,profile,class, class\n", "the column 'class' occurs 2 times"),
        (b"image,profile,Class\na,b,c\n", "no column 'class', and one 'Class'. Rename"),
        (b"image;profile\na;b\n", r"separated by ';'; .*sep=';', dtype=str\)\.to_csv"),
        (b"image\tprofile\n", r"the values are separated by '\\t'; expected commas"),
    ],
)
def test_tables_that_are_not_csv_are_refused(tmp_path, content, words, errors):
    path = tmp_path / "annotations.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"annotations\.csv.* {words}"):
        load_particles(tmp_path, errors=errors)


def test_empty_rows_at_the_end(written):
    with open(written / "annotations.csv", "a", encoding="utf-8") as file:
        file.write(" ,,,\n,\n")
    assert len(load_particles(written).data) == 6


def test_blanks_around_labels_do_not_count(written):
    labels = ["x", "x ", "\tx", " ", "", "a b"]
    rewrite_table(written, lambda table: table.assign(**{"class": labels}))
    bunch = load_particles(written)
    assert list(bunch.target) == ["x", "x", "x", None, None, "a b"]
    assert bunch.target_names == ["a b", "x"]


def test_unused_columns_may_have_one_name_and_lines_be_empty(written):
    path = written / "annotations.csv"
    lines = [f"{line},n" for line in path.read_text().splitlines()]
    path.write_text("\n\n" + "\n\n".join([f"{lines[0]},n", *lines[1:]]) + "\n")
    with pytest.raises(ValueError, match=r"line 5: expected 6 values.* got 5"):
        load_particles(written)
    path.write_text("\n\n".join([f"{line},n" for line in lines]) + "\n\n")
    assert len(load_particles(written).data) == 6


def test_an_invalid_file_name_is_a_missing_file(written):
    name = "x" * 300 + "/a.png"
    rewrite_table(written, lambda table: table.assign(image=name))
    with pytest.raises(FileNotFoundError, match="6 of 6 image files do not exist"):
        load_particles(written)


def test_no_such_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; expected a CSV"):
        load_particles(tmp_path / "absent")
    (tmp_path / "train.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"only the CSV files \['train.csv'\]"):
        load_particles(tmp_path)


def test_existing_table_is_not_replaced_by_default(written, particles):
    X, _ = particles
    with pytest.raises(FileExistsError, match="Pass overwrite=True"):
        write_particles(X, None, written)
    write_particles(X, None, written, overwrite=True)
    assert list(load_particles(written).target) == [None] * 6


def test_paths_are_copied(written, tmp_path):
    X, y = load_particles(written, return_X_y=True)
    X["profile"] = [Path(path) for path in X["profile"]]
    write_particles(X[::-1], y[::-1], tmp_path / "copy")
    copied, y_copied = load_particles(tmp_path / "copy", return_X_y=True)
    assert list(y_copied) == list(y[::-1])
    for view in X:
        for path, copy in zip(X[view][::-1], copied[view], strict=True):
            assert path != copy
            assert Path(path).read_bytes() == Path(copy).read_bytes()


def test_files_are_not_copied_over_each_other(written):
    X, y = load_particles(written, return_X_y=True)
    with pytest.raises(ValueError, match="Write to another folder"):
        write_particles(X[::-1], y, written, overwrite=True)
    assert len(load_particles(written).data) == 6


def test_interrupted_writing_leaves_the_old_files(written, particles, monkeypatch):
    def interrupted(profile, target):
        raise KeyboardInterrupt

    X, y = particles
    before = {p: p.read_bytes() for p in written.rglob("*") if p.is_file()}
    monkeypatch.setattr(writer, "_write_profile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_particles(X[::-1], y[::-1], written, overwrite=True)
    assert {p: p.read_bytes() for p in written.rglob("*") if p.is_file()} == before
    assert not list(written.rglob("*.part"))


def test_new_files_replace_those_of_the_same_names(written, particles):
    X, y = particles
    write_particles(X[::-1][:4], y[::-1][:4], written, overwrite=True)
    bunch = load_particles(written)
    assert list(bunch.target) == list(y[::-1][:4])
    for path, image in zip(bunch.data["image"], X["image"][::-1][:4], strict=True):
        np.testing.assert_array_equal(Image.open(path), image)
    assert len(list((written / "images").iterdir())) == 6  # others are left
    assert not list(written.rglob("*.part"))


def test_profile_of_other_channels_gets_numbered_names(tmp_path):
    X = pd.DataFrame({"image": [None], "profile": [np.ones((4, 2))]})
    write_particles(X, None, tmp_path)
    header = (tmp_path / "profiles" / "000000.csv").read_text().splitlines()[0]
    assert header == "channel_0,channel_1"


GRAY, PULSES = np.zeros((4, 5), np.uint8), np.zeros((7, 6))


@pytest.mark.parametrize(
    ("image", "profile", "error", "message"),
    [
        (None, np.nan, ValueError, "row 1 .* neither an image nor a profile"),
        (GRAY[0], PULSES, ValueError, r"row 1 .* got \(5,\)"),
        (np.zeros((4, 5, 4), np.uint8), PULSES, ValueError, r"got \(4, 5, 4\)"),
        (GRAY[:0], PULSES, ValueError, r"got \(0, 5\)"),
        (GRAY + 1.5, PULSES, ValueError, r"in \[0, 1\], got values from 1.5 to 1.5"),
        (GRAY * np.nan, PULSES, ValueError, "got values from nan"),
        (
            np.zeros((4, 4, 3), np.uint16),
            PULSES,
            TypeError,
            "uint8 values of a color image, got uint16",
        ),
        (GRAY.astype(int), PULSES, TypeError, "uint8, uint16 or float values, got int"),
        (GRAY, PULSES[0], ValueError, r"n_channels\), got \(6,\). Vectors of meas"),
        (GRAY, PULSES + np.inf, ValueError, "contains NaN or infinity"),
        (GRAY, PULSES.astype(str), TypeError, "expected numbers in mV"),
        (GRAY, PULSES[:, :5], ValueError, r"Profiles have \[5, 6\] channels"),
        (GRAY, 3.0, TypeError, "expected an array, a path or None, got float"),
        (b"a", PULSES, TypeError, "expected an array, a path or None, got bytes"),
        ("s3://a", PULSES, TypeError, "expected an array, a path or None, got a URL"),
        ("absent.png", PULSES, FileNotFoundError, "row 1 .* no such file: absent.png"),
    ],
)
def test_invalid_entries_are_reported_before_anything_is_written(
    tmp_path, image, profile, error, message
):
    X = pd.DataFrame({"image": [GRAY, image], "profile": [PULSES, profile]})
    with pytest.raises(error, match=message):
        write_particles(X.astype(object), None, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_invalid_tables_are_refused(tmp_path, particles):
    X, y = particles
    with pytest.raises(TypeError, match=r"Expected a DataFrame .* got ndarray"):
        write_particles(X.to_numpy(), y, tmp_path)
    with pytest.raises(ValueError, match="no column 'profile', only"):
        write_particles(X[["image"]], y, tmp_path)
    with pytest.raises(ValueError, match="6 rows but y has 5"):
        write_particles(X, y[:5], tmp_path)
    with pytest.raises(ValueError, match=r"6 rows but y has shape \(6, 1\)"):
        write_particles(X, y[:, None], tmp_path)
    for blank in ("", " "):
        with pytest.raises(ValueError, match="Label 3 is an empty text"):
            write_particles(X, [*y[:3], blank, *y[4:]], tmp_path)
    for text in ("a\0", "a\rb"):
        with pytest.raises(ValueError, match=r"Label 3 is 'a\\.*without NUL and carr"):
            write_particles(X, [*y[:3], text, *y[4:]], tmp_path)
