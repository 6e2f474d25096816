import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars
import pytest
from numpy.testing import assert_array_equal

from skplankton._views.particle_table import is_particle_table
from skplankton._views.table import (
    ParticleArray,
    ParticleTable,
    as_table_or_array,
    select_modality_columns,
    split_columns,
)

SIZES = {"image_size": 16, "profile_length": 16}


def table(X, **params):
    return ParticleTable(X, **SIZES, crop_top=0, **params)


def read_all(source):
    return {
        m: source.read(m, np.flatnonzero(source.present[m])) for m in source.present
    }


def test_paths_and_arrays_give_the_same_values(X, X_paths):
    from_arrays, from_paths = read_all(table(X)), read_all(table(X_paths))
    for modality in ("image", "profile"):
        assert_array_equal(from_arrays[modality].values, from_paths[modality].values)
        assert_array_equal(from_arrays[modality].sizes, from_paths[modality].sizes)


def test_decoding_in_processes_changes_nothing(X_paths, monkeypatch):
    monkeypatch.setattr("skplankton._views.table.ENTRIES_PER_TASK", 25)
    serial, parallel = read_all(table(X_paths)), read_all(table(X_paths, n_jobs=2))
    for modality in ("image", "profile"):
        assert_array_equal(serial[modality].values, parallel[modality].values)


def test_presence_of_modalities(X_missing):
    source = table(X_missing)
    assert_array_equal(source.present["image"], np.arange(60) % 5 != 0)
    assert_array_equal(source.present["profile"], np.arange(60) % 5 != 1)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NaT, pd.NA])
def test_missing_values_of_pandas_are_missing(X, missing):
    X = X.astype(object)
    X.iat[3, X.columns.get_loc("image")] = missing
    assert_array_equal(np.flatnonzero(~table(X).present["image"]), [3])


def test_error_of_a_row_with_neither_modality(X_missing):
    X_missing.iat[0, 1] = None
    X_missing.iat[5, 1] = None
    with pytest.raises(ValueError, match=r"row 0 has neither .* and 1 more rows. Drop"):
        table(X_missing)
    with pytest.raises(ValueError, match=r"row 0 \(index 'a'\) has neither"):
        table(X_missing.head(2).set_axis(["a", "b"]))


def test_errors_contain_row_file_and_reason(X_paths, tmp_path):
    png, csv = tmp_path / "corrupt.png", tmp_path / "truncated.csv"
    png.write_bytes(b"\x89PNG\r\n\x1a\n then nothing")
    csv.write_text("FWS,SWS\n1.0,2.0\n3.0")
    for entry, modality, error, message in [
        (str(png), "image", ValueError, r"row 7: the image '.*corrupt.png' could not"),
        (png, "image", ValueError, r"row 7: the image '.*corrupt.png' could not"),
        (
            str(csv),
            "profile",
            ValueError,
            r"row 7: the profile '.*truncated.csv' could",
        ),
        ("no.png", "image", FileNotFoundError, r"row 7: the image 'no.png'.*No such"),
        (tmp_path, "image", ValueError, r"row 7: the image .*Is a directory"),
        (np.zeros((0, 0), "u1"), "image", ValueError, r"row 7: the image could not"),
        (np.zeros((3, 3), "c16"), "profile", TypeError, "row 7: the profile could not"),
        (3.5, "image", TypeError, "row 7: the image '3.5' could not"),
    ]:
        X = X_paths.astype(object)
        X.iat[7, X.columns.get_loc(modality)] = entry
        with pytest.raises(error, match=message):
            read_all(table(X))


GARBAGE = np.random.default_rng(0).bytes(1_000_000)
NUMBERS = list(range(100_000))


