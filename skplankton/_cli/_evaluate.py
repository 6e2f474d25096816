"""``evaluate``: predicted labels against those validated in EcoTaxa."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from skplankton._cli._arguments import CHUNK_SIZE, DONE, PROBLEMS
from skplankton._cli._files import csv_bytes, make_folder, write_whole
from skplankton._cli._model import (
    NAME,
    SCORE,
    Model,
    classify_particles,
    columns,
    open_model,
    read_model_file,
)
from skplankton._cli._pages import EVALUATION, model_card, write_evaluation_report
from skplankton._cli._particles import load_labeled
from skplankton._cli._reports import (
    collected_reports,
    plural,
    print_message,
    print_result,
)
from skplankton._cli._samples import find_samples
from skplankton._report.page import import_jinja
from skplankton._utils.files import disk_errors
from skplankton._utils.labels import UNKNOWN
from skplankton._utils.progress import progress


def run(options: Namespace) -> int:
    """Classify the labeled particles, and print the scores."""
    if options.report:
        import_jinja()
    samples = find_samples(options.samples)
    if options.output is not None:
        make_folder(options.output, "--output")
    content = read_model_file(options.model)
    model = open_model(content, options.model)
    model.configure(device=options.device, n_jobs=options.n_jobs, strict=options.strict)
    model.check_channels(options.channels)
    for sample in samples:
        model.check_sample(sample)
    with collected_reports() as reports:
        table = load_labeled(
            samples,
            options,
            channels=options.channels or model.channels,
            cache=options.cache,
            labels_cache=None,
        )
        labeled = _outside_gallery(table, model)
        predicted = _predicted(labeled, model, options.quiet)
    scores = _scores(predicted)
    _print_scores(predicted, scores, model)
    if options.output is not None:
        _write(options.output, scores, predicted)
    if options.report:
        card = model_card(model, content, options.model)
        with disk_errors(options.output):
            write_evaluation_report(
                options.output, labeled, predicted, scores, card, reports
            )
        print_result(f"report: {options.output / EVALUATION}")
    for report in reports:
        print_message(report)
    return PROBLEMS if reports else DONE


def _outside_gallery(table: pd.DataFrame, model: Model) -> pd.DataFrame:
    labeled = table[table["label"].notna()]
    in_gallery = labeled["object_id"].isin(model.gallery_ids)
    if in_gallery.all():
        raise ValueError(
            f"All {len(labeled)} labeled particles are in the model's gallery, so none "
            "is left to evaluate on. Pass labels of other samples, or fit with "
            "--gallery-size, which leaves some out."
        )
    print_result(
        f"{plural(len(labeled), 'labeled particle')}, {in_gallery.sum()} of them in "
        "the model's gallery and left out"
    )
    return labeled[~in_gallery].reset_index(drop=True)


def _predicted(labeled: pd.DataFrame, model: Model, quiet: bool) -> pd.DataFrame:
    rows = []
    with progress(
        total=len(labeled), desc="classifying", unit="particles", disable=quiet
    ) as bar:
        for start in range(0, len(labeled), CHUNK_SIZE):
            chunk = labeled.iloc[start : start + CHUNK_SIZE]
            rows += classify_particles(model, chunk).rows
            bar.update(len(rows) - start)
    predicted = pd.DataFrame(rows, columns=columns(model))
    predicted.insert(1, "label", labeled["label"].astype(str))
    return predicted


def _scores(predicted: pd.DataFrame) -> pd.DataFrame:
    """One row per species that occurs among the labels or the predicted labels."""
    # Predictions that are no species count as errors of the true ones.
    predictions = set(predicted[NAME]) - {"", UNKNOWN}
    species = sorted(set(predicted["label"]) | predictions)
    precision, recall, f1, count = precision_recall_fscore_support(
        predicted["label"], predicted[NAME], labels=species, zero_division=0
    )
    return pd.DataFrame(
        {"precision": precision, "recall": recall, "f1": f1, "particles": count},
        index=pd.Index(species, name="species"),
    )


def _print_scores(predicted: pd.DataFrame, scores: pd.DataFrame, model: Model) -> None:
    print_result(scores.to_string(float_format="{:.3f}".format))
    accuracy = (predicted["label"] == predicted[NAME]).mean()
    means = scores[["precision", "recall", "f1"]].mean()
    print_result(
        f"\naccuracy {accuracy:.3f} of {plural(len(predicted), 'particle')}; mean over "
        f"species: precision {means['precision']:.3f}, recall {means['recall']:.3f}, "
        f"F1 {means['f1']:.3f}"
    )
    known = {str(label) for label in model.pipeline["gallery"].classes_}
    unknown = predicted["label"][~predicted["label"].isin(known)]
    if len(unknown):
        print_result(
            f"{plural(len(unknown), 'particle')} of species that are not in the "
            f"model's gallery: {', '.join(sorted(set(unknown)))}"
        )
    n_unknown = int((predicted[NAME] == UNKNOWN).sum())
    if n_unknown:
        n_new = int((predicted[NAME][unknown.index] == UNKNOWN).sum())
        print_result(
            f"{plural(n_unknown, 'particle')} predicted as {UNKNOWN!r}, {n_new} of "
            "them of species that are not in the model's gallery"
        )
    n_unlabeled = int((predicted[NAME] == "").sum())
    if n_unlabeled:
        print_result(
            f"{plural(n_unlabeled, 'particle')} without a readable image or profile"
        )


def _write(folder: Path, scores: pd.DataFrame, predicted: pd.DataFrame) -> None:
    tables = {
        "evaluation.csv": scores.round(4).reset_index(),
        "evaluation_particles.csv": predicted[["object_id", "label", NAME, SCORE]],
    }
    with disk_errors(folder):
        for name, table in tables.items():
            write_whole(folder / name, csv_bytes(table), folder)
    print_result(f"tables: {folder}")
