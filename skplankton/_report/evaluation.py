"""Predicted and true labels → the page of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from skplankton._report.checks import Warn
from skplankton._report.day import ModelCard
from skplankton._report.excerpt import add_pictures
from skplankton._report.figures import (
    OTHER,
    confusion,
    reliability,
    shade,
    share_interval,
    worst_confusions,
)
from skplankton._report.page import render
from skplankton._report.selection import is_species
from skplankton._utils.labels import UNKNOWN, WITHOUT_VIEW

MOST_LABELS = 40  # in the confusion matrix: more cannot be read
MOST_CONFUSIONS, MOST_OF_CONFUSION = 20, 8
_MODALITIES = ("image and profile", "image only", "profile only")


def evaluation_page(
    particles: pd.DataFrame,
    predicted: pd.DataFrame,
    scores: pd.DataFrame,
    model: ModelCard,
    warnings: Iterable[Warn] = (),
) -> str:
    """The HTML of a page about predicted labels whose true ones are known.

    Parameters
    ----------
    particles : DataFrame of shape (n_particles, n_columns)
        The columns image and profile.
    predicted : DataFrame of shape (n_particles, n_columns)
        In the same order: object_id, truth, label (the predicted one), and score, NaN
        without a readable view.
    scores : DataFrame of shape (n_species, 4)
        The columns precision, recall, f1 and particles; the index has the species.
    model : ModelCard
        The model's card.
    warnings : iterable of Warn, default=()
        What to warn of.

    Returns
    -------
    str
        The same for the same arguments.

    Raises
    ------
    ImportError
        If Jinja2 is not installed.
    """
    predicted = predicted.reset_index(drop=True)
    is_right = (predicted["truth"] == predicted["label"]).to_numpy()
    confusions, legend = _confusions(particles, predicted)
    return render(
        "evaluation.html",
        total=_totals(predicted, is_right, scores),
        scores=scores.rename_axis("name").reset_index().to_dict("records"),
        matrix=_matrix(predicted),
        reliability=_reliability(predicted, is_right),
        modalities=_by_modality(particles, is_right),
        confusions=confusions,
        n_confusions=int(
            predicted.loc[~is_right, ["truth", "label"]].drop_duplicates().shape[0]
        ),
        legend=legend,
        model=model,
        warnings=list(warnings),
        not_in_gallery=sorted(set(predicted["truth"]) - set(model.gallery)),
    )


def _totals(
    predicted: pd.DataFrame, is_right: np.ndarray, scores: pd.DataFrame
) -> dict[str, Any]:
    low, high = share_interval(int(is_right.sum()), len(is_right))
    means = scores[["precision", "recall", "f1"]].mean()
    return {
        "particles": len(predicted),
        "accuracy": float(is_right.mean()),
        "low": low,
        "high": high,
        "unknown": int((predicted["label"] == UNKNOWN).sum()),
        "unread": int((predicted["label"] == WITHOUT_VIEW).sum()),
        **{name: float(value) for name, value in means.items()},
    }


def _matrix(predicted: pd.DataFrame) -> dict[str, Any]:
    counts, n_others = confusion(predicted["truth"], predicted["label"], MOST_LABELS)
    rows = []
    for truth, own in counts.iterrows():
        total = int(own.sum())
        cells = [
            {"n": int(n), "shade": shade(int(n), total), "kind": _kind(truth, label)}
            for label, n in own.items()
        ]
        rows.append({"label": truth, "total": total, "cells": cells})
    return {"columns": counts.columns.tolist(), "rows": rows, "n_others": n_others}


def _kind(truth: Any, label: Any) -> str:
    """Whether the particles in a cell of the matrix are right."""
    if truth == label == OTHER:
        return "mixed"
    return "right" if truth == label else "wrong"


def _reliability(predicted: pd.DataFrame, is_right: np.ndarray) -> list[dict]:
    """Of the particles with the name of a species: others have no score to check."""
    has_score = is_species(predicted["label"])
    return reliability(predicted["score"].to_numpy()[has_score], is_right[has_score])


def _by_modality(particles: pd.DataFrame, is_right: np.ndarray) -> list[dict]:
    has_image, has_profile = (
        particles[name].notna().to_numpy() for name in ("image", "profile")
    )
    masks = (has_image & has_profile, has_image & ~has_profile, ~has_image)
    rows = []
    for name, mask in zip(_MODALITIES, masks, strict=True):
        if mask.any():
            low, high = share_interval(int(is_right[mask].sum()), int(mask.sum()))
            accuracy = float(is_right[mask].mean())
            row = {"name": name, "n": int(mask.sum()), "accuracy": accuracy}
            rows.append({**row, "low": low, "high": high})
    return rows


def _confusions(
    particles: pd.DataFrame, predicted: pd.DataFrame
) -> tuple[list[dict], dict[str, Any] | None]:
    """The most frequent confusions, each with its particles of the highest score."""
    found: list[dict] = []
    rows: list[int] = []
    pairs = worst_confusions(predicted["truth"], predicted["label"], MOST_CONFUSIONS)
    for truth, label, n in pairs:
        is_pair = (predicted["truth"] == truth) & (predicted["label"] == label)
        own = predicted[is_pair].sort_values("score", ascending=False, kind="stable")
        own = own[:MOST_OF_CONFUSION]
        shown = own[["object_id", "score"]].to_dict("records")
        rows += own.index.tolist()
        found.append({"truth": truth, "label": label, "n": n, "particles": shown})
    every = [particle for pair in found for particle in pair["particles"]]
    return found, add_pictures(every, particles.iloc[rows], particles)