@pytest.mark.parametrize(
    "entry",
    [
        GARBAGE,
        bytearray(GARBAGE),
        memoryview(GARBAGE),
        {"bytes": GARBAGE, "path": None},
        {"bytes": GARBAGE, "path": "x" * 1_000_000},
        {"image": GARBAGE},
        [GARBAGE],
        [NUMBERS, NUMBERS[1:]],
        [[NUMBERS]],
        tuple(map(str, NUMBERS)),
        dict.fromkeys(NUMBERS),
        "x" * 1_000_000,
        "x/" * 1_000,
        "memory://" + "x" * 1_000_000,
        "krill://" + "x" * 1_000_000,
        b"1" * 1_000_000,
        b"A\n" + b"x" * 1_000_000,
        b"A,B\n" + b"1," * 1_000_000,
        b"," * 1_000_000 + b"\n1",
        GARBAGE.decode("latin-1"),
        object(),
    ],
    ids=lambda entry: type(entry).__name__,
)
@pytest.mark.parametrize("modality", ["image", "profile"])
def test_messages_never_print_the_content_of_an_entry(X, modality, entry):
    X = X.head(3).astype(object)
    X.iat[1, X.columns.get_loc(modality)] = entry
    with pytest.raises((ValueError, FileNotFoundError, TypeError)) as raised:
        read_all(table(X))
    message = str(raised.value)
    assert message.startswith(f"row 1: the {modality}")
    assert len(message) < 700
    quoted = re.findall(r"'[^']*'|\"[^\"]*\"", message)
    assert max(map(len, quoted), default=0) < 200
    assert message.count("\\x") <= 8  # of the first bytes of a file, at most


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"bytes": b"a", "path": "a.png"}, " 'a.png'"),
        ({"bytes": b"a", "path": np.nan}, ""),
        ({"bytes": None, "path": "memory://no.png"}, " 'memory://no.png'"),
        (b"a", ""),
    ],
)
def test_messages_name_the_path_of_an_entry(X, entry, name):
    X = X.head(3).astype(object)
    X.iat[1, X.columns.get_loc("image")] = entry
    with pytest.raises((ValueError, FileNotFoundError), match=f"the image{name} could"):
        read_all(table(X))


def test_long_channel_names_are_shortened(X):
    many = b"A" + b"".join(b",%d" % number for number in range(9_999))
    for content in (b"A" * 1_000_000 + b"\n1\n", many):
        lines = content if content.endswith(b"\n") else content + b"\n1" + b",1" * 9_999
        entries = [b"FWS\n1\n", {"bytes": lines, "path": "a.csv"}]
        source = table(pd.DataFrame({"image": None, "profile": entries}))
        message = r"row 1: the profile 'a.csv' has the channels \('A.*Keep the"
        with pytest.raises(ValueError, match=message) as raised:
            read_all(source)
        assert len(str(raised.value)) < 700


@pytest.fixture
def X_zip(X_paths, tmp_path):
    """The same table, of URLs in an archive."""
    archive = tmp_path / "particles.zip"
    urls = {}
    with zipfile.ZipFile(archive, "w") as file:
        for name in X_paths:
            members = [f"{name}/{Path(path).name}" for path in X_paths[name]]
            for path, member in zip(X_paths[name], members, strict=True):
                file.write(path, member)
            urls[name] = [f"zip://{member}::{archive}" for member in members]
    return pd.DataFrame(urls)


def test_urls_give_the_same_values_in_any_number_of_processes(
    X_paths, X_zip, monkeypatch
):
    monkeypatch.setattr("skplankton._views.table.ENTRIES_PER_TASK", 25)
    expected = read_all(table(X_paths))
    for n_jobs in (1, 2):
        got = read_all(table(X_zip, n_jobs=n_jobs))
        for modality in ("image", "profile"):
            assert_array_equal(got[modality].values, expected[modality].values)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_missing_objects_are_missing_files(X_zip, monkeypatch, n_jobs):
    monkeypatch.setattr("skplankton._views.table.ENTRIES_PER_TASK", 25)
    X_zip.loc[7, "image"] = X_zip.loc[7, "image"].replace("000007", "krill")
    message = r"row 7: the image 'zip://.*krill.*' could not be read: there is no such"
    with pytest.raises(FileNotFoundError, match=message):
        read_all(table(X_zip, n_jobs=n_jobs))
    source = table(X_zip, n_jobs=n_jobs, errors="coerce")
    view = read_all(source)["image"]
    assert_array_equal(view.rows, np.delete(np.arange(60), 7))
    assert source.problems.counts.total() == 1


