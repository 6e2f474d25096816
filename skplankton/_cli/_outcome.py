"""Finished samples → the tables of all of them, the page, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skplankton._cli._abundances import abundances
from skplankton._cli._arguments import DONE, FAILED, PROBLEMS
from skplankton._cli._output_folder import (
    REPORT,
    SAMPLES,
    SPECIES,
    OutputFolder,
    result_names,
)
from skplankton._cli._pages import write_day_report
from skplankton._cli._reports import plural, print_message, print_result
from skplankton._report.day import ModelCard


def write_tables(
    folder: OutputFolder, records: Mapping[str, Any], imaged_only: bool
) -> None:
    """Write the tables of all samples in the folder; `records` are of this command."""
    folder.write_tables(imaged_only)
    if not imaged_only and records:
        _report_profiles(records)


def write_page(
    folder: OutputFolder,
    records: Mapping[str, Any],
    failed: Mapping[str, str],
    card: ModelCard | None,
    imaged_only: bool,
) -> None:
    """Write the page of these samples; without any, remove an earlier one."""
    if card is None or not records:
        (folder.path / REPORT).unlink(missing_ok=True)
        return
    page = write_day_report(folder, records, failed, card, imaged_only)
    print_result(f"report: {page}")


def report_outcome(
    records: Mapping[str, Any],
    failed: Mapping[str, str],
    folder: OutputFolder,
    where: str,
) -> int:
    """Print the summary; return the exit code. `where` is what to look at next."""
    n_particles = sum(record["particles"] for record in records.values())
    n_unlabeled = sum(record["unnamed"] for record in records.values())
    if records:
        print_result(
            f"{plural(len(records), 'sample')}, {plural(n_particles, 'particle')}, "
            f"{n_unlabeled} of them without a predicted label: {where}"
        )
    with_problems = [name for name, record in records.items() if record["problems"]]
    for name in with_problems:
        print_message(
            f"{name}: something could not be read, see "
            f"{folder.path / result_names(name)['problems']}"
        )
    partial = [
        name for name, r in records.items() if r["sample"]["is_partial"] == str(True)
    ]
    if partial:
        print_message(
            f"{plural(len(partial), 'sample')} read in part only, so that counts may "
            f"be too low: {', '.join(partial)}. See {folder.path / SAMPLES}.csv"
        )
    if failed:
        print_message(
            f"error: {plural(len(failed), 'sample')} could not be classified: "
            f"{', '.join(failed)} (see the messages above)"
        )
        return FAILED
    return PROBLEMS if with_problems else DONE


def species_table(folder: OutputFolder) -> str:
    """The path of the first table to look at."""
    return f"{folder.path / SPECIES}.csv"


def _report_profiles(records: Mapping[str, Any]) -> None:
    """Say what the counts of particles without an image rest on."""
    counts = abundances(records, imaged_only=False)
    n_profiles = int(counts["count_profile_only"].fillna(0).sum())
    if n_profiles and counts["count_imaged"].fillna(0).any():
        print_result(
            f"{plural(n_profiles, 'particle')} without an image: counted by the "
            "profile alone, mostly without correction, since the labeled particles "
            "have images. If particles are photographed whatever their species, "
            "--imaged-only counts those with an image, and scales the counts."
        )
