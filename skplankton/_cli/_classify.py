"""The command ``classify``: samples → tables of predicted labels, part by part."""

from __future__ import annotations

import csv
import hashlib
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

import skplankton
from skplankton._cli._arguments import DONE, FAILED, PROBLEMS
from skplankton._cli._files import json_bytes, read_json, write_whole
from skplankton._cli._model import (
    NAME,
    SCORE,
    Model,
    columns,
    n_neighbors,
    name_particles,
    open_model,
    read_model_file,
)
from skplankton._cli._output_folder import (
    PART_OF_NAMES,
    SPECIES,
    OutputFolder,
    result_names,
)
from skplankton._cli._reports import complain, gathered_reports, plural, say, show_bars
from skplankton._cli._samples import Sample, errors, find_samples
from skplankton._utils.files import disk_errors
from skplankton.ecotaxa import write_ecotaxa
from skplankton.ecotaxa._output import image_file

_LONGEST_NAME = 255  # of a file, in bytes
# What is wrong with one sample, and no reason not to name the others.
_SAMPLE_ERRORS = (ValueError, FileNotFoundError, FileExistsError)


def run(options: Namespace) -> int:
    """Name the samples that are not finished."""
    samples = find_samples(options.samples)
    _check_names(samples)
    content = read_model_file(options.model)
    with disk_errors(options.output), OutputFolder.opened(options.output) as folder:
        try:
            return _classify(samples, content, folder, options)
        except (KeyboardInterrupt, OSError):
            complain(
                f"What is finished is kept in {folder.path}. Run the same command "
                "again to go on from there."
            )
            raise


def _check_names(samples: list[Sample]) -> None:
    """Raise if a sample's results cannot have the names that they are to have."""
    for sample in samples:
        # Not all file systems tell upper from lower case.
        if sample.name.casefold() == SPECIES:
            raise ValueError(
                f"The sample {sample.name!r} would be written to {sample.name}.csv, as "
                f"is the table of all samples. Rename {sample.source}."
            )
        # Bytes, not characters, are what most file systems count.
        longest = max(map(os.fsencode, result_names(sample.name).values()), key=len)
        excess = len(longest) - _LONGEST_NAME
        if excess > 0:
            length = len(os.fsencode(sample.name))
            raise ValueError(
                f"The name of the sample {sample.name!r} has {length} bytes, at most "
                f"{length - excess} are possible: its results would have longer names "
                f"than files can have. Rename {sample.source}; a letter that is not "
                "ASCII takes two bytes or more."
            )


def _classify(
    samples: list[Sample], content: bytes, folder: OutputFolder, options: Namespace
) -> int:
    run = {
        "model": hashlib.sha256(content).hexdigest(),
        "channels": options.channels,
        "skplankton": skplankton.__version__,
    }
    anew = folder.is_of_other_run(run)
    if anew and folder.holds_names() and not options.overwrite:
        raise ValueError(
            f"{folder.path} holds names given by another model, with other --channels "
            "or another version of skplankton. Names are not mixed: choose another "
            "--output, or pass --overwrite to remove these and begin anew."
        )
    wanted = {"table"} | ({"ecotaxa"} if options.ecotaxa else set())
    failed: dict[str, Exception] = {}
    records: dict[str, Any] = {}
    waiting: list[tuple[Sample, str]] = []
    for sample in samples:
        with _sample_errors(failed, sample, options):
            state = sample.state()
            record = None if anew else folder.finished(sample.name, state, wanted)
            if record is None:
                waiting.append((sample, state))
            else:
                records[sample.name] = record
    if records:
        say(f"{plural(len(records), 'sample')} named before; left as they are")
    if waiting:
        model = open_model(content, options.model)
        model.set_up(
            device=options.device, n_jobs=options.n_jobs, strict=options.strict
        )
        folder.begin_run(run)
        job = SampleJob(model, folder, options, wanted)
        for sample, state in waiting:
            with _sample_errors(failed, sample, options):
                records[sample.name] = job.name_sample(sample, state)
    if waiting or records:
        folder.write_species()
    return _told(records, failed, folder)


@contextmanager
def _sample_errors(
    failed: dict[str, Exception], sample: Sample, options: Namespace
) -> Iterator[None]:
    """Tell of what is wrong with a sample and go on, unless that is not wanted."""
    try:
        yield
    except _SAMPLE_ERRORS as error:
        if options.strict or options.debug:
            raise
        failed[sample.name] = error
        complain(f"{sample.name} could not be named: {error}")


def _told(
    records: dict[str, Any], failed: dict[str, Exception], folder: OutputFolder
) -> int:
    """The last words, and the exit code."""
    n_particles = sum(record["particles"] for record in records.values())
    n_unnamed = sum(record["unnamed"] for record in records.values())
    if records:
        say(
            f"{plural(len(records), 'sample')}, {plural(n_particles, 'particle')}, "
            f"{n_unnamed} of them without a name: {folder.path / SPECIES}.csv"
        )
    with_problems = [name for name, record in records.items() if record["problems"]]
    for name in with_problems:
        complain(
            f"{name}: something could not be read, see "
            f"{folder.path / result_names(name)['problems']}"
        )
    if failed:
        complain(
            f"error: {plural(len(failed), 'sample')} could not be named: "
            f"{', '.join(failed)} (why is said above)"
        )
        return FAILED
    return PROBLEMS if with_problems else DONE


