"""In the joblib context of a cluster, and given its tables: what stays on the machine.

The cluster is a joblib backend that counts what it is given; tables are of Dask, and a
class that looks like Ray's. tests/test_large_data_page.py has a real cluster of Dask.
"""

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib.parallel import MultiprocessingBackend, ThreadingBackend
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._utils.jobs import local_jobs
from skplankton.baselines import DINOEmbedder
from skplankton.datasets import load_cyz_json, write_cyz_json
from skplankton.evaluation import cross_modal_benchmark
from skplankton.model_selection import select_to_label
from skplankton.size import measure_particles

from .helpers import ROUNDING, quick

pytestmark = pytest.mark.once


class CountingBackend(ThreadingBackend):
    """Threads that pose as a cluster: like Dask's, all of it is there for each task."""

    used = []  # the nesting level of each use

    def effective_n_jobs(self, n_jobs):
        return 2

    def configure(self, *args, **kwargs):
        self.used.append(self.nesting_level)
        return super().configure(*args, **kwargs)

    def get_nested_backend(self):
        return type(self)(nesting_level=self.nesting_level + 1), -1


class ProcessesOfACluster(MultiprocessingBackend):
    """A subclass of joblib's own, as Ray's backend is."""

    def effective_n_jobs(self, n_jobs):
        raise AssertionError("asked for the number of its processors")


@pytest.fixture
def cluster(monkeypatch):
    """The uses of a cluster, in whose context the test runs."""
    monkeypatch.setattr("skplankton._embedding.base.ROWS_PER_CHUNK", 10)
    monkeypatch.setattr("skplankton._views.table.ENTRIES_PER_TASK", 5)
    monkeypatch.setattr("skplankton.size._measure.ENTRIES_PER_TASK", 5)
    monkeypatch.setattr(CountingBackend, "used", [])
    joblib.register_parallel_backend("counting", CountingBackend)
    with joblib.parallel_config(backend="counting", n_jobs=-1):
        yield CountingBackend.used


def classifier(**params):
    return Pipeline(
        [("embed", quick(max_epochs=1, **params)), ("gallery", GalleryKNNClassifier())]
    )


def test_the_cluster_counts(cluster):
    assert joblib.effective_n_jobs(None) == 2
    joblib.Parallel()(joblib.delayed(abs)(i) for i in range(4))
    assert cluster == [0]


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_images_are_decoded_here(n_jobs, cluster, X, X_paths, y):
    here = classifier(n_jobs=n_jobs).fit(X_paths, y)
    assert here.predict(X_paths).shape == (len(y),)
    expected = here["embed"].transform(X)
    assert_allclose(here["embed"].transform(X_paths), expected, **ROUNDING)
    assert not cluster


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_everything_else_works_here(n_jobs, cluster, X, y, tmp_path):
    pytest.importorskip("skimage")
    measure_particles(X, pixel_size=1.0, n_jobs=n_jobs)
    paths = [tmp_path / f"{name}.json" for name in "ab"]
    for path in paths:
        write_cyz_json(X.head(3), path)
    assert len(load_cyz_json(paths, n_jobs=n_jobs)) == 6
    embeddings = np.random.RandomState(0).rand(len(X), 4)
    cross_modal_benchmark(
        embeddings, y, setups=None, gallery_sizes=[1], n_repeats=2, n_jobs=n_jobs
    )
    select_to_label(embeddings, 3)
    assert not cluster


def test_a_search_sends_fits_and_nothing_of_them(cluster, X_paths, y):
    grid = {"gallery__n_neighbors": [1, 3]}
    GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(X_paths, y)
    assert cluster == [0]  # the search itself; no fit of it, nor the last one


