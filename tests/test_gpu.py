"""What must hold on a CUDA device; skipped where there is none."""

import copy
import io

import joblib
import numpy as np
import pytest
import torch

from skplankton import CrossModalEmbedder
from skplankton._training import batches
from skplankton.datasets import make_particles

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device"
)


@pytest.fixture(scope="module")
def X():
    return make_particles(160, random_state=0, return_X_y=True)[0]


def fit(X, **params):
    params = {"device": "cuda", "max_epochs": 3, "random_state": 0, **params}
    return CrossModalEmbedder(**params).fit(X)


def test_the_same_fit_twice(X):
    first, again = (fit(X, precision="32").transform(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_pairs_that_do_not_fit_on_the_device(X, monkeypatch):
    expected = fit(X, precision="32").transform(X)
    monkeypatch.setattr(batches, "LARGEST_SHARE_ON_GPU", 0.0)
    np.testing.assert_array_equal(fit(X, precision="32").transform(X), expected)


def test_a_model_is_used_on_the_cpu(X):
    embedder = fit(X, precision="32")
    expected = embedder.transform(X)
    file = io.BytesIO()
    joblib.dump(embedder, file)
    file.seek(0)
    on_cpu = joblib.load(file).set_params(device="cpu")
    # The device multiplies float32 numbers with fewer digits.
    np.testing.assert_allclose(on_cpu.transform(X), expected, atol=5e-3)


@pytest.mark.parametrize("precision", ["auto", "bf16", "16"])
def test_16_bits(X, precision):
    embedder = fit(X, precision=precision, early_stopping=True)
    exact = copy.deepcopy(embedder).set_params(precision="32")
    np.testing.assert_allclose(embedder.transform(X), exact.transform(X), atol=0.05)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": "sgd", "learn_temperature": True, "loss": "siglip"},
        {"optimizer": torch.optim.RMSprop},
        {"micro_batch_size": 20},
    ],
)
def test_other_ways_of_training(X, params):
    assert np.isfinite(fit(X, **params).history_[-1]["train_loss"])


def test_the_random_state_of_the_device_is_kept(X):
    before = torch.cuda.get_rng_state()
    fit(X, max_epochs=1)
    assert torch.equal(before, torch.cuda.get_rng_state())
