"""Results → pages of HTML that stand alone: no network, no other files."""

from skplankton._report.day import day_page
from skplankton._report.evaluation import evaluation_page
from skplankton._report.excerpt import sample_excerpt

__all__ = ["day_page", "evaluation_page", "sample_excerpt"]
