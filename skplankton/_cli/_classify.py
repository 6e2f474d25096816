"""``classify``: samples → tables of predicted labels, part by part."""

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
    FAMILIARITY,
    NAME,
    SCORE,
    UNKNOWN,
    Model,
    classify_particles,
    columns,
    n_neighbors,
    open_model,
    read_model_file,
)
from skplankton._cli._output_folder import (
    PART_PATTERN,
    SPECIES,
    OutputFolder,
    result_names,
)
from skplankton._cli._reports import (
    collected_reports,
    errors,
    plural,
    print_message,
    print_result,
    show_bars,
)
from skplankton._cli._samples import IfcbSample, Sample, find_samples
from skplankton._utils.files import disk_errors
from skplankton.datasets import write_ifcb_class_scores
from skplankton.datasets._ifcb.class_scores import import_h5py
from skplankton.ecotaxa import write_ecotaxa
from skplankton.ecotaxa._writer import NoImageError

_LONGEST_NAME = 255  # of a file, in bytes
# Errors of one sample, after which the other samples are still classified.
_SAMPLE_ERRORS = (ValueError, FileNotFoundError, FileExistsError)


def run(options: Namespace) -> int:
    """Classify the samples that are not finished."""
    if options.ifcb:
        import_h5py()
    samples = find_samples(options.samples)
    _check_sample_names(samples)
    content = read_model_file(options.model)
    with disk_errors(options.output), OutputFolder.opened(options.output) as folder:
        try:
            return _classify(samples, content, folder, options)
        except (KeyboardInterrupt, OSError):
            print_message(
                f"Finished results are kept in {folder.path}. Run the same command "
                "again to resume."
            )
            raise


def _check_sample_names(samples: list[Sample]) -> None:
    """Raise if a sample's name gives no valid names for its output files."""
    for sample in samples:
        # Some file systems are not case-sensitive.
        if sample.name.casefold() == SPECIES:
            raise ValueError(
                f"The sample {sample.name!r} would be written to {sample.name}.csv, "
                f"like the table of all samples. Rename {sample.source}."
            )
        # Most file systems count bytes, not characters.
        longest = max(map(os.fsencode, result_names(sample.name).values()), key=len)
        excess = len(longest) - _LONGEST_NAME
        if excess > 0:
            length = len(os.fsencode(sample.name))
            raise ValueError(
                f"The name of the sample {sample.name!r} has {length} bytes; expected "
                f"at most {length - excess}, or the names of its output files would be "
                f"too long. Rename {sample.source}; a letter that is not ASCII takes "
                "two bytes or more."
            )


def _classify(
    samples: list[Sample], content: bytes, folder: OutputFolder, options: Namespace
) -> int:
    run = {
        "model": hashlib.sha256(content).hexdigest(),
        "channels": options.channels,
        "skplankton": skplankton.__version__,
    }
    is_other_run = folder.is_of_other_run(run)
    if is_other_run and folder.has_results() and not options.overwrite:
        raise ValueError(
            f"{folder.path} contains results of another model, of other --channels or "
            "of another version of skplankton. Results are not mixed: choose another "
            "--output, or pass --overwrite to remove these and start again."
        )
    wanted = {"table"} | ({"ecotaxa"} if options.ecotaxa else set())
    wanted |= {"ifcb"} if options.ifcb else set()
    failed: dict[str, Exception] = {}
    records: dict[str, Any] = {}
    waiting: list[tuple[Sample, str]] = []
    for sample in samples:
        with _sample_errors(failed, sample, options):
            state = sample.state()
            record = (
                None if is_other_run else folder.finished(sample.name, state, wanted)
            )
            if record is None:
                waiting.append((sample, state))
            else:
                records[sample.name] = record
    if records:
        print_result(
            f"{plural(len(records), 'sample')} classified before; left as they are"
        )
    if waiting:
        model = open_model(content, options.model)
        model.configure(
            device=options.device, n_jobs=options.n_jobs, strict=options.strict
        )
        folder.begin_run(run)
        job = SampleJob(model, folder, options, wanted)
        for sample, state in waiting:
            with _sample_errors(failed, sample, options):
                records[sample.name] = job.classify_sample(sample, state)
    if waiting or records:
        folder.write_species()
    return _report_outcome(records, failed, folder)


@contextmanager
def _sample_errors(
    failed: dict[str, Exception], sample: Sample, options: Namespace
) -> Iterator[None]:
    """Report the error of a sample and go on, unless --strict or --debug is set."""
    try:
        yield
    except _SAMPLE_ERRORS as error:
        if options.strict or options.debug:
            raise
        failed[sample.name] = error
        print_message(f"{sample.name} could not be classified: {error}")


def _report_outcome(
    records: dict[str, Any], failed: dict[str, Exception], folder: OutputFolder
) -> int:
    """Print the summary; return the exit code."""
    n_particles = sum(record["particles"] for record in records.values())
    n_unlabeled = sum(record["unnamed"] for record in records.values())
    if records:
        print_result(
            f"{plural(len(records), 'sample')}, {plural(n_particles, 'particle')}, "
            f"{n_unlabeled} of them without a predicted label: "
            f"{folder.path / SPECIES}.csv"
        )
    with_problems = [name for name, record in records.items() if record["problems"]]
    for name in with_problems:
        print_message(
            f"{name}: something could not be read, see "
            f"{folder.path / result_names(name)['problems']}"
        )
    if failed:
        print_message(
            f"error: {plural(len(failed), 'sample')} could not be classified: "
            f"{', '.join(failed)} (see the messages above)"
        )
        return FAILED
    return PROBLEMS if with_problems else DONE


