"""Which particles to label: against brute force, and what the docstring promises."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skplankton.datasets import make_particles
from skplankton.model_selection import _select_to_label as module
from skplankton.model_selection import select_to_label


def particles(n_rows=60, n_features=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_features))


def similarities(embeddings):
    """As documented, in float64; also their width."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.where(lengths == 0, 1, lengths)
    distances = 1 - directions @ directions.T
    rank = min(7, len(embeddings) - 1)
    width = max(2 * np.median(np.sort(distances, axis=1)[:, rank]), 1e-3)
    return np.exp(-distances.clip(0) / width), width


def brute_force(embeddings, n_labels, labeled=()):
    """Facility location as it is written: all means, for each choice anew."""
    similar, width = similarities(embeddings)
    chosen = list(labeled)
    for _ in range(n_labels):
        means = [
            similar[[*chosen, row]].max(axis=0).mean() if row not in chosen else -np.inf
            for row in range(len(similar))
        ]
        best = max(means)
        chosen.append(
            next(i for i, mean in enumerate(means) if mean > best - 3e-7 / width)
        )
    return chosen[len(labeled) :]


@settings(deadline=None, max_examples=50)
@given(
    n_rows=st.integers(2, 40),
    n_features=st.integers(1, 6),
    seed=st.integers(0, 10**6),
    data=st.data(),
)
def test_equals_brute_force(n_rows, n_features, seed, data):
    embeddings = particles(n_rows, n_features, seed)
    n_labeled = data.draw(st.integers(0, n_rows - 1))
    labeled = np.random.default_rng(seed).permutation(n_rows)[:n_labeled]
    n_labels = data.draw(st.integers(1, n_rows - n_labeled))
    chosen = select_to_label(embeddings, n_labels, labeled=labeled)
    assert chosen.tolist() == brute_force(embeddings, n_labels, labeled)


@pytest.mark.parametrize("block_size", [1, 7, 1000])
def test_block_size_does_not_change_the_choice(monkeypatch, block_size):
    expected = brute_force(particles(), 20)
    monkeypatch.setattr(module, "_BLOCK_SIZE", block_size)
    assert select_to_label(particles(), 20).tolist() == expected


def test_smaller_choice_is_a_prefix_of_the_larger():
    largest = select_to_label(particles(), 60)
    assert sorted(largest) == list(range(60))
    for n_labels in (1, 2, 17):
        np.testing.assert_array_equal(
            select_to_label(particles(), n_labels), largest[:n_labels]
        )


def test_choosing_in_two_steps_is_choosing_in_one():
    first = select_to_label(particles(), 4)
    second = select_to_label(particles(), 6, labeled=first)
    np.testing.assert_array_equal(
        np.concatenate([first, second]), select_to_label(particles(), 10)
    )


def test_labeled_as_mask_and_as_indices():
    rows = np.array([5, 3, 40])
    mask = np.isin(np.arange(60), rows)
    chosen = select_to_label(particles(), 57, labeled=rows)
    by_mask = select_to_label(particles(), 57, labeled=mask)
    np.testing.assert_array_equal(by_mask, chosen)
    assert not np.isin(chosen, rows).any()
    nothing = select_to_label(particles(), 5, labeled=[])
    np.testing.assert_array_equal(nothing, select_to_label(particles(), 5))


def test_same_choice_for_lengths_dtypes_and_containers():
    X = particles()
    expected = select_to_label(X, 10)
    scales = np.random.default_rng(1).uniform(0.1, 10, size=(60, 1))
    for same in (X * scales, X.astype(np.float32), pd.DataFrame(X), X.tolist()):
        np.testing.assert_array_equal(select_to_label(same, 10), expected)


def test_first_of_equal_rows_is_chosen():
    X = np.repeat(particles(5), 4, axis=0)
    chosen = select_to_label(X, 20)
    assert (chosen[:5] % 4 == 0).all()
    np.testing.assert_array_equal(chosen[5:], np.setdiff1d(np.arange(20), chosen[:5]))


def test_particle_without_a_view_is_not_chosen():
    X = particles()
    without = np.array([0, 7, 59])
    X[without] = np.nan
    chosen = select_to_label(X, 57)
    kept = np.setdiff1d(np.arange(60), without)
    np.testing.assert_array_equal(kept[select_to_label(X[kept], 57)], chosen)


def test_row_of_zeros_is_like_no_other():
    X = np.vstack([np.zeros(5), particles()])
    assert np.isfinite(select_to_label(X, 61)).all()


def test_sample_stands_for_many_rows(monkeypatch):
    X = particles(400)
    monkeypatch.setattr(module, "_N_REFERENCE", 50)
    chosen = select_to_label(X, 8)
    assert len(set(chosen)) == 8
    similar, _ = similarities(X)

    def covered(rows):
        return similar[rows].max(axis=0).mean()

    monkeypatch.undo()
    assert covered(chosen) > 0.9 * covered(select_to_label(X, 8))
    random = np.random.default_rng(0)
    assert covered(chosen) > max(
        covered(random.choice(400, 8, replace=False)) for _ in range(50)
    )


def test_finds_more_species_than_chance():
    X, y = make_particles(400, random_state=0, return_X_y=True)
    features = [
        [np.mean(image), np.std(image), *np.log(profile.sum(axis=0) + 1)]
        for image, profile in zip(X["image"], X["profile"], strict=True)
    ]
    features = np.array(features) - np.mean(features, axis=0)
    features /= features.std(axis=0)
    n_species = len(np.unique(y))
    found = len(np.unique(y[select_to_label(features, n_species)]))
    random = np.random.default_rng(0)
    by_chance = [
        len(np.unique(random.choice(y, n_species, replace=False))) for _ in range(200)
    ]
    assert found > np.mean(by_chance)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_labels": 0}, "n_labels=0; expected an int of 1 or more"),
        ({"n_labels": 2.0}, "n_labels=2.0; expected an int"),
        ({"n_labels": True}, "n_labels=True; expected an int"),
        ({"n_labels": 61}, "only 60 of 60 rows"),
        ({"n_labels": 59, "labeled": [1, 2]}, "only 58 of 60 rows"),
        ({"labeled": [60]}, "labeled contains 60, which is no row"),
        ({"labeled": [-1]}, "labeled contains -1, which is no row"),
        ({"labeled": [True, False]}, r"a mask of shape \(2,\)"),
        ({"labeled": ["diatom", None]}, "labeled=pandas.notna"),
        ({"labeled": [[1, 2]]}, r"shape \(1, 2\)"),
    ],
)
def test_wrong_parameters(changes, message):
    with pytest.raises(ValueError, match=message):
        select_to_label(particles(), **{"n_labels": 3, **changes})


def test_a_table_of_particles():
    X, _ = make_particles(4, n_species=2, random_state=0, return_X_y=True)
    with pytest.raises(TypeError, match="Pass their embeddings"):
        select_to_label(X, 1)


def test_gaps():
    X = particles()
    X[3, 1] = X[9, 2] = np.nan
    with pytest.raises(ValueError, match=r"partly NaN in row 3 \(and 1 other row"):
        select_to_label(X, 3)
    with pytest.raises(ValueError, match="no particle has a view"):
        select_to_label(np.full((4, 2), np.nan), 1)
    X = particles()
    X[2, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        select_to_label(X, 3)
