"""Tables of Darwin Core → a Darwin Core archive."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd

from skplankton._utils.files import check_free, unfinished
from skplankton._views.entries import is_missing
from skplankton.exports._darwin_core import DarwinCore
from skplankton.exports._terms import (
    EVENT_COLUMNS,
    MEASUREMENT_COLUMNS,
    OCCURRENCE_COLUMNS,
)

_DWC, _OBIS = "http://rs.tdwg.org/dwc/terms/", "http://rs.iobis.org/obis/terms/"
_TEXT_GUIDE = "http://rs.tdwg.org/dwc/text/"
_DC = "http://purl.org/dc/terms/"
# The terms that Darwin Core has from elsewhere (https://dwc.tdwg.org/list).
_NAMESPACES = {
    **dict.fromkeys(
        ("measurementTypeID", "measurementUnitID", "measurementValueID"), _OBIS
    ),
    **dict.fromkeys(("type", "modified", "language", "license", "rightsHolder"), _DC),
    **dict.fromkeys(("accessRights", "bibliographicCitation", "references"), _DC),
}
# File, kind of rows, and the columns that must be there, in the order of DarwinCore.
_TABLES: tuple[tuple[str, str, Sequence[str]], ...] = (
    ("event.txt", f"{_DWC}Event", EVENT_COLUMNS),
    ("occurrence.txt", f"{_DWC}Occurrence", OCCURRENCE_COLUMNS),
    (
        "extendedmeasurementorfact.txt",
        f"{_OBIS}ExtendedMeasurementOrFact",
        MEASUREMENT_COLUMNS,
    ),
)
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the same tables give the same bytes


def write_darwin_core(
    path: str | os.PathLike, tables: DarwinCore, *, overwrite: bool = False
) -> Path:
    """Write tables as a Darwin Core archive, as published to OBIS and GBIF.

    Parameters
    ----------
    path : path-like
        The zip archive to write.
    tables : DarwinCore
        As returned by :func:`to_darwin_core`. Columns may be added if their names are
        terms of Darwin Core, such as ``locality``.
    overwrite : bool, default=False
        Whether to replace an existing file.

    Returns
    -------
    pathlib.Path
        The archive. It appears when it is complete.

    Raises
    ------
    FileExistsError
        If `path` exists and ``overwrite`` is False, or it is a folder.
    OSError
        If the disk is full.
    TypeError
        If `tables` is not a DarwinCore.
    ValueError
        If a table lacks a column, or an event of the other tables is not in `events`.

    See Also
    --------
    to_darwin_core : Convert abundances to these tables.

    Notes
    -----
    The archive contains ``event.txt``, the core; its extensions ``occurrence.txt`` and
    ``extendedmeasurementorfact.txt``; and ``meta.xml``, which describes them. The
    tables are UTF-8 without a byte-order mark, separated by tabs; tabs and line breaks
    within texts become spaces. They are for programs: texts that a spreadsheet program
    would take for formulas are written as they are. The description of the data set
    (``eml.xml``: authors, license, methods) is missing, as it is written in the
    publishing tool (IPT) of a node of OBIS.

    The format is that of https://dwc.tdwg.org/text/.

    Examples
    --------
    >>> import zipfile
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from skplankton.exports import to_darwin_core, write_darwin_core
    >>> samples = pd.DataFrame({"sample_id": ["a"], "instrument": "CytoSense"})
    >>> samples["start"] = pd.Timestamp("2024-05-01 10:00")
    >>> samples[["duration_s", "analyzed_volume_ml"]] = [600.0, 2.0]
    >>> samples[["latitude", "longitude"]] = [59.8, 23.2]
    >>> columns = ["sample_id", "label", "count", "count_low", "count_high"]
    >>> columns += ["concentration", "concentration_low", "concentration_high"]
    >>> tables = to_darwin_core(pd.DataFrame(columns=columns), samples)
    >>> with TemporaryDirectory() as folder:
    ...     path = write_darwin_core(Path(folder, "archive.zip"), tables)
    ...     zipfile.ZipFile(path).namelist()  # doctest: +NORMALIZE_WHITESPACE
    ['event.txt', 'occurrence.txt', 'extendedmeasurementorfact.txt', 'meta.xml']
    """
    path = Path(path)
    if not isinstance(tables, DarwinCore):
        raise TypeError(
            f"tables: expected a DarwinCore, got {type(tables).__name__}. Make it with "
            "to_darwin_core, or as DarwinCore(events, occurrences, measurements)."
        )
    check_free(path, overwrite)
    _check(tables)
    with unfinished(path) as part:
        with zipfile.ZipFile(part, "x", zipfile.ZIP_DEFLATED) as archive:
            for (name, _, _), table in zip(_TABLES, tables, strict=True):
                _add(archive, name, _as_text(table))
            _add(archive, "meta.xml", _description(tables))
        check_free(path, overwrite)
        part.replace(path)
    return path


def _check(tables: DarwinCore) -> None:
    for name, table, (_, _, columns) in zip(
        DarwinCore._fields, tables, _TABLES, strict=True
    ):
        missing = [column for column in columns if column not in table.columns]
        if missing:
            raise ValueError(
                f"{name} has no column {missing[0]!r}; got {list(table.columns)}."
            )
        unknown = ~table["eventID"].isin(tables.events["eventID"])
        if unknown.any():
            raise ValueError(
                f"{name}: the event {table['eventID'][unknown].iloc[0]!r} is not in "
                "events. Add its row to events, or drop these rows."
            )


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, _ZIP_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(member, content)


def _as_text(table: pd.DataFrame) -> bytes:
    lines = io.StringIO(newline="")
    writer = csv.writer(
        lines,
        delimiter="\t",
        lineterminator="\n",
        quoting=csv.QUOTE_NONE,
        quotechar=None,
    )
    writer.writerow(table.columns)
    writer.writerows(
        [_cell(value) for value in row] for row in table.itertuples(index=False)
    )
    return lines.getvalue().encode("utf-8")


def _cell(value: Any) -> str:
    return "" if is_missing(value) else " ".join(str(value).split())


def _description(tables: DarwinCore) -> bytes:
    """The content of meta.xml."""
    root = ET.Element("archive", xmlns=_TEXT_GUIDE)
    for (name, row_type, _), table in zip(_TABLES, tables, strict=True):
        is_core = name == _TABLES[0][0]
        element = ET.SubElement(
            root,
            "core" if is_core else "extension",
            encoding="UTF-8",
            fieldsTerminatedBy="\\t",
            linesTerminatedBy="\\n",
            fieldsEnclosedBy="",
            ignoreHeaderLines="1",
            rowType=row_type,
        )
        ET.SubElement(ET.SubElement(element, "files"), "location").text = name
        columns = list(table.columns)
        place = str(columns.index("eventID"))
        ET.SubElement(element, "id" if is_core else "coreid", index=place)
        for index, column in enumerate(columns):
            namespace = _NAMESPACES.get(column, _DWC)
            ET.SubElement(element, "field", index=str(index), term=namespace + column)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)
