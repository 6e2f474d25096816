"""How well embeddings name species, by the views and the labels there are."""

from ._benchmark import cross_modal_benchmark
from ._table import benchmark_table

__all__ = ["benchmark_table", "cross_modal_benchmark"]
