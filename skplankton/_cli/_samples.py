"""Paths on the command line → samples."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skplankton._cli._reports import collected_reports
from skplankton._sharing.models import PICKLES
from skplankton._utils.reports import report
from skplankton.datasets import (
    load_cytoprocess,
    load_cyz_json,
    load_ifcb,
    load_particles,
)
from skplankton.datasets._cytoprocess import IMAGE_SUFFIXES, sources_of
from skplankton.datasets._ifcb.bins import SUFFIXES, files_of, find_bins
from skplankton.datasets._ifcb.dialects import NEW, OLD
from skplankton.datasets._ifcb.names import parse_bin
from skplankton.datasets._lab.reader import FOLDERS, OBJECT_ID, TABLE_NAME, read_table
from skplankton.datasets._samples.table import NO_VOLUME, samples_table
from skplankton.ecotaxa import read_ecotaxa
from skplankton.ecotaxa._columns import PREDEFINED

Channels = str | Sequence[str] | Mapping[str, str]

EXPECTED = (
    "a .json file of cyz2json, a folder of such files, a CytoProcess project, an IFCB "
    "bin (.adc, .hdr and .roi), a folder of bins, an export of EcoTaxa with its images "
    "(a .zip, a folder or its ecotaxa….tsv), or a folder or .csv file in the layout of "
    f"the published data sets ({TABLE_NAME} with the columns image and profile)"
)
# What the tables of EcoTaxa are named like.
_ECOTAXA = ("ecotaxa*.tsv", "ecotaxa*.txt")


@dataclass(frozen=True)
class Sample:
    """One measurement, or one table of particles. Results are named after `name`."""

    name: str
    source: Path

    @property
    def measurements(self) -> tuple[str, ...] | None:
        """Those of the instrument, empty if it records pulses; None if unknown."""
        return None

    def files(self) -> Iterable[str | Path]:
        """The files that the sample is read from, the indispensable one first."""
        raise NotImplementedError

    def load_with_samples(self, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read the particles, and the row of the table of samples.

        `settings` are the channels, cache, errors and verbose of
        :func:`skplankton.datasets.load_cyz_json`. The particles have the columns image,
        profile, object_id, sample_id and label, None where there is no label.
        """
        raise NotImplementedError

    def load(self, **settings: Any) -> pd.DataFrame:
        """The particles of `load_with_samples`."""
        return self.load_with_samples(**settings)[0]

    def _with_samples(self, table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Particles, and the row of a sample of which no more is known."""
        row = {"sample_id": self.name, "n_read": len(table)}
        return table, samples_table([{**row, "volume_problem": NO_VOLUME}])

    def state(self) -> str:
        """A digest that changes when one of the files does."""
        digest = hashlib.sha256()
        for i, file in enumerate(self.files()):
            try:
                stat = os.stat(file)
            except OSError:
                if i == 0:
                    raise
                continue  # a missing image or profile, which may exist the next time
            line = f"{os.path.realpath(file)}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
            digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()


class CyzSample(Sample):
    """A file of cyz2json."""

    measurements = ()

    def files(self) -> Iterable[str | Path]:
        return [self.source]

    def load_with_samples(self, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        table, samples = load_cyz_json(self.source, return_samples=True, **settings)
        return table.assign(label=None), samples


class CytoProcessSample(Sample):
    """A sample of the CytoProcess project in the folder `source`."""

    measurements = ()

    def files(self) -> Iterable[str | Path]:
        sources, extracted = sources_of(self.source)
        images = self.source / "images" / self.name
        if not extracted or not images.is_dir():
            return [sources[self.name]]
        shown = sorted(
            f for f in images.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES
        )
        return [sources[self.name], *shown]

    def load_with_samples(self, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        table, samples = load_cytoprocess(
            self.source, samples=[self.name], return_samples=True, **settings
        )
        return table.assign(label=None), samples


class IfcbSample(Sample):
    """An IFCB bin, whose channels are measurements; `source` has no suffix."""

    @property
    def measurements(self) -> tuple[str, ...]:
        dialect = OLD if parse_bin(self.name).is_old else NEW
        return dialect.measurements

    def files(self) -> Iterable[str | Path]:
        return files_of(self.source)

    def load_with_samples(self, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        measurements = settings.get("channels", "auto")
        if isinstance(measurements, Mapping):
            raise ValueError(
                f"{self.source}: measurements of an IFCB cannot have other names, as "
                f"in {dict(measurements)}. Pass --channels with their own names."
            )
        errors = settings.get("errors", "raise")
        table, samples = load_ifcb(
            self.source, measurements=measurements, errors=errors, return_samples=True
        )
        return table.assign(label=None), samples


class LabSample(Sample):
    """A table in the layout of the published data sets; `source` is the CSV file."""

    def files(self) -> Iterable[str | Path]:
        with collected_reports():  # reported when it is loaded
            X, _ = load_particles(self.source, errors="coerce", return_X_y=True)
        return [self.source, *X.to_numpy(dtype=object)[X.notna().to_numpy()]]

    def load_with_samples(self, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        errors = settings.get("errors", "raise")
        X, y = load_particles(self.source, errors=errors, return_X_y=True)
        table = X.assign(object_id=self._ids(), sample_id=self.name, label=y)
        twice = table["object_id"].duplicated()
        if twice.any():
            raise ValueError(
                f"{self.source}: {twice.sum() + 1} rows or more would have the "
                f"object_id {table['object_id'][twice].iloc[0]!r}, as their files have "
                "the same name. Add a column object_id with a unique id for each row."
            )
        return self._with_samples(table)

    def _ids(self) -> list[str]:
        """Those of the table, or <folder>_<file>.

        The latter depend neither on the table and row that refer to the files, nor on
        whether the files exist.
        """
        columns = read_table(self.source)
        if OBJECT_ID in columns:
            ids = [text.strip() for text in columns[OBJECT_ID]]
            if "" in ids:
                raise ValueError(
                    f"{self.source}, row {ids.index('')} (counted from 0): the "
                    f"{OBJECT_ID} is missing. Write it, or remove the column."
                )
            return ids
        owner = cache(_owner)  # many files of a few folders
        ids = []
        files = zip(*(columns[modality] for modality in FOLDERS), strict=True)
        for row, names in enumerate(files):
            name = next(filter(None, names), None)
            if name is None:
                raise ValueError(
                    f"{self.source}, row {row} (counted from 0) has neither an image "
                    "nor a profile. Remove it, or add a column object_id with an id "
                    "for each row."
                )
            folder, _, file = name.replace("\\", "/").rpartition("/")
            ids.append(f"{owner(self.source.parent / folder)}_{Path(file).stem}")
        return ids


@dataclass(frozen=True)
class EcotaxaSample(Sample):
    """A sample of an export of EcoTaxa, whose channels are its numeric columns.

    `objects` are those of this sample, as `read_ecotaxa` returns them, and `reports`
    what it could not read in the export, for one of its samples.
    """

    objects: pd.DataFrame = field(repr=False, compare=False)
    reports: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def files(self) -> Iterable[str | Path]:
        if not self.source.is_dir():
            return [self.source]
        return sorted(file for name in _ECOTAXA for file in self.source.rglob(name))

    def load_with_samples(self, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        if settings.get("errors") == "raise" and self.reports:
            raise ValueError(self.reports[0])
        for problem in self.reports:
            report(problem, settings.get("errors", "raise"))
        names = self._measurements(settings.get("channels", "auto"))
        table = self.objects.copy()
        vectors = table[names].to_numpy(dtype=np.float32)
        known = ~np.isnan(vectors).all(axis=1)
        rows = [vector if k else None for vector, k in zip(vectors, known, strict=True)]
        table["profile"] = pd.Series(rows, index=table.index, dtype=object)
        table["sample_id"] = self.name
        table.attrs["measurements"] = names
        return self._with_samples(table)

    def _measurements(self, wanted: Channels) -> list[str]:
        numeric = [
            name
            for name, values in self.objects.items()
            if str(name).startswith("object_")
            and name not in PREDEFINED
            and pd.api.types.is_numeric_dtype(values)
        ]
        names = [] if wanted == "auto" else list(wanted)
        unknown = [name for name in names if name not in numeric]
        if unknown or not names or isinstance(wanted, Mapping):
            problem = "are needed, in --channels"
            if isinstance(wanted, Mapping):
                problem = "cannot have other names, as in --channels NAME=OTHER"
            elif unknown:
                problem = (
                    f"do not contain {', '.join(unknown)}, of --channels or the model"
                )
            raise ValueError(
                f"{self.source}: the measurements of an export of EcoTaxa {problem}. "
                "Choose those that tell species apart, such as --channels "
                f"{','.join(numeric[:2]) or 'object_mean,object_skew'}, and leave out "
                "positions and the image's width and height. The numeric columns are: "
                f"{', '.join(numeric) or 'none'}."
            )
        return names


def find_samples(paths: Iterable[str | Path]) -> list[Sample]:
    """The samples at these places, in this order."""
    samples = [sample for path in paths for sample in _samples_at(Path(path))]
    first: dict[str, Sample] = {}
    for sample in samples:
        _check_name(sample.name, sample.source)
        # Some file systems are not case-sensitive.
        key = sample.name.casefold()
        if key in first:
            if isinstance(sample, IfcbSample) and sample.source == first[key].source:
                continue  # "D2022*" names a bin three times, by each of its files
            raise ValueError(
                f"Two samples are named {sample.name!r}: {first[key].source} and "
                f"{sample.source}. Their results would overwrite each other; rename a "
                "file, or pass each once."
            )
        first[key] = sample
    return list(first.values())


def _samples_at(path: Path) -> Sequence[Sample]:
    if path.is_dir():
        return _samples_in(path)
    if path.suffix in SUFFIXES or any(map(Path.is_file, files_of(path))):
        return _bins_at(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist. Expected {EXPECTED}. Put a name with spaces in "
            "quotes."
        )
    suffix = path.suffix.lower()
    if suffix == ".json":
        return [CyzSample(path.stem, path)]
    if suffix == ".csv":
        return [LabSample(_lab_name(path), path)]
    if suffix in (".zip", ".tsv") or any(path.match(name) for name in _ECOTAXA):
        return _ecotaxa_samples_at(path)
    advice = f"Expected {EXPECTED}."
    if suffix == ".cyz":
        advice = "Convert it with cyz2json first, and pass the .json file."
    elif suffix in (".skops", *PICKLES):
        advice = "If it is a model, pass it first: MODEL SAMPLE..."
    raise ValueError(f"{path} is not a file of a supported format. {advice}")


def _samples_in(folder: Path) -> Sequence[Sample]:
    if any(folder.glob("converted/*.json")) or any(
        folder.glob("work/*/converted_data.json")
    ):
        project = Path(os.path.realpath(folder))
        sources, _ = sources_of(project)
        return [CytoProcessSample(name, project) for name in sorted(sources)]
    if (folder / TABLE_NAME).is_file():
        return [LabSample(_lab_name(folder / TABLE_NAME), folder / TABLE_NAME)]
    if any(file for name in _ECOTAXA for file in folder.glob(name)):
        return _ecotaxa_samples_at(folder)
    files = sorted(folder.glob("*.json"))
    if not files and any(folder.rglob("*.adc")):
        return _bins_at(folder)
    if not files:
        found = sorted(entry.name for entry in folder.iterdir())[:5]
        raise ValueError(f"{folder} contains {found}. Expected {EXPECTED}.")
    return [CyzSample(file.stem, file) for file in files]


def _bins_at(path: Path) -> Sequence[Sample]:
    return [IfcbSample(bin.name, bin) for bin in find_bins(path)]


def _ecotaxa_samples_at(path: Path) -> Sequence[Sample]:
    # Once for all samples; what is wrong is reported when one is loaded, or raised.
    with collected_reports() as reports:
        objects = read_ecotaxa(path, errors="coerce")
    if "sample_id" not in objects or objects["sample_id"].isna().any():
        raise ValueError(
            f"{path} has objects without a sample_id. Export the project with its "
            "samples' ids."
        )
    samples = []
    for name, rows in objects.groupby("sample_id", sort=True):
        if re.search(r"[/\\\x00-\x1f]", str(name)):
            raise ValueError(
                f"{path}: results are written to files named after samples, which "
                f"cannot contain slashes, as the sample_id {name!r}. Rename it in "
                "EcoTaxa, and export again."
            )
        rows = rows.reset_index(drop=True)
        samples.append(EcotaxaSample(str(name), path, rows, tuple(reports)))
        reports = []  # once is enough
    return samples


def _lab_name(table: Path) -> str:
    """The folder's name; for a split such as fold1/train.csv, the file's as well."""
    folder = Path(os.path.realpath(table)).parent.name
    return folder if table.name == TABLE_NAME else f"{folder}_{table.stem}"


def _owner(folder: Path) -> str:
    """The name of the data set that a folder of files belongs to."""
    folder = Path(os.path.realpath(folder))
    if folder.name in FOLDERS.values():
        folder = folder.parent
    _check_name(folder.name, folder)
    return folder.name


def _check_name(name: str, path: Path) -> None:
    """Raise unless the name can be written to a table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"The name {name!r} of {str(path)!r} is not valid UTF-8, so it cannot be "
            "written to a table. Rename it."
        ) from None


def described(measurements: Sequence[str] | None) -> str:
    """What a sample has besides images, in words."""
    return f"the measurements {', '.join(measurements)}" if measurements else "pulses"
