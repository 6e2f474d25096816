"""``merge``: the results of all shards → those of one run."""

from __future__ import annotations

import shutil
from argparse import Namespace

from skplankton._cli._outcome import (
    report_outcome,
    species_table,
    write_page,
    write_tables,
)
from skplankton._cli._output_folder import OutputFolder, results_of_other_run
from skplankton._cli._reports import print_message
from skplankton._cli._shards import Report, complete_reports, other_shards
from skplankton._report.day import ModelCard
from skplankton._report.page import import_jinja
from skplankton._utils.files import disk_errors


def run(options: Namespace) -> int:
    """Move the results of all shards to their output folder, and write its tables."""
    if not options.folder.is_dir():
        raise FileNotFoundError(
            f"{options.folder} is not a folder. Expected the --output of: python -m "
            "skplankton classify --shard"
        )
    reports = complete_reports(options.folder)
    if reports[0].options["--report"]:
        import_jinja()
    with disk_errors(options.folder), OutputFolder.opened(options.folder) as folder:
        return _merge(reports, folder)


def _merge(reports: list[Report], folder: OutputFolder) -> int:
    _check_results(reports, folder)
    settings, names = reports[0].options, reports[0].samples
    failed: dict[str, str] = {}
    folder.begin_run(reports[0].run)
    for report in reports:
        failed |= report.failed
        with OutputFolder.opened(report.folder) as shard:
            folder.adopt(shard, report.shard.share(names))
    for other in other_shards(folder.path, len(reports)):
        shutil.rmtree(other)
    for report in reports:
        report.mark_merged()
    done = folder.records()
    records = {name: done[name] for name in names if name not in failed}
    if done:
        write_tables(folder, records, settings["--imaged-only"])
    if settings["--report"]:
        card = next((ModelCard(*r.card) for r in reports if r.card), None)
        write_page(folder, records, failed, card, settings["--imaged-only"])
    for name, error in failed.items():
        print_message(f"{name} could not be classified: {error}")
    return report_outcome(records, failed, folder, species_table(folder))


def _check_results(reports: list[Report], folder: OutputFolder) -> None:
    """Raise, before anything is moved, if a result is missing, or not replaceable."""
    run = reports[0].run
    is_other_run = folder.is_of_other_run(run)
    may_overwrite = all(r.may_overwrite and not r.is_merged for r in reports)
    if is_other_run and folder.has_results() and not may_overwrite:
        raise results_of_other_run(folder.path)
    merged = set() if is_other_run else set(folder.records())
    for report in reports:
        here = set(OutputFolder(report.folder).records()) | merged
        for name in report.shard.share(report.samples):
            if name not in here and name not in report.failed:
                raise ValueError(
                    f"The shard {report.shard} has no results of the sample {name!r} "
                    f"any more. Run classify with --shard {report.shard}, and merge "
                    "again."
                )
