"""Model files of this release and of former ones, which all later versions open."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skplankton import load_model, model_card
from skplankton._cli._model import open_model
from skplankton._sharing.archive import FORMAT

from .data.models.make import as_measurements
from .helpers import ROUNDING

FOLDER = Path(__file__).parent / "data" / "models"
RELEASES = sorted(path for path in FOLDER.iterdir() if (path / "inputs.npz").exists())
MODELS = [path for release in RELEASES for path in sorted(release.glob("*.skops"))]


def of(path):
    return f"{path.parent.name}-{path.stem}"


def read_inputs(release):
    with np.load(release / "inputs.npz") as arrays:
        n_rows = len(arrays.files) // 2
        columns = {
            name: [arrays[f"{name}_{row}"] for row in range(n_rows)]
            for name in ("image", "profile")
        }
    return pd.DataFrame(columns, dtype=object)


def test_there_are_models():
    assert {"station", "two_views", "dino"} <= {path.stem for path in MODELS}
    n_bytes = sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file())
    assert n_bytes < 170_000 * len(RELEASES)


@pytest.mark.parametrize("path", MODELS, ids=of)
def test_results_are_those_of_then(path):
    X = read_inputs(path.parent)
    if path.stem == "measurements":
        X = as_measurements(X)
    model = load_model(path)
    with np.load(path.parent / "results.npz") as expected:
        embedding, shares, labels = (
            expected[f"{path.stem}_{what}"] for what in ("embedding", "shares", "label")
        )
    assert_allclose(model[:-1].transform(X), embedding, **ROUNDING)
    assert_allclose(model.predict_proba(X), shares, rtol=0, atol=1e-3)
    assert_array_equal(model.predict(X).astype(str), labels)
    assert "| License | CC0-1.0 |" in model_card(path)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_commands_open_their_models(release):
    path = release / "station.skops"
    model = open_model(path.read_bytes(), path)
    assert model.channels[0] == "FWS"
    assert len(model.gallery_ids) == len(model.pipeline["gallery"].gallery_labels_)


def test_the_format_of_this_version_is_among_them():
    formats = set()
    for path in MODELS:
        with zipfile.ZipFile(path) as archive:
            formats.add(json.loads(archive.read("card.json"))["format"])
    assert formats == set(range(1, FORMAT + 1)), "run tests/data/models/make.py"
