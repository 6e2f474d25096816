"""Methods to compare with: what cross-modal training has to beat."""

from skplankton._embedding.dino import DINOEmbedder

__all__ = ["DINOEmbedder"]
