"""Labels from EcoTaxa, and predicted labels for it: its tables, read and written."""

from skplankton.ecotaxa._reader import read_ecotaxa
from skplankton.ecotaxa._writer import write_ecotaxa

__all__ = ["read_ecotaxa", "write_ecotaxa"]
