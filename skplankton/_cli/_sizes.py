"""Images of a sample → the sizes of its particles, and their means by label."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from skplankton._cli._abundances import abundances
from skplankton._cli._embedder import as_X
from skplankton._cli._model import NAME, Model, columns
from skplankton._cli._reports import collected_reports, errors
from skplankton.exports import write_csv
from skplankton.size import measure_particles

_MEANS = ["equivalent_diameter_um", "biovolume_um3"]


def measure_sample(
    model: Model,
    particles: pd.DataFrame,
    rows: list[list[str]],
    options: Namespace,
    path: Path,
) -> list[dict[str, Any]]:
    """Write the sizes of the particles; return their means by label, as JSON has them.

    `rows` are those of `classify_particles`.
    """
    # What cannot be read has been reported by the classification.
    with collected_reports():
        sizes = measure_particles(
            as_X(particles),
            pixel_size=options.pixel_size,
            crop_top=model.pipeline["embed"].crop_top,
            crop_bottom=model.pipeline["embed"].crop_bottom,
            n_jobs=options.n_jobs,
            errors=errors(options.strict),
        )
    label = [row[columns(model).index(NAME)] for row in rows]
    sizes = sizes.rename_axis("object_id").reset_index()
    sizes.insert(1, NAME, label)
    write_csv(path, sizes, overwrite=True)
    measured = sizes[sizes["biovolume_um3"].notna()].groupby(NAME)
    means = measured[_MEANS].mean().assign(n_measured=measured.size())
    table = means.rename_axis("label").reset_index()
    return json.loads(table.to_json(orient="records", double_precision=15))


def biovolumes(records: Mapping[str, Any], imaged_only: bool) -> pd.DataFrame:
    """The mean sizes in the records of samples, and the biovolume per mL."""
    rows = [
        {"sample_id": name, **row}
        for name, record in sorted(records.items())
        for row in record["sizes"] or []
    ]
    table = pd.DataFrame(rows, columns=["sample_id", "label", "n_measured", *_MEANS])
    counts = abundances(records, imaged_only)[["sample_id", "label", "concentration"]]
    table = table.merge(counts, on=["sample_id", "label"], how="left")
    per_ml = table["biovolume_um3"] * table.pop("concentration")
    return table.assign(biovolume_um3_per_ml=per_ml)
