"""Counts, concentrations and their intervals from predicted labels."""

from skplankton.abundance._calibration import gallery_calibration
from skplankton.abundance._table import abundance_table

__all__ = ["abundance_table", "gallery_calibration"]
