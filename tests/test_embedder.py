import copy
import random
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from tqdm import tqdm

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._nn.dual_encoder import PROJECTION_WEIGHT
from skplankton._utils import progress
from skplankton.datasets import make_particles

from .helpers import ROUNDING, quick, weights


@pytest.fixture(scope="module")
def fitted(_particles):
    return quick().fit(_particles[0])


# Properties that check_estimator cannot test on tables.


def test_fit_is_idempotent_and_deterministic(X_any):
    embedder = quick()
    first = embedder.fit(X_any).transform(X_any)
    again = embedder.fit(X_any).transform(X_any)
    other = clone(embedder).fit_transform(X_any)
    # One machine, one number of threads: the same bits.
    assert_array_equal(first, again)
    assert_array_equal(first, other)
    seeded_otherwise = quick(random_state=1).fit_transform(X_any)
    assert not np.allclose(first, seeded_otherwise)


def test_paths_and_arrays_train_the_same_bits(X, X_paths):
    assert_array_equal(quick().fit_transform(X), quick().fit_transform(X_paths))


def test_an_embedding_does_not_depend_on_the_other_rows(fitted, X_missing, y):
    whole = fitted.transform(X_missing)
    gallery = GalleryKNNClassifier().fit(whole, y)
    predicted = gallery.predict(whole)
    order = np.random.RandomState(0).permutation(len(X_missing))
    subsets = [order, np.arange(7, 20)]
    subsets += [np.array([row]) for row in (0, 1, 2)]  # no image, no profile, both
    for rows in subsets:
        embedded = fitted.transform(X_missing.iloc[rows])
        assert_allclose(embedded, whole[rows], **ROUNDING)
        assert_array_equal(gallery.predict(embedded), predicted[rows])


def test_chunks_of_the_table_change_nothing(fitted, X_missing, monkeypatch):
    whole = fitted.transform(X_missing)
    monkeypatch.setattr("skplankton._embedding.base.ROWS_PER_CHUNK", 7)
    assert_allclose(fitted.transform(X_missing), whole, **ROUNDING)


def test_reading_ahead_raises_the_errors_of_their_rows(X_paths, fitted, monkeypatch):
    monkeypatch.setattr("skplankton._embedding.base.ROWS_PER_CHUNK", 7)
    broken = X_paths.copy()
    broken.loc[20, "image"] = "no such file.png"
    with pytest.raises(FileNotFoundError, match="row 20: the image"):
        fitted.transform(broken)


def test_reading_ahead_with_two_jobs(X_paths, fitted, monkeypatch):
    whole = fitted.transform(X_paths)
    monkeypatch.setattr("skplankton._embedding.base.ROWS_PER_CHUNK", 7)
    monkeypatch.setattr("skplankton._views.table.ENTRIES_PER_TASK", 5)
    monkeypatch.setattr(fitted, "n_jobs", 2)
    assert_allclose(fitted.transform(X_paths), whole, **ROUNDING)


def test_input_is_not_changed(X, fitted):
    images = [image.copy() for image in X["image"]]
    columns, index = list(X.columns), list(X.index)
    quick().fit(X).transform(X)
    assert list(X.columns) == columns
    assert list(X.index) == index
    for image, kept in zip(X["image"], images, strict=True):
        assert_array_equal(image, kept)


def test_other_columns_and_their_order_do_not_matter(X, fitted):
    shuffled = X[["profile", "image"]].assign(depth_m=3.0)
    assert_array_equal(fitted.transform(shuffled), fitted.transform(X))
    assert_array_equal(fitted.feature_names_in_, ["image", "profile"])
    assert fitted.n_features_in_ == 2


def test_the_index_does_not_matter(X, fitted):
    renamed = X.set_axis([f"p{i}" for i in range(len(X))])
    assert_array_equal(fitted.transform(renamed), fitted.transform(X))


