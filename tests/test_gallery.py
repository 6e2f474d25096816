"""GalleryKNNClassifier: parameters, labels, galleries, views, and how it is used."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import cosine_distances
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skplankton import GalleryKNNClassifier
from skplankton._gallery import nearest
from skplankton._gallery.nearest import NearestEntries
from skplankton._gallery.views import split_views
from skplankton._gallery.votes import vote_shares
from skplankton._utils.labels import check_y

SPECIES = np.array(["ciliate", "diatom", "flagellate"])


def blobs(n_samples=60, n_columns=4, seed=0):
    """Float embeddings around one center per species, and the species."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_samples) % len(SPECIES)
    centers = 2 * rng.normal(size=(len(SPECIES), n_columns))
    return centers[codes] + 0.7 * rng.normal(size=(n_samples, n_columns)), SPECIES[
        codes
    ]


def two_views(n_samples=60, seed=0):
    """[image | profile] embeddings; each view is missing in a fifth of the rows."""
    X, y = blobs(n_samples, n_columns=6, seed=seed)
    X[0::5, :3] = np.nan
    X[1::5, 3:] = np.nan
    return X, y


# --- parameters ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"n_neighbors": 0}, "'n_neighbors' .* range \\[1, inf\\)"),
        ({"n_neighbors": 2.5}, "'n_neighbors' .* must be an int"),
        ({"gallery_size": 0}, "'gallery_size' .* range \\[1, inf\\) or None"),
        ({"weights": "gaussian"}, "'weights' .* {.*'distance'.*}"),
        ({"metric": "manhattan"}, "'metric' .* {.*'cosine'.*}"),
        ({"n_modalities": 3}, "'n_modalities' .* range \\[1, 2\\]"),
        ({"gallery_modalities": "both"}, "'gallery_modalities' .* {.*'all'.*}"),
        ({"query_modalities": "both"}, "'query_modalities' .* {.*'all'.*}"),
        ({"random_state": "x"}, "'random_state'"),
        (
            {"gallery_modalities": "image"},
            r"gallery_modalities='image' needs n_modalities=2, got n_modalities=1\.",
        ),
        (
            {"query_modalities": "profile"},
            r"query_modalities='profile' needs n_modalities=2, got n_modalities=1\.",
        ),
    ],
)
def test_bad_parameter(params, words):
    with pytest.raises(ValueError, match=words):
        GalleryKNNClassifier(**params).fit(*blobs())


def test_bad_unlabeled():
    knn = GalleryKNNClassifier(unlabeled=[-1, 99])
    with pytest.raises(
        TypeError, match=r"unlabeled=\[-1, 99\] is a list.*by None in y"
    ):
        knn.fit(*blobs())


def test_parameter_set_after_fit_is_checked():
    X, y = blobs()
    knn = GalleryKNNClassifier().fit(X, y).set_params(weights="gaussian")
    with pytest.raises(ValueError, match="'weights' parameter"):
        knn.predict(X)


def test_parameters_that_need_no_refit():
    X, y = two_views()
    X_full = X[~np.isnan(X).any(axis=1)]
    params = {"query_modalities": "image", "n_neighbors": 5, "weights": "uniform"}
    fitted = GalleryKNNClassifier(n_modalities=2, **params).fit(X, y)
    changed = GalleryKNNClassifier(n_modalities=2).fit(X, y).set_params(**params)
    np.testing.assert_array_equal(
        fitted.predict_proba(X_full), changed.predict_proba(X_full)
    )


@pytest.mark.parametrize(
    "params",
    [
        {"metric": "euclidean"},
        {"gallery_modalities": "image"},
        {"scale_views": False},
        {"n_modalities": 1},
    ],
)
def test_parameters_that_belong_to_fit(params):
    X, y = two_views()
    X = X[~np.isnan(X).any(axis=1)]
    knn = GalleryKNNClassifier(n_modalities=2).fit(X, y[: len(X)])
    expected = knn.predict_proba(X + 0.1)
    np.testing.assert_array_equal(
        knn.set_params(**params).predict_proba(X + 0.1), expected
    )
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(knn)).predict_proba(X + 0.1), expected
    )
    refitted = knn.fit(X, y[: len(X)]).predict_proba(X + 0.1)
    assert np.abs(refitted - expected).max() > 1e-3


@pytest.mark.parametrize("n_neighbors", [0, 1.5])
def test_bad_n_neighbors_of_kneighbors(n_neighbors):
    X, y = blobs()
    with pytest.raises(ValueError, match="expected an int of 1 or more"):
        GalleryKNNClassifier().fit(X, y).kneighbors(X, n_neighbors)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "kneighbors"])
def test_not_fitted(method):
    with pytest.raises(NotFittedError):
        getattr(GalleryKNNClassifier(), method)(blobs()[0])


@pytest.mark.parametrize("n_modalities", [1, 2])
def test_nan_tag(n_modalities):
    tags = GalleryKNNClassifier(n_modalities=n_modalities).__sklearn_tags__()
    assert tags.input_tags.allow_nan == (n_modalities == 2)


