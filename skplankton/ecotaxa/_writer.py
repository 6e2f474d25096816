"""Write predicted labels of particles for import into EcoTaxa."""

from __future__ import annotations

import csv
import datetime
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from skplankton._utils.reports import Problems
from skplankton._views.contents import is_missing, is_path
from skplankton.ecotaxa._columns import (
    FILE_NAME,
    NUMBER,
    OBJECT_ID,
    RANK,
    TEXT,
)
from skplankton.ecotaxa._import_table import (
    Column,
    annotation_columns,
    carried_columns,
    check_limits,
    neighbor_columns,
    object_ids,
    score_columns,
)
from skplankton.ecotaxa._output import (
    IMAGES,
    WITHOUT_IMAGE,
    check_target,
    image_file,
    image_name,
    table_name,
    whole_output,
)
from skplankton.ecotaxa._sample_columns import with_sample_columns


def write_ecotaxa(
    path: str | os.PathLike,
    table: pd.DataFrame,
    predictions: ArrayLike,
    *,
    proba: ArrayLike | None = None,
    neighbors: ArrayLike | None = None,
    samples: pd.DataFrame | None = None,
    date: datetime.datetime | None = None,
    without_image: str = "raise",
    errors: str = "raise",
    overwrite: bool = False,
) -> Path:
    """Write predicted labels and images for import into EcoTaxa.

    In EcoTaxa the objects then have the status "predicted", to be validated.

    Parameters
    ----------
    path : path-like
        The zip archive to write, if it ends in ``.zip``; otherwise the folder.
    table : DataFrame of shape (n_samples, n_columns)
        The particles. Needs the columns `object_id` (unique) and `image`, whose values
        are arrays (uint8, uint16 or float in [0, 1]), paths, images stored in an
        instrument's file, or missing. Columns that begin with ``object_``, ``sample_``,
        ``acq_`` or ``process_`` are written as well: those known to EcoTaxa
        (``object_lat``, ``object_lon``, ``object_date``, ``object_time``,
        ``object_depth_min``, ``object_depth_max``, ``object_link``, ``sample_id``,
        ``acq_id``, ``process_id``, …), and others as free columns. Former annotations
        (``object_annotation_…``), scores, neighbors and other columns are not written.
    predictions : array-like of shape (n_samples,)
        The predicted label (category) of each particle, row by row. With None or NaN,
        the object is written without category and status.
    proba : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
        Probability of the predicted label, or of each class, as from
        ``predict_proba``; the largest is written to the free column ``object_score``.
    neighbors : array-like of shape (n_samples, n_neighbors), default=None
        Object ids of the nearest labeled particles, written to the free columns
        ``object_neighbor_1``, …, so that a prediction can be checked.
    samples : DataFrame of shape (n_measurements, n_columns), default=None
        The measurements that the particles come from, as
        :func:`~skplankton.datasets.load_cyz_json` and
        :func:`~skplankton.datasets.read_samples` return them, joined by the column
        `sample_id` of `table`. The start is written as ``object_date`` and
        ``object_time``; latitude, longitude, depth_min and depth_max as ``object_lat``
        and so on; instrument, volumes, duration, numbers of particles and images, and
        whether the sample is partial, as ``acq_instrument``,
        ``acq_analyzed_volume_ml`` and so on; columns with one of the prefixes above,
        as they are. The sample's id becomes ``acq_id`` and, if needed, ``process_id``,
        unless there are others. Values in `table` come first.
    date : datetime, default=None
        The date of the predictions, in UTC if it has no time zone. None means now; with
        a date, the same input gives the same bytes.
    without_image : {"raise", "aside"}, default="raise"
        What to do with particles without an image, which EcoTaxa cannot import. "raise"
        raises an error. "aside" writes their predicted labels and columns to
        ``without_image.csv`` in the same folder or archive, which EcoTaxa ignores.
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about an image that cannot be read. "raise" stops at the first.
        Otherwise the particle is written like one without an image, to
        ``without_image.csv``, which is reported once, at the end: by a warning, or with
        "coerce" by the logger ``skplankton``.
    overwrite : bool, default=False
        Whether to replace an existing folder or archive. A folder with files that this
        function does not write is never replaced.

    Returns
    -------
    pathlib.Path
        The archive or folder. It appears when it is complete; an interrupted run leaves
        the old one in place.

    Raises
    ------
    FileExistsError
        If `path` exists and ``overwrite`` is False, or it must not be replaced.
    FileNotFoundError
        If an image file does not exist.
    OSError
        If the disk is full.
    TypeError
        If `table` or `samples` is not a DataFrame, or an image has an unknown type.
    ValueError
        If EcoTaxa would reject the import: a column is missing, an id is missing or
        duplicated, a row has no image, a date, position or number is invalid, there are
        more free columns than a project may have (objects 500 of numbers and 20 of
        text, acquisitions 30, processes 30, samples 60), or an acquisition belongs to
        two samples. Also if `samples` lacks a sample or has one twice, if an image
        cannot be read, or none can be, or lengths differ.

    Warns
    -----
    UserWarning
        With ``errors="warn"``, if images cannot be read.

    See Also
    --------
    read_ecotaxa : Read the labels back after validation.
    skplankton.datasets.read_samples : Volumes, times and places from a CSV file.

    Notes
    -----
    JPEG and PNG files are copied unchanged. Images of other formats, of more than 8
    bits, and those cropped from a camera frame become 8-bit PNG files. The table is
    UTF-8 with a byte-order mark, as in EcoTaxa's own exports: without one, EcoTaxa
    takes a table for Latin-1.

    During the import, EcoTaxa lets you assign a taxon to each label that it does not
    know.

    Objects that the project has already need an update that includes their
    classification. A plain import would give them a second image and leave their labels
    as they are. The update replaces validated labels as well: leave these objects out
    of `table`.

    The format is that of EcoTaxa's own import and export
    (https://github.com/ecotaxa/ecotaxa_back).

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa
    >>> particles = pd.DataFrame({"object_id": ["a1", "a2"]})
    >>> particles["object_lat"] = [60.1, 60.2]
    >>> particles["image"] = [np.zeros((8, 8), np.uint8)] * 2
    >>> labels = ["Copepoda", None]
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "station.zip")
    ...     _ = write_ecotaxa(path, particles, labels, proba=[0.875, 0.25])
    ...     objects = read_ecotaxa(path, status="predicted")
    >>> objects[["object_id", "label", "object_lat", "object_score"]]
      object_id     label  object_lat  object_score
    0        a1  Copepoda        60.1         0.875
    1        a2      None        60.2         0.250
    """
    path = Path(path)
    if without_image not in ("raise", "aside"):
        raise ValueError(
            f"without_image={without_image!r}: expected 'raise' or 'aside'."
        )
    problems = Problems(errors)
    check_target(path, overwrite)
    # Everything except the images' content is checked before anything is written.
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"table: expected a DataFrame, got {type(table).__name__}.")
    ids = object_ids(table)
    if samples is not None:
        table = with_sample_columns(table, samples)
    images = _image_entries(table, ids, without_image, path, problems)
    annotations = annotation_columns(predictions, ids, date)
    others = [
        *score_columns(proba, len(ids)),
        *neighbor_columns(neighbors, len(ids)),
        *carried_columns(table, ids),
    ]
    check_limits(others)
    columns = [Column(OBJECT_ID, TEXT, ids), *annotations, *others]
    with whole_output(path, overwrite) as write:
        shown, files = [], []
        for row, image in enumerate(images):
            if image is None:
                continue
            try:
                suffix, content = image_file(image)
            except (OSError, TypeError, ValueError) as error:
                _note(problems, ids[row], error)
                images[row] = None
                continue
            files.append(f"{IMAGES}/{image_name(ids[row])}{suffix}")
            write(files[-1], content)
            shown.append(row)
        if not shown:
            first = next(iter(problems.examples.values()))[0]
            raise NoImageError(
                f"None of the images can be read. {first} EcoTaxa imports only objects "
                "with images."
            )
        ranks = ["0"] * len(shown)
        written = [Column(FILE_NAME, TEXT, files), Column(RANK, NUMBER, ranks)]
        written += _rows_of(columns, shown)
        types = [[column.type for column in written]]
        write(table_name(path), _as_text(written, types, delimiter="\t"))
        aside = [row for row, image in enumerate(images) if image is None]
        if aside:
            write(WITHOUT_IMAGE, _as_text(_rows_of(columns, aside), [], delimiter=","))
    problems.report(str(path), done="written")
    return path


