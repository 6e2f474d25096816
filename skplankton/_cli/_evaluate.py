"""``evaluate``: the model's names against those given in EcoTaxa."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pandas as pd
from sklearn.metrics import precision_recall_fscore_support
from tqdm import tqdm

from skplankton._cli._arguments import DONE, PROBLEMS
from skplankton._cli._files import make_folder, write_whole
from skplankton._cli._model import (
    NAME,
    SCORE,
    Model,
    columns,
    name_particles,
    open_model,
    read_model_file,
)
from skplankton._cli._reports import complain, gathered_reports, plural, say, show_bars
from skplankton._cli._samples import find_samples, load_labelled
from skplankton._utils.files import disk_errors

_CHUNK_SIZE = 4096


def run(options: Namespace) -> int:
    """Name the labelled particles, and tell how many names are right."""
    samples = find_samples(options.samples)
    if options.output is not None:
        make_folder(options.output, "--output")
    model = open_model(read_model_file(options.model), options.model)
    model.set_up(device=options.device, n_jobs=options.n_jobs, strict=options.strict)
    with gathered_reports() as reports:
        table = load_labelled(
            samples,
            options,
            channels=options.channels or model.channels,
            cache=options.cache,
            labels_cache=None,
        )
        labelled = _outside_gallery(table, model)
        named = _named(labelled, model, show_bars(options.quiet))
    scores = _scores(named)
    _tell(named, scores, model)
    if options.output is not None:
        _write(options.output, scores, named)
    for report in reports:
        complain(report)
    return PROBLEMS if reports else DONE


def _outside_gallery(table: pd.DataFrame, model: Model) -> pd.DataFrame:
    labelled = table[table["label"].notna()]
    in_gallery = labelled["object_id"].isin(model.gallery_ids)
    if in_gallery.all():
        raise ValueError(
            f"All {len(labelled)} labelled particles are in the model's gallery, which "
            "recognises them. Pass labels of other samples, or fit with "
            "--gallery-size, which leaves some out."
        )
    say(
        f"{plural(len(labelled), 'labelled particle')}, {in_gallery.sum()} of them in "
        "the model's gallery and left out"
    )
    return labelled[~in_gallery].reset_index(drop=True)


def _named(labelled: pd.DataFrame, model: Model, bar: bool) -> pd.DataFrame:
    rows = []
    with tqdm(total=len(labelled), unit="particle", disable=not bar) as progress:
        for start in range(0, len(labelled), _CHUNK_SIZE):
            rows += name_particles(model, labelled.iloc[start : start + _CHUNK_SIZE])
            progress.update(len(rows) - start)
    named = pd.DataFrame(rows, columns=columns(model))
    named.insert(1, "label", labelled["label"].astype(str))
    return named


def _scores(named: pd.DataFrame) -> pd.DataFrame:
    """A row a species, those that occur among the labels or the names."""
    # No name is a mistake, but no species.
    species = sorted((set(named["label"]) | set(named[NAME])) - {""})
    precision, recall, f1, count = precision_recall_fscore_support(
        named["label"], named[NAME], labels=species, zero_division=0
    )
    return pd.DataFrame(
        {"precision": precision, "recall": recall, "f1": f1, "particles": count},
        index=pd.Index(species, name="species"),
    )


def _tell(named: pd.DataFrame, scores: pd.DataFrame, model: Model) -> None:
    say(scores.to_string(float_format="{:.3f}".format))
    accuracy = (named["label"] == named[NAME]).mean()
    means = scores[["precision", "recall", "f1"]].mean()
    say(
        f"\naccuracy {accuracy:.3f} of {plural(len(named), 'particle')}; mean over "
        f"species: precision {means['precision']:.3f}, recall {means['recall']:.3f}, "
        f"F1 {means['f1']:.3f}"
    )
    known = {str(name) for name in model.pipeline["gallery"].classes_}
    unknown = named["label"][~named["label"].isin(known)]
    if len(unknown):
        say(
            f"{plural(len(unknown), 'particle')} of species that are not in the "
            f"model's gallery: {', '.join(sorted(set(unknown)))}"
        )
    n_unnamed = int((named[NAME] == "").sum())
    if n_unnamed:
        say(f"{plural(n_unnamed, 'particle')} without a view that could be read")


def _write(folder: Path, scores: pd.DataFrame, named: pd.DataFrame) -> None:
    tables = {
        "evaluation.csv": scores.round(4).reset_index(),
        "evaluation_particles.csv": named[["object_id", "label", NAME, SCORE]],
    }
    with disk_errors(folder):
        for name, table in tables.items():
            text = table.to_csv(index=False, lineterminator="\n")
            write_whole(folder / name, text.encode(), folder)
    say(f"tables: {folder}")