def test_a_missing_package_is_no_missing_file(X_zip, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[remote\]'"):
        read_all(table(X_zip, errors="coerce"))


def test_dicts_of_nothing_are_missing(X):
    X = X.astype(object)
    X.iat[3, X.columns.get_loc("image")] = {"bytes": None, "path": None}
    assert_array_equal(np.flatnonzero(~table(X).present["image"]), [3])


def columns_of(X, X_paths):
    """Columns for tables of other libraries, with what they should be read as."""
    images = [Path(path).read_bytes() for path in X_paths["image"]]
    images[2] = None
    profiles = [profile.tolist() for profile in X["profile"]]
    profiles[3] = None
    dicts = [image and {"bytes": image, "path": "a.png"} for image in images]
    pixels = [np.full((4, 5), row, np.uint8) for row in range(len(X))]
    vectors = [[float(row), None, 2.0] for row in range(len(X))]
    return images, profiles, dicts, pixels, vectors


def assert_read_alike(got, expected):
    got, expected = (read_all(table(as_table_or_array(X))) for X in (got, expected))
    for modality in ("image", "profile"):
        assert_array_equal(got[modality].rows, expected[modality].rows)
        assert_array_equal(got[modality].values, expected[modality].values)


def test_polars_tables(X, X_paths):
    images, profiles, dicts, pixels, vectors = columns_of(X, X_paths)
    n, uint8 = len(X), polars.UInt8
    nested = [p.tolist() for p in pixels]
    lists = polars.Series(nested, dtype=polars.List(polars.List(uint8)))
    arrays = polars.Series(nested, dtype=polars.Array(uint8, (4, 5)))
    pixels_and_none = [None, *pixels[1:]]
    colors = [np.dstack([gray, gray, gray + 9]) for gray in pixels]
    deep = polars.Series(
        [color.tolist() for color in colors],
        dtype=polars.List(polars.List(polars.List(uint8))),
    )
    for image, plain in (
        (images, images),
        (dicts, images),
        (lists, pixels),
        ([None, *lists[1:]], pixels_and_none),
        (arrays, pixels),
        (deep, colors),
    ):
        for profile in (profiles, vectors):
            got = polars.DataFrame(
                {"profile": profile, "image": image, "other": [None] * n}
            )
            assert_read_alike(got, pd.DataFrame({"image": plain, "profile": profile}))


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ([[1.0, 2.0], [3.0]], "row 1: the profile could .* must have one length"),
        ([[1.0, 2.0], None], "row 1: the profile could not"),
        ([[1.0, 2.0], [None, 3.0]], "first at sample 1, channel 0"),
        ([[], []], r"row 1: the profile could not be read: .*got \(2, 0\)"),
        ([], r"row 1: the profile could not be read: .*got \(0,\)"),
    ],
)
def test_invalid_lists_of_polars(profile, message):
    profiles = [[[1.0, 2.0], [3.0, 4.0]], profile]
    X = polars.DataFrame({"image": [None, None], "profile": profiles})
    with pytest.raises((ValueError, TypeError), match=message):
        read_all(table(select_modality_columns(as_table_or_array(X))))


def test_arrow_tables_and_arrow_columns_of_pandas(X, X_paths):
    pa = pytest.importorskip("pyarrow")
    images, profiles, dicts, pixels, vectors = columns_of(X, X_paths)
    nested = pa.array([p.tolist() for p in pixels], pa.list_(pa.list_(pa.uint8())))
    paths = X_paths["image"].tolist()
    for image, plain in (
        (images, images),
        (dicts, images),
        (nested, pixels),
        (paths, paths),
    ):
        for profile in (profiles, vectors):
            got = pa.table({"profile": profile, "image": image, "other": paths})
            expected = pd.DataFrame({"image": plain, "profile": profile})
            assert_read_alike(got, expected)
            assert_read_alike(got.to_pandas(types_mapper=pd.ArrowDtype), expected)
    numbers = pa.table({"a": [1.0, 2.0]})
    assert as_table_or_array(numbers).to_numpy().tolist() == [[1.0], [2.0]]


