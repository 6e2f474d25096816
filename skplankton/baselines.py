"""Baseline methods to compare cross-modal training with."""

from skplankton._embedding.dino import DINOEmbedder

__all__ = ["DINOEmbedder"]
