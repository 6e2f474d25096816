"""Predictions in the forms that programs for IFCB data read."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skplankton._utils.extras import import_extra
from skplankton._utils.files import check_free, unfinished
from skplankton.datasets._ifcb.labels import UNCLASSIFIED
from skplankton.datasets._ifcb.names import object_id, parse_object_id

_NAMES = {"h5": "{}_class.h5", "csv": "{}.csv"}
_COLUMNS = ("file_name", "class_name", "class_name_auto", "score")


def write_ifcb_class_scores(
    object_ids: ArrayLike,
    scores: ArrayLike,
    classes: Sequence[str],
    path: str | os.PathLike,
    *,
    thresholds: float | ArrayLike = 0.0,
    is_unknown: ArrayLike | None = None,
    classifier_name: str = "skplankton",
    file_format: str = "h5",
    overwrite: bool = False,
) -> list[Path]:
    """Write predictions of particles of an Imaging FlowCytobot (IFCB), a file per bin.

    The HDF5 files are class scores of version 3, which the IFCB Dashboard, iRfcb and
    ClassiPyR read; the CSV files are those of ClassiPyR.

    Parameters
    ----------
    object_ids : array-like of shape (n_particles,)
        The ids of :func:`load_ifcb`.
    scores : array-like of shape (n_particles, n_classes)
        The score of each class, as `predict_proba` returns them. A row may be NaN, for
        a particle that could not be read.
    classes : array-like of shape (n_classes,)
        The classes, as in `classes_` of a classifier, written as text.
    path : path-like
        The folder, made if necessary.
    thresholds : float or array-like of shape (n_classes,), default=0.0
        The score that the class with the highest score must reach; otherwise the
        particle is "unclassified".
    is_unknown : array-like of shape (n_particles,), dtype bool, default=None
        Particles that are "unclassified" whatever their scores, for example where the
        prediction is `outlier_label`.
    classifier_name : str, default="skplankton"
        The name of the classifier, written to the HDF5 files.
    file_format : {"h5", "csv"}, default="h5"
        What to write: <bin>_class.h5, which needs h5py, or <bin>.csv, with the columns
        `file_name`, `class_name` ("unclassified" below the threshold),
        `class_name_auto` (the class with the highest score) and `score` (the highest).
    overwrite : bool, default=False
        Whether to replace existing files.

    Returns
    -------
    list of pathlib.Path
        The files, ordered by bin.

    Raises
    ------
    FileExistsError
        If a file exists and ``overwrite`` is False.
    ImportError
        If h5py is not installed, for HDF5 files.
    OSError
        If the disk is full.
    ValueError
        If an id is not that of a particle in a bin or occurs twice, the shapes do not
        agree, or scores or thresholds are not finite.

    See Also
    --------
    read_ifcb_labels : Read the CSV files.

    Notes
    -----
    The format is described in the documentation of iRfcb,
    https://europeanifcbgroup.github.io/iRfcb.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skplankton.datasets import write_ifcb_class_scores
    >>> with TemporaryDirectory() as folder:
    ...     files = write_ifcb_class_scores(
    ...         ["D20220522T003051_IFCB134_00002", "D20220522T003051_IFCB134_00003"],
    ...         [[0.9, 0.1], [0.4, 0.6]],
    ...         ["Dinobryon", "Mesodinium"],
    ...         folder,
    ...         thresholds=0.7,
    ...         file_format="csv",
    ...     )
    ...     print(files[0].read_text().splitlines()[2])
    D20220522T003051_IFCB134_00003.png,unclassified,Mesodinium,0.6
    """
    if file_format not in _NAMES:
        raise ValueError(
            f"file_format={file_format!r}; expected one of {list(_NAMES)}."
        )
    table = _predictions(object_ids, scores, classes, thresholds, is_unknown)
    write = _write_csv
    if file_format == "h5":
        import_h5py()  # before a folder is made
        write = _write_h5
    folder = Path(path)
    bins = table.rows.groupby("bin", sort=True).indices
    targets = [folder / _NAMES[file_format].format(bin) for bin in bins]
    for target in targets:
        check_free(target, overwrite)
    for target, positions in zip(targets, bins.values(), strict=True):
        with unfinished(target) as part:
            write(part, table.of(positions), classifier_name)
            os.replace(part, target)
    return targets


class _Predictions(NamedTuple):
    """Particles with their scores, and the names that these give them."""

    rows: pd.DataFrame  # bin, number, name, name_auto, score
    scores: np.ndarray
    classes: list[str]
    thresholds: np.ndarray

    def of(self, positions: np.ndarray) -> _Predictions:
        """Some particles, ordered by their number in the bin."""
        numbers = self.rows["number"].to_numpy()[positions]
        ordered = positions[np.argsort(numbers, kind="stable")]
        rows = self.rows.iloc[ordered]
        return self._replace(rows=rows, scores=self.scores[ordered])


def _predictions(object_ids, scores, classes, thresholds, is_unknown) -> _Predictions:
    ids = [str(particle) for particle in np.asarray(object_ids, dtype=object).ravel()]
    names = [str(label) for label in classes]
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(ids), len(names)) or not names:
        raise ValueError(
            f"scores has the shape {values.shape}; expected {len(ids)} rows, as "
            f"object_ids, and {len(names)} columns, as classes, at least one."
        )
    is_read = ~np.isnan(values).all(axis=1)
    if not np.isfinite(values[is_read]).all():
        row = int(np.flatnonzero(is_read & ~np.isfinite(values).all(axis=1))[0])
        raise ValueError(
            f"scores, row {row}: {values[row].tolist()}; expected finite numbers, or "
            "NaN in the whole row."
        )
    limits = np.asarray(thresholds, dtype=np.float64)
    if limits.shape not in ((), (len(names),)) or not np.isfinite(limits).all():
        raise ValueError(
            f"thresholds={thresholds!r}; expected a finite number, or one for each of "
            f"the {len(names)} classes."
        )
    limits = np.broadcast_to(limits, len(names))
    unknown = np.zeros(len(ids), bool) if is_unknown is None else np.asarray(is_unknown)
    if unknown.shape != (len(ids),) or unknown.dtype != bool:
        raise ValueError(
            f"is_unknown has the shape {unknown.shape} and the type {unknown.dtype}; "
            f"expected {len(ids)} bools, as object_ids."
        )
    best = np.where(is_read, np.nan_to_num(values, nan=-np.inf).argmax(axis=1), -1)
    auto = np.array([*names, UNCLASSIFIED], dtype=object)[best]
    score = np.where(is_read, values[np.arange(len(ids)), best], np.nan)
    is_accepted = is_read & ~unknown & (score >= limits[best])
    parsed = [_parsed(particle, i) for i, particle in enumerate(ids)]
    rows = pd.DataFrame(
        {
            "bin": [bin for bin, _ in parsed],
            "number": np.array([number for _, number in parsed], dtype=np.int64),
            "name": np.where(is_accepted, auto, UNCLASSIFIED),
            "name_auto": auto,
            "score": score,
        }
    )
    twice = np.flatnonzero(rows.duplicated(["bin", "number"]))
    if len(twice):
        raise ValueError(f"object_ids has {ids[twice[0]]!r} twice. Pass it once.")
    return _Predictions(rows, values, names, limits)


def _parsed(particle: str, row: int) -> tuple[str, int]:
    try:
        return parse_object_id(particle)
    except ValueError as error:
        raise ValueError(f"object_ids, row {row}: {error}.") from None


def _write_csv(path: Path, table: _Predictions, classifier_name: str) -> None:
    rows = table.rows
    with open(path, "x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for bin, number, name, auto, score in rows.itertuples(index=False):
            text = "" if np.isnan(score) else repr(float(score))
            writer.writerow([f"{object_id(bin, number)}.png", name, auto, text])


def _write_h5(path: Path, table: _Predictions, classifier_name: str) -> None:
    h5py = import_h5py()
    rows, text = table.rows, h5py.string_dtype("utf-8")
    contents: dict[str, tuple[Any, Any]] = {
        "output_scores": (table.scores, np.float64),
        "class_labels": (table.classes, text),
        "roi_numbers": (rows["number"].to_numpy(), np.int32),
        "class_name": (rows["name"].tolist(), text),
        "class_name_auto": (rows["name_auto"].tolist(), text),
        "thresholds": (table.thresholds, np.float64),
        "classifier_name": ([classifier_name], text),
    }
    with h5py.File(path, "x") as file:
        for name, (data, dtype) in contents.items():
            file.create_dataset(name, data=data, dtype=dtype, compression="gzip")


def import_h5py() -> Any:
    """The module h5py, or an ImportError with the command that installs it."""
    return import_extra("h5py", "ifcb", "file_format='h5' (not 'csv') needs h5py")
