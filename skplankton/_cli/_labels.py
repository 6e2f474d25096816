"""Labels from EcoTaxa or a CSV file → the labels of particles."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from skplankton._cli._reports import errors, plural, print_message, print_result
from skplankton._utils.csv_rows import spreadsheet_table
from skplankton.datasets import read_ifcb_labels
from skplankton.datasets._ifcb.labels import has_labels
from skplankton.ecotaxa import read_ecotaxa

# What programs write for a missing label, and people for an unknown one.
_POSSIBLY_UNLABELED = {
    *("none", "nan", "na", "n/a", "<na>", "null"),
    *("unlabelled", "unlabeled", "unclassified", "unknown"),
}

_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_PARTICLE = "D20220522T003051_IFCB134_00003.png"

_COLUMNS = ("object_id", "label")
_EXPECTED = (
    "Expected the columns object_id and label, as in labels.csv, written by: python -m "
    "skplankton suggest"
)


def read_labels(path: Path, strict: bool, cache: Path | None) -> Mapping[str, str]:
    """The labels in an export of EcoTaxa, a CSV file or files of an IFCB, by object id.

    `cache` is where an archive is unpacked.
    """
    if _is_of_ifcb(path):
        return _from_ifcb(path)
    if path.suffix.lower() == ".csv" and not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist. {_EXPECTED}.")
        return _from_csv(path)
    if path.suffix.lower() in (".tsv", ".txt") and _has_column_label(path):
        return _from_csv(path)
    if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise ValueError(
            f"{path} is a file of a spreadsheet program. Save the table as 'CSV "
            "UTF-8', and pass that file."
        )
    table = path / "labels.csv"
    if table.is_file() and not any(path.glob("ecotaxa*.t*")):
        raise ValueError(
            f"{path} is a folder; pass the table of labels in it: --labels {table}"
        )
    if path.is_dir() and not _has_export(path):
        found = sorted(str(file.relative_to(path)) for file in path.rglob("*.*"))[:5]
        raise FileNotFoundError(
            f"{path} contains no labels, only {found}. Expected a table of EcoTaxa, "
            "whose name begins with 'ecotaxa' and ends in .tsv or .txt; or labels of "
            f"an IFCB: .png files named after their particles, such as {_PARTICLE}, in "
            "folders of classes, or .mat or .csv files with names of bins."
        )
    return _from_ecotaxa(path, strict, cache)


def labels_of(ids: pd.Series, labels: Mapping[str, str], path: Path) -> pd.Series:
    """The label of each particle, NaN where there is none; `path` is for messages."""
    found = ids.map(labels)
    n_found = int(found.notna().sum())
    if not n_found:
        raise ValueError(
            f"None of the {plural(len(labels), 'label')} in {path} is of a particle in "
            f"the samples: it has object_id {next(iter(labels))!r}, …, the samples "
            f"have {ids.iloc[0] if len(ids) else 'no particles'!r}, …. Pass the "
            "samples that were labeled; ids are <sample>_<particle>."
        )
    n_others = len(labels) - n_found
    others = f"; {n_others} belong to other samples" if n_others else ""
    print_result(f"{plural(n_found, 'label')} from {path}{others}")
    return found


def warn_about_labels(counts: pd.Series) -> None:
    """Warn of labels that may mean "unlabeled", or are spelled in several ways."""
    for label, count in counts.items():
        if label.casefold() in _POSSIBLY_UNLABELED:
            print_message(
                f"warning: {plural(count, 'particle')} labeled {label!r}, which is "
                "taken as a species. If it means unlabeled, leave the label empty in "
                "these rows, or do not validate these objects in EcoTaxa."
            )
    for labels in alike_labels(counts.index):
        shown = ", ".join(f"{label!r} ({counts[label]})" for label in labels)
        print_message(
            f"warning: the labels {shown} look alike, and are taken as different "
            "species. If they are the same, spell them in one way."
        )


def alike_labels(labels: Iterable[str]) -> list[list[str]]:
    """Labels that differ in case, spaces, "_" and "-" only, as lists of two or more."""
    alike = defaultdict(list)
    for label in labels:
        alike[re.sub(r"[\s_-]", "", label.casefold())].append(label)
    return [same for same in alike.values() if len(same) > 1]


def _is_of_ifcb(path: Path) -> bool:
    if path.is_dir():
        is_export = any(path.glob("ecotaxa*"))
        return not is_export and any(map(has_labels, path.rglob("*.*")))
    if path.suffix.lower() != ".csv" or not path.is_file():
        return path.suffix.lower() == ".mat"
    with open(path, "rb") as file:
        header = file.readline(4096)
    return b"file_name" in header and b"class_name" in header


def _has_column_label(path: Path) -> bool:
    """Whether it is a table as of suggest, saved with another suffix."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        names = re.split(rb"[,;\t]", file.readline(4096))
    return b"label" in [name.strip(b' "\r\n') for name in names]


