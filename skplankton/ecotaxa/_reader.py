"""Read the tables of EcoTaxa, as it imports and exports them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from skplankton._utils.reports import Problems
from skplankton.ecotaxa._archive import is_archive, unpacked
from skplankton.ecotaxa._columns import CATEGORY, STATUS, STATUSES
from skplankton.ecotaxa._export_table import Cells, read_table_file
from skplankton.ecotaxa._objects import objects_of

_SUFFIXES = (".tsv", ".txt")


def read_ecotaxa(
    path: str | os.PathLike,
    *,
    status: str | Iterable[str] | None = "validated",
    cache: str | os.PathLike | None = None,
    errors: str = "raise",
) -> pd.DataFrame:
    r"""Read labels, images and all else from tables of EcoTaxa.

    Reads what EcoTaxa imports (tables with a row of types) and what it exports: TSV
    tables with or without internal ids, D.O.I. exports and backups, UTF-8 or Latin-1,
    decimal point or comma. To give the labels to particles that are there already::

        labels = read_ecotaxa("export.zip")[["object_id", "label"]]
        particles = particles.merge(labels, on="object_id", how="left")

    Parameters
    ----------
    path : path-like
        A table; a folder, of which all tables are read whose names begin with
        ``ecotaxa`` and end in ``.tsv`` or ``.txt``, in subfolders too, as EcoTaxa does;
        or a zip archive of such a folder.
    status : str, iterable of str or None, default="validated"
        The category of an object is its label only if its status is this one, or one of
        these: "validated", "predicted", "dubious", "discarded". With None it always is.
        All other objects are there too, unlabelled: a transformer may learn from them.
    cache : path-like, default=None
        Where a zip archive is unpacked, once: the next call finds it there. With None
        it is a temporary folder that is removed when the process ends, and with it the
        images that the table names.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do where a table is not as it should be. "raise" stops at the first
        problem. "warn" and "coerce" read what can be read, and tell at the end what was
        changed: in one warning, or in the log (logger ``"skplankton"``). Images then
        become None, words in a numeric column NaN, objects with two different
        labels unlabelled, and rows of the wrong width are left out.

    Returns
    -------
    DataFrame
        One row an object, in the order of the tables, with the columns

        `object_id`
            Text, also where it looks like a number.
        `label`
            The category, or its id if the table has no names; None where there is none
            of the wanted `status`. None means unlabelled to the estimators.
        `status`
            One of the four above, or None.
        `image`
            The absolute path of the object's image, the one of lowest `img_rank`; None
            if there is none. Where none of the files that a table names is there, the
            images were not exported: all are None, which is warned of.

        and those of the tables, except ``object_annotation_status``. Where a row of
        types says ``[f]``, or there is none and the column holds nothing but numbers,
        cells are float64. Dates, times and ids are always text, and keep their zeros.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist or is a folder without a table, or some image files
        are missing where others are there.
    ValueError
        If a table cannot be read, or an archive would write outside its folder or is
        out of proportion, or an image's name leads out of the table's folder: whatever
        `errors` is. And, with ``errors="raise"``, for a row of types that is missing or
        wrong, a row of the wrong width, a word in a numeric column, a status that is
        not known or has no category, or an object with two labels, samples or
        acquisitions. Messages name the file, the line and the column.

    See Also
    --------
    write_ecotaxa : Write names for EcoTaxa to import.

    Notes
    -----
    The archives named ``…Images.zip`` that the UVP6 puts into an import folder are not
    looked into.

    The format is that of EcoTaxa's own import and export
    (https://github.com/ecotaxa/ecotaxa_back).

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.ecotaxa import read_ecotaxa
    >>> table = (
    ...     "object_id\tobject_annotation_category\tobject_annotation_status\t"
    ...     "object_annotation_hierarchy\tobject_area\n"
    ...     "a1\tCopepoda\tvalidated\tliving>Copepoda\t120.5\n"
    ...     "a2\tdetritus\tpredicted\tnot-living>detritus\t80\n"
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "ecotaxa_export.tsv")
    ...     _ = path.write_text(table, encoding="utf-8")
    ...     objects = read_ecotaxa(path)
    >>> objects[["object_id", "label", "status", "object_area"]]
      object_id     label     status  object_area
    0        a1  Copepoda  validated        120.5
    1        a2      None  predicted         80.0
    """
    wanted = _wanted_statuses(status)
    problems = Problems(errors)
    with _table_files(Path(path), cache) as files:
        tables = [read_table_file(file, shown, problems) for file, shown in files]
        cells = Cells(tables)
        if not len(cells):
            raise ValueError(
                f"{path}: no row with an object, in {len(tables)} table(s). Expected "
                "one row an image, below the names and, in an import table, the types."
            )
        if wanted and CATEGORY in cells.texts and STATUS not in cells.texts:
            raise ValueError(
                f"{path} has a column {CATEGORY!r} but no {STATUS!r}, so no category "
                f"counts as {' or '.join(wanted)}. Pass status=None to take them all "
                "as labels."
            )
        objects = objects_of(cells, wanted, problems)
        problems.report(str(path))
    return objects


def _wanted_statuses(status: str | Iterable[str] | None) -> list[str] | None:
    if status is None:
        return None
    wanted = [status] if isinstance(status, str) else list(status)
    unknown = [word for word in wanted if word not in STATUSES]
    if unknown or not wanted:
        raise ValueError(
            f"status={status!r}: expected one or more of {', '.join(STATUSES)}, or "
            "None to take every category as a label."
        )
    return wanted


@contextmanager
def _table_files(
    path: Path, cache: str | os.PathLike | None
) -> Iterator[list[tuple[Path, str]]]:
    """Give each table's path, and what messages call it."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist; expected an EcoTaxa table, a folder with such "
            "tables, or a zip archive of one."
        )
    if path.is_dir():
        yield _tables_in(path, path)
    elif is_archive(path):
        with unpacked(path, cache) as folder:
            yield _tables_in(folder, path)
    else:
        yield [(path, str(path))]


def _tables_in(folder: Path, path: Path) -> list[tuple[Path, str]]:
    files = sorted(
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().startswith("ecotaxa") and name.lower().endswith(_SUFFIXES)
    )
    if not files:
        held = sorted(file.name for file in folder.iterdir())[:5]
        raise FileNotFoundError(
            f"{path} holds no table whose name begins with 'ecotaxa' and ends in .tsv "
            f"or .txt (it holds {held}). Pass the table itself if it has another name."
        )
    return [(file, str(path / file.relative_to(folder))) for file in files]
