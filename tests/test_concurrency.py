"""Threads and processes that fit and predict at once disturb nobody."""

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skplankton import GalleryKNNClassifier
from skplankton._training.devices import seeded
from skplankton.baselines import DINOEmbedder

from .helpers import ROUNDING, quick, weights

# Multiplies the repetitions of the tests that look for growth; by hand, 10 or more.
SOAK = int(os.environ.get("SKPLANKTON_SOAK", "1"))


@pytest.fixture(scope="module")
def pipe(_particles):
    X, y = _particles
    gallery = GalleryKNNClassifier(gallery_size=4, random_state=0)
    return Pipeline([("embed", quick()), ("gallery", gallery)]).fit(X, y)


def generator_state():
    return torch.get_rng_state().clone()


def test_fits_in_threads_are_the_fit_alone(X):
    X = X.head(24)
    before = generator_state()
    alone = weights(quick().fit(X))
    with ThreadPoolExecutor(4) as pool:
        fits = list(pool.map(lambda _: quick().fit(X), range(8)))
    for fit in fits:
        for name, expected in alone.items():
            assert_array_equal(weights(fit)[name], expected)
    assert torch.equal(generator_state(), before)


def test_dino_in_threads_is_dino_alone(X):
    dino = DINOEmbedder(image_size=16, max_epochs=1, random_state=0)
    before = generator_state()
    alone = clone(dino).fit(X.head(12)).transform(X)
    with ThreadPoolExecutor(2) as pool:
        fits = list(pool.map(lambda _: clone(dino).fit(X.head(12)), range(4)))
    for fit in fits:
        assert_allclose(fit.transform(X), alone, **ROUNDING)
    assert torch.equal(generator_state(), before)


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_seeding_restores_every_generator_that_it_seeds(device, monkeypatch):
    """Without such a device, its module is replaced by one that keeps a state."""
    states = {"cuda:0": 0, "cuda:1": 1, "mps": 2}
    touched = set()

    class current:
        def __init__(self, device):
            self.device = str(device)

        def __enter__(self):
            current.name = self.device

        def __exit__(self, *error):
            pass

    def set_state(name, value):
        touched.add(name)
        states[name] = value

    def to_cuda(state, device):
        set_state(str(device), state)

    for name, stand_in in {
        "cuda.device": current,
        "cuda.manual_seed": lambda seed: set_state(current.name, seed),
        "cuda.get_rng_state": lambda device: states[str(device)],
        "cuda.set_rng_state": to_cuda,
        "mps.manual_seed": lambda seed: set_state("mps", seed),
        "mps.get_rng_state": lambda: states["mps"],
        "mps.set_rng_state": lambda state: set_state("mps", state),
    }.items():
        monkeypatch.setattr(f"torch.{name}", stand_in)
    expected, before = dict(states), generator_state()
    with seeded(device, 33):
        assert states[device] == 33
    assert states == expected
    assert touched == {device}
    assert torch.equal(generator_state(), before)


def test_training_on_the_cpu_seeds_no_other_device(X, monkeypatch):
    """torch.manual_seed would, also before CUDA is first used."""

    def fail(*args):
        raise AssertionError("another generator was seeded")

    monkeypatch.setattr(torch, "manual_seed", fail)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", fail)
    quick(max_epochs=1).fit(X.head(24))


def test_predicting_in_threads(pipe, X_missing):
    embedded = pipe["embed"].transform(X_missing)
    predicted, shares = pipe.predict(X_missing), pipe.predict_proba(X_missing)
    start = threading.Barrier(8)

    def use(_):
        start.wait()
        return [
            (
                pipe["embed"].transform(X_missing),
                pipe.predict(X_missing),
                pipe.predict_proba(X_missing),
            )
            for _ in range(2 * SOAK)
        ]

    with ThreadPoolExecutor(8) as pool:
        for results in pool.map(use, range(8)):
            for found in results:
                assert_allclose(found[0], embedded, **ROUNDING)
                assert_array_equal(found[1], predicted)
                assert_allclose(found[2], shares, atol=1e-4)


def test_search_has_the_same_answer_in_every_backend(X, y):
    pipe = Pipeline(
        [
            ("embed", quick(max_epochs=1)),
            ("gallery", GalleryKNNClassifier(random_state=0)),
        ]
    )
    grid = {"embed__temperature": [0.1, 0.5], "gallery__gallery_size": [1, 4]}
    scores = {}
    for backend in ("sequential", "threading", "loky"):
        with joblib.parallel_backend(backend, n_jobs=2):
            search = GridSearchCV(
                pipe, grid, cv=2, refit=False, error_score="raise"
            ).fit(X, y)
        scores[backend] = search.cv_results_["mean_test_score"]
    assert_allclose(scores["threading"], scores["sequential"])
    # A worker process has threads of its own number, which changes the last bits.
    assert_allclose(scores["loky"], scores["sequential"], atol=0.1)


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="counts by Linux's /proc"
)
def test_nothing_grows(pipe, X_missing):
    """Memory, open files and threads after many fits and transforms."""
    X = X_missing.head(20)
    embedder = quick(max_epochs=1)

    def repeat(n_fits, n_transforms):
        for _ in range(n_fits):
            embedder.fit(X)
        for _ in range(n_transforms):
            pipe.predict(X)
        gc.collect()
        return resident_mb(), len(os.listdir("/proc/self/fd")), threading.active_count()

    repeat(3, 10)
    memory, files, threads = repeat(3, 10)
    more_memory, more_files, more_threads = repeat(10 * SOAK, 50 * SOAK)
    assert more_files == files
    assert more_threads == threads
    # The allocator's noise; holding one fit's pairs or weights would be 2 MB each.
    assert more_memory - memory < 20