# --- labels ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "unlabeled", "classes"),
    [
        (np.array(["a", None, "b", "a"], dtype=object), None, ["a", "b"]),
        (["a", np.nan, "b", "a"], None, ["a", "b"]),
        (["a", pd.NaT, "b", "a"], None, ["a", "b"]),
        (["a", pd.NA, "b", "a"], np.nan, ["a", "b"]),
        (["a", "", "b", "a"], "", ["a", "b"]),
        (np.array(["a", "?", "b", "a"]), "?", ["a", "b"]),
        (["0", "x", "1", "0"], "x", ["0", "1"]),
        (np.array([0.0, np.nan, 1.0, 0.0]), None, [0.0, 1.0]),
        ([0, -1, 1, 0], -1, [0, 1]),
        ([0, -1, 1, 0], -1.0, [0, 1]),
        (np.array([2, 0, 1, 2], dtype=np.int8), 0, [1, 2]),
        ([True, None, False, True], None, [False, True]),
        (pd.Series(["a", None, "b", "a"]), None, ["a", "b"]),
        (pd.Series(["a", None, "b", "a"], dtype="string"), None, ["a", "b"]),
        (pd.Series(["a", None, "b", "a"], dtype="category"), None, ["a", "b"]),
        (pd.Categorical([1, None, 2, 1]), None, [1, 2]),
        (pd.array([1, None, 2, 1], dtype="Int64"), None, [1, 2]),
        (pd.Series([1, 0, 2, 1], dtype="Int64"), 0, [1, 2]),
        (pd.Series([True, None, False, True], dtype="boolean"), None, [False, True]),
        (pd.Index(["a", None, "b", "a"]), None, ["a", "b"]),
    ],
)
def test_unlabeled_rows_are_left_out(y, unlabeled, classes):
    X = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [2.0, 0.1]])
    knn = GalleryKNNClassifier(n_neighbors=1, unlabeled=unlabeled).fit(X, y)
    assert knn.classes_.tolist() == classes
    assert {type(name) for name in knn.classes_.tolist()} == {type(classes[0])}
    assert knn.gallery_indices_.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(knn.gallery_, X[[0, 2, 3]])
    assert knn.gallery_labels_.dtype == knn.classes_.dtype
    expected = [y[0], y[2], y[0]]
    assert knn.predict(X[[0, 2, 3]]).tolist() == expected
    assert knn.score(X, y) == 1.0


@pytest.mark.parametrize(
    ("y", "unlabeled"),
    [
        ([False, True, False], 0),
        ([0, 1, 0], False),
        (["0", "1", "0"], 0),
        ([0, 1, 0], "0"),
        ([0, 1, 0], None),
    ],
)
def test_unlabeled_matches_its_own_kind_only(y, unlabeled):
    knn = GalleryKNNClassifier(unlabeled=unlabeled).fit(np.eye(3), y)
    assert len(knn.gallery_) == 3


@pytest.mark.parametrize(
    ("y", "unlabeled", "words"),
    [
        (
            [None, np.nan, None],
            None,
            r"All 3 rows are unlabeled.* missing values\. Lab",
        ),
        (
            [-1, -1, -1],
            -1,
            r"All 3 rows are unlabeled.* missing values and -1\. Label",
        ),
        (
            ["a", None, "a"],
            None,
            "only one class in y .*'a'.* label particles of anoth",
        ),
        ([0.5, 1.0, 2.0], None, "Unknown label type: continuous"),
        ([1.0, 2.0, np.inf], None, "Input y contains infinity"),
        (None, None, "requires y to be passed, but the target y is None"),
        ([["a", "b"]] * 3, None, "y should be a 1d array"),
        (["a", "b"], None, "X has 3 rows, and y 2 labels"),
    ],
)
def test_bad_labels(y, unlabeled, words):
    with pytest.raises(ValueError, match=words):
        GalleryKNNClassifier(unlabeled=unlabeled).fit(np.eye(3), y)


def test_particles_instead_of_embeddings():
    X = pd.DataFrame({"image": [np.eye(4)] * 2, "profile": None})
    with pytest.raises(TypeError, match="X is a table of particles"):
        GalleryKNNClassifier().fit(X, ["a", "b"])


def test_empty_text_as_a_label_is_warned_of():
    with pytest.warns(UserWarning, match=r"y contains the text '' \(1 rows\)"):
        GalleryKNNClassifier().fit(np.eye(3), ["a", "", "b"])


def test_labels_of_two_kinds():
    with pytest.raises(TypeError, match=r"of the types int, str\. Expected one kind"):
        GalleryKNNClassifier().fit(np.eye(3), ["a", 1, "b"])


def test_words_for_missing_labels_are_classes_and_warned_of():
    y = np.array(["a", None, None, "b"], dtype=str)  # turns None into text
    words = r"y contains the text 'None' \(2 rows\), which is treated as a class"
    with pytest.warns(UserWarning, match=words) as warned:
        knn = GalleryKNNClassifier().fit(np.eye(4), y)
    assert warned[0].filename == __file__
    assert knn.classes_.tolist() == ["None", "a", "b"]
    knn = GalleryKNNClassifier(unlabeled="None").fit(np.eye(4), y)
    assert knn.classes_.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "y",
    [
        [1.5, None, 2],
        [[0.5, 1], [1, 2], [3, 4]],
        ["a", -1, "b"],
        [1, "?", 2],
        [True, 2.5, 0],
        pd.Series(["a", None, "b"]),
    ],
)
def test_check_y_takes_what_anything_takes(y):
    check_y(np.eye(3), y)


def test_check_y_raises_early():
    with pytest.raises(ValueError, match="X has 3 rows, and y 2 labels"):
        check_y(pd.DataFrame(np.eye(3)), ["a", "b"])
    with pytest.raises(TypeError, match="of the types int, str"):
        check_y(np.eye(4), ["a", 1, "b", 2])


def test_dates_are_no_labels():
    y = [pd.Timestamp("2020-01-01"), pd.NaT, pd.Timestamp("2020-01-02")]
    with pytest.raises(ValueError, match="Unknown label type"):
        GalleryKNNClassifier().fit(np.eye(3), y)


def test_repeated_dates_are_no_labels():
    y = np.array(["2020-01-01", "2020-01-02"] * 2, dtype="datetime64[D]")
    with pytest.raises(ValueError, match="Unknown label type"):
        GalleryKNNClassifier().fit(np.eye(4), y)


@pytest.mark.skipif(
    not hasattr(getattr(np, "dtypes", None), "StringDType"), reason="needs NumPy 2"
)
def test_strings_of_variable_width():
    y = np.array(["b", "a", np.nan], dtype=np.dtypes.StringDType(na_object=np.nan))
    knn = GalleryKNNClassifier().fit(np.eye(3), y)
    assert knn.classes_.tolist() == ["a", "b"]


def test_a_warning_is_at_the_line_of_the_user():
    X, y = blobs()
    knn = make_pipeline(GalleryKNNClassifier()).fit(X, y)
    with pytest.warns(UserWarning, match="X is all NaN in row 0") as warned:
        knn.predict(np.full((1, 4), np.nan))
    assert warned[0].filename == __file__


