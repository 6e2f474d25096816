"""The model file: what it holds, and the rows that it gives for some particles."""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from skplankton._cli._files import write_whole

_FORMAT = "skplankton model 1"


@dataclass(frozen=True)
class Model:
    """What ``fit`` writes and the other commands read.

    `gallery_ids` are the object ids of the gallery's rows; `channels` are those to load
    profiles with; `versions` says what the model was made with.
    """

    pipeline: Pipeline
    gallery_ids: list[str]
    channels: list[str] | dict[str, str] | None
    versions: dict[str, str]

    def set_up(self, *, device: str, n_jobs: int | None, strict: bool) -> None:
        """Use the hardware of this machine, and its user's rules for problems."""
        self.pipeline.set_params(
            embed__device=device,
            embed__n_jobs=n_jobs,
            embed__errors="raise" if strict else "coerce",
            embed__verbose=0,
        )


def versions() -> dict[str, str]:
    """What a model is made with now."""
    import sklearn
    import torch

    import skplankton

    modules = {"skplankton": skplankton, "scikit-learn": sklearn, "torch": torch}
    return {name: str(module.__version__) for name, module in modules.items()}


def save_model(model: Model, path: Path, scratch: Path) -> None:
    """Write the file; it appears when it is complete.

    If that fails, the model is written to some other place, which the error names.
    """
    content = io.BytesIO()
    # Plain names and values: what they mean does not depend on where classes lie.
    parts = {field.name: getattr(model, field.name) for field in fields(model)}
    joblib.dump({"format": _FORMAT, **parts}, content)
    try:
        write_whole(path, content.getvalue(), scratch)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        kept = _keep_elsewhere(content.getvalue(), path)
        what_now = (
            f"The trained model is not lost: it is in {kept}. Make {path} writable, "
            f"with room for {len(content.getvalue()) / 1e6:.0f} MB, and move it there."
            if kept
            else "Nor could the trained model be written to any other folder: make "
            "room, and run the command again."
        )
        raise OSError(f"{path} cannot be written ({why}). {what_now}") from error


def _keep_elsewhere(content: bytes, path: Path) -> Path | None:
    """Write the file beside `path`, or else on another disk; None if that fails."""
    # A name of its own: the next run must not replace it, nor remove it.
    name = f"{path.stem[:60]}-{secrets.token_hex(4)}.joblib"
    for folder in (path.parent, tempfile.gettempdir(), os.path.expanduser("~")):
        with suppress(OSError):
            kept = Path(os.path.abspath(folder), name)
            write_whole(kept, content, kept.parent)
            return kept
    return None


def read_model_file(path: Path) -> bytes:
    """The file's content, not yet opened: for a digest of just what is used."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is no file. Expected a model, written by: python -m skplankton fit"
        )
    return path.read_bytes()


def open_model(content: bytes, path: Path) -> Model:
    """The model in a file's content. It runs code, as all pickles may."""
    try:
        value: Any = joblib.load(io.BytesIO(content))
    except Exception as error:  # a broken pickle may raise anything
        raise ValueError(
            f"{path} cannot be opened as a model ({type(error).__name__}: {error}). "
            "Expected a file written by: python -m skplankton fit; with versions of "
            "skplankton, scikit-learn and torch like those installed here."
        ) from error
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise ValueError(
            f"{path} holds {found!r}; expected {_FORMAT!r}, written by: python -m "
            "skplankton fit"
        )
    del value["format"]
    return Model(**value)


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