@dataclass(frozen=True)
class SampleJob:
    """How samples are named; `wanted` are kinds of results."""

    model: Model
    folder: OutputFolder
    options: Namespace
    wanted: set[str]

    def name_sample(self, sample: Sample, state: str) -> dict[str, Any]:
        """Name the particles that are not named yet; return the sample's record."""
        work = self.folder.begin(sample.name, state)
        with gathered_reports() as problems:
            table = sample.load(
                channels=self.options.channels or self.model.channels or "auto",
                cache=self.options.cache or work / "views",
                errors=errors(self.options.strict),
                verbose=show_bars(self.options.quiet),
            )
        parts = list(self._parts(sample, table, work))
        names = result_names(sample.name)
        results = {"table": work / names["table"]}
        counts = self._write_table(results["table"], parts)
        for part in parts:
            problems += read_json(part)["problems"]
        if "ecotaxa" in self.wanted:
            if table["image"].notna().any():
                results["ecotaxa"] = work / names["ecotaxa"]
                problems += self._write_ecotaxa(results, table)
            else:
                say(f"{sample.name}: no images, so there is nothing for EcoTaxa")
        if problems:
            results["problems"] = work / names["problems"]
            text = "\n\n".join(problems) + "\n"
            content = text.encode(errors="backslashreplace")  # names of files
            write_whole(results["problems"], content, work)
        unnamed = counts.pop("")
        record = {
            "state": state,
            "looked_for": sorted(self.wanted),
            "particles": len(table),
            "unnamed": unnamed,
            "species": dict(sorted(counts.items())),
            "problems": bool(problems),
        }
        self.folder.finish(sample.name, results, record)
        without = f", {unnamed} without a name" if unnamed else ""
        say(f"{sample.name}: {plural(len(table), 'particle')}{without}")
        return record

    def _parts(self, sample: Sample, table: pd.DataFrame, work: Path) -> Iterator[Path]:
        """Files with the names of some particles each, in order."""
        size = self.options.chunk_size
        with tqdm(
            total=len(table),
            desc=sample.name,
            unit="particle",
            leave=False,
            disable=not show_bars(self.options.quiet),
        ) as progress:
            for start in range(0, len(table), size):
                chunk = table.iloc[start : start + size]
                rows_of_part = f"{start}-{start + len(chunk)}"
                part = work / PART_OF_NAMES.replace("*", rows_of_part)
                if read_json(part) is None:
                    with gathered_reports() as problems:
                        rows = name_particles(self.model, chunk)
                    content = json_bytes({"rows": rows, "problems": problems})
                    write_whole(part, content, work)
                progress.update(len(chunk))
                yield part

    def _write_table(self, path: Path, parts: list[Path]) -> Counter[str]:
        """Write the parts as one table; return how many of each name there are."""
        names = {str(name): 0 for name in self.model.pipeline["gallery"].classes_}
        counts = Counter(names | {"": 0})
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns(self.model))
            for part in parts:
                rows = read_json(part)["rows"]
                writer.writerows(rows)
                counts.update(row[1] for row in rows)
        return counts

    def _write_ecotaxa(
        self, results: dict[str, Path], table: pd.DataFrame
    ) -> list[str]:
        """Write the import of EcoTaxa; return what could not be."""
        named = pd.read_csv(results["table"], dtype=str, keep_default_na=False)
        nearest = [f"neighbor_{k + 1}" for k in range(n_neighbors(self.model))]
        arguments: dict[str, Any] = {
            "predictions": named[NAME].where(named[NAME] != "", None),
            "proba": named[SCORE].replace("", "nan").to_numpy(dtype=np.float64),
            "neighbors": named[nearest],
            "without_image": "aside",
            "overwrite": True,  # in the work folder, of an interrupted run
        }
        problems: list[str] = []
        try:
            write_ecotaxa(results["ecotaxa"], table, **arguments)
        except ValueError as error:
            broken = [not _is_readable(cell) for cell in table["image"]]
            if self.options.strict or not any(broken):
                raise
            problems.append(
                f"{plural(sum(broken), 'image')} left out of the import of EcoTaxa, "
                f"the first: {error}"
            )
            # Their names go with those of the particles without an image.
            image = table["image"].where(~np.array(broken), None)
            if image.notna().any():
                write_ecotaxa(
                    results["ecotaxa"], table.assign(image=image), **arguments
                )
            else:
                del results["ecotaxa"]
        return problems


def _is_readable(cell: Any) -> bool:
    if pd.isna(cell):
        return True
    try:
        image_file(cell)
    except (OSError, TypeError, ValueError):
        return False
    return True
