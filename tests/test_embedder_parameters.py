"""Each constructor parameter of CrossModalEmbedder has its effect."""

import numpy as np
import pytest

from skplankton import CrossModalEmbedder

from .helpers import quick, weights

# A value other than that of `quick`, and other parameters needed for its effect.
CHANGES = {
    "n_components": (4, {}),
    "image_encoder": ("mlp", {"image_encoder_params": {"width": 8}}),
    "profile_encoder": ("mlp", {"profile_encoder_params": {"width": 8}}),
    "image_encoder_params": ({"width": 16, "n_stages": 2}, {}),
    "profile_encoder_params": ({"width": 16, "n_stages": 2}, {}),
    "image_size": (24, {}),
    "profile_length": (24, {}),
    "crop_top": (4, {}),
    "crop_bottom": (4, {}),
    "size_features": (False, {}),
    "augment": (False, {}),
    "orientation": ("keep", {}),
    "loss": ("siglip", {}),
    "temperature": (0.1, {}),
    "learn_temperature": (True, {}),
    "optimizer": ("sgd", {}),
    "learning_rate": (1e-2, {}),
    "weight_decay": (10.0, {}),
    "warmup_epochs": (0, {}),
    "max_epochs": (2, {}),
    "batch_size": (8, {}),
    "micro_batch_size": (5, {}),
    "early_stopping": (True, {"validation_fraction": 0.3}),
    "validation_fraction": (0.5, {"early_stopping": True}),
    "precision": ("bf16", {}),
    "random_state": (1, {}),
}
ARRAY_CHANGES = {
    "image_shape": ((8, 4), {}),
    "profile_shape": ((8, 4), {}),
}
# Parameters that do not change the model, and the test of each.
ELSEWHERE = {
    "output": "test_embedder.py::test_outputs",
    "features": "test_embedder.py::test_outputs",
    "device": "test_embedder.py::test_bad_parameters, test_parameters_and_y",
    "errors": "test_errors_policy.py",
    "patience": "test_patience_is_counted_in_epochs",
    "n_jobs": "test_jobs_reach_the_decoding",
    "warm_start": "test_embedder.py::test_warm_start",
    "checkpoint": "test_checkpoint.py",
    "distributed": "test_distributed.py",
    "verbose": "test_embedder.py::test_progress_is_shown_if_verbose",
}


def small(**params):
    return quick(
        **{"max_epochs": 1, "batch_size": 12, "validation_fraction": 0.3, **params}
    )


def differ(one, other):
    return one.keys() != other.keys() or any(
        one[name].shape != other[name].shape
        or not np.array_equal(one[name], other[name])
        for name in one
    )


def test_every_parameter_is_listed():
    listed = [*CHANGES, *ARRAY_CHANGES, *ELSEWHERE]
    assert sorted(listed) == sorted(CrossModalEmbedder().get_params())


@pytest.mark.parametrize("name", CHANGES)
def test_parameter_changes_the_model(X, name):
    value, others = CHANGES[name]
    X = X.head(24)
    plain = weights(small(**others).fit(X))
    assert not differ(plain, weights(small(**others).fit(X)))
    changed = small(**{**others, name: value}).fit(X)
    assert differ(plain, weights(changed))


@pytest.mark.parametrize("name", ARRAY_CHANGES)
def test_shape_changes_the_model_of_an_array(name):
    X = np.random.RandomState(0).rand(12, 64)
    plain = CrossModalEmbedder(max_epochs=1, random_state=0).fit(X)
    value, _ = ARRAY_CHANGES[name]
    shaped = CrossModalEmbedder(max_epochs=1, random_state=0, **{name: value}).fit(X)
    assert differ(weights(plain), weights(shaped))


def test_jobs_reach_the_decoding(X, monkeypatch):
    used = []

    class Parallel:
        def __init__(self, n_jobs, backend):
            used.append(n_jobs)

        def __call__(self, tasks):
            return [function(*args, **kwargs) for function, args, kwargs in tasks]

    monkeypatch.setattr("skplankton._views.table.Parallel", Parallel)
    monkeypatch.setattr("skplankton._views.table.ENTRIES_PER_TASK", 5)
    small(n_jobs=2).fit(X.head(24))
    assert max(used) == 2


def test_siglip_starts_where_one_pair_of_a_batch_matches(X):
    embedder = small(loss="siglip", batch_size=9, learning_rate=1e-9).fit(X.head(24))
    bias = embedder.net_.module_.logit_bias.item()
    assert bias == pytest.approx(-np.log(8), abs=1e-6)


def test_weight_decay_shrinks_the_weights(X):
    sizes = [
        abs(
            weights(small(weight_decay=decay).fit(X.head(24)))[
                "image.projection.weight"
            ]
        ).mean()
        for decay in (0.0, 400.0)
    ]
    assert sizes[1] < 0.8 * sizes[0]


def test_warmup_starts_slowly(X):
    """A warm-up that outlasts the training leaves the weights near the start."""
    start = weights(small(learning_rate=1e-12).fit(X.head(24)))
    moved = [
        abs(
            weights(small(warmup_epochs=epochs).fit(X.head(24)))[
                "image.projection.weight"
            ]
            - start["image.projection.weight"]
        ).mean()
        for epochs in (0, 1000)
    ]
    assert moved[1] < 0.1 * moved[0]


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_is_counted_in_epochs(X, patience):
    still = small(
        early_stopping=True, learning_rate=1e-12, patience=patience, max_epochs=9
    )
    assert still.fit(X.head(24)).n_iter_ == 1 + patience
