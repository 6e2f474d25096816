"""Make the models of this folder: one of each kind, with inputs and expected results.

    python tests/data/models/make.py

It writes the models of the installed version into a folder of that name. Run it once
for a release, and leave the folders of former releases as they are: the tests in
tests/test_formats.py load all of them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

import skplankton
from skplankton import CrossModalEmbedder, GalleryKNNClassifier, save_model
from skplankton._cli import _model
from skplankton._sharing.card import make_card
from skplankton.baselines import DINOEmbedder
from skplankton.datasets import make_particles

N_INPUTS = 3
CNN = {"width": 8, "n_stages": 1}
SMALL = {
    "n_components": 4,
    "image_encoder_params": CNN,
    "profile_encoder_params": CNN,
    "image_size": 16,
    "profile_length": 16,
    "max_epochs": 2,
    "random_state": 0,
}


def pipeline(embedder, **gallery):
    return Pipeline([("embed", embedder), ("gallery", GalleryKNNClassifier(**gallery))])


MODELS = {
    "station": pipeline(
        CrossModalEmbedder(**SMALL),
        use_unlabeled=True,
        outlier_label="unknown",
        gallery_size=3,
        random_state=0,
    ),
    "two_views": pipeline(
        CrossModalEmbedder(
            **{
                **SMALL,
                "profile_encoder": "lstm",
                "profile_encoder_params": {"width": 8},
                "loss": "siglip",
                "learn_temperature": True,
                "output": "concat",
            }
        ),
        n_modalities=2,
    ),
    "measurements": pipeline(
        CrossModalEmbedder(**{**SMALL, "profile_encoder_params": {"width": 8}})
    ),
    "dino": pipeline(
        DINOEmbedder(
            image_encoder_params=CNN, image_size=16, max_epochs=2, random_state=0
        ),
        weights="uniform",
    ),
}


def as_measurements(X):
    """Vectors of measurements, one of them missing here and there."""
    vectors = [profile[:, :4].max(axis=0) for profile in X["profile"]]
    for vector in vectors[::4]:
        vector[1] = np.nan
    return X.assign(profile=vectors)


def as_arrays(X):
    """Arrays of a table, by name and row, as inputs.npz has them."""
    return {
        f"{name}_{row}": value
        for name in ("image", "profile")
        for row, value in enumerate(X[name])
    }


def main():
    folder = Path(__file__).parent / skplankton.__version__.partition(".dev")[0]
    folder.mkdir(exist_ok=True)
    X, y = make_particles(40, n_species=3, random_state=0, return_X_y=True)
    X = X[["image", "profile"]]
    y = pd.Series(y, dtype=object)
    y[::3] = None
    inputs = X[:N_INPUTS].reset_index(drop=True)
    np.savez_compressed(folder / "inputs.npz", **as_arrays(inputs))
    results = {}
    for name, model in MODELS.items():
        change = as_measurements if name == "measurements" else pd.DataFrame
        model.fit(change(X), y)
        save_model(model, folder / f"{name}.skops", license="CC0-1.0")
        results[f"{name}_embedding"] = model[:-1].transform(change(inputs))
        results[f"{name}_shares"] = model.predict_proba(change(inputs))
        results[f"{name}_label"] = model.predict(change(inputs)).astype(str)
    np.savez_compressed(folder / "results.npz", **results)
    # As the command `fit` writes it.
    station = MODELS["station"]
    n_gallery = len(station["gallery"].gallery_)
    left_out = station["gallery"].leave_one_out()[0]
    training = {"left_out": [0, n_gallery], "calibration": None}
    model = _model.Model(
        station,
        [f"bay_{row}" for row in range(n_gallery)],
        ["FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature"],
        training,
        make_card(station, {"license": "CC0-1.0"}, left_out),
    )
    _model.save_model(model, folder / "station.skops", folder)


if __name__ == "__main__":
    main()
