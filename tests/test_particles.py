from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skplankton._views.table import (
    ParticleArray,
    ParticleTable,
    is_particle_table,
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
