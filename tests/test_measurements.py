"""Vectors of measurements: their scale, and as the profiles of a table."""

import logging
import warnings

import joblib
import numpy as np
import pandas as pd
import polars
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._nn.encoders import MLP, ProfileCNN
from skplankton._nn.measurements import IQR_OF_NORMAL, Measurements, partly_missing
from skplankton.baselines import DINOEmbedder
from skplankton.datasets import make_particles
from skplankton.evaluation import cross_modal_benchmark
from skplankton.model_selection import select_to_label
from skplankton.recipes import kareinen2026

from .helpers import ROUNDING, quick, weights

N_MEASUREMENTS = 14


def quick_vectors(**params):
    return quick(**{"profile_encoder_params": {"width": 8}, **params})


@pytest.fixture(scope="module")
def particles():
    return make_particles(60, n_species=4, profile="measurements", random_state=0)


@pytest.fixture
def V(particles):
    """The particles of the fixture X, with vectors as profiles, all complete."""
    X = particles.data.copy()
    X["profile"] = [vector.copy() for vector in X["profile"]]
    return X


@pytest.fixture
def V_missing(V):
    """Some images and vectors are missing, and some measurements of others."""
    V.iloc[0::5, V.columns.get_loc("image")] = None
    V.iloc[1::5, V.columns.get_loc("profile")] = np.nan
    for row in (3, 8, 13):
        V["profile"][row][2] = np.nan
    return V


@pytest.fixture(scope="module")
def fitted(particles):
    return quick_vectors().fit(particles.data)


def learned(values):
    values = np.asarray(values, dtype=np.float32)
    layer = Measurements(values.shape[1], len(partly_missing(values)))
    layer.set_scales(values)
    return lambda rows: layer(torch.tensor(rows, dtype=torch.float32)).numpy()


# The scale


def test_the_scale_is_median_and_interquartile_range_then_logarithmic():
    values = np.random.default_rng(0).normal(5, 3, size=(101, 2)) * [1, 1e4]
    low, median, high = np.quantile(values.astype(np.float32), [0.25, 0.5, 0.75], 0)
    expected = np.arcsinh((values - median) / (high - low) * IQR_OF_NORMAL)
    columns = learned(values)
    assert_allclose(columns(values), expected, rtol=1e-4, atol=1e-5)
    assert_allclose(columns(median[None]), [[0, 0]], atol=1e-6)


def test_a_normal_distribution_has_a_spread_of_one():
    layer = Measurements(1, 0)
    layer.set_scales(np.random.default_rng(0).normal(0, 7, (20_000, 1)))
    assert 1 / layer.scale.item() == pytest.approx(7, rel=0.03)


def test_an_outlier_neither_sets_the_scale_nor_stands_far_out():
    values = np.arange(100.0)[:, None]
    with_outlier = np.vstack([values, [[1e9]]])
    assert_allclose(learned(with_outlier)(values), learned(values)(values), atol=0.1)
    assert learned(with_outlier)([[1e9]]) < 20


