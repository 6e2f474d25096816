"""Predicted labels from embeddings and a few labels, by nearest neighbors."""

from skplankton._gallery.classifier import GalleryKNNClassifier

__all__ = ["GalleryKNNClassifier"]