def _has_export(folder: Path) -> bool:
    return any(file.name.lower().startswith("ecotaxa") for file in folder.rglob("*.*"))


def _from_ifcb(path: Path) -> dict[str, str]:
    labels = read_ifcb_labels(path)
    _warn_about_images(path)
    labeled = labels[labels["label"].notna()]
    if labeled.empty:
        raise ValueError(
            f"{path} has no label: all {plural(len(labels), 'particle')} in it are "
            "unclassified."
        )
    return dict(zip(labeled["object_id"], labeled["label"], strict=True))


def _warn_about_images(folder: Path) -> None:
    """Warn of those that are no label, as they are not named after a particle."""
    others = sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*.*")
        if file.suffix.lower() in _IMAGES and not has_labels(file)
    )
    if others:
        print_message(
            f"warning: {plural(len(others), 'image')} in {folder} not taken as labels, "
            f"such as {others[0]}: expected .png files named after their particles, "
            f"such as {_PARTICLE}."
        )


def _from_ecotaxa(path: Path, strict: bool, cache: Path | None) -> dict[str, str]:
    objects = read_ecotaxa(path, errors=errors(strict), cache=cache)
    labeled = objects[objects["label"].notna()]
    if labeled.empty:
        counts = objects["status"].fillna("without status").value_counts()
        found = ", ".join(f"{count} {status}" for status, count in counts.items())
        raise ValueError(
            f"{path} has no validated object, only {found}. Validate some in EcoTaxa "
            "and export again."
        )
    return dict(zip(labeled["object_id"], labeled["label"], strict=True))


def _from_csv(path: Path) -> dict[str, str]:
    names, records, _ = spreadsheet_table(path)
    _check_header(names, path)
    n_rows = 0
    labels: dict[str, str] = {}
    line_of: dict[str, int] = {}
    for line, values in records:
        n_rows += 1
        row = dict(zip(names, values, strict=True))
        object_id, label = row["object_id"].strip(), row["label"].strip()
        if not object_id:
            raise ValueError(
                f"{path}, line {line}: the object_id is missing. Write it again, or "
                "remove the row."
            )
        if not label:
            continue
        if labels.setdefault(object_id, label) != label:
            raise ValueError(
                f"{path}, line {line}: the particle {object_id!r} is labeled "
                f"{label!r}, and {labels[object_id]!r} in line {line_of[object_id]}. "
                "Keep one of the two labels."
            )
        line_of.setdefault(object_id, line)
    if not labels:
        raise ValueError(
            f"{path} has no label yet: the column label is empty in all of its "
            f"{plural(n_rows, 'row')}. Write the species of some particles into it, "
            "and save it as CSV."
        )
    return labels


def _check_header(names: list[str], path: Path) -> None:
    for column in _COLUMNS:
        if names.count(column) != 1:
            problem = "occurs twice" if column in names else "is missing"
            raise ValueError(
                f"{path}, line 1: the column {column} {problem}; the columns are "
                f"{names}. {_EXPECTED}"
            )
