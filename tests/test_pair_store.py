import gc
import os
import tempfile
from contextlib import ExitStack

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skplankton import CrossModalEmbedder
from skplankton._views.pair_store import GrowingArray

from .helpers import quick, weights

LIMITS = {"in memory": 2**31, "in a file": 0}


@pytest.fixture(params=LIMITS)
def limit(request, monkeypatch):
    monkeypatch.setattr(
        "skplankton._views.pair_store.LARGEST_IN_MEMORY", LIMITS[request.param]
    )
    return request.param


@pytest.fixture
def files():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_in(folder):
    """The files in a folder, except the folder that torch creates on import."""
    return [name for name in os.listdir(folder) if not name.startswith("torch")]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_are_returned_unchanged(limit, files, dtype):
    rows = np.random.RandomState(0).rand(10, 3, 4).astype(dtype)
    store = GrowingArray(12, files)  # two of the rows could not be read
    for chunk in (rows[:4], rows[:0, 0], rows[4:5], rows[5:]):
        store.append(chunk)
    array = store.finished()
    assert type(array) is np.ndarray
    assert array.dtype == dtype
    del store
    files.close()
    gc.collect()
    assert_array_equal(array, rows)
    assert_array_equal(array[[7, 2]], rows[[7, 2]])


def widened_rows():
    """Rows of either dtype, and together."""
    narrow = np.linspace(0, 1, 12, dtype=np.float16).reshape(3, 4)
    wide = (0.5 + np.arange(28).reshape(7, 4) / 2**16).astype(np.float32)
    assert len(np.unique(wide.astype(np.float16))) < wide.size  # hence it must widen
    return narrow, wide, np.concatenate([narrow, wide, narrow])


def test_rows_of_a_wider_dtype_widen_the_others(limit, files):
    narrow, wide, expected = widened_rows()
    store = GrowingArray(len(expected), files)
    for chunk in (narrow, wide, narrow):
        store.append(chunk)
    assert store.finished().dtype == np.float32
    assert_array_equal(store.finished(), expected)


def test_rows_that_exceed_the_memory_limit_when_widened(files, monkeypatch):
    narrow, wide, expected = widened_rows()
    n_bytes = len(expected) * narrow[0].nbytes
    monkeypatch.setattr("skplankton._views.pair_store.LARGEST_IN_MEMORY", n_bytes)
    store = GrowingArray(len(expected), files)
    store.append(narrow)
    assert store._file is None
    store.append(wide)
    store.append(narrow)
    assert store._file is not None
    assert_array_equal(store.finished(), expected)


def test_rows_of_any_memory_order(limit, files):
    rows = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    store = GrowingArray(3, files)
    store.append(rows)
    assert_array_equal(store.finished(), rows)


def test_no_rows(limit, files):
    assert len(GrowingArray(3, files).finished()) == 0


def test_weights_do_not_depend_on_the_store_of_the_pairs(
    X, temporary_folder, monkeypatch
):
    trained = []
    for limit, rows_per_chunk in [(2**31, 512), (2**31, 7), (0, 512), (0, 7)]:
        monkeypatch.setattr("skplankton._views.pair_store.LARGEST_IN_MEMORY", limit)
        monkeypatch.setattr("skplankton._embedding.base.ROWS_PER_CHUNK", rows_per_chunk)
        embedder = quick(early_stopping=True, validation_fraction=0.3).fit(X)
        trained.append(weights(embedder))
    for others in trained[1:]:
        for name, expected in trained[0].items():
            assert_array_equal(others[name], expected)
    assert left_in(temporary_folder) == []


def test_a_file_has_no_name_while_it_is_used(limit, X, temporary_folder, monkeypatch):
    from skplankton._training import contrastive

    seen = []

    def stop(arrays, *args, **kwargs):
        seen.append(left_in(temporary_folder))
        raise KeyboardInterrupt

    monkeypatch.setattr(contrastive, "train_dual_encoder", stop)
    with pytest.raises(KeyboardInterrupt):
        CrossModalEmbedder(image_size=16).fit(X)
    if os.name == "posix":
        assert seen == [[]]
