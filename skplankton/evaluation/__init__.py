"""Evaluation of classification by embeddings: benchmark, table and figures."""

from skplankton.evaluation._benchmark import cross_modal_benchmark
from skplankton.evaluation._displays.confusion import SetupConfusionDisplay
from skplankton.evaluation._displays.embedding import EmbeddingDisplay
from skplankton.evaluation._displays.familiarity import FamiliarityDisplay
from skplankton.evaluation._displays.gallery_size import GallerySizeDisplay
from skplankton.evaluation._displays.neighbors import NeighborsDisplay
from skplankton.evaluation._displays.particles import ParticlesDisplay
from skplankton.evaluation._suspect_labels import suspect_labels
from skplankton.evaluation._table import benchmark_table

__all__ = [
    "EmbeddingDisplay",
    "FamiliarityDisplay",
    "GallerySizeDisplay",
    "NeighborsDisplay",
    "ParticlesDisplay",
    "SetupConfusionDisplay",
    "benchmark_table",
    "cross_modal_benchmark",
    "suspect_labels",
]
