"""Read the tables that EcoTaxa imports and exports."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from skplankton._utils.reports import Problems
from skplankton.ecotaxa._archive import is_archive, unpacked
from skplankton.ecotaxa._columns import CATEGORY, STATUS, STATUSES
from skplankton.ecotaxa._export_table import Entries, read_table_file
from skplankton.ecotaxa._objects import objects_of

_SUFFIXES = (".tsv", ".txt")


def read_ecotaxa(
    path: str | os.PathLike,
    *,
    status: str | Iterable[str] | None = "validated",
    cache: str | os.PathLike | None = None,
    errors: str = "raise",
) -> pd.DataFrame:
    r"""Read labels, images and other columns from tables of EcoTaxa.

    Reads import tables (with a row of types) and exports: TSV tables with or without
    internal ids, D.O.I. exports and backups, UTF-8 or Latin-1, decimal point or comma.
    To add the labels to a table of particles::

        labels = read_ecotaxa("export.zip")[["object_id", "label"]]
        particles = particles.merge(labels, on="object_id", how="left")

    Parameters
    ----------
    path : path-like
        A table; a folder, from which all tables are read whose names begin with
        ``ecotaxa`` and end in ``.tsv`` or ``.txt``, including subfolders, as in
        EcoTaxa; or a zip archive of such a folder.
    status : str, iterable of str or None, default="validated"
        The category of an object becomes its label only if its status is this one, or
        one of these: "validated", "predicted", "dubious", "discarded". With None it
        always does. All other objects are included, unlabeled: a transformer may learn
        from them.
    cache : path-like, default=None
        A folder where a zip archive is unpacked, once, and reused by later calls. With
        None it is a temporary folder, which is removed when the process ends, together
        with the images that the table refers to.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about invalid tables. "raise" stops at the first problem. "warn" and
        "coerce" read what can be read, and report at the end what was changed: in one
        warning, or in the log (logger ``"skplankton"``). Missing images become None,
        texts in a numeric column NaN, objects with two different labels unlabeled, and
        rows of the wrong length are left out.

    Returns
    -------
    DataFrame
        One row per object, in the order of the tables, with the columns

        `object_id`
            Text, even if it looks like a number.
        `label`
            The category, or its id if the table has no category names; None if there is
            none of the wanted `status`. The estimators take None as unlabeled.
        `status`
            One of the four above, or None.
        `image`
            The absolute path of the object's image, the one with the lowest `img_rank`;
            None if there is none. If none of the files in a table exists, the images
            were not exported: all are None, with a warning.

        and those of the tables, except ``object_annotation_status``. Columns are
        float64 if the row of types has ``[f]``, or if there is no such row and the
        column contains only numbers. Dates, times and ids are always text, and keep
        their zeros.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist or is a folder without a table, or if some of the image
        files are missing.
    ValueError
        For any `errors`: if a table cannot be read, if an archive would write outside
        its folder or would unpack to far more than its size, or if an image's name
        leads out of the table's folder. With ``errors="raise"``: for a missing or
        invalid row of types, a row of the wrong length, a text in a numeric column, a
        status that is unknown or has no category, or an object with two labels, samples
        or acquisitions. Messages contain the file, the line and the column.

    See Also
    --------
    write_ecotaxa : Write predicted labels for import into EcoTaxa.

    Notes
    -----
    The archives named ``…Images.zip`` that the UVP6 puts into an import folder are not
    read.

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
        entries = Entries(tables)
        if not len(entries):
            raise ValueError(
                f"{path}: no row with an object, in {len(tables)} table(s). Expected "
                "one row per image, below the column names and, in an import table, "
                "the types."
            )
        if wanted and CATEGORY in entries.texts and STATUS not in entries.texts:
            raise ValueError(
                f"{path} has a column {CATEGORY!r} but no {STATUS!r}, so no category "
                f"is known to be {' or '.join(wanted)}. Pass status=None to use all as "
                "labels."
            )
        objects = objects_of(entries, wanted, problems)
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
            "None to use every category as a label."
        )
    return wanted


@contextmanager
def _table_files(
    path: Path, cache: str | os.PathLike | None
) -> Iterator[list[tuple[Path, str]]]:
    """Yield each table's path, and its name in messages."""
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
        found = sorted(file.name for file in folder.iterdir())[:5]
        raise FileNotFoundError(
            f"{path} contains no table whose name begins with 'ecotaxa' and ends in "
            f".tsv or .txt, only {found}. Pass the table itself if it has another name."
        )
    return [(file, str(path / file.relative_to(folder))) for file in files]
