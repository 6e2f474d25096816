"""Embeddings and a few labels → predicted labels, by nearest neighbors."""

from skplankton._gallery.classifier import GalleryKNNClassifier

__all__ = ["GalleryKNNClassifier"]
