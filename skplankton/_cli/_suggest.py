"""``suggest``: samples → which particles to label."""

from __future__ import annotations

import re
import shlex
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from skplankton._cli._arguments import DONE, PROBLEMS, TRAINING_DEFAULTS
from skplankton._cli._contact_sheet import check_matplotlib, write_pages
from skplankton._cli._embedder import as_X, has_pair, new_embedder
from skplankton._cli._files import (
    csv_bytes,
    make_folder,
    replace,
    reserved,
    write_whole,
)
from skplankton._cli._model import Model, open_model, read_model_file
from skplankton._cli._particles import load_all
from skplankton._cli._reports import (
    collected_reports,
    errors,
    plural,
    print_message,
    print_result,
)
from skplankton._cli._samples import find_samples
from skplankton._cli._work_folder import (
    LABELS,
    VIEWS,
    reported_if_kept,
    work_folder,
)
from skplankton._utils.files import disk_errors
from skplankton.ecotaxa import write_ecotaxa
from skplankton.ecotaxa._writer import NoImageError
from skplankton.model_selection import select_to_label

_TABLE, _ARCHIVE = "labels.csv", "ecotaxa_to_label.zip"
_OTHER_RESULTS = re.compile(r"contact_sheet(_\d+)?\.png|ecotaxa_to_label\.zip")
# Several times the size of the pages and images of a few hundred particles.
_SPACE_FOR_RESULTS = 16 * 2**20
_N_SAMPLES_SHOWN = 3


def run(options: Namespace) -> int:
    """Choose particles, and write them into the folder."""
    # Errors that can be found early are found before the hours of training.
    check_matplotlib()
    _check_no_labels_are_lost(options)
    samples = find_samples(options.samples)
    model = None
    if options.model is not None:
        model = open_model(read_model_file(options.model), options.model)
        model.configure(
            device=options.device, n_jobs=options.n_jobs, strict=options.strict
        )
        model.check_channels(options.channels)
        for sample in samples:
            model.check_sample(sample)
    channels = options.channels or (model.channels if model else None)
    make_folder(options.output, "--output")
    work = options.output / "suggest.work"
    busy = f"Another process writes into {options.output}. Wait for it, or stop it."
    with (
        disk_errors(options.output),
        work_folder(work, busy),
        collected_reports() as reports,
        reported_if_kept(work, f"No {_TABLE}"),
    ):
        with reserved(work, _SPACE_FOR_RESULTS, "are reserved for the results"):
            table = load_all(
                samples,
                options,
                channels=channels,
                cache=options.cache or work / VIEWS,
                labels_cache=work / LABELS,
            )
            is_labeled = _is_labeled(table, model)
            _check_number(table, is_labeled, options.n)
            embeddings = _embeddings(table, model, options, work)
            chosen = _chosen(table, embeddings, is_labeled, options.n)
        _write(chosen, work, options)
    _print_next_step(options, model)
    for report in reports:
        print_message(report)
    return PROBLEMS if reports else DONE


def _check_no_labels_are_lost(options: Namespace) -> None:
    """Raise if a table would be replaced in which a person may have written labels."""
    table = options.output / _TABLE
    if not table.exists():
        return
    if not options.overwrite:
        raise FileExistsError(
            f"{table} exists, perhaps with labels that were written into it. Choose "
            "another --output, or pass --overwrite to replace it, labels included."
        )
    labels = options.labels
    if labels is not None and labels.exists() and table.samefile(labels):
        raise ValueError(
            f"{table} is the file of --labels, and would be replaced. Choose another "
            "--output."
        )


def _is_labeled(table: pd.DataFrame, model: Model | None) -> np.ndarray:
    is_labeled = table["label"].notna()
    if model is not None:
        is_labeled |= table["object_id"].isin(model.gallery_ids)
    return is_labeled.to_numpy()


def _can_be_labeled(table: pd.DataFrame) -> np.ndarray:
    """Which particles a person can label: those with an image, if there are images."""
    modality = "image" if table["image"].notna().any() else "profile"
    return table[modality].notna().to_numpy()


def _check_number(table: pd.DataFrame, is_labeled: np.ndarray, n: int) -> None:
    can_be_labeled = _can_be_labeled(table)
    n_left = int((can_be_labeled & ~is_labeled).sum())
    if n > n_left:
        raise ValueError(
            f"--n {n} is more than the {plural(n_left, 'particle')} that can be "
            f"chosen: of {len(table)}, {is_labeled.sum()} are labeled already, and "
            f"{(~can_be_labeled & ~is_labeled).sum()} have no image. Pass a smaller "
            "--n or more samples."
        )


