"""A fitted pipeline and some particles → rows of text, a name and its reasons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skplankton._cli._model_file import Model

NAME, SCORE = "name", "score"


def n_neighbors(model: Model) -> int:
    """How many labelled particles are told for each name."""
    return min(model.pipeline["gallery"].n_neighbors, len(model.gallery_ids))


def columns(model: Model) -> list[str]:
    """The names of what `name_particles` gives for each particle."""
    nearest = [
        f"{word}_{k + 1}"
        for k in range(n_neighbors(model))
        for word in ("neighbor", "similarity")
    ]
    return ["object_id", NAME, SCORE, *nearest]


def name_particles(model: Model, particles: pd.DataFrame) -> list[list[str]]:
    """Name particles; without a view that can be read, a name is empty.

    Other rows change a row by rounding only, and the same parts of a sample give the
    same bytes. Hence a sample can be classified in parts, and resumed.
    """
    gallery = model.pipeline["gallery"]
    ids = particles["object_id"]
    # The library's messages name rows by the index.
    X = particles[["image", "profile"]].set_axis(ids, axis=0)
    embeddings = model.pipeline["embed"].transform(X)
    rows = [[object_id] + [""] * (len(columns(model)) - 1) for object_id in ids]
    has_view = np.flatnonzero(~np.isnan(embeddings).all(axis=1))
    if not len(has_view):
        return rows
    shares = gallery.predict_proba(embeddings[has_view])
    distances, nearest = gallery.kneighbors(embeddings[has_view])
    # As gallery.predict has it: on a tie the first.
    names = gallery.classes_[shares.argmax(axis=1)]
    for i, row in enumerate(has_view):
        rows[row][1:3] = [str(names[i]), _decimals(shares[i].max())]
        for k, (entry, distance) in enumerate(
            zip(nearest[i], distances[i], strict=True)
        ):
            rows[row][3 + 2 * k : 5 + 2 * k] = [
                model.gallery_ids[entry],
                _decimals(1 - distance),
            ]
    return rows


def _decimals(number: float) -> str:
    return f"{round(float(number), 4) + 0.0:.4f}"  # + 0.0: no "-0.0000"
