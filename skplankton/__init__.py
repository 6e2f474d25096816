"""Classify plankton from images and optical profiles with almost no labels."""

import importlib

from skplankton._utils.former_names import find_former_names

__version__ = "0.1.0.dev0"

# Names are loaded on first use: `import skplankton` stays as light as
# `import sklearn`, and the gallery alone never loads torch.
_HOME_OF_NAME = {
    "CrossModalEmbedder": "skplankton._embedding.cross_modal",
    "GalleryKNNClassifier": "skplankton._gallery.classifier",
    "load_model": "skplankton._sharing.models",
    "model_card": "skplankton._sharing.models",
    "save_model": "skplankton._sharing.models",
    "show_versions": "skplankton._show_versions",
}
_SUBMODULES = (
    "abundance",
    "baselines",
    "datasets",
    "ecotaxa",
    "evaluation",
    "exports",
    "losses",
    "model_selection",
    "recipes",
    "size",
)

__all__ = [
    "CrossModalEmbedder",
    "GalleryKNNClassifier",
    "abundance",
    "baselines",
    "datasets",
    "ecotaxa",
    "evaluation",
    "exports",
    "load_model",
    "losses",
    "model_card",
    "model_selection",
    "recipes",
    "save_model",
    "show_versions",
    "size",
]

find_former_names()


def __getattr__(name: str):
    if name in _HOME_OF_NAME:
        return getattr(importlib.import_module(_HOME_OF_NAME[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"skplankton.{name}")
    raise AttributeError(f"module 'skplankton' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