def test_missing_values_become_the_median_and_are_marked():
    values = np.array([[1.0, 5], [np.nan, 6], [3, 7], [7, 9]])
    columns = learned(values)
    assert partly_missing(values).tolist() == [0]
    assert columns(values).shape == (4, 3)
    assert_array_equal(columns(values)[:, 2], [0, 1, 0, 0])
    assert_allclose(columns(values)[1, 0], 0)  # the median of 1, 3 and 7
    # Never missing in training: filled in, and not marked.
    assert_allclose(columns([[3, np.nan]]), [[0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e6, np.nan])
def test_what_is_constant_or_never_known_in_training_is_ignored(value):
    values = np.column_stack([np.full(20, value), np.arange(20.0)])
    columns = learned(values)
    assert columns(values).shape == (20, 2)
    for later in (value, 0.0, 8.0, -1e9, np.nan):
        assert columns([[later, 3.0]])[0, 0] == 0


def test_of_mostly_equal_values_the_deviation_is_the_scale():
    values = np.zeros((100, 1))
    values[:10] = 4.0
    expected = np.arcsinh(4 / values.std())
    assert_allclose(learned(values)([[4.0]]), [[expected]], rtol=1e-5)


# As profiles of a table


def test_every_form_of_a_vector_gives_the_same_bits(V):
    expected = quick_vectors(max_epochs=1).fit_transform(V)
    names = [f"m{i}" for i in range(N_MEASUREMENTS)]
    forms = {
        "list": list,
        "tuple": tuple,
        "Series": pd.Series,
        "Series with names": lambda v: pd.Series(v, index=names),
        "float64": lambda v: v.astype(float),
    }
    for form, convert in forms.items():
        entries = pd.Series([convert(v) for v in V["profile"]], dtype=object)
        got = quick_vectors(max_epochs=1).fit_transform(V.assign(profile=entries))
        assert_array_equal(got, expected, form)


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_missing_measurements_of_lists(V, missing):
    V["profile"][4][1] = np.nan
    expected = quick_vectors().fit_transform(V)
    entries = [list(v) for v in V["profile"]]
    entries[4][1] = missing
    got = quick_vectors().fit_transform(V.assign(profile=entries))
    assert_array_equal(got, expected)


def test_lists_of_a_polars_table(V, X_paths):
    entries = [v.tolist() for v in V["profile"]]
    entries[4][1] = None
    paths = X_paths["image"].tolist()
    table = polars.DataFrame({"image": paths, "profile": entries})
    expected = quick_vectors().fit_transform(
        pd.DataFrame({"image": paths, "profile": entries})
    )
    assert_array_equal(quick_vectors().fit_transform(table), expected)


def test_a_vector_is_encoded_by_the_mlp_without_a_logarithm_of_its_values(V, fitted):
    module = fitted.net_.module_.profile
    assert isinstance(module.encoder, MLP)
    assert module.size_mean.shape == (0,)
    vectors = np.stack([*V["profile"]])
    assert_allclose(module.measurements.median, np.median(vectors, axis=0), rtol=1e-6)
    # Another unit of a measurement, with another zero, changes nothing.
    unit = [3 * vector - 100 for vector in V["profile"]]
    other = quick_vectors().fit_transform(V.assign(profile=unit))
    assert_allclose(other, fitted.transform(V), atol=5e-3)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"orientation": "shared"},
        {"orientation": "independent"},
        {"orientation": "keep"},
        {"image_encoder": "mlp", "image_encoder_params": {"width": 8}},
        {"loss": "siglip", "learn_temperature": True},
        {"size_features": False},
        {"augment": False},
        {"micro_batch_size": 8},
        {"precision": "bf16"},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"n_jobs": 2},
    ],
    ids=lambda params: next(iter(params), "default"),
)
def test_every_choice_fits_and_is_deterministic(V_missing, params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = quick_vectors(**params).fit_transform(V_missing)
    assert_array_equal(quick_vectors(**params).fit_transform(V_missing), first)
    assert np.isfinite(first).all()


@pytest.mark.parametrize("output", ["fused", "image", "profile", "concat"])
def test_outputs(V_missing, output):
    embedder = quick_vectors(output=output).fit(V_missing)
    got = embedder.transform(V_missing)
    assert got.shape == (60, embedder._n_features_out)
    is_missing = np.isnan(got)
    no_image, no_vector = V_missing["image"].isna(), V_missing["profile"].isna()
    if output == "concat":
        image, profile = np.split(is_missing, 2, axis=1)
        assert_array_equal(image.all(axis=1), no_image)
        assert_array_equal(profile.all(axis=1), no_vector)
    expected = {"image": no_image, "profile": no_vector, "fused": no_image & no_vector}
    if output in expected:
        assert_array_equal(is_missing.all(axis=1), expected[output])
        assert_array_equal(is_missing.any(axis=1), expected[output])


def test_a_vector_has_no_orientation(V, fitted):
    """The mirrored particle has the mirrored image, and the same vector."""
    V["image"] = [image[:20, :20] for image in V["image"]]
    V = V[[image.shape == (20, 20) for image in V["image"]]]
    mirrored = V.assign(image=[image[:, ::-1] for image in V["image"]])
    for output in ("fused", "image"):
        embedder = quick_vectors(output=output).fit(V)
        average = embedder.transform(V)
        assert_allclose(embedder.transform(mirrored), average, **ROUNDING)
        embedder.set_params(orientation="shared")
        plain, other = embedder.transform(V), embedder.transform(mirrored)
        assert not np.allclose(plain, other, atol=1e-3)
    vectors = quick_vectors(output="profile").fit(V)
    average = vectors.transform(V)
    assert_array_equal(vectors.set_params(orientation="shared").transform(V), average)


def test_other_rows_do_not_change_the_embedding_of_a_vector(V_missing, fitted):
    """An MLP runs in float64 on the CPU: to the last bit but one."""
    embedder = quick_vectors(output="profile").fit(V_missing)
    whole = embedder.transform(V_missing)
    for row in (0, 3, 7):
        alone = embedder.transform(V_missing.iloc[[row]])
        assert_allclose(alone[0], whole[row], rtol=0, atol=1e-7)


def test_chunks_and_files_of_the_pairs_change_nothing(V_missing, monkeypatch):
    expected = quick_vectors().fit(V_missing)
    monkeypatch.setattr("skplankton._embedding.base.ROWS_PER_CHUNK", 7)
    monkeypatch.setattr("skplankton._views.pair_store.LARGEST_IN_MEMORY", 0)
    got = weights(quick_vectors().fit(V_missing))
    for name, values in weights(expected).items():
        assert_array_equal(got[name], values)


def test_measurements_missing_in_transform_alone(V, fitted):
    complete = fitted.transform(V)
    V["profile"][5][:6] = np.nan
    got = fitted.transform(V)
    assert np.isfinite(got).all()
    assert_allclose(np.delete(got, 5, 0), np.delete(complete, 5, 0), **ROUNDING)
    assert not np.allclose(got[5], complete[5], atol=1e-3)


def test_vectors_train_pairs_that_match():
    """Held-out images match their vectors far above chance: 1 of 60."""
    V = make_particles(360, profile="measurements", random_state=1, return_X_y=True)[0]
    embedder = CrossModalEmbedder(
        image_size=32, max_epochs=10, temperature=0.1, random_state=0
    ).fit(V[:300])
    # 8.5 to 12 with the seeds 0, 1 and 2.
    assert embedder.score(V[300:]) > 5 / 60


def test_warm_start_keeps_the_scales(V):
    embedder = quick_vectors(warm_start=True, learning_rate=1e-9, augment=False)
    first = embedder.fit(V).transform(V)
    scales = weights(embedder)["profile.measurements.median"]
    shifted = V.assign(profile=[vector + 1000 for vector in V["profile"]])
    embedder.fit(shifted)
    assert_array_equal(weights(embedder)["profile.measurements.median"], scales)
    assert_allclose(embedder.fit(V).transform(V), first, atol=1e-4)
    # So are the marks: a measurement that is first missing now gets none.
    V["profile"][5][1] = np.nan
    assert np.isfinite(embedder.fit_transform(V)).all()
    V["profile"] = [vector[:13] for vector in V["profile"]]
    with pytest.raises(
        ValueError, match=r"warm_start=True .* was \(8, 14\) and is \(8,"
    ):
        embedder.fit(V)


def test_a_saved_model_gives_the_same_bits_and_errors(V_missing, X, tmp_path):
    embedder = quick_vectors().fit(V_missing)
    joblib.dump(embedder, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    expected = embedder.transform(V_missing)
    assert_array_equal(loaded.transform(V_missing), expected)
    with pytest.raises(ValueError, match=r"where a vector of measurements, .* was"):
        loaded.transform(X)


def test_from_vectors_to_labels(V_missing, particles):
    y = particles.target
    embedder = quick_vectors(output="concat").fit(V_missing)
    embeddings = embedder.transform(V_missing)
    results = cross_modal_benchmark(
        embeddings, y, gallery_sizes=[2], n_repeats=1, random_state=0
    )
    assert len(results.groupby(["gallery", "query"])) == 9
    pipe = make_pipeline(quick_vectors(), GalleryKNNClassifier()).fit(V_missing, y)
    assert pipe.score(V_missing, y) > 0.5
    chosen = select_to_label(
        embedder.set_params(output="fused").transform(V_missing), 5
    )
    assert len(set(chosen)) == 5


def test_dino_reads_no_vectors(V, X):
    params = {"max_epochs": 1, "image_size": 16, "random_state": 0}
    expected = DINOEmbedder(**params).fit(X).transform(X)
    assert_array_equal(DINOEmbedder(**params).fit(V).transform(V), expected)


# Errors


@pytest.mark.parametrize("use", ["fit", "transform"])
@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (np.zeros(9), r"row 7: the profile has 9 measurements, where 14 were expected"),
        (
            np.zeros((9, 6)),
            r"row 7: the profile is a sequence, of shape \(length, n_ch",
        ),
        (
            np.zeros(0),
            r"row 7: the profile could not be read: a profile must have .* g",
        ),
        ([0.0] * 13 + [np.inf], "row 7: the profile could not .* at measurement 13. A"),
        (
            [1e39] + [0.0] * 13,
            "row 7: .* too large for float32, first at measurement 0",
        ),
        (np.full(14, np.nan), "row 7: .* all 14 measurements are missing. Use None"),
    ],
)
def test_invalid_vectors_are_reported_with_their_row(V, fitted, use, entry, message):
    V.at[7, "profile"] = entry
    embedder = quick_vectors() if use == "fit" else fitted
    with pytest.raises(ValueError, match=message):
        getattr(embedder, use)(V)


