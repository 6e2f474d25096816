"""leave_one_out against brute force: a classifier without the row, for each row."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skplankton import GalleryKNNClassifier
from skplankton._gallery.familiarity import log_odds
from skplankton._gallery.walk import GalleryWalk

SPECIES = np.array(["ciliate", "diatom", "flagellate"])


def rows(n_rows=24, n_columns=6, seed=0, two_views=False):
    rng = np.random.default_rng(seed)
    codes = np.arange(n_rows) % 3
    X = rng.normal(size=(3, n_columns))[codes] + rng.normal(size=(n_rows, n_columns))
    if two_views:
        X[0::5, :3] = np.nan
        X[1::5, 3:] = np.nan
    return X, SPECIES[codes]


def refitted_without(model, X, y, row):
    """A fit without the row; what is learned from all rows is that of `model`."""
    others = np.arange(len(X)) != row
    refitted = GalleryKNNClassifier(**model.get_params()).fit(X[others], y[others])
    refitted.view_scales_, refitted.offset_ = model.view_scales_, model.offset_
    return refitted


@pytest.mark.parametrize("gallery_modalities", ["all", "image", "profile"])
@pytest.mark.parametrize("query_modalities", ["all", "image", "profile"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weights", ["distance", "uniform"])
@pytest.mark.parametrize("n_neighbors", [1, 3, 100])
def test_two_views(n_neighbors, weights, metric, query_modalities, gallery_modalities):
    X, y = rows(two_views=True)
    model = GalleryKNNClassifier(
        n_neighbors,
        weights=weights,
        metric=metric,
        n_modalities=2,
        query_modalities=query_modalities,
        gallery_modalities=gallery_modalities,
        outlier_label="unknown",
        contamination=0.3,
    ).fit(X, y)
    X, y = model.gallery_, model.gallery_labels_  # some may lack the view
    labels, shares = model.leave_one_out()
    n_compared = 0
    for row in range(len(X)):
        halves = {"image": X[row, :3], "profile": X[row, 3:], "all": X[row]}
        if np.isnan(halves[query_modalities]).all():
            assert labels[row] == ""
            continue
        refitted = refitted_without(model, X, y, row)
        assert labels[row] == refitted.predict(X[[row]])[0]
        expected = refitted.predict_proba(X[[row]])[0]
        np.testing.assert_allclose(shares[row], expected, atol=1e-12)
        n_compared += 1
    assert n_compared > 10
    assert n_neighbors == 100 or "unknown" in labels


def test_rows_of_equal_embeddings():
    """A row's copy still votes, and it alone."""
    X, y = rows(12)
    X, y = np.vstack([X, X[:1]]), np.append(y, "diatom")
    labels, shares = GalleryKNNClassifier().fit(X, y).leave_one_out()
    assert labels[[0, 12]].tolist() == ["diatom", "ciliate"]
    assert shares[[0, 12]].max(axis=1).tolist() == [1, 1]


def test_only_row_of_a_class():
    X, y = rows(9)
    y[0] = "alone"
    labels, shares = GalleryKNNClassifier(n_neighbors=20).fit(X, y).leave_one_out()
    assert labels[0] != "alone"
    assert shares[0, 0] == 0


@pytest.mark.parametrize("n_pool", [1, 60])
def test_walk(n_pool):
    X, y = rows(12)
    pool, _ = rows(n_pool, seed=1)
    unlabeled = np.full(n_pool, None, dtype=object)
    model = GalleryKNNClassifier(
        use_unlabeled=True, metric="euclidean", outlier_label="unknown"
    ).fit(np.vstack([X, pool]), [*y, *unlabeled])
    model.offset_ = np.median(model.score_samples(X))
    labels, shares = model.leave_one_out()
    codes = np.arange(12) % 3
    for row in range(12):
        others = np.arange(12) != row
        walk = GalleryWalk(
            X[others], np.vstack([pool, X[[row]]]), codes[others], "euclidean"
        )
        ends = walk.node_absorption[-1]
        np.testing.assert_allclose(shares[row], ends / ends.sum(), atol=1e-6)
        nearest = ends.argmax()
        familiarity = log_odds(ends.sum()) - model._class_levels[nearest]
        is_unknown = familiarity < model.offset_
        assert labels[row] == ("unknown" if is_unknown else SPECIES[nearest])
    again = pickle.loads(pickle.dumps(model)).leave_one_out()
    np.testing.assert_array_equal(again[0], labels)
    np.testing.assert_allclose(again[1], shares, atol=1e-9)


def test_a_new_n_neighbors_takes_effect():
    X, y = rows()
    model = GalleryKNNClassifier(n_neighbors=1).fit(X, y)
    assert set(np.unique(model.leave_one_out()[1])) == {0, 1}
    model.set_params(n_neighbors=3, weights="uniform")
    assert 1 / 3 in np.unique(model.leave_one_out()[1])


def test_not_fitted():
    with pytest.raises(NotFittedError):
        GalleryKNNClassifier().leave_one_out()
