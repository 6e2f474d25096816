import pickle
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._nn.dual_encoder import StandardizedEncoder
from skplankton._nn.multi_crop import draw_views
from skplankton._training import dino
from skplankton._training.devices import seeded
from skplankton._utils import progress
from skplankton.baselines import DINOEmbedder
from skplankton.datasets import make_particles

from .helpers import ROUNDING


def quick(**params):
    """An embedder small enough for a test, with every part that a large one has."""
    return DINOEmbedder(
        **{
            "image_encoder_params": {"width": 8, "n_stages": 2},
            "image_size": 16,
            "n_prototypes": 32,
            "bottleneck_width": 16,
            "n_local_crops": 2,
            "max_epochs": 2,
            "batch_size": 32,
            "random_state": 0,
            **params,
        }
    )


@pytest.fixture(scope="module")
def fitted(_particles):
    return quick().fit(_particles[0])


@pytest.mark.once
def test_training_distinguishes_species_better_than_the_initial_weights():
    X, y = make_particles(240, n_species=8, random_state=1, return_X_y=True)
    params = {"image_size": 32, "size_features": False, "random_state": 0}
    params |= {"batch_size": 32, "n_local_crops": 1}  # many steps in little time
    trained = DINOEmbedder(max_epochs=12, **params).fit(X)
    untrained = DINOEmbedder(max_epochs=1, learning_rate=1e-12, **params).fit(X)

    def accuracy(embedded):
        """With 4 labels per species, over 10 draws."""
        return np.mean(
            [
                GalleryKNNClassifier(gallery_size=4, random_state=draw)
                .fit(embedded[:120], y[:120])
                .score(embedded[120:], y[120:])
                for draw in range(10)
            ]
        )

    # 0.076 to 0.085 with the seeds 0, 1 and 2; chance is 0.125.
    gain = accuracy(trained.transform(X)) - accuracy(untrained.transform(X))
    assert gain > 0.04
    # The output neither collapsed to one class nor stayed uniform.
    losses = [epoch["train_loss"] for epoch in trained.history_]
    assert 0.01 < losses[-1] < losses[0] - 1


def test_deterministic_for_any_form_of_the_entries(X_any):
    first = quick().fit_transform(X_any)
    assert_array_equal(quick().fit_transform(X_any), first)
    assert not np.allclose(
        quick(random_state=1).fit_transform(X_any), first, equal_nan=True
    )


def test_paths_and_arrays_train_the_same_bits(X, X_paths):
    assert_array_equal(quick().fit_transform(X), quick().fit_transform(X_paths))


def test_an_embedding_does_not_depend_on_the_other_rows(fitted, X, monkeypatch):
    whole = fitted.transform(X)
    order = np.random.RandomState(0).permutation(len(X))
    assert_allclose(fitted.transform(X.iloc[order]), whole[order], **ROUNDING)
    assert_allclose(fitted.transform(X[7:8]), whole[7:8], **ROUNDING)
    monkeypatch.setattr("skplankton._embedding.base.ROWS_PER_CHUNK", 7)
    assert_allclose(fitted.transform(X), whole, **ROUNDING)


def test_embeddings_are_centered_features_and_sizes_of_unit_length(fitted, X):
    embedded = fitted.transform(X)
    assert embedded.dtype == np.float32
    assert embedded.shape == (len(X), 16 + 2)  # two stages of 8, height and width
    assert_allclose(np.linalg.norm(embedded, axis=1), 1, rtol=1e-5)
    read = fitted._check_X(X, reset=False).read("image", np.arange(60))
    features = dino.encode_rows(fitted.module_, read.values, read.sizes, "cpu", "32")
    assert_allclose(fitted.module_.feature_mean, features.mean(0), atol=1e-5)
    assert list(fitted.get_feature_names_out()[:2]) == [
        "dinoembedder0",
        "dinoembedder1",
    ]
    assert quick(size_features=False).fit_transform(X).shape == (60, 16)


def test_sizes_are_not_used_in_training(X):
    with_sizes, without = (
        quick(size_features=size).fit(X).module_.encoder.state_dict()
        for size in (True, False)
    )
    for name, weights in with_sizes.items():
        assert_array_equal(weights, without[name])


def test_rows_without_an_image_are_left_out_and_nan(X_missing):
    embedded = quick().fit_transform(X_missing)
    missing = X_missing["image"].isna().to_numpy()
    assert_array_equal(np.isnan(embedded).all(axis=1), missing)
    complete = X_missing[~missing]
    assert_array_equal(quick().fit_transform(complete), embedded[~missing])
    nothing = quick().fit(complete).transform(X_missing[missing])
    assert np.isnan(nothing).all()


def test_profiles_are_neither_needed_nor_read(X, fitted):
    expected = fitted.transform(X)
    unreadable = X.assign(profile="no such file.csv", depth_m=3.0)
    for table in (X[["image"]], unreadable, unreadable[["profile", "image"]]):
        assert_array_equal(quick().fit(table).transform(table), expected)
        assert_array_equal(fitted.transform(table), expected)
    assert_array_equal(fitted.feature_names_in_, ["image"])
    assert fitted.n_features_in_ == 1


