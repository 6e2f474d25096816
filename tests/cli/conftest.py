"""A station: samples, labels and models, made once."""

from types import SimpleNamespace

import joblib
import pandas as pd
import pytest

from skplankton.datasets import make_particles, write_cyz_json

from .station import PER_SAMPLE, SAMPLES, SPECIES, classify, fit, suggest, write_labels


@pytest.fixture(scope="session")
def station(tmp_path_factory):
    """Three samples as JSON files, labels of two of them, and a model of these."""
    folder = tmp_path_factory.mktemp("station")
    X, y = make_particles(
        PER_SAMPLE * len(SAMPLES), n_species=SPECIES, random_state=0, return_X_y=True
    )
    X = X.astype(object)
    X.loc[::6, "image"] = None
    ids = []
    for i, name in enumerate(SAMPLES):
        rows = slice(i * PER_SAMPLE, (i + 1) * PER_SAMPLE)
        write_cyz_json(X[rows], folder / "season" / f"{name}.json")
        ids += [f"{name}_{particle}" for particle in range(PER_SAMPLE)]
    labels = pd.Series(y, index=ids)
    known = labels[: 2 * PER_SAMPLE]
    write_labels(folder / "ecotaxa_export.tsv", known)
    made = SimpleNamespace(
        folder=folder,
        season=folder / "season",
        labels=labels,
        export=folder / "ecotaxa_export.tsv",
        model=folder / "model.joblib",
    )
    assert fit(made, "--output", made.model) == 0
    return made


@pytest.fixture(scope="session")
def other_model(station):
    """One with other predictions."""
    model = station.folder / "other.joblib"
    assert fit(station, "--output", model, "--random-state", 1) == 0
    return model


@pytest.fixture(scope="session")
def doubtful(station, tmp_path_factory):
    """A model that calls half of the particles unknown."""
    path = tmp_path_factory.mktemp("doubtful") / "model.joblib"
    model = joblib.load(station.model)
    out = path.parent / "out"
    assert classify(station, out) == 0
    tables = [pd.read_csv(out / f"{name}.csv") for name in SAMPLES]
    half = pd.concat(tables)["familiarity"].median()
    model["pipeline"]["gallery"].offset_ = half
    joblib.dump(model, path)
    return path


@pytest.fixture(scope="session")
def suggested(station):
    """The folder that `suggest` writes for the three samples."""
    folder = station.folder / "to_label"
    assert suggest(station, folder, "--n", 40, "--ecotaxa") == 0
    return folder