@dataclass(frozen=True)
class SampleJob:
    """Classifies samples; `wanted` are kinds of results."""

    model: Model
    folder: OutputFolder
    options: Namespace
    wanted: set[str]

    def classify_sample(self, sample: Sample, state: str) -> dict[str, Any]:
        """Classify the particles that are not classified yet; return the record."""
        work = self.folder.begin(sample.name, state)
        with collected_reports() as problems:
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
                print_result(
                    f"{sample.name}: no images, so nothing is written for EcoTaxa"
                )
        if "ifcb" in self.wanted and isinstance(sample, IfcbSample) and parts:
            results["ifcb"] = self._write_class_scores(parts, work)
        if problems:
            results["problems"] = work / names["problems"]
            text = "\n\n".join(problems) + "\n"
            content = text.encode(errors="backslashreplace")  # names of files
            write_whole(results["problems"], content, work)
        n_unlabeled = counts.pop("")
        record = {
            "state": state,
            "looked_for": sorted(self.wanted),
            "particles": len(table),
            "unnamed": n_unlabeled,
            "species": dict(sorted(counts.items())),
            "problems": bool(problems),
        }
        self.folder.finish(sample.name, results, record)
        without = f", {n_unlabeled} without a predicted label" if n_unlabeled else ""
        print_result(f"{sample.name}: {plural(len(table), 'particle')}{without}")
        return record

    def _parts(self, sample: Sample, table: pd.DataFrame, work: Path) -> Iterator[Path]:
        """Files with the predictions for some particles each, in order."""
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
                part = work / PART_PATTERN.replace("*", rows_of_part)
                if not self._is_complete(read_json(part)):
                    with collected_reports() as problems:
                        predicted = classify_particles(self.model, chunk)
                    content = {"rows": predicted.rows, "problems": problems}
                    if "ifcb" in self.wanted:
                        content["shares"] = predicted.shares.tolist()
                    write_whole(part, json_bytes(content), work)
                progress.update(len(chunk))
                yield part

    def _is_complete(self, part: dict[str, Any] | None) -> bool:
        """Whether a part can be used; it may be of a run without --ifcb."""
        return part is not None and ("ifcb" not in self.wanted or "shares" in part)

    def _write_class_scores(self, parts: list[Path], work: Path) -> Path:
        contents = [read_json(part) for part in parts]
        rows = [row for content in contents for row in content["rows"]]
        name = columns(self.model).index(NAME)
        (path,) = write_ifcb_class_scores(
            [row[0] for row in rows],
            [shares for content in contents for shares in content["shares"]],
            self.model.pipeline["gallery"].classes_,
            work,
            is_unknown=[row[name] == UNKNOWN for row in rows],
            classifier_name=self.options.model.stem,
            overwrite=True,  # a file of an interrupted run
        )
        return path

    def _write_table(self, path: Path, parts: list[Path]) -> Counter[str]:
        """Write the parts as one table, the least familiar particles first.

        Particles without a predicted label come last. Returns the count of each label.
        """
        labels = {str(label): 0 for label in self.model.pipeline["gallery"].classes_}
        counts = Counter(labels | {"": 0})
        rows = [row for part in parts for row in read_json(part)["rows"]]
        counts.update(row[1] for row in rows)
        familiarity = columns(self.model).index(FAMILIARITY)
        rows.sort(key=lambda row: float(row[familiarity] or "inf"))
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns(self.model))
            writer.writerows(rows)
        return counts

    def _write_ecotaxa(
        self, results: dict[str, Path], table: pd.DataFrame
    ) -> list[str]:
        """Write the import file for EcoTaxa; return the problems."""
        predicted = pd.read_csv(results["table"], dtype=str, keep_default_na=False)
        predicted = predicted.set_index("object_id").loc[table["object_id"]]
        predicted = predicted.reset_index()
        nearest = [f"neighbor_{k + 1}" for k in range(n_neighbors(self.model))]
        is_species = ~predicted[NAME].isin(["", UNKNOWN])
        familiarity = predicted[FAMILIARITY].replace("", "nan").to_numpy(np.float64)
        table = table.assign(**{f"object_{FAMILIARITY}": familiarity})
        arguments: dict[str, Any] = {
            "predictions": predicted[NAME].where(is_species, None),
            "proba": predicted[SCORE].replace("", "nan").to_numpy(dtype=np.float64),
            "neighbors": predicted[nearest],
            "without_image": "aside",
            "errors": errors(self.options.strict),
            "overwrite": True,  # a file of an interrupted run in the work folder
        }
        try:
            with collected_reports() as problems:
                write_ecotaxa(results["ecotaxa"], table, **arguments)
        except NoImageError as error:
            if self.options.strict:
                raise
            problems.append(str(error))
            del results["ecotaxa"]
        return problems