class NoImageError(ValueError):
    """There is no image, and so no object that EcoTaxa would import."""


def _note(problems: Problems, object_id: str, error: Exception) -> None:
    problems.add(
        f"The image of the object {object_id!r}: {error}.",
        f"a particle whose image cannot be read is written to {WITHOUT_IMAGE}",
        cause=error,
    )


def _image_entries(
    table: pd.DataFrame,
    ids: Sequence[str],
    without_image: str,
    path: Path,
    problems: Problems,
) -> list[Any]:
    """The images, None if missing; check that files exist and are not replaced."""
    if "image" not in table:
        raise ValueError(
            f"The table has no column 'image', only {list(table.columns)[:10]}. "
            "EcoTaxa imports only objects with images."
        )
    images = [None if is_missing(entry) else entry for entry in table["image"]]
    missing = [ids[row] for row, image in enumerate(images) if image is None]
    if len(missing) == len(images):
        raise NoImageError(
            f"None of the {len(images)} rows has an image. EcoTaxa imports only "
            "objects with images."
        )
    if missing and without_image == "raise":
        raise ValueError(
            f"{len(missing)} of {len(images)} rows have no image, first the object "
            f"{missing[0]!r}, and EcoTaxa imports only objects with images. Pass "
            f"without_image='aside' to write the others, and these to {WITHOUT_IMAGE}."
        )
    replaced = os.path.join(os.path.realpath(path), "") if path.is_dir() else None
    for row, (object_id, image) in enumerate(zip(ids, images, strict=True)):
        if image is None or not is_path(image):
            continue
        if not os.path.isfile(image):
            no_file = FileNotFoundError(f"no such file: {os.fspath(image)}")
            _note(problems, object_id, no_file)
            images[row] = None
            continue
        if replaced and os.path.realpath(image).startswith(replaced):
            raise ValueError(
                f"The image of the object {object_id!r}, {os.fspath(image)}, lies in "
                "the folder that is about to be replaced. Write to another folder."
            )
    return images


def _rows_of(columns: Sequence[Column], rows: Sequence[int]) -> list[Column]:
    return [
        Column(column.name, column.type, [column.texts[row] for row in rows])
        for column in columns
    ]


def _as_text(
    columns: Sequence[Column], second_rows: Sequence[Sequence[str]], *, delimiter: str
) -> bytes:
    lines = io.StringIO(newline="")
    # All in quotes, as a carriage return would end a row for some readers.
    writer = csv.writer(
        lines, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL
    )
    writer.writerow([column.name for column in columns])
    writer.writerows(second_rows)
    writer.writerows(zip(*(column.texts for column in columns), strict=True))
    return lines.getvalue().encode("utf-8-sig")