def test_a_vector_among_sequences(X, V):
    X.at[7, "profile"] = V["profile"][7]
    message = (
        r"row 7: the profile is a vector of measurements, of shape \(n_measurements,\)"
        r", where a sequence, .* was expected"
    )
    with pytest.raises(ValueError, match=message):
        quick().fit(X)
    with pytest.raises(ValueError, match=message.replace("row 7", "row 0")):
        quick().fit(X.drop(index=7)).transform(V)


def test_names_of_measurements_agree(V):
    names = [f"m{i}" for i in range(N_MEASUREMENTS)]
    named = [pd.Series(vector, index=names) for vector in V["profile"]]
    V["profile"] = pd.Series(named, dtype=object)
    embedder = quick_vectors(max_epochs=1).fit(V)
    swapped = V["profile"][9].iloc[::-1]
    V.at[9, "profile"] = swapped
    for use in (embedder.transform, embedder.fit):
        with pytest.raises(
            ValueError, match=r"row 9: the profile has the measurements \('m13', 'm12'"
        ):
            use(V)
    V.at[9, "profile"] = swapped.where(swapped.index != "m3", np.inf)
    with pytest.raises(ValueError, match=r"first at measurement 10 \('m3'\)"):
        embedder.transform(V)


def test_unreadable_vectors_are_missing_if_coerced(V, fitted, caplog):
    V.at[7, "profile"] = np.full(N_MEASUREMENTS, np.inf)
    embedder = quick_vectors(errors="coerce", output="concat")
    with caplog.at_level(logging.WARNING, logger="skplankton"):
        got = embedder.fit(V).transform(V)
    assert "row 7: the profile could not be read" in caplog.text
    profile = np.split(got, 2, axis=1)[1]
    assert_array_equal(np.flatnonzero(np.isnan(profile).all(axis=1)), [7])


