"""Models that were saved when the modules had other names."""

import pickle
import sys

import pytest
from numpy.testing import assert_array_equal

from skplankton import GalleryKNNClassifier
from skplankton._utils.former_names import FORMER_NAMES
from skplankton.baselines import DINOEmbedder

from .helpers import quick

pytestmark = pytest.mark.once

# Where the classes of a model were, beside those of FORMER_NAMES.
FORMER = {
    "skplankton._training.contrastive": "skplankton._training",
    "skplankton._gallery.classifier": "skplankton._gallery",
    "skplankton._embedding.dino": "skplankton.baselines",
    **{current: former for former, current in FORMER_NAMES.items()},
}


def saved_before(model):
    """The pickle of a model, with the former names of the modules."""
    # Protocol 2 writes the name of a class as two lines of text.
    content = pickle.dumps(model, protocol=2)
    for current, former in FORMER.items():
        content = content.replace(f"c{current}\n".encode(), f"c{former}\n".encode())
    return content


@pytest.fixture(autouse=True)
def no_module_loaded_by_its_former_name(monkeypatch):
    for name in FORMER_NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize(
    "model",
    [
        quick(max_epochs=1),
        quick(max_epochs=1, image_encoder="mlp", image_encoder_params=None),
        DINOEmbedder(image_size=16, max_epochs=1, random_state=0),
    ],
    ids=["cross-modal", "mlp", "dino"],
)
def test_embedders_load(model, X):
    expected = model.fit(X).transform(X)
    content = saved_before(model)
    former = b"baselines" if isinstance(model, DINOEmbedder) else b"_embedder"
    assert b"cskplankton." + former in content
    assert b"_embedding" not in content
    loaded = pickle.loads(content)
    assert type(loaded) is type(model)
    assert_array_equal(loaded.transform(X), expected)


def test_the_classifier_loads(X, y):
    embeddings = quick(max_epochs=1).fit_transform(X)
    gallery = GalleryKNNClassifier().fit(embeddings, y)
    content = saved_before(gallery)
    assert b"classifier" not in content
    loaded = pickle.loads(content)
    assert type(loaded) is GalleryKNNClassifier
    assert_array_equal(loaded.predict(embeddings), gallery.predict(embeddings))


def test_other_names_are_not_found():
    with pytest.raises(ModuleNotFoundError, match="_krill"):
        pickle.loads(b"cskplankton._krill\nKrill\n.")
    with pytest.raises(AttributeError, match="Krill"):
        pickle.loads(b"cskplankton._training\nKrill\n.")
