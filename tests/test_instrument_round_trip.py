"""From an instrument's file to predicted labels in EcoTaxa, and back."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.pipeline import make_pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import load_cyz_json, make_particles, write_cyz_json
from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa

SMALL = {"max_epochs": 1, "image_size": 16, "profile_length": 16, "random_state": 0}


def test_ids_labels_and_images_come_back(tmp_path):
    X, y = make_particles(40, n_species=3, random_state=0, return_X_y=True)
    table = load_cyz_json(write_cyz_json(X, tmp_path / "Loire 2.json"))
    assert_array_equal(table["object_id"], [f"Loire 2_{i}" for i in range(40)])

    pipe = make_pipeline(CrossModalEmbedder(**SMALL), GalleryKNNClassifier())
    names = pipe.fit(table, y).predict(table)
    # Arrays and stored images and profiles are the same particles, to the bit.
    assert_array_equal(pipe[0].transform(X), pipe[0].transform(table))

    archive = write_ecotaxa(tmp_path / "Loire 2.zip", table, names)
    back = read_ecotaxa(archive, status="predicted", cache=tmp_path / "unpacked")
    assert_array_equal(back["object_id"], table["object_id"])
    assert_array_equal(back["label"], names)
    for image, file in zip(X["image"], back["image"], strict=True):
        assert_array_equal(np.asarray(Image.open(file)), image)


def test_samples_are_pooled_if_their_channels_agree(tmp_path):
    X, _ = make_particles(12, n_species=2, random_state=0, return_X_y=True)
    one = write_cyz_json(X[:6], tmp_path / "one.json")
    other = write_cyz_json(X[6:], tmp_path / "other.json")
    pool = pd.concat([load_cyz_json(one), load_cyz_json(other)], ignore_index=True)
    embedder = CrossModalEmbedder(**SMALL).fit(pool)
    assert embedder.transform(pool).shape[0] == 12

    few = load_cyz_json(other, channels=["FL Red", "FWS"])
    mixed = pd.concat([load_cyz_json(one), few], ignore_index=True)
    words = r"row 6: the profile 'other.json, particle 0' has the channels \('FL Red'"
    with pytest.raises(ValueError, match=rf"{words}.*channels=\['FWS', 'FL Red'\]"):
        CrossModalEmbedder(**SMALL).fit(mixed)
    with pytest.raises(ValueError, match=words.replace("6", "0")):
        embedder.transform(few)
