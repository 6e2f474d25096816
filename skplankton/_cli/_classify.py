"""``classify``: samples → tables of predicted labels, part by part."""

from __future__ import annotations

import csv
import hashlib
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import skplankton
from skplankton._cli._abundances import count_sample
from skplankton._cli._files import json_bytes, read_json, write_whole
from skplankton._cli._metadata import Metadata
from skplankton._cli._model import (
    FAMILIARITY,
    NAME,
    SCORE,
    SIMILARITY,
    Model,
    classify_particles,
    columns,
    n_neighbors,
    open_model,
    read_model_file,
)
from skplankton._cli._outcome import (
    report_outcome,
    species_table,
    write_page,
    write_tables,
)
from skplankton._cli._output_folder import (
    PART_PATTERN,
    RESERVED,
    SAMPLES,
    OutputFolder,
    result_names,
    results_of_other_run,
)
from skplankton._cli._pages import model_card, write_excerpt
from skplankton._cli._reports import (
    collected_reports,
    errors,
    plural,
    print_message,
    print_result,
)
from skplankton._cli._samples import EcotaxaSample, IfcbSample, Sample, find_samples
from skplankton._cli._shards import Report, withdraw_report
from skplankton._cli._sizes import measure_sample
from skplankton._report.page import import_jinja
from skplankton._utils.files import disk_errors
from skplankton._utils.labels import UNKNOWN
from skplankton._utils.progress import progress
from skplankton.datasets import write_ifcb_class_scores
from skplankton.datasets._ifcb.class_scores import import_h5py
from skplankton.datasets._samples.table import as_texts
from skplankton.ecotaxa import write_ecotaxa
from skplankton.ecotaxa._writer import NoImageError
from skplankton.size._measure import import_skimage

_LONGEST_NAME = 255  # of a file, in bytes
# Errors of one sample, after which the other samples are still classified.
_SAMPLE_ERRORS = (ValueError, FileNotFoundError, FileExistsError)


def run(options: Namespace) -> int:
    """Classify the samples that are not finished."""
    if options.report:
        import_jinja()
    if options.ifcb:
        import_h5py()
    if options.pixel_size is not None:
        import_skimage()
    samples = find_samples(options.samples)
    _check_sample_names(samples)
    if options.ifcb and not any(isinstance(s, IfcbSample) for s in samples):
        print_message(
            "warning: --ifcb writes class scores of IFCB bins, and none of the samples "
            "is one."
        )
    metadata = _read_metadata(options)
    metadata.report_differences(samples)
    content = read_model_file(options.model)
    path, shard = options.output, options.shard
    if shard is not None:
        path = shard.folder(path)
    with disk_errors(path), OutputFolder.opened(path) as folder:
        try:
            return _classify(samples, metadata, content, folder, options)
        except (KeyboardInterrupt, OSError):
            print_message(
                f"Finished results are kept in {folder.path}. Run the same command "
                "again to resume."
            )
            raise


def _read_metadata(options: Namespace) -> Metadata:
    own, path = options.output / f"{SAMPLES}.csv", options.metadata
    if path is not None and path.exists() and own.exists() and path.samefile(own):
        raise ValueError(
            f"--metadata {path} is written by this command, and would be replaced. "
            "Pass a copy."
        )
    return Metadata(path)