def _embeddings(
    table: pd.DataFrame, model: Model | None, options: Namespace, work: Path
) -> np.ndarray:
    if model is not None:
        print_result(f"{plural(len(table), 'particle')}, embedded by {options.model}")
        return model.pipeline["embed"].transform(as_X(table))
    is_pair = has_pair(table)
    print_result(
        f"{plural(len(table), 'particle')}: {is_pair.sum()} with image and profile, "
        "to train on"
    )
    embedder = new_embedder(options, work).fit(as_X(table[is_pair]))
    return embedder.transform(as_X(table))


def _chosen(
    table: pd.DataFrame, embeddings: np.ndarray, is_labeled: np.ndarray, n: int
) -> pd.DataFrame:
    """The chosen particles, the most useful first, with their rank."""
    embeddings[~_can_be_labeled(table) & ~is_labeled] = np.nan  # never chosen
    is_readable = ~np.isnan(embeddings).all(axis=1)
    n_left = int((is_readable & ~is_labeled).sum())
    if not n_left:
        raise ValueError("None of the particles without a label can be read.")
    if n_left < n:
        # Fewer, rather than an error after the training: it is reported why.
        print_message(f"Only {n_left} of the particles without a label can be read.")
    rows = select_to_label(embeddings, min(n, n_left), labeled=is_labeled)
    return table.iloc[rows].assign(rank=np.arange(1, len(rows) + 1))


def _write(chosen: pd.DataFrame, work: Path, options: Namespace) -> None:
    """Write all results; the table last, which marks them as complete."""
    pages = write_pages(chosen, work)
    parts = list(pages)
    if options.ecotaxa:
        parts += _ecotaxa_archive(chosen, work, options.strict)
    for part in parts:
        replace(part, options.output / part.name)
    names = {part.name for part in parts}
    for file in options.output.iterdir():
        if _OTHER_RESULTS.fullmatch(file.name) and file.name not in names:
            with suppress(PermissionError):  # open in another program
                file.unlink()
    rows = chosen.assign(label="")[["object_id", "label", "rank", "sample_id"]]
    write_whole(options.output / _TABLE, csv_bytes(rows), work)
    to_last = f" to {pages[-1].name}" if len(pages) > 1 else ""
    print_result(
        f"{options.output / _TABLE}: {plural(len(chosen), 'particle')} to label, the "
        f"most useful first, {chosen['image'].notna().sum()} of them with an image; "
        f"shown in {pages[0].name}{to_last}"
    )


def _ecotaxa_archive(chosen: pd.DataFrame, work: Path, strict: bool) -> list[Path]:
    """The archive, or none if there are no images: EcoTaxa takes no other objects."""
    try:
        archive = write_ecotaxa(
            work / _ARCHIVE,
            # As a column of EcoTaxa, by which objects can be sorted.
            chosen.rename(columns={"rank": "object_rank"}),
            predictions=np.full(len(chosen), None),
            without_image="aside",
            errors=errors(strict),
            overwrite=True,  # a file of an interrupted run
        )
    except NoImageError as error:
        if strict:
            raise
        print_message(f"Nothing is written for EcoTaxa. {error}")
        return []
    return [archive]


def _print_next_step(options: Namespace, model: Model | None) -> None:
    """How to go on, as a command to copy if it is short."""
    samples = options.samples
    if len(samples) > _N_SAMPLES_SHOWN:
        samples = ["SAMPLE..."]
    labels = options.output / _TABLE
    words = ["fit", *map(str, samples), "--labels", str(labels)]
    words += ["--output", "model.skops", *_options_of_reading(options, model)]
    print_result(
        "Next: write the species of as many as you can into the column label. Then:\n"
        f"  python -m skplankton {shlex.join(words)}"
    )
    if options.labels is not None or options.model is not None:
        print_result("Add the labels from before to the file: fit takes all from one.")
    if options.ecotaxa and (options.output / _ARCHIVE).exists():
        print_result(
            f"Or import {options.output / _ARCHIVE} into EcoTaxa, validate labels "
            "there, and pass the export as --labels."
        )


def _options_of_reading(options: Namespace, model: Model | None) -> list[str]:
    """Options by which `fit` must read the particles as this command did."""
    words = []
    read = model.pipeline["embed"] if model else options
    for name in ("crop_top", "crop_bottom"):
        value = getattr(read, name)
        if value != TRAINING_DEFAULTS[name]:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if isinstance(options.channels, dict):
        pairs = options.channels.items()
        words += ["--channels", ",".join(f"{name}={other}" for name, other in pairs)]
    elif options.channels is not None:
        words += ["--channels", ",".join(options.channels)]
    return words
