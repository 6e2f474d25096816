"""Predicted labels of a sample → its abundances, and those of all samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skplankton import GalleryKNNClassifier
from skplankton._cli._model import NAME, Model, columns
from skplankton.abundance import abundance_table
from skplankton.abundance._calibration import calibration_of
from skplankton.abundance._table import COLUMNS
from skplankton.datasets._samples.table import samples_table

_ALL, _IMAGED = "all", "imaged"  # which particles are counted


# What `GalleryKNNClassifier.leave_one_out` returns.
LeftOut = tuple[np.ndarray, np.ndarray]


def known_mistakes(
    gallery: GalleryKNNClassifier, left_out: LeftOut, has_image: np.ndarray
) -> dict[str, list[Any]] | None:
    """What the gallery tells of the model's mistakes, for `count_sample`.

    None if each species has one label.
    """
    try:
        table = calibration_of(gallery, *left_out)
    except ValueError:
        return None
    return {
        "label": table["label"].tolist(),
        "predicted_label": table["predicted_label"].tolist(),
        "has_image": has_image[table.index].tolist(),
    }


def count_sample(
    model: Model, rows: list[list[str]], has_image: pd.Series, sample: pd.DataFrame
) -> dict[str, list[dict[str, Any]]]:
    """The abundances of one sample, as JSON has them.

    By all particles, and by those with an image if not all have one. `rows` are those
    of `classify_particles`, `sample` is a row of the table of samples.
    """
    particles = pd.DataFrame(
        {
            "sample_id": sample["sample_id"].iloc[0],
            "predicted_label": [row[columns(model).index(NAME)] for row in rows],
            "has_image": has_image.to_numpy(dtype=bool),
        },
        index=range(len(rows)),
    )
    mistakes = (model.training or {}).get("calibration")
    calibration = None if mistakes is None else pd.DataFrame(mistakes)
    if calibration is not None and has_image.all():  # nothing to tell apart
        calibration = calibration[calibration["has_image"]].drop(columns="has_image")
        calibration = None if calibration.empty else calibration
    counted = [_ALL] if has_image.all() or not has_image.any() else [_ALL, _IMAGED]
    tables = {
        which: abundance_table(
            particles,
            sample,
            calibration=calibration,
            imaged_only=which == _IMAGED,
            random_state=0,  # for each sample: others do not change its intervals
        )
        for which in counted
    }
    return {
        which: json.loads(table.to_json(orient="records", double_precision=15))
        for which, table in tables.items()
    }


def abundances(records: Mapping[str, Any], imaged_only: bool) -> pd.DataFrame:
    """The abundances in the records of samples."""
    which = _IMAGED if imaged_only else _ALL
    rows = []
    for _, record in sorted(records.items()):
        found = record["abundance"]
        rows += found.get(which, found[_ALL])
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def sample_rows(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The table of samples in the records."""
    samples = [record["sample"] for record in records]
    return samples_table(
        {**sample, "is_partial": sample["is_partial"] == str(True)}
        for sample in samples
    )