def _check_sample_names(samples: list[Sample]) -> None:
    """Raise if a sample's name gives no valid names for its output files."""
    for sample in samples:
        # Some file systems are not case-sensitive.
        if sample.name.casefold() in RESERVED:
            raise ValueError(
                f"The sample {sample.name!r} would be written to {sample.name}.csv, "
                f"like the table of all samples. Rename {sample.source}."
            )
        # Most file systems count bytes, not characters.
        names = (Path(name).name for name in result_names(sample.name).values())
        longest = max(map(os.fsencode, names), key=len)
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
    samples: list[Sample],
    metadata: Metadata,
    content: bytes,
    folder: OutputFolder,
    options: Namespace,
) -> int:
    run = {
        "model": hashlib.sha256(content).hexdigest(),
        "channels": options.channels,
        "skplankton": skplankton.__version__,
    }
    shard, names = options.shard, [sample.name for sample in samples]
    folders = [folder]
    if shard is not None:
        samples = shard.share(samples)
        folders.append(OutputFolder(options.output))  # with what was merged before
    earlier: dict[str, Any] = {}
    of_this_run = []
    for place in folders:
        if not place.is_of_other_run(run):
            of_this_run.append(place)
            earlier |= place.records()
        elif place.has_results() and not options.overwrite:
            raise results_of_other_run(place.path)
    wanted, must_agree = _wanted(options), _options_of_results(options)
    failed: dict[str, str] = {}
    records: dict[str, Any] = {}
    waiting: list[tuple[Sample, str]] = []
    described = {name for name, record in earlier.items() if record["metadata"]}
    for sample in samples:
        with _sample_errors(failed, sample, options):
            state = sample.state()
            found = [p.finished(sample.name, state, wanted) for p in of_this_run]
            record = next(filter(None, found), None)
            # Without --metadata, a finished sample keeps what was given before.
            given = metadata.of(sample.name)
            if record is not None and given in (None, record["metadata"]):
                records[sample.name] = record
                if record is not found[0]:
                    folder.forget(sample.name)  # of another state of its files
                folder.remove_parts(sample.name)
                continue
            waiting.append((sample, state))
            if given is None and sample.name in described:
                print_message(
                    f"warning: {sample.name} is classified again, without the values "
                    "that --metadata had for it. Pass --metadata again to add them."
                )
    if records:
        print_result(
            f"{plural(len(records), 'sample')} classified before; left as they are"
        )
    card = None
    if waiting or (records and options.report):
        model = open_model(content, options.model)
        model.check_channels(options.channels)
        card = model_card(model, content, options.model)
    if shard is not None:
        withdraw_report(folder.path)
    if waiting or shard is not None:
        folder.begin_run(run)
    if waiting:
        model.configure(
            device=options.device, n_jobs=options.n_jobs, strict=options.strict
        )
        job = SampleJob(model, metadata, folder, options, wanted)
        try:
            for sample, state in waiting:
                with _sample_errors(failed, sample, options):
                    records[sample.name] = job.classify_sample(sample, state)
        except (Exception, KeyboardInterrupt):
            if shard is None:
                with suppress(OSError):  # a full disk may be what ended it
                    folder.write_tables(options.imaged_only)
            raise
    if shard is not None:
        Report(
            shard=shard,
            folder=folder.path,
            run=run,
            options=must_agree,
            samples=names,
            failed=failed,
            card=card if options.report and records else None,
            may_overwrite=options.overwrite,
            is_merged=False,
        ).write()
        then = f"when all are done, run: python -m skplankton merge {options.output}"
        return report_outcome(records, failed, folder, f"shard {shard}; {then}")
    if waiting or records:
        write_tables(folder, records, options.imaged_only)
    if options.report:
        write_page(folder, records, failed, card, options.imaged_only)
    return report_outcome(records, failed, folder, species_table(folder))


def _wanted(options: Namespace) -> set[str]:
    """The kinds of results."""
    wanted = {"table"} | ({"ecotaxa"} if options.ecotaxa else set())
    wanted |= {"excerpt"} if options.report else set()
    wanted |= {"ifcb"} if options.ifcb else set()
    if options.pixel_size is not None:
        wanted |= {"sizes", f"sizes at {options.pixel_size} µm"}  # other ones are not
    return wanted


def _options_of_results(options: Namespace) -> dict[str, Any]:
    """The options that all shards must agree in, besides the run."""
    metadata = options.metadata and hashlib.sha256(options.metadata.read_bytes())
    return {
        "--ecotaxa": options.ecotaxa,
        "--report": options.report,
        "--ifcb": options.ifcb,
        "--pixel-size": options.pixel_size,
        "--imaged-only": options.imaged_only,
        "--metadata": metadata and metadata.hexdigest(),
        "--chunk-size": options.chunk_size,  # of which the last digits depend
    }


@contextmanager
def _sample_errors(
    failed: dict[str, str], sample: Sample, options: Namespace
) -> Iterator[None]:
    """Report the error of a sample and go on, unless --strict or --debug is set."""
    try:
        yield
    except _SAMPLE_ERRORS as error:
        if options.strict or options.debug:
            raise
        failed[sample.name] = str(error)
        print_message(f"{sample.name} could not be classified: {error}")


