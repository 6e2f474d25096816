"""Walks through unlabeled particles: against dense algebra, and what they promise."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skplankton import GalleryKNNClassifier
from skplankton._gallery import classifier as module
from skplankton._gallery.familiarity import class_levels, log_odds
from skplankton._gallery.walk import GalleryWalk


def moons(n_rows=200, n_labeled=4, seed=0):
    """Two long bent species; the few labels are at random places."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_rows) % 2
    angle = np.pi * rng.random(n_rows)
    X = np.c_[np.cos(angle), np.sin(angle)]
    X[codes == 1] = np.c_[1 - X[codes == 1, 0], 0.5 - X[codes == 1, 1]]
    X += rng.normal(scale=0.07, size=X.shape)
    truth = np.array(["ciliate", "diatom"])[codes]
    y = np.full(n_rows, None, dtype=object)
    for species in ("ciliate", "diatom"):
        rows = rng.permutation(np.flatnonzero(truth == species))[: n_labeled // 2]
        y[rows] = species
    return X, y, truth


def walker(**params):
    defaults = {"use_unlabeled": True, "metric": "euclidean"}
    return GalleryKNNClassifier(**{**defaults, **params})


def dense_absorption(gallery, pool, codes, queries, keep=0.98):
    """The definition in dense float64: the graph, and one system of equations."""
    nodes = np.vstack([gallery, pool])
    n, k = len(nodes), min(10, len(nodes) - 1)
    far = np.linalg.norm(nodes[:, None] - nodes[None], axis=2)
    order = [
        [j for j in np.argsort(row, kind="stable") if j != i]
        for i, row in enumerate(far)
    ]
    near = np.array(order)[:, :k]
    d = np.take_along_axis(far, near, axis=1)
    floor = 1e-3 * np.median(d[d > 0])
    scale = np.maximum(d[:, min(7, k) - 1], floor)
    W = np.zeros((n, n))
    for i in range(n):
        for j in near[i]:
            W[i, j] = np.exp(-far[i, j] / np.sqrt(scale[i] * scale[j]))
    W = np.maximum(W, W.T)
    P = W / W.sum(axis=1, keepdims=True)
    m = len(gallery)
    classes = np.eye(codes.max() + 1)[codes]
    inner = np.linalg.solve(
        np.eye(n - m) - keep * P[m:, m:], keep * P[m:, :m] @ classes
    )
    meets = np.vstack([classes, inner])
    found = []
    for q in queries:
        d = np.linalg.norm(nodes - q, axis=1)
        first = np.argsort(d, kind="stable")[: min(10, n)]
        s = max(d[first][min(7, len(first)) - 1], floor)
        w = np.exp(-d[first] / np.sqrt(s * scale[first]))
        found.append(w @ meets[first] / w.sum())
    return np.array(found), P, meets


@settings(deadline=None, max_examples=40)
@given(
    n_pool=st.integers(1, 40),
    n_gallery=st.integers(2, 8),
    n_columns=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
def test_absorption_equals_dense_algebra(n_pool, n_gallery, n_columns, seed):
    rng = np.random.default_rng(seed)
    gallery, pool, queries = (
        rng.normal(size=(n, n_columns)) for n in (n_gallery, n_pool, 5)
    )
    codes = np.arange(n_gallery) % 2
    walk = GalleryWalk(gallery, pool, codes, "euclidean")
    expected, P, _ = dense_absorption(gallery, pool, codes, queries)
    np.testing.assert_allclose(walk.absorption(queries), expected, atol=1e-7)
    # A gallery row left out: solved anew, with its row among the unlabeled.
    for row in range(n_gallery):
        inside = [row, *range(n_gallery, len(P))]
        others = [i for i in range(n_gallery) if i != row]
        arrive = 0.98 * P[np.ix_(inside, others)] @ np.eye(2)[codes[others]]
        system = np.eye(len(inside)) - 0.98 * P[np.ix_(inside, inside)]
        alone = np.linalg.solve(system, arrive)[0]
        got = walk.absorption_without(np.array([row]))
        np.testing.assert_allclose(got[0], alone, atol=1e-7)


def test_unlabeled_particles_help():
    X, y, truth = moons()
    by_distance = GalleryKNNClassifier(metric="euclidean").fit(X, y)
    assert walker().fit(X, y).score(X, truth) > by_distance.score(X, truth) + 0.1


def test_shares_are_those_of_the_walk():
    X, y, _ = moons()
    model = walker().fit(X, y)
    labeled = y != None  # noqa: E711
    codes = (y[labeled] == "diatom").astype(int)
    ends, *_ = dense_absorption(X[labeled], X[~labeled], codes, X[::7])
    shares = ends / ends.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X[::7]), shares, atol=1e-6)
    distances = GalleryKNNClassifier(metric="euclidean").fit(X, y)
    for a, b in zip(model.kneighbors(X), distances.kneighbors(X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pool_is_a_sample_of_evenly_spaced_rows(monkeypatch):
    monkeypatch.setattr(module, "_N_POOL", 50)
    X, y, _ = moons()
    model = walker().fit(X, y)
    unlabeled = X[y == None]  # noqa: E711
    spaced = np.linspace(0, len(unlabeled) - 1, 50).astype(int)
    np.testing.assert_array_equal(model._walk.nodes[4:], unlabeled[spaced])


def test_copies_and_equal_rows():
    X, y, _ = moons(60)
    X = np.repeat(X, 15, axis=0)  # all ten nearest neighbors are copies
    model = walker().fit(X, np.repeat(y, 15))
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.score_samples(X)).all()
    same = walker().fit(np.ones((30, 2)), ["a", "b", *[None] * 28])
    np.testing.assert_allclose(same.predict_proba([[1, 1], [5, 5]]).sum(axis=1), 1)


def test_query_from_which_no_walk_ends_at_the_gallery():
    """Two groups too far apart: distances decide in the one without labels."""
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(30, 2)), 1e6 + rng.normal(size=(30, 2))])
    y = np.full(60, None, dtype=object)
    y[[0, 1]] = ["near", "nearer"]
    model = walker().fit(X, y)
    by_distance = GalleryKNNClassifier(metric="euclidean").fit(X, y)
    np.testing.assert_array_equal(
        model.predict_proba(X[30:]), by_distance.predict_proba(X[30:])
    )
    assert model.score_samples(X[30:]).max() < model.score_samples(X[:30]).min()


