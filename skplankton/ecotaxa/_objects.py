"""Rows of tables, one per image → a table of objects, with labels and images."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from skplankton._utils.reports import N_SHOWN, Problems, report
from skplankton.ecotaxa._columns import (
    CATEGORY,
    CATEGORY_ID,
    FILE_NAME,
    OBJECT_ID,
    RANK,
    STATUS,
    STATUS_OF_WORD,
    STATUSES,
)
from skplankton.ecotaxa._export_table import Entries


def objects_of(
    entries: Entries, wanted: Sequence[str] | None, problems: Problems
) -> pd.DataFrame:
    """One row per object, from one row per image."""
    codes, ids = pd.factorize(entries.texts[OBJECT_ID].to_numpy(dtype=object))
    columns = {
        column: entries.typed(column, problems)
        for column in entries.texts
        if column not in (OBJECT_ID, STATUS)
    }
    ranks = np.nan_to_num(columns[RANK]) if RANK in columns else np.zeros(len(entries))
    order = np.lexsort((np.arange(len(entries)), ranks, codes))
    # The row with the image of lowest rank, for each object.
    first = order[np.r_[True, np.diff(codes[order]) > 0]]

    categories = _categories(entries)
    statuses = _statuses(entries, categories, problems)
    # An object has one of each: rows that differ are not images of the same object.
    unique = {
        CATEGORY: categories,
        STATUS: statuses,
        "sample_id": entries.text("sample_id"),
        "acq_id": entries.text("acq_id"),
    }
    unclear = _contradictory(unique, entries, codes, problems)
    categories = _first_of_each(categories, codes, len(ids))
    statuses = _first_of_each(statuses, codes, len(ids))
    categories[unclear] = statuses[unclear] = None
    labels = [
        category if wanted is None or word in wanted else None
        for category, word in zip(categories, statuses, strict=True)
    ]
    added = {
        OBJECT_ID: ids,
        "label": labels,
        "status": statuses,
        "image": _images(entries, first, problems),
    }
    return pd.DataFrame(
        {name: pd.Series(values, dtype=object) for name, values in added.items()}
        | {
            name: pd.Series(values[first], dtype=values.dtype)
            for name, values in columns.items()
        }
    )


def _categories(entries: Entries) -> np.ndarray:
    names, ids = entries.text(CATEGORY), entries.text(CATEGORY_ID)
    return np.where(names == None, ids, names)  # noqa: E711


def _statuses(
    entries: Entries, categories: np.ndarray, problems: Problems
) -> np.ndarray:
    statuses = np.full(len(entries), None, dtype=object)
    for row, text in enumerate(entries.text(STATUS)):
        word = (text or "").lower()
        if word not in STATUS_OF_WORD:
            problems.add(
                f"{entries.where(row, STATUS)}: expected {', '.join(STATUSES)} or no "
                f"value, got {text!r}.",
                "the object is taken as without a status",
            )
        elif STATUS_OF_WORD[word] and categories[row] is None:
            problems.add(
                f"{entries.where(row, STATUS)}: the object is {text} but has no "
                f"category. Fill in {CATEGORY!r}, or delete the status.",
                "the object is taken as without a status",
            )
        else:
            statuses[row] = STATUS_OF_WORD[word]
    return statuses


def _first_of_each(values: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """The first value that is not None, for each code."""
    firsts = np.full(n, None, dtype=object)
    present = np.flatnonzero(values != None)[::-1]  # noqa: E711
    firsts[codes[present]] = values[present]  # of equal codes, the last assigned stays
    return firsts


def _contradictory(
    unique: Mapping[str, np.ndarray],
    entries: Entries,
    codes: np.ndarray,
    problems: Problems,
) -> list[int]:
    """Objects whose rows differ in a column that is unique per object."""
    found = []
    for column, values in unique.items():
        is_present = pd.Series(values, dtype=object).notna()
        pairs = pd.DataFrame({"code": codes, "value": values})[is_present]
        pairs = pairs.drop_duplicates()
        others = pairs.index[pairs["code"].duplicated()]
        first_row = {code: row for row, code in pairs["code"][::-1].items()}
        for row in others:
            first = first_row[codes[row]]
            problems.add(
                f"{entries.where(row, column)}: the object "
                f"{entries.texts[OBJECT_ID][row]!r} has {values[row]!r} here, but "
                f"{values[first]!r} in {entries.where(first)}. Correct one of them; "
                "each object needs its own id.",
                "the object is taken as unlabeled",
            )
            found.append(int(codes[row]))
    return found


def _images(entries: Entries, rows: np.ndarray, problems: Problems) -> list[str | None]:
    """Absolute paths of the existing image files."""
    listings: dict[str, set[str]] = {}
    folders = {}
    images: list[str | None] = []
    missing = []
    names = entries.text(FILE_NAME)
    for row in rows:
        name = names[row]
        if name is None:
            images.append(None)
            continue
        table = entries.table(row).path
        if table not in folders:
            folders[table] = os.path.realpath(table.parent)
        image = os.path.join(folders[table], _within(name, entries, row))
        folder, tail = os.path.split(image)
        # Listing folders is faster than checking each of many files.
        if folder not in listings:
            exists = os.path.isdir(folder)
            listings[folder] = set(os.listdir(folder)) if exists else set()
        # Some file systems are not case-sensitive, but the listing is.
        if tail in listings[folder] or os.path.isfile(image):
            images.append(image)
        else:
            images.append(None)
            missing.append((row, name, image))
    if missing and not any(images):
        # Labels are often exported, or passed on, without their images.
        report(
            f"None of the {len(missing)} image files in "
            f"{entries.table(rows[0]).shown} exists: the labels are read without "
            "images.",
            "warn" if problems.errors == "raise" else problems.errors,
        )
    elif missing:
        row, _, image = missing[0]
        shown = ", ".join(repr(name) for _, name, _ in missing[:N_SHOWN])
        problems.add(
            f"{entries.where(row, FILE_NAME)}: no such image file, looked for as "
            f"{image}. {len(missing)} of {len(rows)} objects lack theirs: {shown}"
            f"{', …' if len(missing) > N_SHOWN else ''}. Put the images there, or "
            "export with images.",
            "the image is taken as missing (None)",
            error=FileNotFoundError,
            count=len(missing),
        )
    return images


def _within(name: str, entries: Entries, row: int) -> str:
    """The file name as a path within the table's folder."""
    # Tables written on Windows may have backslashes.
    inner = posixpath.normpath(name.replace("\\", "/"))
    if re.match(r"/|\.\.(/|$)|[A-Za-z]:", inner):
        raise ValueError(
            f"{entries.where(row, FILE_NAME)}: {name!r} leads out of the table's "
            "folder. Put the image in that folder, and use its path relative to it."
        )
    return inner