def test_a_truncated_png_is_an_error(X_paths, tmp_path):
    whole = Path(X_paths["image"][0]).read_bytes()
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole[: len(whole) // 2])
    X_paths.loc[0, "image"] = str(cut)
    with pytest.raises(ValueError, match=r"row 0: the image '.*cut.png' could not"):
        read_all(table(X_paths))


def test_error_of_profiles_with_other_channels(X, X_paths, tmp_path):
    X.at[4, "profile"] = X.at[4, "profile"][:, :5]
    with pytest.raises(ValueError, match="row 4: the profile has 5 channels, where 6"):
        read_all(table(X))

    X.at[4, "profile"] = b"A,B\n1,2\n"  # names, and arrays before without
    with pytest.raises(ValueError, match="row 4: the profile has 2 channels, where 6"):
        read_all(table(X))

    swapped = tmp_path / "swapped.csv"
    header, *rows = Path(X_paths["profile"][9]).read_text().splitlines()
    first, second, *others = header.split(",")
    swapped.write_text("\n".join([",".join([second, first, *others]), *rows]))
    X_paths.loc[9, "profile"] = str(swapped)
    with pytest.raises(ValueError, match=r"row 9: .*swapped.csv' has the channels"):
        read_all(table(X_paths))


def test_vectors_are_read_without_sizes_in_any_order_of_chunks():
    vectors = [np.array([1.0, np.nan]), None, [3, 4], (5, 6)]
    X = pd.DataFrame({"image": [None, np.eye(3), None, None], "profile": vectors})
    source = table(X)
    assert not source.is_vector
    for rows, expected in (([3, 0], [[5, 6], [1, np.nan]]), ([2], [[3, 4]])):
        view = source.read("profile", np.array(rows))
        assert_array_equal(view.values, expected)
        assert view.sizes is None
        assert view.select(np.array([False] * len(rows))).values.shape == (0, 2)
    assert (source.is_vector, source.n_channels, source.channels) == (True, 2, None)
    with pytest.raises(ValueError, match=r"row 3: the profile could .*Drop|all 2 meas"):
        table(X.assign(profile=[None, None, None, [None, None]]).iloc[[1, 3]]).read(
            "profile", np.array([1])
        )


def test_which_frames_are_particle_tables(X):
    assert is_particle_table(X)
    assert is_particle_table(X[["image"]])
    assert not is_particle_table(pd.DataFrame(np.eye(3)))
    assert not is_particle_table(np.eye(3))
    assert list(select_modality_columns(X[["profile", "image"]])) == [
        "image",
        "profile",
    ]
    with pytest.raises(ValueError, match=r"no column 'profile'.*X\['profile'\] = None"):
        select_modality_columns(X[["image"]])


@pytest.mark.parametrize(
    ("n_columns", "image_shape", "profile_shape", "expected"),
    [
        (10, None, None, (5, 5)),
        (11, None, None, (5, 6)),
        (64, (8, 4), (8, 4), (32, 32)),
        (40, (8, 4), None, (32, 8)),
        (40, None, (8, 4), (8, 32)),
        (40, (7,), None, (7, 33)),
    ],
)
def test_split_columns(n_columns, image_shape, profile_shape, expected):
    assert split_columns(n_columns, image_shape, profile_shape) == expected


@pytest.mark.parametrize(
    ("image_shape", "profile_shape"), [((8, 4), (8, 3)), ((8, 8), None), (None, (9, 9))]
)
def test_shapes_that_do_not_match_the_columns_raise(image_shape, profile_shape):
    with pytest.raises(ValueError, match="X has 64 columns, which image_shape="):
        split_columns(64, image_shape, profile_shape)


@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (2, 2, 2)])
def test_shapes_have_one_or_two_dimensions(shape):
    with pytest.raises(ValueError, match=r"image_shape=.*; expected two numbers"):
        split_columns(64, shape, None)
    with pytest.raises(ValueError, match=r"profile_shape=.*; expected two numbers"):
        split_columns(64, None, shape)


def test_a_table_without_rows(X):
    with pytest.raises(ValueError, match="a table of 0 rows; at least one particle"):
        table(X[:0])


def test_array_columns_are_reshaped():
    X = np.arange(2 * 48, dtype=np.float32).reshape(2, 48)
    source = ParticleArray(X, image_shape=(16, 2), profile_shape=(8, 2), **SIZES)
    image, profile = (source.read(m, np.arange(2)) for m in ("image", "profile"))
    assert image.values.shape == (2, 1, 16, 16)
    assert_array_equal(image.values[0, 0, :, 7:9], X[0, :32].reshape(16, 2))
    assert profile.values.shape == (2, 2, 16)
    assert image.sizes is profile.sizes is None


def test_flat_vectors_may_differ_in_width():
    X = np.arange(20, dtype=np.float32).reshape(2, 10)
    source = ParticleArray(X, image_shape=(3,), profile_shape=None, **SIZES)
    assert_array_equal(source.read("image", np.arange(2)).values, X[:, :3])
    assert_array_equal(source.read("profile", np.arange(2)).values, X[:, 3:])
