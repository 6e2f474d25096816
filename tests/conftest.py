"""Particles shared by the tests: arrays, files, and with missing entries."""

import numpy as np
import pandas as pd
import pytest

from skplankton.datasets import load_particles, make_particles, write_particles

N_PARTICLES = 60


@pytest.fixture(scope="session")
def _particles():
    return make_particles(N_PARTICLES, n_species=4, random_state=0, return_X_y=True)


@pytest.fixture
def X(_particles):
    """A table of arrays, every row with both modalities."""
    return _particles[0].copy()


@pytest.fixture
def y(_particles):
    return _particles[1].copy()


@pytest.fixture(scope="session")
def particle_files(_particles, tmp_path_factory):
    """Path of the annotations.csv of the same particles, in the LAB layout."""
    return write_particles(*_particles, tmp_path_factory.mktemp("LAB"))


@pytest.fixture
def X_paths(particle_files):
    """The same table, of paths."""
    return load_particles(particle_files, return_X_y=True)[0]


def _drop_entries(X):
    """Remove the image of every fifth row, and the profile of the row after it."""
    X = X.astype(object)
    X.iloc[0::5, X.columns.get_loc("image")] = None
    X.iloc[1::5, X.columns.get_loc("profile")] = np.nan
    return X


@pytest.fixture(params=["arrays", "paths", "mixed"])
def X_any(request, X, X_paths):
    """The same particles in entries of every kind, 20 % of each modality missing."""
    table = {
        "arrays": X[["image", "profile"]],
        "paths": X_paths,
        "mixed": pd.concat([X[["image", "profile"]][:30], X_paths[30:]]),
    }[request.param]
    return _drop_entries(table)


@pytest.fixture
def X_missing(X):
    return _drop_entries(X[["image", "profile"]])
