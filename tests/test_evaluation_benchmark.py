"""The benchmark against the classifier, against brute force, and what it is given."""

import copy
import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._gallery import nearest
from skplankton._utils import progress
from skplankton.evaluation import _nested_galleries, cross_modal_benchmark
from skplankton.model_selection import (
    GallerySplit,
    TrainValidationTestFolds,
)

VIEWS = {"image": "image", "profile": "profile", "both": "all"}
SETUPS = list(itertools.product(VIEWS, VIEWS))
KEYS = ["gallery", "query", "gallery_size", "n_neighbors", "repeat"]
COUNTS = ["n_queries", "n_gallery"]
SCORES = ["accuracy", "precision", "recall", "f1"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Thousands of tiny searches: on a busy machine, threads would only wait."""
    with threadpool_limits(1):
        yield


def particles(seed=0, n_rows=80, n_columns=4, missing=0.3, grid=None):
    """[image | profile] embeddings: missing views, a rare class, some unlabeled."""
    rng = np.random.default_rng(seed)
    species = np.array(["ciliate", "diatom", "flagellate", "rare"], dtype=object)
    codes = rng.integers(3, size=n_rows)
    codes[:3] = 3
    X = rng.normal(size=(4, 2 * n_columns))[codes] + rng.normal(
        size=(n_rows, 2 * n_columns)
    )
    if grid:  # few values, so that many distances are equal
        X = np.round(X * grid) / grid
        X[rng.random(n_rows) < 0.1] = 0.0
    missing_rows = rng.random(n_rows) < missing
    first = rng.random(n_rows) < 0.5
    X[missing_rows & first, :n_columns] = np.nan
    X[missing_rows & ~first, n_columns:] = np.nan
    y = species[codes]
    y[rng.random(n_rows) < 0.1] = None
    y[:2] = "rare"
    return X, y


def has_view(X, view):
    half = X.shape[1] // 2
    image, profile = ~np.isnan(X[:, 0]), ~np.isnan(X[:, half])
    return {"image": image, "profile": profile, "both": image | profile}[view]


def scored(y, predicted):
    macro = precision_recall_fscore_support(
        y.astype(str), predicted.astype(str), average="macro", zero_division=0
    )
    return dict(zip(SCORES, (accuracy_score(y, predicted), *macro[:3]), strict=True))


def plain_benchmark(draws, n_neighbors, **params):
    """One classifier for every row of the result.

    `draws` yields (gallery_size, repeat, X_gallery, y_gallery, X, y).
    """
    records = []
    for size, repeat, X_gallery, y_gallery, X, y in draws:
        for (gallery, query), k in itertools.product(SETUPS, n_neighbors):
            queried = has_view(X, query)
            knn = GalleryKNNClassifier(
                k,
                n_modalities=2,
                scale_views=False,
                gallery_modalities=VIEWS[gallery],
                query_modalities=VIEWS[query],
                **params,
            ).fit(X_gallery, y_gallery)
            records.append(
                {
                    **dict(zip(KEYS, (gallery, query, size, k, repeat), strict=True)),
                    "n_queries": queried.sum(),
                    "n_gallery": has_view(X_gallery, gallery).sum(),
                    **scored(y[queried], knn.predict(X[queried])),
                }
            )
    return pd.DataFrame(records)


def draws_from_itself(X, y, sizes, n_repeats, seed):
    for size in sizes:
        split = GallerySplit(size, n_repeats=n_repeats, random_state=seed)
        for repeat, (rows, rest) in enumerate(split.split(X, y)):
            yield size, repeat, X[rows], y[rows], X[rest], y[rest]


def assert_same(results, expected):
    pd.testing.assert_frame_equal(
        results.set_index(KEYS).sort_index(),
        expected.set_index(KEYS).sort_index(),
        check_dtype=False,
        rtol=1e-12,
    )


# --- the same labels as the classifier's ------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weights", ["distance", "uniform"])
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.filterwarnings("ignore:Left out of the gallery:UserWarning")
def test_same_as_the_classifier(metric, weights, copies):
    """Also where queries are copies of gallery rows, and rows are zeros."""
    X, y = particles()
    if copies:
        X[60:], y[60:] = X[:20], y[:20]
        X[[30, 50]] = 0.0
    sizes, n_neighbors = (1, 3, 7), (1, 3, 30)
    results = cross_modal_benchmark(
        X,
        y,
        gallery_sizes=sizes,
        n_neighbors=n_neighbors,
        n_repeats=2,
        metric=metric,
        weights=weights,
        random_state=4,
    )
    assert list(results.columns) == [*KEYS, *COUNTS, *SCORES]
    expected = plain_benchmark(
        draws_from_itself(X, y, sizes, 2, seed=4),
        n_neighbors,
        metric=metric,
        weights=weights,
    )
    assert_same(results, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gallery_of_its_own(dtype):
    X, y = particles(seed=1)
    X_gallery, y_gallery = particles(seed=2, missing=0.2)
    X, X_gallery = X.astype(dtype), X_gallery.astype(dtype)
    y[y == "diatom"] = "never seen"
    labeled = ~pd.isna(y)
    results = cross_modal_benchmark(
        X,
        y,
        X_gallery=X_gallery,
        y_gallery=y_gallery,
        gallery_sizes=[4, 2],
        n_neighbors=3,
        n_repeats=2,
        random_state=0,
    )
    assert results["gallery_size"].drop_duplicates().tolist() == [2, 4]
    draws = (
        (size, repeat, X_drawn, y_drawn, X[labeled], y[labeled])
        for size, repeat, X_drawn, y_drawn, _, _ in draws_from_itself(
            X_gallery, y_gallery, (2, 4), 2, seed=0
        )
    )
    assert_same(results, plain_benchmark(draws, [3]))
    assert results.query("query == 'both'")["n_queries"].unique() == labeled.sum()


def brute_force_label(query_views, entries, k, weights):
    """The definition, one pair at a time; `entries` are (label, view) in order."""
    votes = dict.fromkeys(sorted({label for label, _ in entries}), 0.0)
    neighbors = []
    for view in query_views:
        cosines = [
            view @ entry / np.sqrt((view @ view) * (entry @ entry))
            for _, entry in entries
        ]
        nearest = sorted(range(len(entries)), key=lambda i: (-cosines[i], i))[:k]
        neighbors += [(1 - cosines[i], entries[i][0]) for i in nearest]
    for distance, label in neighbors:
        votes[label] += 1.0 if weights == "uniform" else 1.0 / distance
    most = max(votes.values())
    return next(label for label, vote in votes.items() if vote > most * (1 - 1e-9))


@pytest.mark.parametrize(("gallery", "query"), SETUPS)
def test_same_as_brute_force(gallery, query):
    X, y = particles(seed=5, n_rows=40, missing=0.3)
    half = X.shape[1] // 2
    blocks = {"image": [0], "profile": [1], "both": [0, 1]}

    def views(row, which):
        halves = [X[row, :half], X[row, half:]]
        return [halves[b] for b in blocks[which] if not np.isnan(halves[b][0])]

    for weights, k in itertools.product(("distance", "uniform"), (1, 3, 25)):
        results = cross_modal_benchmark(
            X,
            y,
            gallery_sizes=[3],
            n_neighbors=k,
            n_repeats=2,
            setups=[(gallery, query)],
            weights=weights,
            random_state=0,
        )
        split = GallerySplit(3, n_repeats=2, random_state=0).split(X, y)
        for found, (rows, rest) in zip(results.itertuples(), split, strict=True):
            entries = [(y[row], view) for row in rows for view in views(row, gallery)]
            queries = [row for row in rest if views(row, query)]
            correct = [
                brute_force_label(views(row, query), entries, k, weights) == y[row]
                for row in queries
            ]
            assert found.n_queries == len(queries)
            assert found.n_gallery == sum(bool(views(row, gallery)) for row in rows)
            assert found.accuracy == np.mean(correct)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("scale", [1e-170, 1e-161, 1e-8, 1e8])
def test_scales_at_which_rounding_matters(metric, scale):
    X, y = particles(seed=3, missing=0.0)
    X = X * scale + (0.0 if metric == "cosine" else 1e4 * scale)
    results = cross_modal_benchmark(
        X, y, gallery_sizes=(2, 20), n_repeats=2, metric=metric, random_state=0
    )
    draws = draws_from_itself(X, y, (2, 20), 2, seed=0)
    assert_same(results, plain_benchmark(draws, [3], metric=metric))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weights", ["distance", "uniform"])
def test_copies_in_two_classes(metric, weights):
    """Neighbors at distance 0 decide, and equal votes tie."""
    X, _ = particles(missing=0.0)
    X_gallery, y_gallery = np.repeat(X[:20], 2, axis=0), ["b", "a"] * 20
    y = np.array(["a", "b"])[np.arange(80) % 2]
    params = {"metric": metric, "weights": weights}
    results = cross_modal_benchmark(
        X,
        y,
        X_gallery=X_gallery,
        y_gallery=y_gallery,
        gallery_sizes=20,
        n_neighbors=[2, 4],  # both copies are always neighbors
        n_repeats=1,
        **params,
    )
    draws = [(20, 0, X_gallery, np.array(y_gallery), X, y)]
    assert_same(results, plain_benchmark(draws, [2, 4], **params))


def test_votes_that_count_as_equal():
    """They differ by more than rounding, but tie: the first class wins."""
    results = cross_modal_benchmark(
        np.array([[0.0]]),
        ["first"],
        X_gallery=np.array([[1 + 3e-13], [-1.0]]),
        y_gallery=["first", "second"],
        gallery_sizes=1,
        n_neighbors=2,
        setups=None,
        metric="euclidean",
    )
    assert results["accuracy"].eq(1.0).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_chunks_do_not_matter(monkeypatch, metric):
    X, y = particles(missing=0.2)
    params = {"gallery_sizes": (1, 4), "random_state": 0, "metric": metric}
    expected = cross_modal_benchmark(X, y, **params)
    monkeypatch.setattr(_nested_galleries, "_N_PRODUCTS", 100)
    pd.testing.assert_frame_equal(cross_modal_benchmark(X, y, **params), expected)


@pytest.mark.parametrize("n_neighbors", [1, 7, 40])
def test_both_ways_to_find_the_smallest(monkeypatch, n_neighbors):
    X, y = particles(missing=0.2)
    params = {"gallery_sizes": (1, 9), "n_neighbors": n_neighbors, "random_state": 0}
    found = []
    for few in (0, 1000):
        monkeypatch.setattr(nearest, "_FEW", few)
        found.append(cross_modal_benchmark(X, y, **params))
    pd.testing.assert_frame_equal(*found)


def test_no_array_of_all_products(monkeypatch):
    """Memory grows with the queries plus the gallery, not with their product."""
    X, y = particles(n_rows=600)
    products = []
    smallest = _nested_galleries.smallest

    def recording(values, n_smallest):
        products.append(values.size)
        return smallest(values, n_smallest)

    monkeypatch.setattr(_nested_galleries, "smallest", recording)
    monkeypatch.setattr(_nested_galleries, "_N_PRODUCTS", 1000)
    cross_modal_benchmark(X, y, gallery_sizes=[50], random_state=0)
    assert max(products) <= 1000


# --- one embedding, several models, folds -------------------------------------------


def test_one_embedding():
    X, y = particles(missing=0.0)
    X = X[:, :3]  # an odd number of columns
    X[5] = np.nan  # an image-only embedder's row without an image
    y[5] = "diatom"
    results = cross_modal_benchmark(
        X, y, setups=None, gallery_sizes=[2], n_repeats=3, random_state=1
    )
    assert results[["gallery", "query"]].eq("embedding").all(axis=None)
    split = GallerySplit(2, n_repeats=3, random_state=1).split(X, y)
    for found, (rows, rest) in zip(results.itertuples(), split, strict=True):
        rest = rest[rest != 5]
        knn = GalleryKNNClassifier().fit(X[rows[rows != 5]], y[rows[rows != 5]])
        assert found.n_queries == len(rest)
        assert found.accuracy == knn.score(X[rest], y[rest])


def test_dict_of_embeddings():
    X, y = particles(missing=0.0)
    models = {"whole": X, "noise": np.random.default_rng(0).normal(size=X.shape)}
    params = {"gallery_sizes": [2], "n_repeats": 2, "random_state": 0}
    results = cross_modal_benchmark(models, y, **params)
    assert results.columns[0] == "model"
    for name, embeddings in models.items():
        alone = cross_modal_benchmark(embeddings, y, **params)
        part = results[results["model"] == name].drop(columns="model")
        pd.testing.assert_frame_equal(part.reset_index(drop=True), alone)
    same = cross_modal_benchmark(
        models, y, X_gallery={"noise": X, "whole": X}, y_gallery=y, **params
    )
    assert set(same["model"]) == {"whole", "noise"}


def test_folds_are_joined_by_the_caller():
    X, y = particles(n_rows=120, missing=0.0)
    folds = TrainValidationTestFolds(3, random_state=0)
    frames = [
        cross_modal_benchmark(
            X[test],
            y[test],
            X_gallery=X[train],
            y_gallery=y[train],
            gallery_sizes=[4],
            n_repeats=2,
            random_state=0,
        ).assign(fold=fold)
        for fold, (train, test) in enumerate(folds.split(X, y))
    ]
    results = pd.concat(frames, ignore_index=True)
    assert len(results) == 3 * 9 * 2
    assert not results.isna().any(axis=None)


class Halver(TransformerMixin, BaseEstimator):
    """An embedder with a parameter `output`, which counts the rows it embeds."""

    def __init__(self, output="fused"):
        self.output = output

    def fit(self, X, y=None):
        self.embedded_ = []
        return self

    def transform(self, X):
        self.embedded_.append((self.output, len(X)))
        half = X.shape[1] // 2
        return X if self.output == "concat" else (X[:, :half] + X[:, half:]) / 2


def test_embedder_is_used_once_and_not_modified():
    X, y = particles(missing=0.0)
    embedder = Halver().fit(X)
    n_labeled = np.sum(~pd.isna(y))
    params = {"gallery_sizes": [2], "n_repeats": 2, "random_state": 0}
    results = cross_modal_benchmark(X, y, embedder=embedder, **params)
    pd.testing.assert_frame_equal(results, cross_modal_benchmark(X, y, **params))
    assert embedder.output == "fused"
    assert embedder.embedded_ == [("concat", n_labeled)]
    cross_modal_benchmark(X, y, embedder=embedder, setups=None, **params)
    assert embedder.embedded_[1:] == [("fused", n_labeled)]
    several = cross_modal_benchmark(
        X, y, embedder={"ours": embedder, "raw": FunctionTransformer()}, **params
    )
    for _, part in several.groupby("model"):
        alone = part.drop(columns="model").reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, results)


def test_fitted_cross_modal_embedder(X_missing, y):
    embedder = CrossModalEmbedder(max_epochs=1, image_size=16, random_state=0)
    embedder.fit(X_missing)
    state = copy.deepcopy(embedder.get_params())
    results = cross_modal_benchmark(
        X_missing, y, embedder=embedder, gallery_sizes=[2], random_state=0
    )
    assert embedder.get_params() == state
    embeddings = copy.copy(embedder).set_params(output="concat").transform(X_missing)
    expected = cross_modal_benchmark(embeddings, y, gallery_sizes=[2], random_state=0)
    pd.testing.assert_frame_equal(results, expected)
    n_queries = results.groupby("query")["n_queries"].unique()
    assert (n_queries["image"] < n_queries["both"]).all()


# --- draws, threads, progress -------------------------------------------------------


def test_random_state():
    X, y = particles()
    params = {"gallery_sizes": (1, 2), "setups": [("image", "profile")]}
    before = str(np.random.get_state())  # noqa: NPY002
    draws = [
        cross_modal_benchmark(X, y, random_state=seed, **params)["accuracy"].tolist()
        for seed in (0, 0, 1, None, None)
    ]
    assert draws[0] == draws[1]
    assert draws[1] != draws[2]
    assert draws[3] != draws[4]
    assert str(np.random.get_state()) == before  # noqa: NPY002


def test_more_sizes_do_not_change_a_size():
    X, y = particles()
    few = cross_modal_benchmark(X, y, gallery_sizes=[2], random_state=0)
    many = cross_modal_benchmark(X, y, gallery_sizes=[1, 2, 5], random_state=0)
    part = many[many["gallery_size"] == 2].reset_index(drop=True)
    assert_same(part, few)


def test_threads_do_not_matter():
    X, y = particles()
    params = {"gallery_sizes": (1, 2), "random_state": 0}
    pd.testing.assert_frame_equal(
        cross_modal_benchmark(X, y, n_jobs=2, **params),
        cross_modal_benchmark(X, y, **params),
    )
    with pytest.raises(ValueError, match="gallery_size=500 takes all"):
        cross_modal_benchmark(X, y, gallery_sizes=[500], n_jobs=2)


def test_progress(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0)
    X, y = particles()
    params = {"gallery_sizes": [1], "n_repeats": 3}
    cross_modal_benchmark(X, y, **params)
    assert capsys.readouterr().err == ""
    cross_modal_benchmark({"a": X, "b": X}, y, verbose=1, **params)
    assert "6 of 6 repeats" in capsys.readouterr().err


# --- views that are missing ---------------------------------------------------------


def test_no_label_without_a_view():
    X, y = particles(missing=0.6)
    codes = np.unique(y.astype(str), return_inverse=True)[1]
    views = X.reshape(len(X), 2, -1)
    parameters = _nested_galleries.Queries(SETUPS, [3], "distance", "cosine", 5, 1)
    galleries = _nested_galleries.NestedGalleries(
        views[:10], codes[:10], np.zeros(10, dtype=int), parameters
    )
    is_query = np.arange(len(X))[None] >= 10
    labels = galleries.predict(views, is_query)
    for (_, query), found in zip(SETUPS, labels[0, :, 0], strict=True):
        np.testing.assert_array_equal(found >= 0, is_query[0] & has_view(X, query))


def test_no_queries_or_an_empty_gallery():
    X, y = particles(missing=0.0)
    X[:, :4] = np.nan  # no images at all
    for metric in ("cosine", "euclidean"):
        results = cross_modal_benchmark(
            X, y, gallery_sizes=[2], n_repeats=1, metric=metric, random_state=0
        ).set_index(["gallery", "query"])
        lacking = results.loc[[("image", "profile"), ("profile", "image")]]
        assert lacking["n_gallery"].tolist() == [0, 8]
        assert lacking["n_queries"].tolist() == [sum(~pd.isna(y)) - 8, 0]
        assert lacking[SCORES].isna().all(axis=None)
        present = results.loc[[("profile", "profile"), ("both", "both")], SCORES]
        assert present.nunique().tolist() == [1] * 4
    empty = np.full_like(X, np.nan)
    results = cross_modal_benchmark(
        empty, y, gallery_sizes=[1], metric="euclidean", random_state=0
    )
    assert results[COUNTS].eq(0).all(axis=None)


# --- errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"gallery_sizes": []}, r"gallery_sizes=\[\]; expected different ints"),
        ({"gallery_sizes": [2, 2]}, r"gallery_sizes=\[2, 2\]; expected different ints"),
        ({"gallery_sizes": [0, 2]}, r"gallery_sizes=\[0, 2\]; expected different ints"),
        ({"n_neighbors": 2.5}, r"n_neighbors=2\.5; expected different ints"),
        ({"n_neighbors": True}, "n_neighbors=True; expected different ints"),
        ({"n_repeats": 0}, "n_repeats=0; expected"),
        ({"n_repeats": [3, 2]}, r"n_repeats=\[3, 2\]; expected an int"),
        ({"weights": "gaussian"}, "weights='gaussian'; expected 'distance' or"),
        ({"metric": "manhattan"}, "metric='manhattan'; expected 'cosine' or"),
        ({"setups": "image"}, r"setups='image'; expected 'all', None, or different"),
        ({"setups": []}, r"setups=\[\]; expected 'all'"),
        ({"setups": [("image", "all")]}, "expected 'all', None, or different pairs"),
        ({"random_state": "x"}, "'x' cannot be used to seed"),
        ({"gallery_sizes": [99]}, "gallery_size=99 takes all 7. labeled rows"),
        ({"y_gallery": [0, 1]}, "y_gallery was given without X_gallery"),
        ({"X_gallery": np.eye(8)}, "X_gallery was given without y_gallery"),
        (
            {"X_gallery": np.eye(6), "y_gallery": list("aaabbb")},
            "X have 8 columns and those of X_gallery 6",
        ),
        (
            {"X_gallery": np.eye(8), "y_gallery": list("abc")},
            "X_gallery has 8 rows, and y_gallery 3 labels",
        ),
        (
            {"X_gallery": np.eye(8), "y_gallery": [None] * 8},
            "All 8 rows of y_gallery are unlabeled",
        ),
        ({"embedder": object()}, "has no method transform"),
        ({"embedder": Halver}, "embedder=Halver is a class"),
        ({"setups": 3}, "setups=3; expected 'all'"),
        ({"embedder": {}}, "The dict of models is empty"),
    ],
)
def test_parameters(params, words):
    X, y = particles()
    with pytest.raises(ValueError, match=words):
        cross_modal_benchmark(X, y, **{"gallery_sizes": [1], **params})


def test_data_errors(X):
    embeddings, labels = particles()
    with pytest.raises(ValueError, match="X has 80 rows, and y 79 labels"):
        cross_modal_benchmark(embeddings, labels[:-1])
    with pytest.raises(ValueError, match="All 80 rows of y are unlabeled"):
        cross_modal_benchmark(embeddings, [None] * 80)
    with pytest.raises(ValueError, match="X has 7 columns, which n_modalities=2"):
        cross_modal_benchmark(embeddings[:, 1:], labels)
    gap = embeddings.copy()
    gap[3] = [np.nan, 1, 1, 1, 1, 1, 1, 1]
    with pytest.raises(ValueError, match="The image half of X is partly NaN in row 3"):
        cross_modal_benchmark(gap, labels)
    with pytest.raises(ValueError, match="X is partly NaN in row 3"):
        cross_modal_benchmark(gap[:, :3], labels, setups=None)
    with pytest.raises(ValueError, match="X is a table of particles"):
        cross_modal_benchmark(X, ["a", "b"] * (len(X) // 2))
    with pytest.raises(TypeError, match="Convert one, or they can never be equal"):
        cross_modal_benchmark(
            embeddings, labels, X_gallery=np.eye(8), y_gallery=[0, 1] * 4
        )


def test_dicts_that_do_not_match():
    X, y = particles()
    with pytest.raises(ValueError, match="X or X_gallery and embedder are dicts"):
        cross_modal_benchmark({"a": X}, y, embedder={"a": Halver().fit(X)})
    with pytest.raises(ValueError, match=r"keys \['a'\].* got \['b'\]"):
        cross_modal_benchmark({"a": X}, y, X_gallery={"b": X}, y_gallery=y)
    with pytest.raises(ValueError, match="got a table"):
        cross_modal_benchmark({"a": X}, y, X_gallery=X, y_gallery=y)
