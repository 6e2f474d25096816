"""Rows of tables, one an image → a table of objects, with labels and images."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from skplankton._utils.reports import Problems, report
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
from skplankton.ecotaxa._export_table import Cells

N_NAMED = 3


def objects_of(
    cells: Cells, wanted: Sequence[str] | None, problems: Problems
) -> pd.DataFrame:
    """One row an object, from one row an image."""
    codes, ids = pd.factorize(cells.texts[OBJECT_ID].to_numpy(dtype=object))
    columns = {
        column: cells.typed(column, problems)
        for column in cells.texts
        if column not in (OBJECT_ID, STATUS)
    }
    ranks = np.nan_to_num(columns[RANK]) if RANK in columns else np.zeros(len(cells))
    order = np.lexsort((np.arange(len(cells)), ranks, codes))
    # The row with the image to show, for each object.
    first = order[np.r_[True, np.diff(codes[order]) > 0]]

    categories = _categories(cells)
    statuses = _statuses(cells, categories, problems)
    # What an object has one of: rows that differ here are not images of one object.
    told = {
        CATEGORY: categories,
        STATUS: statuses,
        "sample_id": cells.text("sample_id"),
        "acq_id": cells.text("acq_id"),
    }
    unclear = _contradictory(told, cells, codes, problems)
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
        "image": _images(cells, first, problems),
    }
    return pd.DataFrame(
        {name: pd.Series(values, dtype=object) for name, values in added.items()}
        | {
            name: pd.Series(values[first], dtype=values.dtype)
            for name, values in columns.items()
        }
    )


def _categories(cells: Cells) -> np.ndarray:
    names, ids = cells.text(CATEGORY), cells.text(CATEGORY_ID)
    return np.where(names == None, ids, names)  # noqa: E711


def _statuses(cells: Cells, categories: np.ndarray, problems: Problems) -> np.ndarray:
    statuses = np.full(len(cells), None, dtype=object)
    for row, text in enumerate(cells.text(STATUS)):
        word = (text or "").lower()
        if word not in STATUS_OF_WORD:
            problems.add(
                f"{cells.where(row, STATUS)}: expected {', '.join(STATUSES)} or an "
                f"empty cell, got {text!r}.",
                "the object is taken as without a status",
            )
        elif STATUS_OF_WORD[word] and categories[row] is None:
            problems.add(
                f"{cells.where(row, STATUS)}: the object is {text} but has no "
                f"category. Fill in {CATEGORY!r}, or empty the status.",
                "the object is taken as without a status",
            )
        else:
            statuses[row] = STATUS_OF_WORD[word]
    return statuses


def _first_of_each(values: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """The first value that is not None, for each code."""
    firsts = np.full(n, None, dtype=object)
    there = np.flatnonzero(values != None)[::-1]  # noqa: E711
    firsts[codes[there]] = values[there]  # of equal codes, the last assigned stays
    return firsts


def _contradictory(
    told: Mapping[str, np.ndarray],
    cells: Cells,
    codes: np.ndarray,
    problems: Problems,
) -> list[int]:
    """Objects whose rows differ in what an object has one of."""
    found = []
    for column, values in told.items():
        there = pd.Series(values, dtype=object).notna()
        pairs = pd.DataFrame({"code": codes, "value": values})[there]
        pairs = pairs.drop_duplicates()
        others = pairs.index[pairs["code"].duplicated()]
        first_row = {code: row for row, code in pairs["code"][::-1].items()}
        for row in others:
            first = first_row[codes[row]]
            problems.add(
                f"{cells.where(row, column)}: the object "
                f"{cells.texts[OBJECT_ID][row]!r} has {values[row]!r} here, but "
                f"{values[first]!r} in {cells.where(first)}. Correct one of them; two "
                "objects need two ids.",
                "the object is taken as unlabelled",
            )
            found.append(int(codes[row]))
    return found


def _images(cells: Cells, rows: np.ndarray, problems: Problems) -> list[str | None]:
    """Absolute paths of the image files that are there."""
    listings: dict[str, set[str]] = {}
    folders = {}
    images: list[str | None] = []
    absent = []
    names = cells.text(FILE_NAME)
    for row in rows:
        name = names[row]
        if name is None:
            images.append(None)
            continue
        table = cells.table(row).path
        if table not in folders:
            folders[table] = os.path.realpath(table.parent)
        image = os.path.join(folders[table], _within(name, cells, row))
        folder, tail = os.path.split(image)
        # Listing folders is faster than asking for each of many files.
        if folder not in listings:
            is_there = os.path.isdir(folder)
            listings[folder] = set(os.listdir(folder)) if is_there else set()
        # Some file systems do not tell upper from lower case; the listing does.
        if tail in listings[folder] or os.path.isfile(image):
            images.append(image)
        else:
            images.append(None)
            absent.append((row, name, image))
    if absent and not any(images):
        # Labels are often exported, or passed on, without their images.
        report(
            f"None of the {len(absent)} image files that {cells.table(rows[0]).shown} "
            "names is there: the labels are read without images.",
            "warn" if problems.errors == "raise" else problems.errors,
            stacklevel=4,
        )
    elif absent:
        row, _, image = absent[0]
        shown = ", ".join(repr(name) for _, name, _ in absent[:N_NAMED])
        problems.add(
            f"{cells.where(row, FILE_NAME)}: no such image file, looked for as "
            f"{image}. {len(absent)} of {len(rows)} objects lack theirs: {shown}"
            f"{', …' if len(absent) > N_NAMED else ''}. Put the images where the "
            "table says, or export with images.",
            "the image is taken as missing (None)",
            error=FileNotFoundError,
            count=len(absent),
        )
    return images


def _within(name: str, cells: Cells, row: int) -> str:
    """The name as a path within the table's folder."""
    # Tables written on Windows may have backslashes.
    inner = posixpath.normpath(name.replace("\\", "/"))
    if re.match(r"/|\.\.(/|$)|[A-Za-z]:", inner):
        raise ValueError(
            f"{cells.where(row, FILE_NAME)}: {name!r} leads out of the table's folder. "
            "Put the image below that folder and name it from there."
        )
    return inner
