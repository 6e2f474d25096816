"""GalleryKNNClassifier against a slow oracle that computes exactly, in integers."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from skplankton import GalleryKNNClassifier

MODALITIES = {"all": ("image", "profile"), "image": ("image",), "profile": ("profile",)}


# All embeddings here are multiples of 1 / GRID, which integers hold exactly.
GRID = 128


def exactly(values):
    integers = [int(value * GRID) for value in values]
    assert [integer / GRID for integer in integers] == list(values)
    return integers


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Thousands of tiny searches: on a busy machine, threads would only wait."""
    with threadpool_limits(1):
        yield


class Oracle:
    """The definition, one pair at a time: ties are exact ties."""

    def __init__(self, gallery, labels, params):
        self.params = params
        self.classes = sorted(set(labels))
        self.labels = labels
        self.entries = []  # (gallery row, exact vector), in the documented order
        for row, values in enumerate(gallery):
            for vector in self.views(values, params["gallery_modalities"]):
                if vector is not None:
                    self.entries.append((row, vector))

    def views(self, values, modalities):
        """The exact vector of each requested view, None where it is missing."""
        if self.params["n_modalities"] == 1:
            return [exactly(values)]
        half = len(values) // 2
        blocks = {"image": values[:half], "profile": values[half:]}
        return [
            None if math.isnan(blocks[view][0]) else exactly(blocks[view])
            for view in MODALITIES[modalities]
        ]

    def exact_distance(self, query, entry):
        """A pair: an exact sort key and the distance as a float."""
        if self.params["metric"] == "euclidean":
            squared = sum((q - g) ** 2 for q, g in zip(query, entry, strict=True))
            return squared, math.sqrt(squared) / GRID
        lengths = sum(q * q for q in query) * sum(g * g for g in entry)
        if lengths == 0:
            return Fraction(0), 1.0
        dot = sum(q * g for q, g in zip(query, entry, strict=True))
        signed_square = Fraction((1 if dot > 0 else -1) * dot * dot, lengths)
        if signed_square == 1:
            return Fraction(-1), 0.0
        return -signed_square, 1 - math.copysign(
            math.sqrt(abs(signed_square)), signed_square
        )

    def kneighbors(self, values):
        """Distances and gallery rows of one query, view after view."""
        n_neighbors = min(self.params["n_neighbors"], len(self.entries))
        distances, rows = [], []
        for query in self.views(values, self.params["query_modalities"]):
            if query is None:
                distances += [math.inf] * n_neighbors
                rows += [-1] * n_neighbors
                continue
            found = []
            for position, (row, entry) in enumerate(self.entries):
                key, distance = self.exact_distance(query, entry)
                found.append((key, position, distance, row))
            for _, _, distance, row in sorted(found)[:n_neighbors]:
                distances.append(distance)
                rows.append(row)
        return distances, rows

    def has_entries(self, values, view, rows, distance):
        """Whether the rows have different entries, none farther than `distance`."""
        query = self.views(values, self.params["query_modalities"])[view]
        if query is None:
            return (rows == -1).all()
        near = [
            row
            for row, entry in self.entries
            if self.exact_distance(query, entry)[1] <= distance * (1 + 1e-9) + 1e-14
        ]
        return not Counter(rows.tolist()) - Counter(near)

    def shares(self, distances, rows):
        """The share of each class of one query's votes."""
        votes = dict.fromkeys(self.classes, 0.0)
        for distance, row in zip(distances, rows, strict=True):
            if row == -1:
                continue
            if self.params["weights"] == "uniform":
                vote = 1.0
            elif 0.0 in distances:
                vote = 1.0 if distance == 0.0 else 0.0
            else:
                vote = 1.0 / distance
            votes[self.labels[row]] += vote
        total = sum(votes.values())
        return [votes[name] / total for name in self.classes]

    def winner(self, shares):
        """The first class among those whose shares differ by rounding at most."""
        tied = [share >= max(shares) - 1e-9 for share in shares]
        return self.classes[tied.index(True)]


