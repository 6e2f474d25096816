"""Read labels from the tables of EcoTaxa, and write predicted labels for it."""

from skplankton.ecotaxa._reader import read_ecotaxa
from skplankton.ecotaxa._writer import write_ecotaxa

__all__ = ["read_ecotaxa", "write_ecotaxa"]