@dataclass(frozen=True)
class SampleJob:
    """Classifies samples; `wanted` are kinds of results."""

    model: Model
    metadata: Metadata
    folder: OutputFolder
    options: Namespace
    wanted: set[str]

    def classify_sample(self, sample: Sample, state: str) -> dict[str, Any]:
        """Classify the particles that are not classified yet; return the record."""
        self.model.check_sample(sample)
        work = self.folder.begin(sample.name, state)
        with collected_reports() as problems:
            table, samples = sample.load_with_samples(
                channels=self.options.channels or self.model.channels or "auto",
                cache=self.options.cache or work / "views",
                errors=errors(self.options.strict),
                verbose=not self.options.quiet,
            )
        samples = self.metadata.added_to(samples)
        parts = [read_json(part) for part in self._parts(sample, table, work)]
        names = result_names(sample.name)
        results = {"table": work / names["table"]}
        rows = [row for part in parts for row in part["rows"]]
        has_image = table["image"].notna()
        counts = self._write_table(results["table"], rows)
        for part in parts:
            problems += part["problems"]
        if "ecotaxa" in self.wanted:
            if table["image"].notna().any():
                results["ecotaxa"] = work / names["ecotaxa"]
                problems += self._write_ecotaxa(results, sample, table, samples)
            else:
                print_result(
                    f"{sample.name}: no images, so nothing is written for EcoTaxa"
                )
        if "excerpt" in self.wanted:
            results["excerpt"] = work / "excerpt.json"
            write_excerpt(self.model, table, results["table"], results["excerpt"])
        if "ifcb" in self.wanted and isinstance(sample, IfcbSample) and parts:
            results["ifcb"] = self._write_class_scores(parts, work)
        sizes = None
        if "sizes" in self.wanted:
            results["sizes"] = work / names["sizes"]
            sizes = measure_sample(
                self.model, table, rows, self.options, results["sizes"]
            )
        if problems:
            results["problems"] = work / names["problems"]
            text = "\n\n".join(problems) + "\n"
            text = text.replace(f"{work}{os.sep}", "")  # which will be gone
            content = text.encode(errors="backslashreplace")  # names of files
            write_whole(results["problems"], content, work)
        n_unlabeled = counts.pop("")
        record = {
            "state": state,
            "looked_for": sorted(self.wanted),
            "particles": len(table),
            "unnamed": n_unlabeled,
            "species": dict(sorted(counts.items())),
            "abundance": count_sample(self.model, rows, has_image, samples),
            "sizes": sizes,
            "problems": bool(problems),
            "sample": as_texts(samples.iloc[0]),
            "metadata": self.metadata.of(sample.name) or {},
        }
        self.folder.finish(sample.name, results, record)
        without = f", {n_unlabeled} without a predicted label" if n_unlabeled else ""
        print_result(f"{sample.name}: {plural(len(table), 'particle')}{without}")
        return record

    def _parts(self, sample: Sample, table: pd.DataFrame, work: Path) -> Iterator[Path]:
        """Files with the predictions for some particles each, in order."""
        size = self.options.chunk_size
        with progress(
            total=len(table),
            desc=sample.name,
            unit="particles",
            leave=False,
            disable=self.options.quiet,
        ) as bar:
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
                bar.update(len(chunk))
                yield part

    def _is_complete(self, part: dict[str, Any] | None) -> bool:
        """Whether a part can be used; it may be of a run without --ifcb."""
        return part is not None and ("ifcb" not in self.wanted or "shares" in part)

    def _write_class_scores(self, parts: list[dict[str, Any]], work: Path) -> Path:
        rows = [row for part in parts for row in part["rows"]]
        name = columns(self.model).index(NAME)
        (path,) = write_ifcb_class_scores(
            [row[0] for row in rows],
            [shares for part in parts for shares in part["shares"]],
            self.model.pipeline["gallery"].classes_,
            work,
            is_unknown=[row[name] == UNKNOWN for row in rows],
            classifier_name=self.options.model.stem,
            overwrite=True,  # a file of an interrupted run
        )
        return path

    def _write_table(self, path: Path, rows: list[list[str]]) -> Counter[str]:
        """Write the table of predicted labels, the least familiar particles first.

        Particles without a predicted label come last. Returns the count of each label.
        """
        labels = {str(label): 0 for label in self.model.pipeline["gallery"].classes_}
        counts = Counter(labels | {"": 0})
        counts.update(row[1] for row in rows)
        familiarity = columns(self.model).index(FAMILIARITY)
        rows = sorted(rows, key=lambda row: float(row[familiarity] or "inf"))
        # Without a byte-order mark, spreadsheet programs spoil letters beyond ASCII.
        with open(path, "w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns(self.model))
            writer.writerows(rows)
        return counts

    def _write_ecotaxa(
        self,
        results: dict[str, Path],
        sample: Sample,
        table: pd.DataFrame,
        samples: pd.DataFrame,
    ) -> list[str]:
        """Write the import file for EcoTaxa, with the rows in the order of the table.

        Returns the problems.
        """
        predicted = pd.read_csv(results["table"], dtype=str, keep_default_na=False)
        table = table.set_index("object_id").loc[predicted["object_id"]].reset_index()
        nearest = [f"neighbor_{k + 1}" for k in range(n_neighbors(self.model))]
        for column in (f"{SIMILARITY}_1", FAMILIARITY):
            numbers = predicted[column].replace("", "nan").to_numpy(np.float64)
            name = f"object_{column.removesuffix('_1')}"
            table = table.drop(columns=name, errors="ignore")  # of an earlier import
            table.insert(0, name, numbers)
        if isinstance(sample, EcotaxaSample):
            # These objects exist, and an update replaces what a person has said.
            is_new = ~table["status"].isin(["validated", "dubious", "discarded"])
            is_new &= ~predicted[NAME].isin(["", UNKNOWN])
            print_result(
                f"{sample.name}: {is_new.sum()} of {plural(len(table), 'object')} to "
                "update in EcoTaxa, without those that a person has judged and those "
                "without a predicted label"
            )
            if not is_new.any():
                del results["ecotaxa"]
                return []
            table, predicted = table[is_new], predicted[is_new]
            # An export does not tell, and the project would get a column of it.
            samples = samples.drop(columns="is_partial")
        is_species = ~predicted[NAME].isin(["", UNKNOWN])
        arguments: dict[str, Any] = {
            "predictions": predicted[NAME].where(is_species, None),
            "proba": predicted[SCORE].replace("", "nan").to_numpy(dtype=np.float64),
            "neighbors": predicted[nearest],
            "samples": samples,
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