@pytest.mark.parametrize(
    "encoder",
    ["cnn", "lstm", "transformer", ProfileCNN, "skplankton._nn.encoders:ProfileLSTM"],
)
def test_encoders_of_sequences(V, encoder):
    embedder = quick_vectors(profile_encoder=encoder, profile_encoder_params=None)
    with pytest.raises(
        ValueError, match=r"needs a shape, but .* 14 flat .*or use 'mlp'"
    ):
        embedder.fit(V)


def test_the_recipe_of_the_paper_needs_another_encoder(V):
    recipe = kareinen2026(pretrained=False, image_size=16, max_epochs=1, batch_size=32)
    recipe.set_params(image_encoder="cnn", early_stopping=False, random_state=0)
    with pytest.raises(ValueError, match="profile_encoder='cnn' needs a shape"):
        recipe.fit(V)
    recipe.set_params(profile_encoder="mlp", profile_encoder_params=None, crop_top=0)
    assert np.isfinite(recipe.fit_transform(V)).all()


def test_an_own_encoder_takes_the_columns_and_marks(V_missing):
    shapes = []

    def build(sample_shape):
        shapes.append(sample_shape)
        return torch.nn.Linear(sample_shape[0], 5)

    embedder = quick_vectors(profile_encoder=build, profile_encoder_params=None)
    assert np.isfinite(embedder.fit_transform(V_missing)).all()
    assert shapes == [(N_MEASUREMENTS + 1,)]
