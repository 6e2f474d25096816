"""The two estimators in scikit-learn's own machinery, on tables of particles."""

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_html_repr

from skplankton import CrossModalEmbedder, GalleryKNNClassifier

from .helpers import quick

GRID = {"embed__temperature": [0.2, 1.0], "gallery__gallery_size": [1, 4, None]}


def make_pipe(**params):
    return Pipeline(
        [
            ("embed", quick(max_epochs=1)),
            ("gallery", GalleryKNNClassifier(random_state=0)),
        ],
        **params,
    )


def test_pipeline_predicts_known_species(X_any, y):
    pipe = make_pipe().fit(X_any, y)
    assert set(pipe.predict(X_any)) <= set(y)
    assert_allclose(pipe.predict_proba(X_any).sum(axis=1), 1)
    # Each particle of the gallery is its own nearest neighbour.
    assert pipe.score(X_any, y) == 1


def test_cross_val_score(X_any, y):
    scores = cross_val_score(make_pipe(), X_any, y, cv=2, error_score="raise")
    assert scores.shape == (2,)
    assert scores.mean() > 1 / len(np.unique(y))


def test_with_memory_the_embedder_is_fitted_once_per_temperature_and_fold(
    X_missing, y, tmp_path, monkeypatch
):
    n_fits = 0
    fit = CrossModalEmbedder.fit

    def counted(self, *args, **kwargs):
        nonlocal n_fits
        n_fits += 1
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(CrossModalEmbedder, "fit", counted)
    pipe = make_pipe(memory=joblib.Memory(tmp_path, verbose=0))
    search = GridSearchCV(pipe, GRID, cv=2, refit=False, error_score="raise")
    search.fit(X_missing, y)
    assert n_fits == 2 * 2  # temperatures × folds, whatever the gallery sizes
    without = GridSearchCV(make_pipe(), GRID, cv=2, refit=False).fit(X_missing, y)
    assert n_fits == 4 + 2 * 2 * 3
    assert_array_equal(
        search.cv_results_["mean_test_score"], without.cv_results_["mean_test_score"]
    )


def test_frozen_embedder_is_not_trained_again(X_any, y):
    embedder = quick().fit(X_any)
    expected = embedder.transform(X_any)
    pipe = Pipeline(
        [
            ("embed", FrozenEstimator(embedder)),
            ("gallery", GalleryKNNClassifier()),
        ]
    )
    # Ten labels of a new site, no training.
    few = np.concatenate([np.flatnonzero(y == species)[:3] for species in np.unique(y)])
    pipe.fit(X_any.iloc[few], y[few]).predict(X_any)
    assert_array_equal(pipe[0].transform(X_any), expected)


def test_set_output_pandas(X_any, y):
    pipe = make_pipe().set_output(transform="pandas")
    frame = pipe[:1].fit_transform(X_any, y)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.index) == list(X_any.index)
    assert list(frame.columns) == list(pipe[0].get_feature_names_out())
    assert frame.columns[0] == "crossmodalembedder0"
    pipe.fit(X_any, y)
    assert_array_equal(pipe[-1].feature_names_in_, frame.columns)
    assert_array_equal(pipe.predict(X_any), make_pipe().fit(X_any, y).predict(X_any))


def test_nine_setups_run_in_a_pipeline(X_missing, y):
    pipe = make_pipe().set_params(embed__output="concat", gallery__n_modalities=2)
    complete = X_missing.notna().all(axis=1).to_numpy()
    for gallery in ("image", "profile", "all"):
        for query in ("image", "profile", "all"):
            pipe.set_params(
                gallery__gallery_modalities=gallery, gallery__query_modalities=query
            )
            pipe.fit(X_missing, y)
            assert pipe.predict(X_missing[complete]).shape == (complete.sum(),)


def test_unlabelled_particles_train_the_embedder_only(X_missing, y):
    few = np.full(len(y), None, dtype=object)
    labelled = np.concatenate(
        [np.flatnonzero(y == species)[:2] for species in np.unique(y)]
    )
    few[labelled] = y[labelled]
    pipe = make_pipe().fit(X_missing, few)
    assert_array_equal(np.sort(pipe[-1].gallery_indices_), np.sort(labelled))
    assert_array_equal(
        pipe[0].transform(X_missing), make_pipe()[0].fit_transform(X_missing)
    )
    assert pipe.score(X_missing, few) == 1


def test_html_repr_shows_both_steps():
    html = estimator_html_repr(make_pipe())
    assert "CrossModalEmbedder" in html
    assert "GalleryKNNClassifier" in html


def test_clone_and_params_round_trip():
    pipe = make_pipe(memory=None)
    copy = clone(pipe)
    for name, value in pipe.get_params().items():
        if not hasattr(value, "get_params") and name != "steps":
            assert copy.get_params()[name] == value
    pipe.set_params(embed__temperature=2.0, gallery__n_neighbors=5)
    assert pipe.get_params()["embed__temperature"] == 2.0


def test_metadata_routing(X_any, y):
    """Groups reach the splitter through a pipeline that wants none for itself."""
    groups = np.arange(len(y)) % 3
    with sklearn.config_context(enable_metadata_routing=True):
        result = cross_validate(
            make_pipe(),
            X_any,
            y,
            cv=GroupKFold(3),
            params={"groups": groups},
            error_score="raise",
        )
        with pytest.raises(TypeError, match="sample_weight"):
            make_pipe().fit(X_any, y, sample_weight=np.ones(len(y)))
    assert result["test_score"].shape == (3,)