def test_a_fit_that_fails_changes_nothing():
    X, y = blobs()
    knn = GalleryKNNClassifier(metric="euclidean").fit(X, y)
    expected = knn.predict(X)
    with pytest.raises(ValueError, match="too large for float64"):
        knn.partial_fit(1e200 * X, y)
    with pytest.raises(ValueError, match="All 60 rows are unlabeled"):
        knn.fit(X[:, :2], [None] * 60)
    for same in (knn, pickle.loads(pickle.dumps(knn))):
        np.testing.assert_array_equal(same.predict(X), expected)


def test_labels_in_a_column_warn():
    X, y = blobs()
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        knn = GalleryKNNClassifier().fit(X, y[:, None])
    assert knn.gallery_labels_.shape == y.shape


def test_score_skips_unlabeled_rows():
    X, y = blobs()
    knn = GalleryKNNClassifier(unlabeled="?").fit(X[:30], y[:30])
    labels = y[30:].astype(object)
    labels[:10] = None
    labels[10:15] = "?"
    weights = np.arange(1.0, 31.0)
    right = knn.predict(X[45:]) == y[45:]
    assert 0 < knn.score(X[30:], labels) == right.mean()
    assert knn.score(X[30:], labels, weights) == pytest.approx(
        np.average(right, weights=weights[15:])
    )
    frame = pd.DataFrame(X[30:])
    assert knn.score(frame, pd.Series(labels)) == right.mean()


def test_score_without_labels():
    X, y = blobs()
    knn = GalleryKNNClassifier().fit(X, y)
    with pytest.raises(
        ValueError, match=r"All 60 rows are unlabeled: .*nothing to score"
    ):
        knn.score(X, [None] * 60)


# --- the gallery -----------------------------------------------------------------


def test_gallery_size():
    X, y = blobs(40)
    y[y == "diatom"] = "ciliate"
    y[:2] = "diatom"
    knn = GalleryKNNClassifier(gallery_size=5, random_state=0).fit(X, y)
    names, counts = np.unique(knn.gallery_labels_, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "ciliate": 5,
        "diatom": 2,
        "flagellate": 5,
    }
    assert (np.diff(knn.gallery_indices_) > 0).all()
    np.testing.assert_array_equal(knn.gallery_, X[knn.gallery_indices_])
    np.testing.assert_array_equal(knn.gallery_labels_, y[knn.gallery_indices_])


def test_all_rows_without_gallery_size():
    X, y = blobs()
    knn = GalleryKNNClassifier().fit(X, y)
    np.testing.assert_array_equal(knn.gallery_indices_, np.arange(60))
    assert not np.shares_memory(knn.gallery_, X)


@pytest.mark.parametrize("seed", range(5))
def test_smaller_gallery_is_part_of_a_larger_one(seed):
    X, y = blobs(90)
    drawn = [
        set(
            GalleryKNNClassifier(gallery_size=size, random_state=seed)
            .fit(X, y)
            .gallery_indices_.tolist()
        )
        for size in (1, 2, 7, 40)
    ]
    assert drawn[0] < drawn[1] < drawn[2] < drawn[3] == set(range(90))


def test_galleries_differ_by_seed():
    X, y = blobs(300)
    knn = GalleryKNNClassifier(gallery_size=10)
    draws = [
        tuple(knn.set_params(random_state=seed).fit(X, y).gallery_indices_)
        for seed in (0, 1, None, None)
    ]
    assert len(set(draws)) == 4


def test_draw_is_even():
    """Each row of a class is drawn as often as the others."""
    X, y = np.eye(8), np.array(["a"] * 6 + ["b"] * 2)
    random_state = np.random.RandomState(0)
    knn = GalleryKNNClassifier(gallery_size=1, random_state=random_state)
    counts = np.zeros(8)
    for _ in range(600):
        counts[knn.fit(X, y).gallery_indices_] += 1
    assert counts[:6].sum() == counts[6:].sum() == 600
    assert counts[:6].min() > 70  # 100 expected, standard deviation 9
    assert counts[6:].min() > 250


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_random_state_is_left_alone(random_state):
    before = np.random.get_state()  # noqa: NPY002
    GalleryKNNClassifier(gallery_size=2, random_state=random_state).fit(*blobs())
    after = np.random.get_state()  # noqa: NPY002
    assert before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])


def test_dtype_of_the_gallery_is_kept():
    X, y = blobs()
    assert (
        GalleryKNNClassifier().fit(X.astype(np.float32), y).gallery_.dtype == "float32"
    )
    assert GalleryKNNClassifier().fit(X, y).gallery_.dtype == "float64"


# --- distances and votes ---------------------------------------------------------


def test_same_as_scikit_learn():
    X, y = blobs(150, n_columns=8)
    X, y, queries = X[:100], y[:100], np.vstack([X[100:], X[:20]])
    for metric in ("cosine", "euclidean"):
        for weights in ("distance", "uniform"):
            ours = GalleryKNNClassifier(5, metric=metric, weights=weights).fit(X, y)
            theirs = KNeighborsClassifier(5, metric=metric, weights=weights).fit(X, y)
            np.testing.assert_allclose(
                ours.kneighbors(queries)[0], theirs.kneighbors(queries)[0], atol=1e-12
            )
            if (
                metric == "euclidean"
            ):  # scikit-learn has cosine distances of 1e-16, not 0
                np.testing.assert_allclose(
                    ours.predict_proba(queries), theirs.predict_proba(queries)
                )
            np.testing.assert_array_equal(
                ours.predict(queries), theirs.predict(queries)
            )


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identical_rows_are_at_distance_zero(metric, dtype):
    X, y = blobs(200, n_columns=37)
    X = X.astype(dtype)
    distances, indices = GalleryKNNClassifier(metric=metric).fit(X, y).kneighbors(X)
    assert (distances[:, 0] == 0).all()
    np.testing.assert_array_equal(indices[:, 0], np.arange(200))


