"""Results → the pages of ``--report``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skplankton._cli._abundances import abundances, sample_rows
from skplankton._cli._embedder import as_X
from skplankton._cli._files import json_bytes, read_json, write_whole
from skplankton._cli._labels import alike_labels
from skplankton._cli._model import (
    FAMILIARITY,
    NAME,
    SCORE,
    Model,
    n_neighbors,
)
from skplankton._cli._output_folder import REPORT, OutputFolder, result_names
from skplankton._cli._reports import collected_reports
from skplankton._report import day_page, evaluation_page, sample_excerpt
from skplankton._report.checks import Warn
from skplankton._report.day import ModelCard
from skplankton._sharing.card import facts, make_card
from skplankton._utils.labels import UNKNOWN, WITHOUT_VIEW

EVALUATION = "evaluation.html"
_N_LINES = 50  # of a list of problems


def write_excerpt(
    model: Model, particles: pd.DataFrame, table: Path, path: Path
) -> dict[str, Any]:
    """Write what a report shows of a sample, from its table of predicted labels."""
    predicted = pd.read_csv(table, dtype=str, keep_default_na=False, encoding="utf-8")
    predicted = predicted.set_index("object_id").loc[particles["object_id"]]
    predicted = _typed(predicted.reset_index(), model)
    with collected_reports():  # reported when the particles were classified
        excerpt = sample_excerpt(
            particles,
            predicted,
            offset=float(model.pipeline["gallery"].offset_),
            embed=lambda rows: model.pipeline["embed"].transform(as_X(rows)),
        )
    write_whole(path, json_bytes(excerpt), path.parent)
    return excerpt


def write_day_report(
    folder: OutputFolder,
    records: Mapping[str, Any],
    failed: Mapping[str, str],
    card: ModelCard,
    imaged_only: bool,
) -> Path:
    """Write the page of these samples; return its path."""
    names = sorted(records)
    warnings = [Warn("Not classified", f"{n}: {failed[n]}") for n in sorted(failed)]
    warnings += _unread_warnings(folder, [n for n in names if records[n]["problems"]])
    warnings += _label_warnings(sorted(card.gallery))

    def read_excerpt(name: str) -> dict[str, Any]:
        return read_json(folder.path / result_names(name)["excerpt"])

    page = day_page(
        _samples(records, read_excerpt),
        abundances(records, imaged_only),
        read_excerpt,
        card,
        warnings,
    )
    path = folder.path / REPORT
    write_whole(path, _encoded(page), folder.progress)
    return path


def write_evaluation_report(
    folder: Path,
    particles: pd.DataFrame,
    predicted: pd.DataFrame,
    scores: pd.DataFrame,
    card: ModelCard,
    reports: list[str],
) -> None:
    """Write the page of an evaluation; `predicted` has the columns of `evaluate`."""
    table = pd.DataFrame(
        {
            "object_id": predicted["object_id"],
            "truth": predicted["label"],
            "label": predicted[NAME].replace("", WITHOUT_VIEW),
            "score": predicted[SCORE].replace("", "nan").astype(np.float64),
        }
    )
    warnings = [_unread("", "\n".join(reports))] if reports else []
    warnings += _label_warnings(sorted(set(card.gallery) | set(predicted["label"])))
    page = evaluation_page(particles, table, scores, card, warnings)
    write_whole(folder / EVALUATION, _encoded(page), folder)


def _encoded(page: str) -> bytes:
    return page.encode(errors="backslashreplace")  # names of files in messages


def _typed(predicted: pd.DataFrame, model: Model) -> pd.DataFrame:
    """A table of predicted labels, as `sample_excerpt` takes it."""
    labels = _gallery_labels(model)
    neighbors: list[list] = [[] for _ in range(len(predicted))]
    for k in range(1, n_neighbors(model) + 1):
        ids, similarities = predicted[f"neighbor_{k}"], predicted[f"similarity_{k}"]
        for row, (name, cosine) in enumerate(zip(ids, similarities, strict=True)):
            if name:
                neighbors[row].append([name, labels[name], float(cosine)])
    score, familiarity = (
        predicted[column].replace("", "nan").astype(np.float64)
        for column in (SCORE, FAMILIARITY)
    )
    return pd.DataFrame(
        {
            "object_id": predicted["object_id"],
            "label": predicted[NAME].replace("", WITHOUT_VIEW),
            "score": score,
            "familiarity": familiarity,
            "neighbors": pd.Series(neighbors, dtype=object),
        }
    )


def _gallery_labels(model: Model) -> dict[str, str]:
    labels = model.pipeline["gallery"].gallery_labels_
    return dict(zip(model.gallery_ids, map(str, labels), strict=True))


def _samples(records: Mapping[str, Any], read_excerpt: Any) -> pd.DataFrame:
    """The table of samples, with the numbers of what could be read of them."""
    names = sorted(records)
    excerpts = [read_excerpt(name) for name in names]
    return sample_rows(records[name] for name in names).assign(
        n_particles=[records[name]["particles"] for name in names],
        n_images=[excerpt["n_images"] for excerpt in excerpts],
        n_read=[excerpt["n_read"] for excerpt in excerpts],
    )


def _unread_warnings(folder: OutputFolder, names: Iterable[str]) -> list[Warn]:
    found = []
    for name in names:
        path = folder.path / result_names(name)["problems"]
        found.append(_unread(name, path.read_text("utf-8", errors="replace")))
    return found


def _unread(name: str, text: str) -> Warn:
    lines = text.splitlines()
    shown = "\n".join(lines[:_N_LINES])
    if len(lines) > _N_LINES:
        shown += f"\n… and {len(lines) - _N_LINES} more lines"
    where = f"{name}: s" if name else "S"
    return Warn("Unreadable", f"{where}omething could not be read", shown)


def _label_warnings(labels: Iterable[Any]) -> list[Warn]:
    return [
        Warn(
            "Labels",
            f"{', '.join(map(repr, alike))} look alike, and are taken as different "
            "species",
        )
        for alike in alike_labels(map(str, labels))
    ]


def model_card(model: Model, content: bytes, path: Path) -> ModelCard:
    """What a report says of the model; `content` is that of its file."""
    gallery = model.pipeline["gallery"]
    counts = pd.Series(gallery.gallery_labels_.astype(str)).value_counts()
    counts = counts.sort_index().sort_values(ascending=False, kind="stable")
    return ModelCard(
        facts=model_facts(card_of(model), content, path),
        gallery={str(name): int(n) for name, n in counts.items()},
        offset=float(gallery.offset_),
        contamination=float(gallery.contamination),
        knows_unknown=gallery.outlier_label == UNKNOWN,
    )


def card_of(model: Model) -> dict[str, Any]:
    """The model's card; of a file that was made before there were cards, a new one."""
    if model.card is not None:
        return model.card
    card = make_card(model.pipeline, {})
    del card["saved"]
    return {**card, "versions": model.versions or {}}


def model_facts(
    card: Mapping[str, Any], content: bytes, path: Path
) -> list[tuple[str, str]]:
    """The facts of a card, and which file it is."""
    digest = hashlib.sha256(content).hexdigest()[:12]
    return [("File", f"{path.name}, SHA-256 {digest}…"), *facts(card)]