@pytest.mark.parametrize("features", ["both", "encoder", "projection"])
@pytest.mark.parametrize("output", ["fused", "image", "profile", "concat"])
def test_outputs(X_missing, features, output):
    embedder = quick(features=features).fit(X_missing)
    image = embedder.set_params(output="image").transform(X_missing)
    profile = embedder.set_params(output="profile").transform(X_missing)
    got = embedder.set_params(output=output).transform(X_missing)
    assert got.dtype == np.float32
    assert got.shape == (len(X_missing), embedder._n_features_out)
    assert embedder.get_feature_names_out().shape == (got.shape[1],)
    if output == "concat":
        assert_array_equal(got, np.hstack([image, profile]))
        no_image, no_profile = X_missing["image"].isna(), X_missing["profile"].isna()
        assert_array_equal(np.isnan(image).all(axis=1), no_image)
        assert_array_equal(np.isnan(profile).all(axis=1), no_profile)
        both = ~no_image & ~no_profile
        assert not np.isnan(got[both]).any()
    elif output == "fused":
        mean = np.nanmean([image, profile], axis=0)
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        assert_allclose(got, mean, atol=1e-6)
        assert_allclose(np.linalg.norm(got, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("orientation", ["shared", "average"])
def test_across_modalities_only_the_projection_is_compared(X, orientation):
    embedder = quick(output="concat", orientation=orientation).fit(X)
    cosines = {}
    for features in ("encoder", "projection", "both"):
        blocks = embedder.set_params(features=features).transform(X)
        image, profile = np.split(blocks, 2, axis=1)
        cosines[features] = image @ profile.T
    assert_array_equal(cosines["encoder"], 0)
    share = PROJECTION_WEIGHT / (1 + PROJECTION_WEIGHT)
    assert_allclose(cosines["both"], share * cosines["projection"], atol=1e-6)


def test_output_image_never_reads_a_profile(X, fitted):
    only_images = X.copy()
    only_images["profile"] = ["no such file.csv"] * len(X)
    embedder = quick(output="image").fit(X)
    assert_array_equal(embedder.transform(only_images), embedder.transform(X))


@pytest.mark.parametrize(
    "params",
    [
        {"profile_encoder": "lstm", "profile_encoder_params": {"width": 8}},
        {
            "profile_encoder": "transformer",
            "profile_encoder_params": {"width": 8, "n_layers": 1},
        },
        {"image_encoder": "mlp", "image_encoder_params": {"width": 8}},
        {"image_encoder": "test_resnet", "image_encoder_params": None},
        {"loss": "siglip", "learn_temperature": True},
        {"optimizer": "sgd", "learning_rate": 0.01},
        {"size_features": False},
        {"augment": False},
        {"micro_batch_size": 8},
        {"precision": "bf16"},
        {"crop_top": 3},
        {"n_jobs": 2},
    ],
    ids=lambda params: next(iter(params)),
)
def test_every_choice_fits_and_is_deterministic(X_missing, params):
    first = quick(**params).fit_transform(X_missing)
    assert_array_equal(quick(**params).fit_transform(X_missing), first)
    assert np.isfinite(first).all()


@pytest.mark.parametrize(
    ("image_shape", "profile_shape"),
    [(None, None), ((8, 4), None), (None, (8, 4)), ((8, 4), (8, 4))],
)
def test_array_forms(image_shape, profile_shape):
    X = np.random.RandomState(0).rand(20, 64)
    embedder = quick(
        image_shape=image_shape,
        profile_shape=profile_shape,
        image_encoder_params=None,
        profile_encoder_params=None,
    )
    embedded = embedder.fit_transform(X)
    assert np.isfinite(embedded).all()
    named = pd.DataFrame(X, columns=[f"c{i}" for i in range(64)])
    assert_array_equal(clone(embedder).fit_transform(named), embedded)


def test_fit_trains():
    """Held-out images match their profiles far above chance: 1 of 60."""
    X = make_particles(360, n_species=8, random_state=1, return_X_y=True)[0]
    embedder = CrossModalEmbedder(
        image_size=32, profile_length=32, max_epochs=10, temperature=0.1, random_state=0
    ).fit(X[:300])
    assert embedder.n_iter_ == 10
    assert embedder.history_[-1]["train_loss"] < embedder.history_[0]["train_loss"] - 1
    # 6 to 14 with the seeds 0, 1 and 2 on several processors and versions of PyTorch.
    assert embedder.score(X[300:]) > 4 / 60


def test_score_is_matching_accuracy(fitted, X_missing, X):
    embedder = clone(fitted).set_params(features="projection", output="concat")
    image, profile = np.split(embedder.fit(X).transform(X), 2, axis=1)
    cosines = image @ profile.T
    own = np.arange(len(X))
    expected = np.mean(cosines.argmax(1) == own) + np.mean(cosines.argmax(0) == own)
    assert embedder.score(X) == pytest.approx(expected / 2)
    complete = X_missing.dropna()
    assert embedder.score(X_missing) == embedder.score(complete)
    with pytest.raises(ValueError, match="0 of the 12 rows of X have both"):
        embedder.score(X_missing[X_missing["image"].isna()])


def test_warm_start_continues_from_the_weights(X):
    embedder = quick(warm_start=True, learning_rate=1e-9, augment=False)
    first = embedder.fit(X).transform(X)
    assert_allclose(embedder.fit(X).transform(X), first, atol=1e-4)
    embedder.set_params(warm_start=False, random_state=1)
    assert not np.allclose(embedder.fit(X).transform(X), first, atol=1e-2)


def test_warm_start_uses_the_current_temperature_unless_it_is_learned(X):
    embedder = quick(warm_start=True, max_epochs=1).fit(X)
    assert embedder.set_params(temperature=0.2).fit(X).temperature_ == pytest.approx(
        0.2
    )
    embedder.set_params(learn_temperature=True, temperature=5.0).fit(X)
    assert embedder.temperature_ == pytest.approx(0.2, rel=0.1)


def test_warm_start_with_another_network_reports_the_difference(X):
    embedder = quick(warm_start=True, max_epochs=1).fit(X)
    before = weights(embedder)
    embedder.set_params(n_components=4)
    words = r"warm_start=True .* 'image.projection.weight' was \(8, 18\) and is \(4,"
    with pytest.raises(ValueError, match=words):
        embedder.fit(X)
    assert_array_equal(
        weights(embedder)["image.projection.weight"], before["image.projection.weight"]
    )


def test_warm_start_with_a_deeper_network_reports_new_weights(X):
    embedder = quick(warm_start=True, max_epochs=1).fit(X.head(24))
    embedder.set_params(image_encoder_params={"width": 8, "n_stages": 3})
    with pytest.raises(ValueError, match=r"'image.encoder.stages.2.* was absent and"):
        embedder.fit(X.head(24))


def test_two_pairs_are_enough_on_either_side_of_the_validation_split(X):
    embedder = quick(early_stopping=True, validation_fraction=0.5, max_epochs=1)
    assert len(embedder.fit(X.head(4)).history_) == 1
    with pytest.raises(ValueError, match="sets 2 of 3 complete pairs aside"):
        embedder.fit(X.head(3))


# Parameters of the fitted model, and parameters that may change after fit


@pytest.mark.parametrize(
    "changed",
    [
        {"image_size": 24},
        {"profile_length": 24},
        {"crop_top": 5},
        {"crop_bottom": 5},
        {"size_features": False},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_how_a_table_is_read_belongs_to_the_fit(X, fitted, changed):
    expected = fitted.transform(X)
    embedder = copy.copy(fitted).set_params(**changed)
    assert_array_equal(embedder.transform(X), expected)
    assert embedder.score(X) == fitted.score(X)


def test_how_an_array_is_cut_belongs_to_the_fit():
    X = np.random.RandomState(0).rand(20, 64)
    embedder = CrossModalEmbedder(max_epochs=1, image_shape=(8, 2), random_state=0)
    expected = embedder.fit(X).transform(X)
    embedder.set_params(image_shape=None, profile_shape=(8, 4))
    assert_array_equal(embedder.transform(X), expected)


@pytest.mark.parametrize(
    "changed",
    [
        {"output": "nonsense"},
        {"features": "nonsense"},
        {"precision": "64"},
        {"errors": "ignore"},
        {"n_jobs": "two"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_parameters_changed_after_fit_are_validated(X, fitted, changed):
    embedder = copy.copy(fitted).set_params(**changed)
    for use in (embedder.transform, embedder.score):
        with pytest.raises(ValueError, match=f"The {next(iter(changed))!r} parameter"):
            use(X)


def test_early_stopping_ends_training_and_reports_the_validation_loss(X):
    embedder = quick(
        early_stopping=True, validation_fraction=0.3, patience=1, max_epochs=100
    ).fit(X)
    assert embedder.n_iter_ == len(embedder.history_) < 100
    assert {"epoch", "train_loss", "valid_loss", "temperature"} == set(
        embedder.history_[0]
    )
    with pytest.raises(ValueError, match="sets 1 of 60 complete pairs aside"):
        quick(early_stopping=True, validation_fraction=0.01).fit(X)


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
        embedder = quick(random_state=random_state, early_stopping=True).fit(X)
        embedder.transform(X)
        embedder.score(X)
        assert states() == expected


def test_no_seed_differs_and_a_random_state_instance_is_used(X):
    unseeded = [quick(random_state=None).fit_transform(X) for _ in range(2)]
    assert not np.allclose(*unseeded)
    instances = [quick(random_state=np.random.RandomState(3)) for _ in range(2)]
    assert_array_equal(*[e.fit_transform(X) for e in instances])


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_progress_is_shown_if_verbose(X, verbose, capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0)
    embedder = quick(verbose=verbose).fit(X)
    out, err = capsys.readouterr()
    assert ("train_loss" in out) == (verbose == 2)
    n_steps = embedder.max_epochs * -(-len(X) // embedder.batch_size)
    for line in (
        f"reading: 100%, {len(X)} of {len(X)} rows",
        f"training: 100%, {n_steps} of {n_steps} steps",
        f"epoch={embedder.max_epochs}/{embedder.max_epochs}, train_loss=",
    ):
        assert (line in err) == (verbose == 1)
    assert bool(out + err) == (verbose > 0)


# Errors


def test_ctrl_c_leaves_no_half_fitted_estimator(X, monkeypatch):
    from skplankton._training.contrastive import ContrastiveNet

    untouched = quick()
    refitted = quick().fit(X)
    before = refitted.transform(X)
    n_steps = 0
    train_step = ContrastiveNet.train_step

    def interrupted(self, *args, **kwargs):
        nonlocal n_steps
        n_steps += 1
        if n_steps % 3 == 0:
            raise KeyboardInterrupt
        return train_step(self, *args, **kwargs)

    monkeypatch.setattr(ContrastiveNet, "train_step", interrupted)
    parameters = set(vars(untouched))
    for embedder in (untouched, refitted, refitted.set_params(early_stopping=True)):
        with pytest.raises(KeyboardInterrupt):
            embedder.fit(X.head(50))
    assert set(vars(untouched)) == parameters
    assert_array_equal(refitted.transform(X), before)


def test_an_error_closes_the_progress_bar(X, monkeypatch, capsys):
    from skplankton._training.contrastive import ContrastiveNet

    def fails(self, *args, **kwargs):
        raise ValueError("no step")

    monkeypatch.setattr(ContrastiveNet, "train_step", fails)
    before = set(tqdm._instances)
    with pytest.raises(ValueError, match="no step") as raised:
        quick(verbose=1).fit(X)
    assert raised.tb is not None  # it keeps the bar alive
    assert set(tqdm._instances) == before


def test_no_pair_to_score_can_be_read(X, fitted):
    embedder = copy.copy(fitted).set_params(errors="coerce")
    with pytest.raises(ValueError, match=r"None of the 60 pairs .* could be read"):
        embedder.score(X.assign(image=__file__))


def test_forms_of_X_do_not_mix(X, fitted):
    with pytest.raises(
        ValueError, match=r"X is a numeric array, but .* was fitted on a"
    ):
        fitted.transform(np.zeros((3, 2)))
    flat = quick(image_encoder_params=None, profile_encoder_params=None)
    flat.fit(np.random.RandomState(0).rand(10, 4))
    with pytest.raises(ValueError, match="was fitted on a numeric array"):
        flat.transform(X)
    with pytest.raises(ValueError, match=r"X has 6 features, but .* expecting 4"):
        flat.transform(np.zeros((3, 6)))


def test_other_channels_than_fitted_are_named(X, X_paths, fitted):
    X.at[2, "profile"] = X.at[2, "profile"][:, :4]
    with pytest.raises(ValueError, match="row 2: the profile has 4 channels, where 6"):
        fitted.transform(X)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"device": "gpu"}, ValueError, "Unknown device='gpu'"),
        ({"temperature": 0.0}, ValueError, "The 'temperature' parameter"),
        ({"loss": "triplet"}, ValueError, "The 'loss' parameter"),
        ({"image_encoder": ":name"}, ValueError, "':name' could not be imported"),
        ({"batch_size": 1}, ValueError, "The 'batch_size' parameter"),
    ],
)
def test_bad_parameters(X, params, error, message):
    with pytest.raises(error, match=message):
        quick(**params).fit(X)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (None, TypeError, "X is None; expected a table"),
        ("season/", TypeError, "X is a str; .* The loaders in skplankton.datasets"),
        (iter([1]), TypeError, "X is a list_iterator; expected"),
        (np.array(["a.png", "b.png"]), TypeError, "X is an array of objects such as"),
        (np.zeros((3, 8, 8)), ValueError, r"shape \(3, 8, 8\), as of images alone"),
        (
            pd.DataFrame([[1, 2, 3]] * 2, columns=["image", "image", "profile"]),
            ValueError,
            "X has 2 columns 'image'",
        ),
        (pd.Series({"image": 1, "profile": 2}), TypeError, r"X.iloc\[\[0\]\]"),
    ],
)
def test_what_is_neither_a_table_nor_an_array(X, error, message, fitted):
    with pytest.raises(error, match=message):
        quick().fit(X)
    with pytest.raises(error, match=message):
        fitted.transform(X)


def test_missing_extra(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[timm\]'"):
        quick(image_encoder="convnext_femto", image_encoder_params=None).fit(X)


def test_too_few_pairs(X_missing):
    one_pair = X_missing.iloc[[0, 1, 2]]
    with pytest.raises(
        ValueError, match=r"1 of the 3 rows of X have both .* at least 2"
    ):
        quick().fit(one_pair)


def test_a_table_without_one_modality(X):
    with pytest.raises(ValueError, match=r"X has no column 'profile'"):
        quick().fit(X[["image"]])


def test_a_table_of_other_columns_reports_the_expected_ones(X):
    with pytest.raises(ValueError, match="columns 'image' and 'profile'"):
        quick().fit(X.rename(columns={"image": "img", "profile": "prof"}))


def test_nothing_warns(X_missing):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick().fit(X_missing).transform(X_missing)


def test_tables_are_flipped_in_training_and_arrays_are_not(X, monkeypatch):
    flips = []

    def spy(image, profile, flip):
        flips.append(flip)
        return image, profile

    monkeypatch.setattr("skplankton._training.contrastive.augment_pairs", spy)
    quick(max_epochs=1).fit(X)
    shapes = {"image_shape": (8, 4), "profile_shape": (8, 4)}
    quick(max_epochs=1, **shapes).fit(np.random.RandomState(0).rand(10, 64))
    assert flips == ["shared", "shared", None]


@pytest.mark.parametrize(
    ("orientation", "flip"),
    [("shared", "shared"), ("independent", "independent"), ("keep", None)],
)
def test_orientation_in_training(X, monkeypatch, orientation, flip):
    flips = []

    def spy(image, profile, flip):
        flips.append(flip)
        return image, profile

    monkeypatch.setattr("skplankton._training.contrastive.augment_pairs", spy)
    quick(max_epochs=1, orientation=orientation).fit(X)
    assert flips == [flip, flip]


def mirrored(X):
    return X.assign(
        image=[image[:, ::-1] for image in X["image"]],
        profile=[profile[::-1] for profile in X["profile"]],
    )


@pytest.mark.parametrize("output", ["fused", "image", "profile", "concat"])
@pytest.mark.parametrize("features", ["both", "encoder", "projection"])
def test_average_is_the_same_for_the_mirror_image(X, fitted, output, features):
    """Square images: the margins of others differ by a pixel if their sum is odd."""
    X["image"] = [image[:20, :20] for image in X["image"]]
    X = X[[image.shape == (20, 20) for image in X["image"]]]
    embedder = clone(fitted).set_params(
        orientation="average", output=output, features=features
    )
    average = embedder.fit(X).transform(X)
    assert_allclose(embedder.transform(mirrored(X)), average, **ROUNDING)
    plain = embedder.set_params(orientation="shared").transform(X)
    other = embedder.transform(mirrored(X))
    assert not np.allclose(plain, other, atol=1e-3)
    blocks = np.split(plain + other, 2 if output == "concat" else 1, axis=1)
    # "fused" averages the two modalities as well, "both" each of its two parts.
    if output != "fused" and features != "both":
        expected = [b / np.linalg.norm(b, axis=1, keepdims=True) for b in blocks]
        assert_allclose(average, np.hstack(expected), **ROUNDING)


def test_arrays_have_no_orientation():
    X = np.random.RandomState(0).rand(10, 64)
    shapes = {"image_shape": (8, 4), "profile_shape": (8, 4)}
    average = quick(max_epochs=1, orientation="average", **shapes).fit_transform(X)
    keep = quick(max_epochs=1, orientation="keep", **shapes).fit_transform(X)
    np.testing.assert_array_equal(average, keep)


def test_models_saved_before_there_was_a_choice(X, fitted):
    embedder = clone(fitted).fit(X)
    state = dict(embedder.__getstate__())
    del state["orientation"]
    former = CrossModalEmbedder.__new__(CrossModalEmbedder)
    former.__setstate__(state)
    embedder.set_params(orientation="shared")
    np.testing.assert_array_equal(former.transform(X), embedder.transform(X))
    assert former.get_params()["orientation"] == "shared"


@pytest.mark.parametrize(
    ("X", "hint"),
    [
        (["a.png", "b.png"], "list of str"),
        (pd.Series(["a.png", "b.png"]), "Series of str"),
        ([{"image": "a.png"}] * 2, "list of dict"),
        ([b"PNG", b"PNG"], "list of bytes"),
        ((["a.png", "b.png"], ["a.csv", "b.csv"]), "tuple of list"),
        ([[np.zeros((2, 3))] * 2] * 2, "list of list"),
        (np.array([["a.png", "a.csv"]] * 2, dtype=object), "such as str"),
        (
            make_particles(2, n_species=2).data.to_numpy(),
            "objects such as ndarray.*Pass the DataFrame itself",
        ),
        ({"image": ["a.png"], "profile": ["a.csv"]}, r"Pass pandas.DataFrame\(X\)"),
        (make_particles(2, n_species=2), "Pass X = particles.data, y = particles.tar"),
    ],
    ids=[
        "list",
        "Series",
        "dicts",
        "bytes",
        "pair of lists",
        "pair of arrays",
        "array of paths",
        "array of arrays",
        "dict",
        "Bunch",
    ],
)
def test_images_and_profiles_without_a_table(X, hint):
    with pytest.raises(TypeError, match=r"pandas.DataFrame\(\{'image': ima") as caught:
        CrossModalEmbedder().fit(X)
    assert re.search(hint, str(caught.value))


def test_tables_of_bytes_are_embedded_like_their_files(X_paths, y):
    as_bytes = pd.DataFrame(
        {
            "image": [Path(path).read_bytes() for path in X_paths["image"]],
            "profile": [
                {"bytes": Path(path).read_bytes(), "path": None}
                for path in X_paths["profile"]
            ],
        }
    )
    embedder = quick(max_epochs=1).fit(X_paths)
    expected = embedder.transform(X_paths)
    assert_array_equal(embedder.transform(as_bytes), expected)
    from_bytes = quick(max_epochs=1, n_jobs=2).fit(as_bytes, y)
    assert_array_equal(
        from_bytes.transform(polars.DataFrame(as_bytes.to_dict("list"))), expected
    )
    assert from_bytes.score(as_bytes) == embedder.score(X_paths)


def test_arrow_tables(X_paths):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({name: X_paths[name].tolist() for name in X_paths})
    embedder = quick(max_epochs=1)
    expected = embedder.fit_transform(X_paths)
    assert_array_equal(embedder.fit_transform(table), expected)
    embedder.set_output(transform="pandas")
    assert_array_equal(embedder.transform(table).to_numpy(), expected)


def test_tables_of_other_libraries(X_paths):
    table = polars.from_dict({name: X_paths[name].tolist() for name in X_paths})
    embedder = quick(max_epochs=1)
    expected = embedder.fit_transform(X_paths)
    assert_array_equal(embedder.fit_transform(table), expected)
    with pytest.raises(TypeError, match=r"polars.LazyFrame; .* Pass X.collect\(\)"):
        embedder.transform(table.lazy())


@pytest.mark.parametrize(
    ("params", "y", "error", "message"),
    [
        ({"device": "cuda:7"}, None, ValueError, "device='cuda:7' is not available"),
        ({"image_encoder": "cnnn"}, None, ValueError, "Unknown image_encoder='cnnn'"),
        ({"profile_encoder": "gru"}, None, ValueError, "Unknown profile_encoder='gru'"),
        ({}, ["a"] * 59, ValueError, "X has 60 rows, and y 59 labels"),
        ({}, ["a", "b", 1, 2] * 15, TypeError, "labels in y are of the types int, str"),
    ],
)
def test_parameters_and_y_are_checked_before_files_are_read(
    X, params, y, error, message
):
    X = X.assign(image="no such file.png")
    with pytest.raises(error, match=message):
        quick(**params).fit(X, y)


def test_an_embedding_that_overflows_is_not_a_missing_modality(X, fitted):
    embedder = copy.deepcopy(fitted)
    embedder.net_.module_.image.mean.fill_(np.inf)
    with pytest.raises(ValueError, match="embedding of row 0 of X is not finite"):
        embedder.transform(X)