@pytest.mark.parametrize("factor", [3.0, 0.1, 1e-200, 1e200])
def test_rows_of_one_direction_are_at_distance_zero(factor):
    """Normalizing rounds: the scaled copy ties with the row and is not nearer."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 33))
    y = np.arange(100) % 2
    knn = GalleryKNNClassifier(n_neighbors=2).fit(np.vstack([factor * X, X]), y)
    distances, indices = knn.kneighbors(X / 7)
    assert (distances == 0).all()
    np.testing.assert_array_equal(indices, np.arange(50)[:, None] + [0, 50])


def test_directions_that_differ_are_not_at_distance_zero():
    X = np.array([[1.0, 0.0], [1.0, 1e-6], [1.0, -3e-7]])
    distances, _ = GalleryKNNClassifier().fit(X, [0, 1, 1]).kneighbors(X[:1])
    np.testing.assert_allclose(distances, [[0, 4.5e-14, 5e-13]], rtol=1e-6)


def test_right_angles_and_opposite_directions():
    X = np.array([[0.1, 0.3], [0.3, -0.1], [-0.1, -0.3], [0.0, 0.0]])
    distances, indices = GalleryKNNClassifier(4).fit(X, [0, 1, 0, 1]).kneighbors(X)
    np.testing.assert_allclose(distances[0], [0, 1, 1, 2], atol=1e-15)
    assert indices[0, [0, 3]].tolist() == [0, 2]


@pytest.mark.parametrize("zero_in_gallery", [True, False])
def test_rows_of_zeros_have_no_direction(zero_in_gallery):
    X = np.array([[1.0, 0.2], [-1.0, 0.0], [0.3, 0.1]])
    if zero_in_gallery:
        X = np.vstack([X, np.zeros((2, 2))])
    queries = np.vstack([X, np.zeros((1, 2))])
    knn = GalleryKNNClassifier(len(X)).fit(X, np.arange(len(X)) % 2)
    distances, indices = knn.kneighbors(queries)
    expected = cosine_distances(queries, X)
    if zero_in_gallery:  # scikit-learn sets the diagonal to 0 for any row
        expected[3:, 3:] = 1.0
    np.testing.assert_allclose(
        np.take_along_axis(expected, indices, axis=1), distances, atol=1e-12
    )
    assert (distances[-1] == 1).all()
    assert indices[-1].tolist() == list(range(len(X)))


def test_neighbor_at_distance_zero_outvotes_the_rest():
    X = np.array([[1.0, 0.0], [1.0, 1e-3], [1.0, -1e-3], [2.0, 0.0]])
    knn = GalleryKNNClassifier(4).fit(X, ["a", "b", "b", "c"])
    assert knn.predict_proba(X[:1]).tolist() == [[0.5, 0.0, 0.5]]


def test_neighbors_next_to_distance_zero():
    """1 / distance overflows, and the shares do not."""
    distances, classes = np.array([[1e-310, 2e-310, 1.0]]), np.array([[0, 1, 2]])
    shares = vote_shares(distances, classes, 3, "distance")
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3, 0]], atol=1e-300)


def test_first_class_wins_a_tie():
    X = np.array([[1.0, 1.0], [1.0, -1.0]])
    knn = GalleryKNNClassifier(2).fit(X, ["b", "a"])
    assert knn.predict_proba([[1.0, 0.0]]).tolist() == [[0.5, 0.5]]
    assert knn.predict([[1.0, 0.0]]).tolist() == ["a"]


def test_equal_votes_added_in_another_order_tie():
    distances = np.array([1.0, 1.1, 1.2])
    first, second, third = 1 / distances
    assert (first + second) + third != (third + second) + first  # by the last digit
    shares = vote_shares(
        np.array([[*distances[::-1], *distances]]),
        np.array([[0, 0, 0, 1, 1, 1]]),
        2,
        "distance",
    )
    assert shares.tolist() == [[0.5, 0.5]]


def test_gallery_smaller_than_n_neighbors():
    X, y = blobs(3)
    knn = GalleryKNNClassifier(n_neighbors=10).fit(X, y)
    distances, indices = knn.kneighbors(X)
    assert distances.shape == indices.shape == (3, 3)
    assert knn.predict(X).tolist() == y.tolist()


def test_kneighbors_without_distances():
    X, y = blobs()
    knn = GalleryKNNClassifier().fit(X, y)
    indices = knn.kneighbors(X, n_neighbors=7, return_distance=False)
    assert indices.shape == (60, 7)
    np.testing.assert_array_equal(indices, knn.kneighbors(X, 7)[1])


def test_embeddings_too_large_to_square():
    X = np.array([[1e200, 0.0], [0.0, 1.0]])
    knn = GalleryKNNClassifier(metric="euclidean")
    words = r"squares the embeddings.*1e\+200.*Scale"
    with pytest.raises(ValueError, match=words):
        knn.fit(X, [0, 1])
    with pytest.raises(ValueError, match=words):
        knn.fit(X / 1e200, [0, 1]).predict(X)
    assert knn.set_params(metric="cosine").fit(X, [0, 1]).predict(X).tolist() == [0, 1]


def test_euclidean_embeddings_that_float32_cannot_square():
    X, y = blobs()
    expected = GalleryKNNClassifier(metric="euclidean").fit(X, y).kneighbors(X + 0.1)
    for scale in (1e-30, 1e30):
        knn = GalleryKNNClassifier(metric="euclidean")
        knn.fit((scale * X).astype(np.float32), y)
        queries = (scale * (X + 0.1)).astype(np.float32)
        found = knn.kneighbors(np.vstack([queries, 1e7 * queries[:1]]))
        np.testing.assert_allclose(found[0][:-1] / scale, expected[0], atol=1e-5)
        np.testing.assert_array_equal(found[1][:-1], expected[1])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_the_cost_does_not_depend_on_the_data(metric, noise, monkeypatch):
    """A collapsed embedding is searched with as many distances as any other."""
    counts = {"products": 0, "distances": 0}
    smallest, distances = nearest.smallest, NearestEntries.distances

    def counting_smallest(values, n_smallest):
        counts["products"] += values.size
        return smallest(values, n_smallest)

    def counting_distances(self, queries, positions):
        counts["distances"] += positions.size
        return distances(self, queries, positions)

    rng = np.random.default_rng(0)
    collapsed = rng.normal(size=16) + noise * rng.normal(size=(3000, 16))
    knn = GalleryKNNClassifier(metric=metric).fit(collapsed, np.arange(3000) % 2)
    monkeypatch.setattr(nearest, "smallest", counting_smallest)
    monkeypatch.setattr(NearestEntries, "distances", counting_distances)
    knn.predict(collapsed[:200])
    assert 200 * 2048 <= counts["products"] <= 200 * 3000
    assert counts["distances"] <= 200 * 6


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_float32_neighbors_are_the_exact_ones(metric, offset, monkeypatch):
    """Wherever distances differ by more than float32 rounds; in many small blocks."""
    monkeypatch.setattr(nearest, "_BLOCK_SIZE", 64)
    monkeypatch.setattr(nearest, "_N_PRODUCTS", 2048)
    rng = np.random.default_rng(0)
    X = (offset + rng.normal(size=(500, 24))).astype(np.float32)
    queries = (offset + rng.normal(size=(150, 24))).astype(np.float32)
    knn = GalleryKNNClassifier(metric=metric).fit(X, np.arange(500) % 3)
    wide = (rows.astype(np.float64) for rows in (queries, X))
    exact = pairwise_distances(*wide, metric=metric)
    order = np.argsort(exact, axis=1)
    in_order = np.take_along_axis(exact, order, axis=1)
    for k in (3, 80):
        distances, indices = knn.kneighbors(queries, k)
        largest = in_order[:, :k].max()
        np.testing.assert_allclose(distances, in_order[:, :k], atol=1e-7 * largest)
        apart = np.diff(in_order[:, : k + 1]).min(axis=1) > 1e-6 * largest
        assert apart.mean() > 0.5 or k > 3
        np.testing.assert_array_equal(indices[apart], order[apart, :k])


def test_entries_that_products_cannot_distinguish():
    """Any of them may be found; the distances are as good as those of the nearest."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(5, 16))
    X = np.repeat(base, 40, axis=0) + 1e-9 * rng.normal(size=(200, 16))
    knn = GalleryKNNClassifier(metric="euclidean").fit(X, np.arange(200) % 2)
    distances, indices = knn.kneighbors(base)
    exact = np.linalg.norm(X - base[:, None], axis=2)
    np.testing.assert_allclose(
        distances, np.take_along_axis(exact, indices, axis=1), rtol=1e-6
    )
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :3], atol=1e-7)


