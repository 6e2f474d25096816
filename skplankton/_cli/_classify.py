"""``classify``: a model and samples → tables of names."""

from __future__ import annotations

import hashlib
import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import skplankton
from skplankton._cli._exit_codes import DONE, FAILED, PROBLEMS
from skplankton._cli._model_file import open_model, read_model_file
from skplankton._cli._output_folder import SPECIES, OutputFolder, result_names
from skplankton._cli._reports import complain, plural, say
from skplankton._cli._sample_job import SampleJob
from skplankton._cli._samples import Sample, find_samples
from skplankton._utils.files import disk_errors

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
