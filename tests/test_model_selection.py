"""Splitters: their draws, their errors, and their use in scikit-learn."""

import copy
import inspect
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import (
    BaseCrossValidator,
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier

from skplankton import GalleryKNNClassifier
from skplankton.model_selection import (
    GallerySplit,
    LabeledTestSplit,
    TrainValidationTestFolds,
)

SPLITTERS = [
    GallerySplit(3, n_repeats=4, random_state=0),
    LabeledTestSplit(4),
    TrainValidationTestFolds(4, random_state=0),
]
each_splitter = pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)


def particles(n_rows=90, seed=0):
    """Separable embeddings; a third of the rows is unlabeled."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_rows) % 3
    y = np.array(["ciliate", "diatom", "flagellate"], dtype=object)[codes]
    X = 4.0 * np.eye(3)[codes] + rng.normal(size=(n_rows, 3))
    y[rng.permutation(n_rows)[: n_rows // 3]] = None
    return X, y


def as_lists(splits):
    return [[part.tolist() for part in split] for split in splits]


labels_with_gaps = st.lists(
    st.sampled_from(["a", "b", "c", None]), min_size=8, max_size=60
)


# --- all splitters ----------------------------------------------------------------


@each_splitter
def test_scikit_learn_interface(splitter):
    X, y = particles()
    assert isinstance(splitter, BaseCrossValidator)
    assert splitter.get_n_splits(X, y) == splitter.get_n_splits() == 4
    splits = list(splitter.split(X, y))
    assert len(splits) == 4
    for train, test in splits:
        assert train.dtype.kind == test.dtype.kind == "i"
        assert np.intersect1d(train, test).size == 0
        assert len(train) > 0
        assert len(test) > 0
        assert not pd.isna(y[test]).any()


@each_splitter
def test_an_int_seed_gives_the_same_splits(splitter):
    X, y = particles()
    first = as_lists(splitter.split(X, y))
    assert as_lists(splitter.split(X, y)) == first
    for twin in (copy.deepcopy(splitter), pickle.loads(pickle.dumps(splitter))):
        assert as_lists(twin.split(X, y)) == first


@pytest.mark.parametrize(
    "make",
    [partial(GallerySplit, 2), TrainValidationTestFolds],
    ids=["gallery", "folds"],
)
def test_random_states(make):
    X, y = particles()
    one, other = (as_lists(make(random_state=seed).split(X, y)) for seed in (0, 1))
    assert one != other
    state = np.random.RandomState(0)
    splitter = make(random_state=state)
    assert as_lists(splitter.split(X, y)) != as_lists(splitter.split(X, y))
    before = str(np.random.get_state())  # noqa: NPY002
    unseeded = make(random_state=None)
    assert as_lists(unseeded.split(X, y)) != as_lists(unseeded.split(X, y))
    assert str(np.random.get_state()) == before  # noqa: NPY002


@each_splitter
def test_repr_contains_every_parameter(splitter):
    text = repr(splitter)
    assert text.startswith(type(splitter).__name__ + "(")
    for name in inspect.signature(type(splitter)).parameters:
        assert f"{name}=" in text


@each_splitter
@pytest.mark.parametrize("as_y", [list, np.array, pd.Series, pd.Categorical])
def test_labels_of_every_kind(splitter, as_y):
    X, y = particles()
    expected = as_lists(splitter.split(X, y))
    table = pd.DataFrame(X, index=np.arange(len(X))[::-1])
    assert as_lists(splitter.split(table, as_y(y.tolist()))) == expected


@each_splitter
def test_unlabeled_value(splitter):
    X, y = particles()
    codes = np.array([-1 if label is None else ord(label[0]) for label in y])
    marked = copy.deepcopy(splitter)
    marked.unlabeled = -1
    assert as_lists(marked.split(X, codes)) == as_lists(splitter.split(X, y))


@each_splitter
def test_errors_about_y(splitter):
    X, y = particles()
    with pytest.raises(ValueError, match="All 90 rows are unlabeled"):
        next(splitter.split(X, [None] * 90))
    with pytest.raises(ValueError, match="requires y to be passed"):
        next(splitter.split(X))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        next(splitter.split(X, y[:-1]))


@each_splitter
def test_in_cross_validate_and_grid_search(splitter):
    X, y = particles()
    knn = GalleryKNNClassifier()
    scores = cross_validate(knn, X, y, cv=splitter, error_score="raise")["test_score"]
    assert len(scores) == 4
    by_hand = [
        clone(knn).fit(X[train], y[train]).score(X[test], y[test])
        for train, test in splitter.split(X, y)
    ]
    assert scores.tolist() == by_hand
    assert np.mean(scores) > 0.7
    search = GridSearchCV(
        knn, {"n_neighbors": [1, 3]}, cv=splitter, error_score="raise"
    ).fit(X, y)
    assert search.n_splits_ == 4
    assert search.cv_results_["split3_test_score"][1] == by_hand[3]


# --- GallerySplit -----------------------------------------------------------------


@settings(deadline=None)
@given(labels_with_gaps, st.integers(1, 4), st.integers(0, 9))
def test_galleries_by_definition(y, gallery_size, seed):
    labeled = [row for row, label in enumerate(y) if label is not None]
    counts = {name: y.count(name) for name in set(y) - {None}}
    if all(count <= gallery_size for count in counts.values()):
        return
    split = GallerySplit(gallery_size, n_repeats=2, random_state=seed)
    for train, test in split.split(np.zeros(len(y)), y):
        assert sorted([*train, *test]) == labeled
        drawn = [y[row] for row in train]
        for name, count in counts.items():
            assert drawn.count(name) == min(count, gallery_size)


def test_galleries_are_nested_and_repeats_do_not_change():
    X, y = particles()
    draws = {
        size: [set(train) for train, _ in split.split(X, y)]
        for size in (1, 2, 4, 8)
        for split in [GallerySplit(size, random_state=3)]
    }
    for smaller, larger in ((1, 2), (2, 4), (4, 8)):
        pairs = zip(draws[smaller], draws[larger], strict=True)
        assert all(one < other for one, other in pairs)
    assert len({frozenset(draw) for draw in draws[4]}) == 5
    more = GallerySplit(4, n_repeats=9, random_state=3)
    assert [set(train) for train, _ in more.split(X, y)][:5] == draws[4]


def test_a_rare_class_is_all_gallery():
    y = ["diatom"] * 6 + ["rare"] * 2
    for train, test in GallerySplit(2, random_state=0).split(np.zeros(8), y):
        assert {6, 7} < set(train)
        assert set(test) < set(range(6))


def test_a_gallery_of_all_rows_is_an_error():
    split = GallerySplit(3)
    with pytest.raises(ValueError, match=r"gallery_size=3 takes all 4 labeled rows"):
        next(split.split(np.zeros(5), ["a", "a", "b", "b", None]))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"gallery_size": 0}, "gallery_size=0; expected an int of 1 or more"),
        ({"gallery_size": 2.0}, r"gallery_size=2\.0; expected an int"),
        ({"gallery_size": True}, "gallery_size=True; expected an int"),
        ({"gallery_size": 1, "n_repeats": 0}, "n_repeats=0; expected an int of 1"),
    ],
)
def test_gallery_split_parameters(params, words):
    with pytest.raises(ValueError, match=words):
        GallerySplit(**params)


# --- LabeledTestSplit -------------------------------------------------------------


def test_unlabeled_rows_train_and_are_not_tested():
    X, y = particles()
    labeled = np.flatnonzero(~pd.isna(y))
    unlabeled = np.flatnonzero(pd.isna(y))
    expected = StratifiedKFold(5).split(X[labeled], y[labeled].astype(str))
    found = list(LabeledTestSplit().split(X, y))
    assert len(found) == 5
    for (train, test), (fold_train, fold_test) in zip(found, expected, strict=True):
        assert test.tolist() == labeled[fold_test].tolist()
        assert train.tolist() == sorted([*labeled[fold_train], *unlabeled])


def test_all_labeled_rows_are_split_as_by_the_wrapped_splitter():
    X = np.zeros((12, 1))
    y = np.arange(12) % 3
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    assert as_lists(LabeledTestSplit(cv).split(X, y)) == as_lists(cv.split(X, y))


def test_wrapped_iterable():
    y = [None, "a", "b", None, "a"]
    splits = (pair for pair in [([0, 1], [2]), ([2], [0, 1])])
    cv = LabeledTestSplit(splits)
    expected = [[[0, 1, 2, 3], [4]], [[0, 3, 4], [1, 2]]]
    assert as_lists(cv.split(np.zeros(5), y)) == expected
    assert as_lists(cv.split(np.zeros(5), y)) == expected  # not used up
    assert cv.get_n_splits() == 2


def test_splits_are_counted_over_labeled_rows():
    X, y = particles(12)
    groups = np.arange(12) % 4
    assert LabeledTestSplit(LeaveOneOut()).get_n_splits(X, y) == 8
    cv = LabeledTestSplit(LeaveOneGroupOut())
    n_groups = len(set(groups[~pd.isna(y)]))
    assert cv.get_n_splits(X, y, groups) == n_groups
    assert len(list(cv.split(X, y, groups))) == n_groups


@pytest.mark.parametrize("routing", [False, True])
def test_groups_are_passed_on(routing):
    X, y = particles()
    groups = np.arange(90) // 6
    cv = LabeledTestSplit(GroupKFold(3))
    for train, test in cv.split(X, y, groups):
        labeled = train[~pd.isna(y[train])]
        assert not set(groups[labeled]) & set(groups[test])
    passed = {"params": {"groups": groups}} if routing else {"groups": groups}
    with config_context(enable_metadata_routing=routing):
        scores = cross_val_score(
            GalleryKNNClassifier(), X, y, cv=cv, error_score="raise", **passed
        )
    assert len(scores) == 3


def test_plain_cross_validation_counts_unlabeled_rows_as_wrong():
    """The error that LabeledTestSplit avoids."""
    X, y = particles()
    codes = np.where(pd.isna(y), "?", y.astype(str))
    knn = KNeighborsClassifier()
    inside = cross_val_score(knn, X, codes, cv=KFold(3), error_score="raise")
    gallery = GalleryKNNClassifier(unlabeled="?")
    cv = LabeledTestSplit(3, unlabeled="?")
    outside = cross_val_score(gallery, X, codes, cv=cv, error_score="raise")
    assert outside.mean() > inside.mean() + 0.2


@pytest.mark.parametrize(
    ("cv", "words"),
    [
        (1, "cv=1; expected an int of 2 or more"),
        (2.5, r"cv=2\.5; expected a number of folds, a scikit-learn splitter"),
        ("loo", "cv='loo'; expected a number of folds"),
        (True, "cv=True; expected a number of folds"),
        (None, "cv=None; expected a number of folds"),
    ],
)
def test_labeled_test_split_parameters(cv, words):
    with pytest.raises(ValueError, match=words):
        LabeledTestSplit(cv)


# --- TrainValidationTestFolds -------------------------------------------------------


@settings(deadline=None)
@given(
    labels_with_gaps.filter(lambda y: len(y) - y.count(None) >= 20),
    st.integers(2, 5),
    st.sampled_from([0.25, 0.5, 0.6]),
    st.integers(0, 9),
)
def test_three_parts_by_definition(y, n_splits, fraction, seed):
    y = np.array(y, dtype=object)
    labeled = np.flatnonzero(y != None)  # noqa: E711
    folds = TrainValidationTestFolds(
        n_splits, validation_fraction=fraction, random_state=seed
    )
    held_out = []
    for train, validation, test in folds.split_with_validation(np.zeros(len(y)), y):
        assert sorted([*train, *validation, *test]) == list(range(len(y)))
        fold = np.concatenate([validation, test])
        assert set(fold) <= set(labeled)
        assert len(test) > 0
        assert abs(len(validation) - fraction * len(fold)) < 1
        assert len(validation) > 0
        for name in set(y[labeled]):
            in_fold = np.sum(y[fold] == name)
            assert abs(in_fold - np.sum(y == name) / n_splits) < 1
            of_class = np.sum(y[validation] == name)
            assert abs(of_class - fraction * in_fold) < 2
        held_out.extend(fold)
    assert sorted(held_out) == labeled.tolist()


def test_cv_leaves_validation_out():
    X, y = particles()
    folds = TrainValidationTestFolds(random_state=0)
    triples = list(folds.split_with_validation(X, y))
    expected = [[train.tolist(), test.tolist()] for train, _, test in triples]
    assert as_lists(folds.split(X, y)) == expected


def test_paper_proportions():
    y = np.repeat([0, 1, 2, 3], 100)
    folds = TrainValidationTestFolds(random_state=0)
    sizes = [tuple(map(len, parts)) for parts in folds.split_with_validation(y, y)]
    assert sizes == [(320, 20, 60)] * 5


def test_rare_classes_split_without_a_warning():
    """StratifiedKFold warns of them, and raises an error if all are rare."""
    y = [name for name in "abcdefghij" for _ in range(3)]
    folds = TrainValidationTestFolds(5, validation_fraction=0.5, random_state=0)
    for train, validation, test in folds.split_with_validation(y, y):
        assert (len(train), len(validation) + len(test)) == (24, 6)


def test_rows_are_shuffled():
    """A rare class does not always go to the same part."""
    y = ["a"] * 40 + ["rare"] * 5
    validates = set()
    for seed in range(10):
        folds = TrainValidationTestFolds(random_state=seed)
        for fold, parts in enumerate(folds.split_with_validation(y, y)):
            validates.add((fold, bool(set(parts[1]) & set(range(40, 45)))))
    assert len(validates) == 10


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"n_splits": 1}, "n_splits=1; expected an int of 2 or more"),
        (
            {"validation_fraction": 0},
            "validation_fraction=0; expected a number between 0 and 1",
        ),
        ({"validation_fraction": 1.0}, r"validation_fraction=1\.0; expected a number"),
        ({"validation_fraction": "5%"}, "validation_fraction='5%'; expected a number"),
    ],
)
def test_fold_parameters(params, words):
    with pytest.raises(ValueError, match=words):
        TrainValidationTestFolds(**params)


@pytest.mark.parametrize(("n_rows", "fraction"), [(19, 0.25), (49, 0.9), (3, 0.5)])
def test_too_few_rows_for_three_parts(n_rows, fraction):
    y = np.arange(n_rows) % 2
    folds = TrainValidationTestFolds(5, validation_fraction=fraction)
    with pytest.raises(ValueError, match=f"{n_rows} labeled rows are too few"):
        next(folds.split_with_validation(y, y))
    y = np.arange(50) % 2
    for parts in folds.split_with_validation(y, y):  # enough for each of these
        assert all(map(len, parts))