def test_many_batches():
    """Queries beyond one batch of the search come back in their own rows."""
    X, y = blobs(30, n_columns=512)
    knn = GalleryKNNClassifier().fit(X, y)
    queries = np.random.default_rng(1).normal(size=(2500, 512))
    np.testing.assert_allclose(
        knn.predict_proba(queries)[[0, 2047, 2048, 2499]],
        knn.predict_proba(queries[[0, 2047, 2048, 2499]]),
    )


# --- two views -------------------------------------------------------------------


def test_shape_of_kneighbors_with_two_views():
    X, y = two_views()
    knn = GalleryKNNClassifier(n_neighbors=4, n_modalities=2).fit(X, y)
    distances, indices = knn.kneighbors(X)
    assert distances.shape == indices.shape == (60, 8)
    np.testing.assert_array_equal(distances[0, :4], np.inf)  # no image
    np.testing.assert_array_equal(indices[0, :4], -1)
    np.testing.assert_array_equal(indices[1, 4:], -1)  # no profile
    assert (indices[2] >= 0).all()
    assert np.isfinite(distances[2]).all()
    one_view = knn.set_params(query_modalities="profile")
    np.testing.assert_array_equal(
        one_view.kneighbors(X[[0, 2]])[1], indices[[0, 2]][:, 4:]
    )


def test_no_query_with_an_image():
    X, y = two_views()
    knn = GalleryKNNClassifier(n_modalities=2).fit(X, y)
    np.testing.assert_array_equal(knn.kneighbors(X[0::5])[1][:, :3], -1)
    np.testing.assert_allclose(knn.predict_proba(X[0::5]).sum(axis=1), 1)


def test_cross_modal_entries():
    """An image query finds the profile entry of a row, and one row twice."""
    X = np.array([[1.0, 0.0, 0.0, 1.0], [0.7, 0.7, 1.0, 0.1]])
    knn = GalleryKNNClassifier(2, n_modalities=2, query_modalities="image")
    knn.fit(X, ["a", "b"])
    query = np.array([[0.8, 0.4, np.nan, np.nan]])
    assert knn.kneighbors(query)[1].tolist() == [[1, 1]]
    knn.set_params(gallery_modalities="profile").fit(X, ["a", "b"])
    assert knn.kneighbors(query)[1].tolist() == [[1, 0]]


def test_uniform_votes_do_not_count_missing_views():
    X = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
    knn = GalleryKNNClassifier(1, n_modalities=2, weights="uniform").fit(X, ["a", "b"])
    queries = [[1.0, 0.1, 0.1, 1.0], [np.nan, np.nan, 0.1, 1.0]]
    assert knn.predict_proba(queries).tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_gallery_is_drawn_among_rows_with_the_view():
    X, y = two_views(90)
    for view, block in [("image", slice(0, 3)), ("profile", slice(3, 6))]:
        knn = GalleryKNNClassifier(
            gallery_size=10, n_modalities=2, gallery_modalities=view, random_state=0
        ).fit(X, y)
        assert not np.isnan(knn.gallery_[:, block]).any()
        assert np.isnan(knn.gallery_).any()  # the other view is kept as it was
        assert (
            np.unique(knn.gallery_labels_, return_counts=True)[1].tolist() == [10] * 3
        )


def test_rows_without_any_view_are_not_in_the_gallery():
    X, y = two_views()
    X[[3, 8]] = np.nan
    knn = GalleryKNNClassifier(n_modalities=2).fit(X, y)
    assert not {3, 8} & set(knn.gallery_indices_.tolist())
    assert len(knn.gallery_) == 58


def test_class_without_the_view():
    X, y = blobs()
    X[y == "diatom", 2:] = np.nan
    knn = GalleryKNNClassifier(n_modalities=2, gallery_modalities="profile")
    words = (
        "Left out of the gallery, and never predicted: 'diatom'; no row of such a "
        "class has a profile. Label particles with a profile, or use "
        "gallery_modalities='all'."
    )
    with pytest.warns(UserWarning, match="^Left out of the gallery") as warned:
        knn.fit(X, y)
    assert [str(warning.message) for warning in warned] == [words]
    assert warned[0].filename == __file__
    assert knn.classes_.tolist() == ["ciliate", "flagellate"]
    assert set(knn.predict(X)) <= {"ciliate", "flagellate"}


