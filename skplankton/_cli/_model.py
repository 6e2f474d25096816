"""The model file: its contents, and its predictions for some particles."""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from skplankton._cli._embedder import as_X
from skplankton._cli._files import write_whole
from skplankton._cli._samples import Sample, described

_FORMAT = "skplankton model 1"


@dataclass(frozen=True)
class Model:
    """What ``fit`` writes and the other commands read.

    `gallery_ids` are the object ids of the gallery entries, `channels` those of the
    profiles, `versions` those of the libraries that the model was made with.
    `training` is what `fit` records for the report; None in older files.
    """

    pipeline: Pipeline
    gallery_ids: list[str]
    channels: list[str] | dict[str, str] | None
    versions: dict[str, str]
    training: dict[str, Any] | None = None

    def configure(self, *, device: str, n_jobs: int | None, strict: bool) -> None:
        """Set the hardware to use, and what to do about problems."""
        self.pipeline.set_params(
            embed__device=device,
            embed__n_jobs=n_jobs,
            embed__errors="raise" if strict else "coerce",
            embed__verbose=0,
        )

    def check_sample(self, sample: Sample) -> None:
        """Raise if the sample's instrument measures other things than the model's."""
        found = sample.measurements
        if found is None:
            return
        is_vector = self.pipeline["embed"]._is_vector
        trained = tuple(self.channels or ()) if is_vector else ()
        if bool(found) != is_vector or not set(trained) <= set(found):
            raise ValueError(
                f"{sample.source} has {described(found)}, and the model was trained on "
                f"other data: {described(trained)}. Pass samples of the instrument "
                "that the model was trained with, or a model of this one."
            )


def versions() -> dict[str, str]:
    """The versions of the installed libraries."""
    import sklearn
    import torch

    import skplankton

    modules = {"skplankton": skplankton, "scikit-learn": sklearn, "torch": torch}
    return {name: str(module.__version__) for name, module in modules.items()}


def save_model(model: Model, path: Path, scratch: Path) -> None:
    """Write the file; it appears when it is complete.

    If that fails, the model is written to another folder, which the error names.
    """
    content = io.BytesIO()
    # Plain names and values, which do not depend on the import path of our classes.
    parts = {field.name: getattr(model, field.name) for field in fields(model)}
    joblib.dump({"format": _FORMAT, **parts}, content)
    try:
        write_whole(path, content.getvalue(), scratch)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        kept = _keep_elsewhere(content.getvalue(), path)
        what_now = (
            f"The trained model is not lost: it is in {kept}. Make {path} writable, "
            f"with {len(content.getvalue()) / 1e6:.0f} MB of space, and move it there."
            if kept
            else "Nor could the trained model be written to any other folder: free "
            "some space, and run the command again."
        )
        raise OSError(f"{path} cannot be written ({why}). {what_now}") from error


def _keep_elsewhere(content: bytes, path: Path) -> Path | None:
    """Write the file beside `path`, or else on another disk; None if that fails."""
    # A unique name: the next run must not replace or remove it.
    name = f"{path.stem[:60]}-{secrets.token_hex(4)}.joblib"
    for folder in (path.parent, tempfile.gettempdir(), os.path.expanduser("~")):
        with suppress(OSError):
            kept = Path(os.path.abspath(folder), name)
            write_whole(kept, content, kept.parent)
            return kept
    return None


def read_model_file(path: Path) -> bytes:
    """The file's content, not yet unpickled: the digest must be of what is used."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not a file. Expected a model, written by: python -m skplankton "
            "fit"
        )
    return path.read_bytes()


def open_model(content: bytes, path: Path) -> Model:
    """The model in a file's content. Like any pickle, it may run code."""
    try:
        value: Any = joblib.load(io.BytesIO(content))
    except Exception as error:  # an invalid pickle may raise anything
        raise ValueError(
            f"{path} cannot be opened as a model ({type(error).__name__}: {error}). "
            "Expected a file written by: python -m skplankton fit; with the versions "
            "of skplankton, scikit-learn and torch installed here."
        ) from error
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise ValueError(
            f"{path} contains {found!r}; expected {_FORMAT!r}, written by: python -m "
            "skplankton fit"
        )
    del value["format"]
    return Model(**value)


NAME, SCORE, FAMILIARITY, SIMILARITY = "name", "score", "familiarity", "similarity"


def n_neighbors(model: Model) -> int:
    """How many labeled particles are reported for each prediction."""
    return min(model.pipeline["gallery"].n_neighbors, len(model.gallery_ids))


def columns(model: Model) -> list[str]:
    """The names of the columns of the rows that `classify_particles` returns."""
    nearest = [
        f"{column}_{k + 1}"
        for k in range(n_neighbors(model))
        for column in ("neighbor", SIMILARITY)
    ]
    return ["object_id", NAME, SCORE, FAMILIARITY, *nearest]


class Predicted(NamedTuple):
    """Rows with the columns of `columns`, and the shares of the classes in the votes.

    The shares, (n_particles, n_classes), are NaN without a readable image or profile.
    """

    rows: list[list[str]]
    shares: np.ndarray


def classify_particles(model: Model, particles: pd.DataFrame) -> Predicted:
    """Predict labels; without a readable image or profile, the label is empty.

    Other rows change a row by rounding only, and the same parts of a sample give the
    same bytes. Hence a sample can be classified in parts, and resumed.
    """
    gallery = model.pipeline["gallery"]
    ids = particles["object_id"]
    embeddings = model.pipeline["embed"].transform(as_X(particles))
    rows = [[object_id] + [""] * (len(columns(model)) - 1) for object_id in ids]
    all_shares = np.full((len(rows), len(gallery.classes_)), np.nan)
    is_readable = np.flatnonzero(~np.isnan(embeddings).all(axis=1))
    if not len(is_readable):
        return Predicted(rows, all_shares)
    votes = gallery._votes(embeddings[is_readable])
    shares, familiarity, _ = votes
    all_shares[is_readable] = shares
    labels = gallery._labels(*votes)
    distances, nearest = gallery.kneighbors(embeddings[is_readable])
    for i, row in enumerate(is_readable):
        rows[row][1:4] = [
            str(labels[i]),
            _decimals(shares[i].max()),
            _decimals(familiarity[i]),
        ]
        for k, (entry, distance) in enumerate(
            zip(nearest[i], distances[i], strict=True)
        ):
            rows[row][4 + 2 * k : 6 + 2 * k] = [
                model.gallery_ids[entry],
                _decimals(1 - distance),
            ]
    return Predicted(rows, all_shares)


def _decimals(number: float) -> str:
    return f"{round(float(number), 4) + 0.0:.4f}"  # + 0.0: no "-0.0000"
