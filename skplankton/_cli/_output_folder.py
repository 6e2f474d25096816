"""The output folder, which records what is finished and what was begun."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from skplankton._cli._abundances import abundances
from skplankton._cli._files import (
    json_bytes,
    locked,
    make_folder,
    read_json,
    remove_unfinished,
    replace,
    write_whole,
)
from skplankton._cli._sizes import biovolumes
from skplankton.datasets._samples.table import COLUMNS
from skplankton.exports import write_csv

# The tables of all samples.
SPECIES, SAMPLES = "species", "samples"
REPORT = "report.html"
ABUNDANCE, BIOVOLUME = "abundance.csv", "biovolume.csv"
_OF_ALL_SAMPLES = (
    *(f"{SPECIES}.csv", f"{SAMPLES}.csv"),
    *(ABUNDANCE, BIOVOLUME, REPORT),
)
# Names that a sample cannot have.
RESERVED = tuple(Path(name).stem for name in _OF_ALL_SAMPLES)
PART_PATTERN = "rows-*.json"
_RECORD, _WORK = ".json", ".work"
_EXCERPTS = "progress/excerpts"


def result_names(sample: str) -> dict[str, str]:
    """The output files of a sample, by kind."""
    return {
        "table": f"{sample}.csv",
        "ecotaxa": f"ecotaxa_{sample}.zip",
        "ifcb": f"{sample}_class.h5",  # the name by which other programs find it
        "sizes": f"{sample}_sizes.csv",
        "problems": f"{sample}_problems.txt",
        "excerpt": f"{_EXCERPTS}/{sample}{_RECORD}",
    }


class OutputFolder:
    """Results of one model, sample by sample.

    Besides the results there is the folder ``progress`` with

    - ``run.json``: the model and options that all results come from;
    - ``done/<sample>.json``: what is finished, and from which state of its files;
    - ``begun/<sample>.work/``: parts, images and profiles of an unfinished sample;
    - ``excerpts/<sample>.json``: what a report shows of a sample;
    - ``lock``.

    With the suffix, no sample's name clashes with another file, not even "..".

    Every file gets its name when it is complete. A sample's record is written after its
    results, and only then are its parts removed: whenever the process is killed, the
    next one finds either the record, or all that it needs to resume.
    """

    def __init__(self, path: Path):
        self.path = path
        self.progress = path / "progress"
        self._run_file = self.progress / "run.json"
        self._done, self._begun = self.progress / "done", self.progress / "begun"

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[OutputFolder]:
        """The folder, made if necessary, for this process alone."""
        make_folder(path, "--output")
        folder = cls(path)
        for inner in (folder._done, folder._begun, path / _EXCERPTS):
            inner.mkdir(parents=True, exist_ok=True)
        busy = f"Another process writes into {path}. Wait for it, or stop it."
        with locked(folder.progress / "lock", busy):
            remove_unfinished(folder.progress)
            yield folder

    def is_of_other_run(self, run: Mapping[str, Any]) -> bool:
        """Whether the results come from another run.

        Raises if a table of all samples was written by something else.
        """
        before = read_json(self._run_file)
        if before is not None or self.records():
            return before != run
        for name in _OF_ALL_SAMPLES:
            if (self.path / name).exists():
                raise _not_ours(self.path / name)
        return False

    def has_results(self) -> bool:
        """Whether any particle was classified."""
        return bool(self.records()) or any(self._begun.glob(f"*/{PART_PATTERN}"))

    def begin_run(self, run: Mapping[str, Any]) -> None:
        """Record what the results come from; remove those of another run."""
        if self.is_of_other_run(run):
            for work in sorted(self._begun.iterdir()):
                self._remove_results(work.name.removesuffix(_WORK))
                shutil.rmtree(work)
            for name in self.records():
                self.forget(name)
            for name in _OF_ALL_SAMPLES:
                (self.path / name).unlink(missing_ok=True)
        write_whole(self._run_file, json_bytes(run), self.progress)

    def forget(self, sample: str) -> None:
        """Remove a finished sample, if there is one of this name."""
        # A record is removed after its results: every result has one at any time.
        if self._record_file(sample).is_file():
            self._remove_results(sample)
            self._record_file(sample).unlink()

    def records(self) -> dict[str, Any]:
        """The record of each finished sample, by name."""
        files = sorted(self._done.glob(f"*{_RECORD}"))
        # Not the stem: that of ".json", a sample with an empty name, is ".json".
        records = {f.name.removesuffix(_RECORD): read_json(f) for f in files}
        return {name: record for name, record in records.items() if record is not None}

    def finished(self, sample: str, state: str, wanted: Iterable[str]) -> Any:
        """The record if the sample is finished in this state, with all wanted results.

        Otherwise None.
        """
        record = read_json(self._record_file(sample))
        if record is None or record["state"] != state:
            return None
        if not set(wanted) <= set(record["looked_for"]):
            return None
        names = result_names(sample)
        needed = set(wanted) & set(record["results"])
        if not all((self.path / names[kind]).is_file() for kind in needed):
            return None
        return record

    def remove_parts(self, sample: str) -> None:
        """Remove what a finished sample no longer needs."""
        shutil.rmtree(self._work_folder(sample), ignore_errors=True)

    def begin(self, sample: str, state: str) -> Path:
        """The folder for the parts of a sample, including those that exist already."""
        work = self._work_folder(sample)
        record = self._record_file(sample)
        if not work.is_dir() and not record.is_file():
            for name in result_names(sample).values():
                if (self.path / name).exists():
                    raise _not_ours(self.path / name)
        work.mkdir(exist_ok=True)
        begun = work / "begun.json"
        before = read_json(record) or read_json(begun) or {}
        if before.get("state") not in (None, state):
            self._remove_results(sample)  # of the files' former contents
        if read_json(begun) != {"state": state}:
            # The folder stays: it marks the existing results as ours.
            begun.unlink(missing_ok=True)
            for entry in work.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            write_whole(begun, json_bytes({"state": state}), work)
        record.unlink(missing_ok=True)
        return work

    def finish(
        self, sample: str, results: Mapping[str, Path], record: Mapping[str, Any]
    ) -> None:
        """Move the results to their final names, and remove the parts."""
        for kind, name in result_names(sample).items():
            if kind in results:
                replace(results[kind], self.path / name)
            else:
                (self.path / name).unlink(missing_ok=True)
        content = json_bytes({**record, "results": sorted(results)})
        work = self._work_folder(sample)
        write_whole(self._record_file(sample), content, work)
        self.remove_parts(sample)

    def adopt(self, other: OutputFolder, samples: Iterable[str]) -> None:
        """Move these samples here from the folder of a shard, which has no others left.

        One that the shard began but could not finish is not finished here, either.
        """
        for sample in samples:
            record = read_json(other._record_file(sample))
            begun = read_json(other._work_folder(sample) / "begun.json")
            if record is not None:
                self.begin(sample, record["state"])
                results = {
                    kind: self._whereabouts(other, result_names(sample)[kind])
                    for kind in record["results"]
                }
                self.finish(sample, results, record)
                other._record_file(sample).unlink()
            elif begun is not None:
                self.begin(sample, begun["state"])
        for sample in other.records():  # of a run with other samples
            other.forget(sample)

    def _whereabouts(self, other: OutputFolder, name: str) -> Path:
        """Where a result of a shard is: a killed process may have moved it already."""
        there, here = other.path / name, self.path / name
        if not there.exists() and not here.exists():
            raise FileNotFoundError(
                f"{there} is gone. Run the shard again, and merge again."
            )
        return there if there.exists() else here

    def write_tables(self, imaged_only: bool) -> None:
        """Write the tables of all finished samples.

        They take time in proportion to all samples, and are therefore not written after
        each one: after a killed process, those of the next one have all of them.
        """
        records = dict(sorted(self.records().items()))
        self._write_species(records)
        self._write_samples(records)
        self._write_abundance(records, imaged_only)

    def _write_species(self, records: Mapping[str, Any]) -> None:
        """Write the number of particles of each species in each sample."""
        species = sorted({name for r in records.values() for name in r["species"]})
        rows = [["sample", *species, "(no name)", "(partial)"]]
        for sample, record in records.items():
            counts = [record["species"].get(name, 0) for name in species]
            is_partial = record["sample"]["is_partial"]
            rows.append([sample, *counts, record["unnamed"], is_partial])
        self._write_table(SPECIES, rows)

    def _write_samples(self, records: Mapping[str, Any]) -> None:
        """Write what is known of each sample: its volume, time, place and so on."""
        samples = [record["sample"] for record in records.values()]
        others = sorted({name for sample in samples for name in sample} - set(COLUMNS))
        names = [*COLUMNS, *others]
        rows = [[sample.get(name, "") for name in names] for sample in samples]
        self._write_table(SAMPLES, [names, *rows])

    def _write_abundance(self, records: Mapping[str, Any], imaged_only: bool) -> None:
        """Write counts and concentrations, and biovolumes if some were measured."""
        self._write_csv(ABUNDANCE, abundances(records, imaged_only))
        if any(record["sizes"] is not None for record in records.values()):
            self._write_csv(BIOVOLUME, biovolumes(records, imaged_only))

    def _write_csv(self, name: str, table: pd.DataFrame) -> None:
        part = self.progress / name
        write_csv(part, table, overwrite=True)
        replace(part, self.path / name)

    def _write_table(self, name: str, rows: list[list[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        # Without a byte-order mark, spreadsheet programs spoil letters beyond ASCII.
        content = text.getvalue().encode("utf-8-sig")
        write_whole(self.path / f"{name}.csv", content, self.progress)

    def _record_file(self, sample: str) -> Path:
        return self._done / f"{sample}{_RECORD}"

    def _work_folder(self, sample: str) -> Path:
        return self._begun / f"{sample}{_WORK}"

    def _remove_results(self, sample: str) -> None:
        for file in result_names(sample).values():
            (self.path / file).unlink(missing_ok=True)


def results_of_other_run(path: Path) -> ValueError:
    """The error for a folder with results of another run."""
    return ValueError(
        f"{path} contains results of another model, of other --channels or of another "
        "version of skplankton. Results are not mixed: choose another --output, or "
        "pass --overwrite to remove these and start again."
    )


def _not_ours(path: Path) -> FileExistsError:
    return FileExistsError(
        f"{path} exists and was not written by this command. Choose another --output, "
        "or move the file away."
    )