def test_one_class_with_the_view():
    X, y = blobs()
    X[y != "diatom", :2] = np.nan
    knn = GalleryKNNClassifier(n_modalities=2, gallery_modalities="image")
    with (
        pytest.warns(UserWarning, match="'ciliate', 'flagellate'; no row"),
        pytest.raises(ValueError, match=r"only one class .* in the gallery, 'diatom'"),
    ):
        knn.fit(X, y)


@pytest.mark.parametrize(
    ("modalities", "lost", "words"),
    [
        (
            "image",
            slice(0, 2),
            "no labeled row of X has an image. .* or use gallery_m",
        ),
        ("all", slice(0, 4), "no labeled row of X has an image or a profile. Label"),
    ],
)
def test_no_class_with_the_view(modalities, lost, words):
    X, y = blobs()
    X[:, lost] = np.nan
    knn = GalleryKNNClassifier(n_modalities=2, gallery_modalities=modalities)
    with pytest.raises(ValueError, match=f"The gallery is empty: {words}"):
        knn.fit(X, y)


@pytest.mark.parametrize(
    ("modalities", "words"),
    [
        (
            "image",
            r"needs an image, and X has none in rows 0, 5, 10, 15, 20 and 7 more\.",
        ),
        (
            "profile",
            r"needs a profile, and X has none in rows 1, 6, 11, 16, 21 and 7 more",
        ),
    ],
)
def test_query_without_the_view_of_query_modalities(modalities, words):
    X, y = two_views()
    knn = GalleryKNNClassifier(n_modalities=2, query_modalities=modalities).fit(X, y)
    hint = "or use the available views by query_modalities='all'"
    with pytest.raises(ValueError, match=rf"{words}.*Drop such rows, {hint}"):
        knn.predict(X)


@pytest.mark.filterwarnings("ignore:y contains the text ''")
@pytest.mark.parametrize("n_modalities", [1, 2])
@pytest.mark.parametrize(
    ("classes", "missing"),
    [
        (["a", "b", "c"], ""),
        (["", "b", "c"], "?"),
        ([0, 1, 2], -1),
        ([-7, 0, 2], -8),
        (np.array([0, 1, 2], dtype=np.uint8), -1),
        ([0.0, 1.0, 2.0], -1),
        ([False, True], -1),
    ],
)
def test_a_row_without_any_view_gets_a_label_of_no_class(
    n_modalities, classes, missing
):
    X, y = two_views() if n_modalities == 2 else blobs()
    codes = np.unique(y, return_inverse=True)[1] % len(classes)
    y = np.asarray(classes)[codes]
    knn = GalleryKNNClassifier(n_modalities=n_modalities).fit(X, y)
    expected, shares = knn.predict(X), knn.predict_proba(X)
    X[[1, 4]] = np.nan
    with pytest.warns(UserWarning, match=r"X is all NaN in rows 1, 4: wit") as w:
        labels = knn.predict(X)
    assert len(w) == 1
    assert knn.missing_label_ == missing
    assert labels[[1, 4]].tolist() == [missing, missing]
    assert labels.dtype.kind in ("U" if isinstance(missing, str) else "if")
    others = np.setdiff1d(np.arange(len(X)), [1, 4])
    np.testing.assert_array_equal(labels[others], expected[others])
    with pytest.warns(UserWarning, match="nothing to classify"):
        shares_now = knn.predict_proba(X)
    np.testing.assert_array_equal(shares_now[others], shares[others])
    np.testing.assert_allclose(shares_now[[1, 4]], 1 / len(classes))
    with pytest.warns(UserWarning, match="in row 0"):
        assert knn.predict(X[[1]]).tolist() == [missing]
    assert not np.isin([1, 4], clone(knn).fit(X, y).gallery_indices_).any()


@pytest.mark.parametrize("as_type", [str, int, bool])
@pytest.mark.filterwarnings("ignore:X is all NaN:UserWarning")
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true:UserWarning")
def test_a_row_without_any_view_counts_as_a_mistake(as_type):
    X, y = blobs()
    y = np.unique(y, return_inverse=True)[1]
    y = (y > 0) if as_type is bool else y.astype(as_type)
    lost = [3, 11, 40]
    knn = GalleryKNNClassifier().fit(X, y)
    right = knn.predict(X) == y
    X[lost] = np.nan
    right[lost] = False
    assert knn.score(X, y) == right.mean() < 1
    assert set(knn.predict(X).tolist()) == {knn.missing_label_, *np.unique(y).tolist()}
    for scoring in ("accuracy", "f1_macro", "balanced_accuracy", "neg_log_loss"):
        cv = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
        scores = cross_val_score(knn, X, y, cv=cv, scoring=scoring, error_score="raise")
        assert np.isfinite(scores).all()
    candidates = {"n_neighbors": [60, 3], "weights": ["uniform"]}
    grid = GridSearchCV(knn, candidates, cv=cv, error_score="raise").fit(X, y)
    assert grid.best_params_["n_neighbors"] == 3


@pytest.mark.parametrize(
    ("index", "value", "words"),
    [
        (
            (2, 1),
            np.nan,
            r"The image half of X is partly NaN in row 2\. A missing view is",
        ),
        (
            (3, 4),
            np.nan,
            r"The profile half of X is partly NaN in row 3\. A missing view",
        ),
        ((0, 4), np.inf, r"X is infinite in row 0\. Expected finite embeddings"),
        ((slice(2, 4), 2), -np.inf, r"X is infinite in rows 2, 3\. Expected"),
    ],
)
def test_views_with_gaps(index, value, words):
    X, y = two_views()
    knn = GalleryKNNClassifier(n_modalities=2).fit(X, y)
    X[index] = value
    for method, data in [(knn.predict, (X,)), (clone(knn).fit, (X, y))]:
        with pytest.raises(ValueError, match=words):
            method(*data)