def assert_right_up_to_ties(distances, indices, expected, oracle, queries):
    """The exact distances; the exact rows, but for ties with the last neighbor."""
    exact = np.array([d for d, _ in expected])
    np.testing.assert_allclose(distances, exact, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(distances == 0, exact == 0)
    n_neighbors = min(oracle.params["n_neighbors"], len(oracle.entries))
    for query, (_, rows) in enumerate(expected):
        for start in range(0, len(rows), n_neighbors):
            block = slice(start, start + n_neighbors)
            last = exact[query, block][-1]
            # All that are nearer than the last one are found; the rest tie with it.
            nearer = exact[query, block] < last * (1 - 1e-9)
            found = indices[query, block]
            assert sorted(found[nearer]) == sorted(np.array(rows)[block][nearer])
            assert oracle.has_entries(queries[query], start // n_neighbors, found, last)


def check_against_oracle(X, y, queries, **params):
    knn = GalleryKNNClassifier(**params, scale_views=False).fit(X, y)
    oracle = Oracle(
        knn.gallery_.tolist(), knn.gallery_labels_.tolist(), knn.get_params()
    )
    expected = [oracle.kneighbors(query) for query in queries.tolist()]
    distances, indices = knn.kneighbors(queries)
    assert_right_up_to_ties(distances, indices, expected, oracle, queries.tolist())
    # Which of those at equal distances vote is unspecified; the votes are not.
    exact = [distances for distances, _ in expected]
    votes = zip(exact, indices.tolist(), strict=True)
    shares = [oracle.shares(*neighbors) for neighbors in votes]
    proba = knn.predict_proba(queries)
    np.testing.assert_allclose(proba, shares, rtol=1e-7, atol=1e-9)
    assert knn.predict(queries).tolist() == [oracle.winner(share) for share in shares]


def embeddings(rng, n_rows, n_columns, missing=0.0):
    """Rows on a grid of 1/64, some rows of zeros, and missing views."""
    X = np.round(rng.normal(size=(n_rows, n_columns)) * 64) / 64
    X[rng.random(n_rows) < 0.05] = 0.0
    half = n_columns // 2
    lost = rng.random(n_rows) < missing
    first = rng.random(n_rows) < 0.5
    X[lost & first, :half] = np.nan
    X[lost & ~first, half:] = np.nan
    return X


def problem(seed, missing):
    """A gallery with a rare class, copies within and across classes, and queries."""
    rng = np.random.default_rng(seed)
    X = embeddings(rng, 24, 6, missing)
    X = np.vstack([X, X[:8], 3 * X[8:14], X[:3]])
    y = np.array(["ciliate", "diatom", "rare"])[rng.integers(2, size=len(X))]
    y = y.astype(object)
    y[5] = "rare"
    y[[0, 1]] = "ciliate", "diatom"
    y[7] = None
    queries = np.vstack([embeddings(rng, 12, 6, missing), X[:12], 0.5 * X[8:12]])
    return X, y, queries


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weights", ["distance", "uniform"])
@pytest.mark.parametrize("n_neighbors", [1, 3, 200])
def test_one_view(metric, weights, n_neighbors):
    X, y, queries = problem(seed=n_neighbors, missing=0.0)
    check_against_oracle(
        X, y, queries, n_neighbors=n_neighbors, metric=metric, weights=weights
    )


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weights", ["distance", "uniform"])
@pytest.mark.parametrize("gallery_modalities", MODALITIES)
@pytest.mark.parametrize("query_modalities", MODALITIES)
@pytest.mark.parametrize("n_neighbors", [3, 12])
@pytest.mark.filterwarnings("ignore:Left out of the gallery:UserWarning")
def test_nine_set_ups(
    metric, weights, gallery_modalities, query_modalities, n_neighbors
):
    X, y, queries = problem(seed=n_neighbors, missing=0.3)
    half = queries.shape[1] // 2
    if query_modalities == "image":
        queries = queries[~np.isnan(queries[:, 0])]
    elif query_modalities == "profile":
        queries = queries[~np.isnan(queries[:, half])]
    check_against_oracle(
        X,
        y,
        queries,
        n_neighbors=n_neighbors,
        metric=metric,
        weights=weights,
        n_modalities=2,
        gallery_modalities=gallery_modalities,
        query_modalities=query_modalities,
    )


@pytest.mark.parametrize("gallery_size", [1, 2, 5])
def test_drawn_gallery(gallery_size):
    X, y, queries = problem(seed=7, missing=0.3)
    check_against_oracle(
        X, y, queries, gallery_size=gallery_size, n_modalities=2, random_state=0
    )


@st.composite
def small_integers(draw, n_modalities):
    """Embeddings of a few small integers, where most distances tie."""
    width = draw(st.integers(1, 3))
    view = st.lists(st.integers(-2, 2), min_size=width, max_size=width)
    if n_modalities == 1:
        row = view
    else:
        lost = st.just([math.nan] * width)
        row = st.one_of(
            st.tuples(view, view), st.tuples(lost, view), st.tuples(view, lost)
        ).map(lambda views: list(itertools.chain(*views)))
    X = draw(st.lists(row, min_size=2, max_size=14))
    labels = st.integers(0, 3)
    y = [0, 1, *draw(st.lists(labels, min_size=len(X) - 2, max_size=len(X) - 2))]
    queries = draw(st.lists(row, min_size=1, max_size=5))
    return np.array(X, dtype=float), np.array(y), np.array(queries, dtype=float)


params = st.fixed_dictionaries(
    {
        "n_neighbors": st.integers(1, 6),
        "metric": st.sampled_from(["cosine", "euclidean"]),
        "weights": st.sampled_from(["distance", "uniform"]),
    }
)


@settings(max_examples=100, deadline=None)
@given(small_integers(n_modalities=1), params)
def test_true_ties(data, params):
    check_against_oracle(*data, **params)


@settings(max_examples=100, deadline=None)
@given(small_integers(n_modalities=2), params)
def test_true_ties_between_views(data, params):
    check_against_oracle(*data, **params, n_modalities=2)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_ties_reach_far_beyond_the_last_neighbor(metric):
    """More copies than candidates."""
    rng = np.random.default_rng(3)
    far = embeddings(rng, 20, 4)
    X = np.vstack([far, np.tile([1.0, 2.0, 0.5, 0.0], (40, 1)), far])
    y = rng.integers(3, size=len(X))
    order = rng.permutation(len(X))
    queries = np.array([[1.0, 2.0, 0.5, 0.0], [2.0, 2.0, 1.0, 0.0], [1.0, 0, 0, 0]])
    check_against_oracle(X[order], y[order], queries, metric=metric, n_neighbors=3)


def test_euclidean_far_from_the_origin():
    """Without centering, rounding of products would change the order of neighbors."""
    rng = np.random.default_rng(0)
    X = 2.0**20 + rng.integers(-8, 9, size=(60, 3)) / 64
    y = np.arange(60) % 3
    queries = 2.0**20 + rng.integers(-8, 9, size=(20, 3)) / 64
    check_against_oracle(X, y, queries, metric="euclidean")
