"""Files as a station has them, under the names by which the pages' commands call them.

A season of CytoSense samples and today's, two years of IFCB bins, and a folder in the
layout of the published sets; with the labels that a person has given to them. They are
small, so that all commands of all pages take seconds.
"""

import io
import zipfile

import numpy as np
import pandas as pd
from PIL import Image

from skplankton.datasets import (
    make_particles,
    write_cyz_json,
    write_ifcb,
    write_particles,
)

# Of each sample; `suggest` chooses 50 particles, of a season or of one bin.
SIZES = {
    "season/may": 28,
    "season/june": 28,
    "today": 20,
    "data/2022/D20220601/D20220601T101500_IFCB134": 56,
    "data/2023/D20230810/D20230810T101500_IFCB134": 20,
}


def write_field_files(folder):
    """Write them, and return the true label of each particle by its object_id."""
    truth = {}
    samples = SIZES.items()
    X, y = make_particles(
        sum(SIZES.values()),
        n_species=3,
        scale_bar=True,
        random_state=0,
        return_X_y=True,
    )
    write_particles(X[:60], y[:60], folder / "LAB")
    start = 0
    for name, size in samples:
        rows = slice(start, start + size)
        write = _write_ifcb if name.startswith("data") else _write_cytosense
        truth |= write(folder, name, X[rows].reset_index(drop=True), y[rows])
        start += size
    season = {key: value for key, value in truth.items() if key[:3] in ("may", "jun")}
    today = {key: value for key, value in truth.items() if key.startswith("today")}
    _write_ecotaxa_export(folder / "ecotaxa_export.zip", season)
    _write_ecotaxa_export(folder / "validated.zip", today)
    _write_ecotaxa_export(folder / "new_export.zip", today)
    write_ecotaxa_project(folder / "project.zip")
    return truth


def _write_cytosense(folder, name, X, y):
    path = write_cyz_json(X, folder / f"{name}.json")
    return {f"{path.stem}_{i}": label for i, label in enumerate(y)}


def _write_ecotaxa_export(path, labels):
    columns = {
        "object_id": [*labels],
        "object_annotation_category": [*labels.values()],
        "object_annotation_status": "validated",
        "object_annotation_hierarchy": [*labels.values()],
    }
    text = pd.DataFrame(columns).to_csv(sep="\t", index=False)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ecotaxa_export.tsv", text)


def write_ecotaxa_project(path):
    """An export with images: 60 objects, 40 of them validated and 4 dubious."""
    X, y = make_particles(
        60, n_species=3, profile="measurements", random_state=0, return_X_y=True
    )
    measured = np.stack(X["profile"])[:, :3]
    samples = ["Kiel Förde 2024-05", "Kiel Förde 2024-06"] * 30
    rows = pd.DataFrame(
        {
            "object_id": [f"{sample} {i:05d}" for i, sample in enumerate(samples)],
            "object_lat": 54.4,
            "object_annotation_status": ["validated"] * 40
            + ["dubious"] * 4
            + ["predicted"] * 16,
            "object_annotation_category": [*y[:44], *y[:16]],
            "object_annotation_hierarchy": "",
            "object_area": measured[:, 0],
            "object_mean": measured[:, 1],
            "object_skew": measured[:, 2],
            "sample_id": samples,
            "acq_id": samples,
            "img_rank": 0,
            "img_file_name": [f"images/{i}.png" for i in range(60)],
        }
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ecotaxa_export.tsv", rows.to_csv(sep="\t", index=False))
        for name, pixels in zip(rows["img_file_name"], X["image"], strict=True):
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            archive.writestr(name, content.getvalue())
    return rows


def _write_ifcb(folder, name, X, y):
    X["profile"] = [  # ten numbers of each pulse, as an IFCB measures them
        np.concatenate([p[:, :4].sum(0), p[:, :4].max(0), [len(p)] * 2])
        for p in X["profile"]
    ]
    path = write_ifcb(X, folder / name)
    labels = folder / ("labels" if "2022" in name else "new_labels")
    truth = {f"{path.stem}_{i + 1:05d}": label for i, label in enumerate(y)}
    for object_id, label in truth.items():
        (labels / label).mkdir(parents=True, exist_ok=True)
        (labels / label / f"{object_id}.png").touch()  # its name is enough
    return truth