@pytest.mark.parametrize(
    ("image_shape", "profile_shape", "n_image"),
    [(None, None, 32), ((8, 4), None, 32), (None, (8, 3), 40), ((8, 4), (8, 4), 32)],
)
def test_of_an_array_the_columns_of_the_image_are_read(
    image_shape, profile_shape, n_image
):
    X = np.random.RandomState(0).rand(20, 64).astype(np.float32)
    dino = quick(
        image_encoder_params=None, image_shape=image_shape, profile_shape=profile_shape
    )
    embedded = dino.fit_transform(X)
    assert np.isfinite(embedded).all()
    other_profiles, other_images = X.copy(), X.copy()
    other_profiles[:, n_image:] = 0.5
    other_images[:, n_image - 1] = 0.5
    assert_array_equal(clone(dino).fit_transform(other_profiles), embedded)
    assert not np.allclose(clone(dino).fit_transform(other_images), embedded)


@pytest.mark.parametrize(
    "params",
    [
        {"n_local_crops": 0},
        {"image_encoder": "mlp", "image_encoder_params": {"width": 8}},
        {"image_encoder": "test_resnet", "image_encoder_params": None},
        # One image size only: its local crops keep it.
        {
            "image_encoder": "vit_tiny_patch16_224",
            "image_encoder_params": {"depth": 1, "embed_dim": 24},
        },
        {"precision": "bf16"},
        {"crop_top": 3},
        {"crop_bottom": 3},
        {"n_jobs": 2},
    ],
    ids=lambda params: next(iter(params.values())),
)
def test_every_choice_fits_and_is_deterministic(X, params):
    first = quick(**params).fit_transform(X)
    assert np.isfinite(first).all()
    assert_array_equal(quick(**params).fit_transform(X), first)


def test_it_can_replace_the_cross_modal_embedder_in_a_pipeline(X, y):
    for embedder in (quick(), CrossModalEmbedder(max_epochs=1, image_size=16)):
        pipe = make_pipeline(embedder, GalleryKNNClassifier(random_state=0))
        assert pipe.fit(X, y).score(X, y) == 1  # each its own nearest neighbor


def test_pickle_keeps_the_bits_and_is_little_more_than_the_encoder(X):
    # Needs an encoder larger than the overhead of a pickle.
    dino = quick(image_encoder_params={"width": 32}).fit(X)
    pickled = pickle.dumps(dino)
    loaded = pickle.loads(pickled)
    assert_array_equal(loaded.transform(X), dino.transform(X))
    weights = dino.module_.state_dict().values()
    assert len(pickled) < 1.1 * sum(w.numel() * w.element_size() for w in weights)
    assert_array_equal(loaded.fit(X).transform(X), dino.transform(X))


def test_pickled_weights_are_on_the_cpu_for_any_device_of_the_model(fitted):
    class OnGPU:
        def to(self, device):
            return f"on {device}"

    dino = pickle.loads(pickle.dumps(fitted))
    dino.module_ = OnGPU()
    assert dino.__getstate__()["module_"] == "on cpu"
    assert isinstance(dino.module_, OnGPU)


def test_global_random_states_are_untouched(X):
    def states():
        return (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002

    def seed():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)

    seed()
    expected = states()
    for random_state in (0, None):
        seed()
        quick(random_state=random_state).fit(X).transform(X)
        assert states() == expected


def test_history_and_progress(X, capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0)
    assert quick().fit(X).n_iter_ == 2
    assert capsys.readouterr() == ("", "")
    dino = quick(verbose=2).fit(X)
    assert [epoch["epoch"] for epoch in dino.history_] == [1, 2]
    assert "epoch 2: train_loss" in capsys.readouterr().out
    quick(verbose=1).fit(X)
    assert "training: 100%" in capsys.readouterr().err


# Parts


@pytest.mark.parametrize("flip", [True, False])
def test_views_are_crops_that_flip_if_allowed(flip):
    ramp = torch.linspace(0.2, 0.8, 16)
    images = (ramp + ramp[:, None]).div(2).expand(50, 1, 16, 16).half()
    kept = images.clone()
    large, small = draw_views(images, 3, 8, flip)
    assert large.shape == (100, 1, 16, 16)
    assert small.shape == (150, 1, 8, 8)
    assert torch.equal(images, kept)
    for view in (large, small):
        assert torch.isfinite(view).all()
        assert len(view[:, 0, 0, 0].unique()) == len(view)  # each its own draw
        for slope in (view[..., -1] - view[..., 0], view[..., -1, :] - view[..., 0, :]):
            rises = (slope > 0).float().mean()
            assert 0.2 < rises < 0.8 if flip else rises == 1
    assert len(draw_views(images, 0, 8)) == 1


