"""``--metadata``: a CSV file about samples → what it says of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from skplankton._cli._reports import plural, print_message
from skplankton._cli._samples import Sample
from skplankton.datasets import read_samples
from skplankton.datasets._samples.table import as_texts, with_metadata

_N_SHOWN = 5


class Metadata:
    """The rows of the file, by sample; without a file, there are none."""

    def __init__(self, path: Path | None):
        self.path = path
        self._table = None if path is None else read_samples(path)

    def report_differences(self, samples: Sequence[Sample]) -> None:
        """Report samples without a row, and rows without a sample."""
        if self._table is None:
            return
        names = [sample.name for sample in samples]
        given = self._table["sample_id"]
        others = given[~given.isin(names)].tolist()
        if others:
            print_message(
                f"warning: {plural(len(others), 'row')} in {self.path} for samples "
                f"that are not passed: {_shown(others)}"
            )
        known = set(given)
        without = [name for name in names if name not in known]
        if without:
            print_message(
                f"warning: no row in {self.path} for {plural(len(without), 'sample')}: "
                f"{_shown(without)}"
            )

    def of(self, sample: str) -> dict[str, str] | None:
        """The values given for a sample, as text; None without a file."""
        if self._table is None:
            return None
        rows = self._table[self._table["sample_id"] == sample]
        return as_texts(rows.iloc[0]) if len(rows) else {}

    def added_to(self, samples: pd.DataFrame) -> pd.DataFrame:
        """The table of samples with the values of the file."""
        return samples if self._table is None else with_metadata(samples, self._table)


def _shown(names: list[str]) -> str:
    more = f", … and {len(names) - _N_SHOWN} more" if len(names) > _N_SHOWN else ""
    return ", ".join(names[:_N_SHOWN]) + more
