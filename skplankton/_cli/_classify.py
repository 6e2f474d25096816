"""``classify``: a model and samples → tables of names."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import skplankton

from ._exit_codes import DONE, FAILED, PROBLEMS
from ._model_file import open_model, read_model_file
from ._output_folder import SPECIES, OutputFolder, result_names
from ._reports import complain, plural, say
from ._sample_job import SampleJob
from ._samples import Sample, find_samples

# What is wrong with one sample, and no reason not to name the others.
_SAMPLE_ERRORS = (ValueError, FileNotFoundError, FileExistsError)


def run(options: Namespace) -> int:
    """Name the samples that are not finished."""
    samples = find_samples(options.samples)
    _check_names(samples)
    content = read_model_file(options.model)
    with OutputFolder.opened(options.output) as folder:
        try:
            return _classify(samples, content, folder, options)
        except KeyboardInterrupt:
            complain(
                f"What is finished is kept in {folder.path}. Run the same command "
                "again to go on from there."
            )
            raise


def _check_names(samples: list[Sample]) -> None:
    """Raise if a sample's results would have the name of something else."""
    taken = {f"{SPECIES}.csv": "the table of all samples"}
    for sample in samples:
        for file in result_names(sample.name).values():
            if (other := taken.get(file.casefold())) is not None:
                raise ValueError(
                    f"The sample {sample.name!r} would be written to {file}, as is "
                    f"{other}. Rename {sample.source}."
                )
            taken[file.casefold()] = f"the sample {sample.name!r}"


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