def test_odd_number_of_columns():
    with pytest.raises(
        ValueError, match=r"X has 5 columns, which n_modalities=2 cannot"
    ):
        GalleryKNNClassifier(n_modalities=2).fit(*blobs(n_columns=5))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_with_one_modality(value):
    X, y = blobs()
    knn = GalleryKNNClassifier().fit(X, y)
    X[4, 0] = value
    for method, data in [(knn.predict, (X,)), (clone(knn).fit, (X, y))]:
        with pytest.raises(ValueError, match=r"X is (partly NaN|infinite) in row 4"):
            method(*data)


def test_each_query_is_classified_on_its_own():
    """A prediction depends neither on the other queries nor on their order."""
    X, y = two_views()
    queries, _ = two_views(40, seed=1)
    knn = GalleryKNNClassifier(n_modalities=2).fit(X, y)
    expected = knn.predict_proba(queries)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_allclose(knn.predict_proba(queries[order]), expected[order])
    one_by_one = [knn.predict_proba(query[None])[0] for query in queries]
    np.testing.assert_allclose(one_by_one, expected)


# --- views whose distances differ in scale -----------------------------------------


def lopsided(seed=0):
    """Images that are close together, profiles that separate the classes."""
    X, y = blobs(120, n_columns=16, seed=seed)
    rng = np.random.default_rng(seed)
    X[:, :8] = 5 + 0.1 * rng.normal(size=(120, 8))
    return X, y


def test_view_scales():
    """The median distance to the nearest entry of another row, by brute force."""
    X, y = lopsided()
    X[4, :8] = X[9, 8:] = X[17] = np.nan
    labels = y.astype(object)
    labels[60:] = None
    knn = GalleryKNNClassifier(n_modalities=2).fit(X, labels)
    views = [X[:, :8], X[:, 8:]]
    seen = [~np.isnan(view).any(axis=1) for view in views]
    entries = [(row, v) for v in (0, 1) for row in knn.gallery_indices_ if seen[v][row]]
    owners = np.array([row for row, _ in entries])
    gallery = np.stack([views[v][row] for row, v in entries])
    for view in (0, 1):
        rows = np.flatnonzero(seen[view])
        distances = cosine_distances(views[view][rows], gallery)
        distances[owners[None] == rows[:, None]] = np.inf
        nearest = distances.min(axis=1)
        assert knn.view_scales_[view] == pytest.approx(np.median(nearest))
    assert knn.view_scales_[1] > 20 * knn.view_scales_[0]


def test_scaled_votes():
    """Distances are divided by the scale; the nearer view does not dominate."""
    X, y = lopsided()
    queries, truth = lopsided()[0][60:], y[60:]
    knn = GalleryKNNClassifier(1, n_modalities=2).fit(X[:60], y[:60])
    distances, rows = knn.kneighbors(queries)
    votes = knn.view_scales_ / distances
    expected = np.stack(
        [(votes * (knn.gallery_labels_[rows] == c)).sum(axis=1) for c in knn.classes_],
        axis=1,
    )
    expected /= votes.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(knn.predict_proba(queries), expected)
    plain = clone(knn).set_params(scale_views=False).fit(X[:60], y[:60])
    assert plain.view_scales_.tolist() == [1, 1]
    assert knn.score(queries, truth) > plain.score(queries, truth) + 0.2


def test_a_scale_changes_no_single_view():
    X, y = lopsided()
    for query in ("image", "profile"):
        knn = GalleryKNNClassifier(n_modalities=2, query_modalities=query)
        scaled = knn.fit(X[:60], y[:60]).predict_proba(X)
        plain = knn.set_params(scale_views=False).fit(X[:60], y[:60]).predict_proba(X)
        np.testing.assert_array_equal(scaled, plain)
    one = GalleryKNNClassifier().fit(X, y)
    assert one.view_scales_.tolist() == [1]


def test_no_distances_to_learn_a_scale_from():
    X = np.tile([[1.0, 2.0, np.nan, np.nan], [1.0, 2.0, np.nan, np.nan]], (2, 1))
    knn = GalleryKNNClassifier(n_modalities=2).fit(X, [0, 1, 0, 1])
    assert knn.view_scales_.tolist() == [1, 1]


# --- use within scikit-learn -----------------------------------------------------


