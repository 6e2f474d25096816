"""How well embeddings name species, by the views and the labels there are."""

from ._benchmark import cross_modal_benchmark
from ._confusion_display import SetupConfusionDisplay
from ._embedding_display import EmbeddingDisplay
from ._gallery_size_display import GallerySizeDisplay
from ._neighbors_display import NeighborsDisplay
from ._table import benchmark_table

__all__ = [
    "EmbeddingDisplay",
    "GallerySizeDisplay",
    "NeighborsDisplay",
    "SetupConfusionDisplay",
    "benchmark_table",
    "cross_modal_benchmark",
]
