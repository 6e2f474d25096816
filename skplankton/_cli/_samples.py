"""What is named on the command line → samples: files to be read as tables."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from skplankton._cli._reports import gathered_reports
from skplankton.datasets import load_cytoprocess, load_cyz_json, load_particles
from skplankton.datasets._cytoprocess import _SUFFIXES, _sources
from skplankton.datasets._lab.reader import FOLDERS, TABLE_NAME

Channels = str | Sequence[str] | Mapping[str, str]

EXPECTED = (
    "a .json file of cyz2json, a folder of such files, a CytoProcess project, or a "
    f"folder or .csv file in the layout of the published data sets ({TABLE_NAME} with "
    "the columns image and profile)"
)


@dataclass(frozen=True)
class Sample:
    """One measurement, or one table of particles. `name` is that of its results."""

    name: str
    source: Path

    def files(self) -> Iterable[str | Path]:
        """All that the sample is read from, what it cannot do without first."""
        raise NotImplementedError

    def load(self, **settings: Any) -> pd.DataFrame:
        """Read the particles.

        `settings` are the channels, cache, errors and verbose of
        :func:`skplankton.datasets.load_cyz_json`. The table has the columns image,
        profile, object_id, sample_id and label, None where there is no label.
        """
        raise NotImplementedError

    def state(self) -> str:
        """A digest that changes when one of the files does."""
        digest = hashlib.sha256()
        for i, file in enumerate(self.files()):
            try:
                stat = os.stat(file)
            except OSError:
                if i == 0:
                    raise
                continue  # a missing view, which may be there the next time
            line = f"{os.path.realpath(file)}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
            digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()


class CyzSample(Sample):
    """A file of cyz2json."""

    def files(self) -> Iterable[str | Path]:
        return [self.source]

    def load(self, **settings: Any) -> pd.DataFrame:
        return load_cyz_json(self.source, **settings).assign(label=None)


class CytoProcessSample(Sample):
    """A sample of the CytoProcess project in the folder `source`."""

    def files(self) -> Iterable[str | Path]:
        sources, extracted = _sources(self.source)
        images = self.source / "images" / self.name
        if not extracted or not images.is_dir():
            return [sources[self.name]]
        shown = sorted(f for f in images.iterdir() if f.suffix.lower() in _SUFFIXES)
        return [sources[self.name], *shown]

    def load(self, **settings: Any) -> pd.DataFrame:
        table = load_cytoprocess(self.source, samples=[self.name], **settings)
        return table.assign(label=None)


class LabSample(Sample):
    """A table in the layout of the published data sets; `source` is the CSV file."""

    def files(self) -> Iterable[str | Path]:
        with gathered_reports():  # `load` is who tells what is missing
            X, _ = load_particles(self.source, errors="coerce", return_X_y=True)
        return [self.source, *X.to_numpy(dtype=object)[X.notna().to_numpy()]]

    def load(self, **settings: Any) -> pd.DataFrame:
        errors = settings.get("errors", "raise")
        X, y = load_particles(self.source, errors=errors, return_X_y=True)
        table = X.assign(object_id=self._ids(), sample_id=self.name, label=y)
        twice = table["object_id"].duplicated()
        if twice.any():
            raise ValueError(
                f"{self.source}: {twice.sum() + 1} rows or more would be the particle "
                f"{table['object_id'][twice].iloc[0]!r}, as their files have one name. "
                "Add a column object_id with a name for each row."
            )
        return table

    def _ids(self) -> list[str]:
        """Those of the table, or <folder>_<file>.

        The latter are the same in whichever table, and row, the files are named, and
        whether or not they are there.
        """
        text = pd.read_csv(
            self.source, dtype=str, keep_default_na=False, encoding="utf-8"
        )
        if "object_id" in text:
            return text["object_id"].tolist()
        owner = cache(_owner)  # many files of a few folders
        ids = []
        for row, names in enumerate(text[list(FOLDERS)].itertuples(index=False)):
            name = next(filter(None, names), None)
            if name is None:
                raise ValueError(
                    f"{self.source}, row {row} (counted from 0) has neither an image "
                    "nor a profile. Remove it, or add a column object_id with a name "
                    "for each row."
                )
            folder, _, file = name.replace("\\", "/").rpartition("/")
            ids.append(f"{owner(self.source.parent / folder)}_{Path(file).stem}")
        return ids


def find_samples(paths: Iterable[str | Path]) -> list[Sample]:
    """The samples at these places, in this order."""
    samples = [sample for path in paths for sample in _samples_at(Path(path))]
    first: dict[str, Sample] = {}
    for sample in samples:
        _check_name(sample.name, sample.source)
        # Not all file systems tell upper from lower case.
        key = sample.name.casefold()
        if key in first:
            raise ValueError(
                f"Two samples are named {sample.name!r}: {first[key].source} and "
                f"{sample.source}. Their results would have one name; rename a file, "
                "or pass each once."
            )
        first[key] = sample
    return samples


def _samples_at(path: Path) -> Sequence[Sample]:
    if path.is_dir():
        return _samples_in(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Expected {EXPECTED}.")
    suffix = path.suffix.lower()
    if suffix == ".json":
        return [CyzSample(path.stem, path)]
    if suffix == ".csv":
        return [LabSample(_lab_name(path), path)]
    advice = f"Expected {EXPECTED}."
    if suffix == ".cyz":
        advice = "Convert it by cyz2json first, and pass the .json file."
    raise ValueError(f"{path} is no file that is read here. {advice}")


def _samples_in(folder: Path) -> Sequence[Sample]:
    if any(folder.glob("converted/*.json")) or any(
        folder.glob("work/*/converted_data.json")
    ):
        project = Path(os.path.realpath(folder))
        sources, _ = _sources(project)
        return [CytoProcessSample(name, project) for name in sorted(sources)]
    if (folder / TABLE_NAME).is_file():
        return [LabSample(_lab_name(folder / TABLE_NAME), folder / TABLE_NAME)]
    files = sorted(folder.glob("*.json"))
    if not files:
        held = sorted(entry.name for entry in folder.iterdir())[:5]
        raise ValueError(f"{folder} holds {held}. Expected {EXPECTED}.")
    return [CyzSample(file.stem, file) for file in files]


def _lab_name(table: Path) -> str:
    """The folder's name; fold1/train.csv, of which there are several, has both."""
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
    """Raise unless tables can hold the name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"The name {name!r} of {str(path)!r} is not UTF-8, as names in tables must "
            "be. Rename it."
        ) from None
