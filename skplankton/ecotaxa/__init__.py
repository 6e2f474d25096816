"""Labels from EcoTaxa, and names for it: its tables, read and written."""

from ._reader import read_ecotaxa
from ._writer import write_ecotaxa

__all__ = ["read_ecotaxa", "write_ecotaxa"]