def test_missing_rows():
    X, y, _ = moons()
    X[5], y[5] = np.nan, None
    model = walker(outlier_label="unknown").fit(X, y)
    assert len(model._walk.nodes) == len(X) - 1
    with pytest.warns(UserWarning, match="all NaN in row"):
        scores = model.score_samples(X[4:7])
    assert np.isneginf(scores).tolist() == [False, True, False]
    with pytest.warns(UserWarning, match="all NaN in row"):
        assert model.predict(X[5:6]).tolist() == [""]


def test_walk_needs_one_embedding():
    with pytest.raises(ValueError, match="use_unlabeled=True needs n_modalities=1"):
        GalleryKNNClassifier(use_unlabeled=True, n_modalities=2).fit(
            np.eye(4), ["a", "b", None, None]
        )


# Unknown species


def hidden_species(seed=0, n_each=80, n_labeled=16):
    """Three clusters; no particle of the third is labeled."""
    rng = np.random.default_rng(seed)
    centers = np.array([[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    truth = np.repeat(["ciliate", "diatom", "new"], n_each)
    X = centers[np.repeat([0, 1, 2], n_each)] + rng.normal(size=(3 * n_each, 3))
    y = np.full(len(X), None, dtype=object)
    for k in (0, 1):
        y[k * n_each : k * n_each + n_labeled] = truth[k * n_each]
    return X, y, truth


@pytest.mark.parametrize("use_unlabeled", [False, True])
def test_outlier_label_is_for_scores_below_the_offset(use_unlabeled):
    X, y, truth = hidden_species()
    params = {"use_unlabeled": use_unlabeled, "metric": "euclidean"}
    plain = GalleryKNNClassifier(**params).fit(X, y)
    model = GalleryKNNClassifier(outlier_label="unknown", **params).fit(X, y)
    below = model.score_samples(X) < model.offset_
    predicted = model.predict(X)
    assert (predicted[below] == "unknown").all()
    np.testing.assert_array_equal(predicted[~below], plain.predict(X)[~below])
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert model.classes_.tolist() == ["ciliate", "diatom"]
    is_new = truth == "new"
    assert below[is_new].mean() > 0.9 > 0.2 > below[~is_new].mean()
    truth[is_new] = "unknown"
    assert model.score(X, truth) > plain.score(X, truth) + 0.2


@pytest.mark.parametrize("use_unlabeled", [False, True])
def test_contamination_is_the_share_of_the_left_out_gallery(use_unlabeled):
    X, y, truth = hidden_species(n_each=400, n_labeled=60)
    known = np.flatnonzero((truth != "new") & (y == None))  # noqa: E711
    alarms = []
    for contamination in (0.02, 0.1, 0.5):
        model = walker(use_unlabeled=use_unlabeled, contamination=contamination)
        model.fit(X, y)
        alarms.append(np.mean(model.score_samples(X[known]) < model.offset_))
        assert abs(alarms[-1] - contamination) < 0.06 + 0.2 * contamination
    assert alarms == sorted(alarms)


def test_offset_without_a_walk_is_a_quantile_of_leave_one_out_distances():
    X, y, _ = hidden_species()
    model = GalleryKNNClassifier(metric="euclidean", contamination=0.25).fit(X, y)
    far = np.linalg.norm(model.gallery_[:, None] - model.gallery_[None], axis=2)
    np.fill_diagonal(far, np.inf)
    expected = np.quantile(-far.min(axis=1), 0.25)
    np.testing.assert_allclose(model.offset_, expected)


def test_offset_with_two_views_is_of_scaled_distances():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6)) * np.repeat([1, 30], 3)
    X[:10, :3] = np.nan
    y = np.where(np.arange(40) % 2, "a", "b")
    model = GalleryKNNClassifier(n_modalities=2, metric="euclidean").fit(X, y)
    scores = model.score_samples(X)
    assert (scores == 0).all()
    assert -5 < model.offset_ < 0
    only = GalleryKNNClassifier(
        n_modalities=2, metric="euclidean", query_modalities="image"
    ).fit(X, y)
    assert np.isfinite(only.offset_)


def test_offset_of_single_labels():
    """No gallery row is known without its own label."""
    X, y, _ = hidden_species(n_labeled=1)
    assert GalleryKNNClassifier().fit(X, y).offset_ == -np.inf
    model = walker(contamination=0.3).fit(X, y)
    unlabeled = X[y == None]  # noqa: E711
    share = np.mean(model.score_samples(unlabeled) < model.offset_)
    assert abs(share - 0.3) < 0.02
    everything = walker().fit(X[:2], ["a", "b"])
    assert everything.offset_ == -np.inf


@pytest.mark.parametrize(
    ("y", "outlier_label", "error", "message"),
    [
        (["a", "b"], 7, TypeError, "outlier_label=7 is a int, but .* Pass a string"),
        ([1, 2], "unknown", TypeError, "Pass a number"),
        ([True, False], -1, TypeError, "Pass a bool"),
        ([1, 2], float("nan"), TypeError, "outlier_label=nan"),
        (["a", "b"], ["c"], TypeError, "is a list"),
        (["a", "b"], "b", ValueError, "outlier_label='b' is a label in y"),
    ],
)
def test_wrong_outlier_label(y, outlier_label, error, message):
    model = GalleryKNNClassifier(outlier_label=outlier_label)
    with pytest.raises(error, match=message):
        model.fit(np.eye(2), y)


def test_options_changed_after_fit_wait_for_the_next():
    X, y, _ = hidden_species()
    model = walker(outlier_label="unknown").fit(X, y)
    before = model.predict(X)
    model.set_params(outlier_label=None, contamination=0.5, use_unlabeled=False)
    np.testing.assert_array_equal(model.predict(X), before)
    assert "unknown" not in model.fit(X, y).predict(X)


def test_outlier_label_of_other_types():
    X = np.array([[0.0], [0.1], [1.0], [1.1], [50.0]])
    y = [1, 1, 2, 2, None]
    model = GalleryKNNClassifier(outlier_label=-1, metric="euclidean").fit(X, y)
    assert model.predict(X).tolist() == [1, 1, 2, 2, -1]
    assert model.missing_label_ == -2


def test_class_levels():
    scores = np.array([1.0, 3.0, 5.0, 7.0, 11.0])
    codes = np.array([0, 0, 0, 0, 2])
    overall = 5.0
    expected = [4 / 8 * (4.0 - overall), 0.0, 1 / 5 * (11.0 - overall)]
    np.testing.assert_allclose(class_levels(scores, codes, 3), expected)
    assert class_levels(np.empty(0), np.empty(0, int), 2).tolist() == [0, 0]
    np.testing.assert_allclose(log_odds(np.array([0.5, 0, 1])), [0, -13.8, 13.8], 0.01)


# A growing gallery


@pytest.mark.parametrize(
    ("use_unlabeled", "n_modalities"), [(False, 1), (False, 2), (True, 1)]
)
def test_partial_fit_equals_a_fit_on_all(use_unlabeled, n_modalities):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 6))
    y = np.array(["a", "b", None], dtype=object)[np.arange(90) % 3]
    more = rng.normal(size=(9, 6))
    labels = ["a", "c, a longer name", "b"] * 3
    if n_modalities == 2:
        X[:20, :3] = more[4, 3:] = np.nan
    model = GalleryKNNClassifier(
        use_unlabeled=use_unlabeled,
        n_modalities=n_modalities,
        scale_views=False,
        outlier_label="unknown",
    )
    grown = clone(model).fit(X, y)
    for part in np.split(np.arange(9), 3):
        assert grown.partial_fit(more[part], [labels[i] for i in part]) is grown
    whole = clone(model).fit(np.vstack([X, more]), [*y, *labels])
    queries = rng.normal(size=(40, 6))
    for a, b in ((grown, whole), (pickle.loads(pickle.dumps(grown)), whole)):
        for method in ("predict_proba", "predict", "score_samples"):
            got, expected = (getattr(model, method)(queries) for model in (a, b))
            np.testing.assert_array_equal(got, expected)
        for name in ("gallery_", "gallery_labels_", "gallery_indices_", "offset_"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert a.classes_.tolist() == ["a", "b", "c, a longer name"]


def test_partial_fit_first_and_unlabeled():
    X, y = np.eye(4), ["a", "b", None, "a"]
    grown = GalleryKNNClassifier().partial_fit(X, y, classes=["a", "b"])
    np.testing.assert_array_equal(
        grown.gallery_, GalleryKNNClassifier().fit(X, y).gallery_
    )
    grown.partial_fit(X[:2], [None, "c"])
    assert grown.gallery_indices_.tolist() == [0, 1, 3, 5]
    grown.partial_fit(X[:1], [None])
    assert grown.gallery_labels_.tolist() == ["a", "b", "a", "c"]


def test_partial_fit_errors():
    X, y = np.eye(4), ["a", "b", "a", "b"]
    drawn = GalleryKNNClassifier(gallery_size=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="gallery_size=None"):
        drawn.partial_fit(X, y)
    with pytest.raises(ValueError, match="or a gallery that was drawn"):
        drawn.set_params(gallery_size=None).partial_fit(X, y)
    model = GalleryKNNClassifier(outlier_label="unknown").fit(X, y)
    with pytest.raises(TypeError, match="types"):
        model.partial_fit(X[:1], [3])
    with pytest.raises(ValueError, match="is a label in y"):
        model.partial_fit(X[:1], ["unknown"])
    with pytest.raises(ValueError, match="4 features"):
        model.partial_fit(X[:, :2], y)
    with pytest.raises(ValueError, match="X has 4 rows, and y 1"):
        model.partial_fit(X, ["a"])
    assert model.gallery_labels_.tolist() == y


def test_models_saved_before_there_were_these_options():
    X, y, _ = moons()
    model = GalleryKNNClassifier().fit(X, y)
    state = model.__getstate__()
    new = ("use_unlabeled", "outlier_label", "contamination", "offset_", "_walk")
    new += (
        "_codes",
        "_all_labeled",
        "_use_unlabeled",
        "_outlier_label",
        "_n_rows_seen",
    )
    former = GalleryKNNClassifier.__new__(GalleryKNNClassifier)
    former.__setstate__({k: v for k, v in state.items() if k not in new})
    np.testing.assert_array_equal(former.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(former.predict(X), model.predict(X))
    assert former.offset_ == model.offset_
    assert former.get_params() == model.get_params()
    with pytest.raises(ValueError, match="Call fit with all rows"):
        former.partial_fit(X, y)