@pytest.mark.parametrize(
    ("context", "n_jobs", "expected"),
    [
        ({}, None, (1, "loky")),
        ({}, 2, (2, "loky")),
        ({"n_jobs": 2}, None, (2, "loky")),
        ({"backend": "loky", "n_jobs": 3}, None, (3, "loky")),
        ({"backend": "threading", "n_jobs": 3}, None, (3, "threading")),
        ({"backend": "threading"}, 2, (2, "threading")),
        ({"backend": "multiprocessing", "n_jobs": 2}, None, (2, "multiprocessing")),
        ({"backend": "sequential"}, 2, (1, "sequential")),
        ({"backend": "counting", "n_jobs": 2}, None, (1, "loky")),
        ({"backend": "counting"}, 2, (2, "loky")),
        ({"backend": "ray-like", "n_jobs": 2}, None, (1, "loky")),
        ({"backend": "ray-like"}, 2, (2, "loky")),
    ],
)
def test_jobs_of_a_context(context, n_jobs, expected):
    joblib.register_parallel_backend("counting", CountingBackend)
    joblib.register_parallel_backend("ray-like", ProcessesOfACluster)
    with joblib.parallel_config(**context):
        assert local_jobs(n_jobs) == expected
        assert local_jobs(n_jobs, threads=True) == (expected[0], "threading")


def test_all_cores_are_those_of_this_machine():
    joblib.register_parallel_backend("counting", CountingBackend)
    cores = joblib.effective_n_jobs(-1)
    with joblib.parallel_config(backend="counting"):
        assert local_jobs(-1) == (cores, "loky")


# Tables of clusters


def ray_like(table):
    """A stand-in for a data set of Ray, in which `columns` is a method."""
    dataset = type("Dataset", (), {"columns": lambda self: list(table)})
    dataset.__module__ = "ray.data.dataset"
    return type("MaterializedDataset", (dataset,), {"__module__": "somewhere"})()


def dask_frame(table):
    dataframe = pytest.importorskip("dask.dataframe")
    return dataframe.from_pandas(table, npartitions=2)


FRAMES = {
    dask_frame: r"X is a DataFrame of Dask.*X\.map_partitions\(function\)",
    ray_like: r"X is a MaterializedDataset of Ray.*X\.map_batches\(function, batch_for",
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("estimator", [CrossModalEmbedder, DINOEmbedder])
def test_embedders_refuse_tables_of_clusters(frame, estimator, X, y):
    words = FRAMES[frame] + ".*'Large data and many machines'"
    there = frame(X[["image", "profile"]].map(lambda _: "file"))
    for labels in (None, y):
        with pytest.raises(TypeError, match=words):
            estimator().fit(there, labels)
    fitted = estimator(max_epochs=1, image_size=16).fit(X.head(8))
    with pytest.raises(TypeError, match=words):
        fitted.transform(there)
    if estimator is CrossModalEmbedder:
        with pytest.raises(TypeError, match=words):
            fitted.score(there)


@pytest.mark.parametrize("frame", FRAMES)
def test_the_gallery_refuses_tables_of_clusters(frame):
    here = pd.DataFrame(np.eye(6), columns=list("abcdef"))
    there, y = frame(here), ["a", "b"] * 3
    fitted = GalleryKNNClassifier().fit(here, y)
    for way in (
        lambda: GalleryKNNClassifier().fit(there, y),
        lambda: fitted.partial_fit(there, y),
        lambda: fitted.predict(there),
        lambda: fitted.predict_proba(there),
        lambda: fitted.score_samples(there),
        lambda: fitted.kneighbors(there),
        lambda: fitted.score(there, y),
    ):
        with pytest.raises(TypeError, match=FRAMES[frame]):
            way()


def test_arrays_of_dask_are_arrays():
    """scikit-learn reads them, as it does whatever numpy can read."""
    arrays = pytest.importorskip("dask.array")
    X, y = np.eye(6), ["a", "b"] * 3
    fitted = GalleryKNNClassifier().fit(arrays.from_array(X, chunks=3), y)
    assert_array_equal(fitted.predict(X), y)