def test_views_of_flat_vectors_take_some_columns_of_other_rows():
    rows = torch.arange(100.0)[:, None] + torch.arange(40) * 1000.0
    with seeded("cpu", 0):
        large, small = draw_views(rows, 2, 40)
    for view, share in ((large, 0.3), (small, 0.6)):
        assert view.shape == (200, 40)
        assert torch.equal(view // 1000, rows.repeat(2, 1) // 1000)  # column by column
        taken = (view != rows.repeat(2, 1)).float().mean()
        assert taken == pytest.approx(share, abs=0.02)


def test_the_teacher_follows_the_student_ever_more_slowly():
    assert dino.teacher_momentum_at(0.0, 0.96) == pytest.approx(0.96)
    assert dino.teacher_momentum_at(0.5, 0.96) == pytest.approx(0.98)
    assert dino.teacher_momentum_at(1.0, 0.96) == 1
    encoder = StandardizedEncoder("image", "mlp", {"width": 4}, (3,), 0)
    pair = dino.SelfDistillation(encoder, 4, 5, 6)
    before = [weights.clone() for weights in pair.teacher.parameters()]
    for weights in pair.student.parameters():
        weights.data += 1
    pair.follow(0.75)
    for weights, old in zip(pair.teacher.parameters(), before, strict=True):
        torch.testing.assert_close(weights, old + 0.25)


@pytest.mark.parametrize(
    ("encoder", "params", "side"),
    [("cnn", {"width": 8}, 8), ("vit_tiny_patch16_224", {"depth": 1}, 16)],
)
def test_local_crops_are_half_as_large_if_the_encoder_takes_them(encoder, params, side):
    network = StandardizedEncoder("image", encoder, params, (1, 16, 16), 0)
    assert dino.choose_local_side(network, (1, 16, 16)) == side
    assert network.training


# Errors


def test_ctrl_c_leaves_no_half_fitted_estimator(X, monkeypatch):
    untouched, refitted = quick(), quick().fit(X)
    before = refitted.transform(X)
    names = set(vars(untouched))
    follow, n_steps = dino.SelfDistillation.follow, 0

    def interrupted(self, momentum):
        nonlocal n_steps
        n_steps += 1
        if n_steps % 3 == 0:
            raise KeyboardInterrupt
        follow(self, momentum)

    monkeypatch.setattr(dino.SelfDistillation, "follow", interrupted)
    for embedder in (untouched, refitted):
        with pytest.raises(KeyboardInterrupt):
            embedder.fit(X[:50])
    assert set(vars(untouched)) == names
    assert_array_equal(refitted.transform(X), before)


def test_missing_extra(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[dino\]'"):
        quick().fit(X)


@pytest.mark.once
def test_transform_and_the_class_do_not_need_the_extra(fitted, X, tmp_path):
    paths = [tmp_path / name for name in ("dino.pickle", "X.pickle")]
    paths[0].write_bytes(pickle.dumps(fitted))
    paths[1].write_bytes(pickle.dumps(X[:3]))
    script = (
        "import sys, pickle; sys.modules['lightly'] = None\n"
        "from skplankton.baselines import DINOEmbedder; DINOEmbedder()\n"
        "assert 'torch' not in sys.modules\n"
        "dino, X = (pickle.load(open(path, 'rb')) for path in sys.argv[1:])\n"
        "dino.transform(X)"
    )
    subprocess.run([sys.executable, "-c", script, *map(str, paths)], check=True)


def test_errors_of_invalid_entries(X):
    X.at[2, "image"] = np.full((8, 8), 255.0)
    with pytest.raises(ValueError, match="row 2: the image could not be read"):
        quick().fit(X)
    X.at[2, "image"] = "nowhere.png"
    with pytest.raises(FileNotFoundError, match=r"row 2: the image 'nowhere.png'"):
        quick().fit(X)


def test_invalid_tables(X, fitted):
    with pytest.raises(ValueError, match=r"no column 'image'; got .*\['profile'\]"):
        quick().fit(X[["profile"]])
    with pytest.raises(ValueError, match="0 of the 60 rows of X have an image"):
        quick().fit(X.assign(image=None))
    with pytest.raises(ValueError, match="row 0 has neither an image nor a profile"):
        quick().fit(X[["image"]].assign(image=None))
    with pytest.raises(ValueError, match="columns 'image' and 'profile'"):
        quick().fit(pd.DataFrame({"picture": ["a.png", "b.png"]}))
    with pytest.raises(ValueError, match="a numeric array, but DINOEmbedder was"):
        fitted.transform(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"image_encoder": "cnnn"}, "Unknown image_encoder='cnnn'"),
        ({"device": "gpu"}, "Unknown device='gpu'"),
        ({"teacher_momentum": 1.0}, "The 'teacher_momentum' parameter"),
        ({"teacher_temperature": 0.0}, "The 'teacher_temperature' parameter"),
        ({"learning_rate": 1e30}, r"Training diverged.*learning_rate \(it is 1e\+30\)"),
    ],
)
def test_invalid_parameters(X, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(X)