def test_frames_in():
    X, y = blobs()
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    pipe = make_pipeline(StandardScaler(), GalleryKNNClassifier())
    pipe.set_output(transform="pandas").fit(frame, pd.Series(y))
    assert pipe[-1].feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert pipe[-1].n_features_in_ == 4
    plain = make_pipeline(StandardScaler(), GalleryKNNClassifier()).fit(X, y)
    np.testing.assert_array_equal(pipe.predict(frame), plain.predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        pipe[-1].predict(frame[["b", "a", "c", "d"]])


def test_nullable_frame_with_missing_views():
    X, y = two_views()
    columns = list("abcdef")
    frame = pd.DataFrame(X, columns=columns)
    frame = frame.mask(frame.isna(), pd.NA).astype("Float64")
    assert frame["a"].iloc[0] is pd.NA
    knn = GalleryKNNClassifier(n_modalities=2)
    np.testing.assert_array_equal(
        knn.fit(frame, y).predict_proba(frame), clone(knn).fit(X, y).predict_proba(X)
    )


def test_wrong_number_of_columns():
    X, y = blobs()
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 4"):
        GalleryKNNClassifier().fit(X, y).predict(X[:, :3])


def test_clone():
    knn = GalleryKNNClassifier(
        5,
        gallery_size=2,
        weights="uniform",
        metric="euclidean",
        n_modalities=2,
        gallery_modalities="image",
        query_modalities="profile",
        unlabeled=-1,
        random_state=3,
    )
    assert clone(knn).get_params() == knn.get_params()


def test_the_gallery_is_prepared_once(monkeypatch):
    built = []

    def counting(entries, metric):
        built.append(len(entries))
        return NearestEntries(entries, metric)

    monkeypatch.setattr("skplankton._gallery.classifier.NearestEntries", counting)
    X, y = two_views()
    knn = GalleryKNNClassifier(n_modalities=2).fit(X, y)
    knn.predict(X)
    knn.set_params(n_neighbors=1, query_modalities="all").predict(X)
    assert built == [np.sum(~np.isnan(X)) // 3]


@pytest.mark.parametrize("n_modalities", [1, 2])
def test_the_search_does_not_copy_the_gallery(n_modalities):
    X, y = blobs()
    knn = GalleryKNNClassifier(n_modalities=n_modalities).fit(X, y)
    assert np.shares_memory(knn._search.entries, knn.gallery_)


@pytest.mark.parametrize("n_modalities", [1, 2])
def test_pickle(n_modalities):
    X, y = blobs(300, n_columns=64)
    X = X.astype(np.float32)
    knn = GalleryKNNClassifier(n_modalities=n_modalities).fit(X, y)
    knn.predict(X)
    pickled = pickle.dumps(knn)
    again = pickle.loads(pickled)
    np.testing.assert_array_equal(again.predict_proba(X), knn.predict_proba(X))
    for ours, theirs in zip(again.kneighbors(X), knn.kneighbors(X), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(pickled) < 1.3 * X.nbytes  # the gallery once, with labels and indices


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_input_is_left_alone(metric, order):
    X, y = two_views()
    X = np.array(X, order=order)
    kept = X.copy()
    X.setflags(write=False)
    y.setflags(write=False)
    knn = GalleryKNNClassifier(metric=metric, n_modalities=2).fit(X, y)
    knn.score(X, y)
    np.testing.assert_array_equal(X, kept)
    np.testing.assert_array_equal(knn.gallery_, kept)


def test_grid_search_over_gallery_sizes():
    X, y = load_iris(return_X_y=True)
    grid = {"gallery_size": [1, 4, 16, None]}
    knn = GalleryKNNClassifier(random_state=0)
    search = GridSearchCV(knn, grid, cv=3, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert (scores > 0.8).all()
    assert scores[-1] > 0.95
    assert len(search.best_estimator_.gallery_) in (3, 12, 48, 150)


def test_fit_again_forgets_the_last_gallery():
    X, y = blobs()
    knn = GalleryKNNClassifier().fit(X, y)
    knn.fit(X[:10, :3], np.arange(10) % 2)
    assert knn.classes_.tolist() == [0, 1]
    assert knn.gallery_.shape == (10, 3)
    assert set(knn.predict(X[:, :3])) == {0, 1}


def test_one_label_for_each_of_many_species_is_what_a_gallery_is_for():
    X = np.random.RandomState(0).rand(60, 4)
    y = [f"species {i}" for i in range(60)]
    assert list(GalleryKNNClassifier().fit(X, y).predict(X)) == y


# --- numbers at the ends of their range -----------------------------------------------


def brute_force(entries, query, metric):
    """Row of the nearest entry, in exact integers or as good as."""
    entries, query = entries.astype(np.longdouble), query.astype(np.longdouble)
    if metric == "cosine":
        entries = entries / np.linalg.norm(entries, axis=1, keepdims=True)
        query = query / np.linalg.norm(query)
    return np.linalg.norm(entries - query, axis=1).argmin()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (np.float32, 1e-25),
        (np.float32, 1e25),
        (np.float64, 1e-150),
        (np.float64, 1e150),
    ],
)
def test_large_and_small_entries(metric, dtype, sign, scale):
    """Squares would overflow or underflow; all numbers may be negative."""
    entries = sign * (1 + np.random.RandomState(0).rand(30, 4))
    entries[:, 0] *= -sign * 1e-20  # the largest may be next to nothing
    entries = (scale * entries).astype(dtype)
    y = np.arange(30) % 2
    knn = GalleryKNNClassifier(1, metric=metric).fit(entries, y)
    found = knn.kneighbors(entries[:, ::-1].copy(), return_distance=False)[:, 0]
    expected = [brute_force(entries, row[::-1], metric) for row in entries]
    assert found.tolist() == expected


def test_queries_far_from_all_entries():
    """Beyond what float32 holds when divided by the scale of the entries."""
    entries = np.random.RandomState(0).rand(30, 4).astype(np.float32)
    queries = np.array([[1e30, 0, 0, 0], [0, -1e38, 0, 0]], dtype=np.float32)
    knn = GalleryKNNClassifier(1, metric="euclidean").fit(entries, np.arange(30) % 2)
    distances, _ = knn.kneighbors(np.vstack([queries, entries[:1]]))
    np.testing.assert_allclose(distances[:, 0], [1e30, 1e38, 0])


def test_equal_shares_of_each_query_on_its_own():
    """Sums in another order differ in the last digit; the sums of queries in all."""
    distances = np.array(
        [[1, 2, 3, 3, 2, 1], [1, 20, 30, 30, 20, 1], [1, 1, 1, 9, 9, 9]]
    )
    classes = np.tile([0, 0, 0, 1, 1, 1], (3, 1))
    shares = vote_shares(distances.astype(float), classes, 2, "distance")
    assert (shares[:2, 0] == shares[:2, 1]).all()
    assert shares[2].argmax() == 0
    assert shares[2, 1] == pytest.approx(0.1)


@pytest.mark.parametrize("n_rows", [5, 7])
def test_score_of_other_lengths(n_rows):
    X, y = blobs(6)
    knn = GalleryKNNClassifier().fit(X, y)
    labels = np.resize(y, n_rows).astype(object)
    labels[0] = None  # so that rows are taken by their position
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        knn.score(X, labels)
    labels = y.astype(object)
    labels[0] = None
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        knn.score(X, labels, sample_weight=np.ones(n_rows))


def test_checking_embeddings_takes_little_memory():
    """No mask as large as X, of which a large gallery would have several."""
    X = np.zeros((40_000, 50), dtype=np.float32)
    tracemalloc.start()
    split_views(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 8


@pytest.mark.parametrize("row", [0, 4095, 4096, 9999])
def test_a_gap_is_found_in_any_row(row):
    X = np.ones((10_000, 2))
    X[row] = np.nan, 1
    with pytest.raises(ValueError, match=rf"partly NaN in row {row}\."):
        split_views(X, 1)
    X[row] = np.inf, 1
    with pytest.raises(ValueError, match=rf"infinite in row {row}\."):
        split_views(X, 1)
