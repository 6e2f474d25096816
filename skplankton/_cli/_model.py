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
from skplankton._cli._reports import print_message
from skplankton._cli._samples import Channels, Sample, described
from skplankton._sharing import models
from skplankton._sharing.archive import ModelArchive, is_archive

_FORMAT = "skplankton model 1"


@dataclass(frozen=True)
class Model:
    """What ``fit`` writes and the other commands read.

    `gallery_ids` are the object ids of the gallery entries, `channels` those of the
    profiles. `training` contains the mistakes among the labels that `fit` found, `card`
    the model card; both are None in older files, which have the `versions` of the
    libraries instead.
    """

    pipeline: Pipeline
    gallery_ids: list[str]
    channels: list[str] | dict[str, str] | None
    training: dict[str, Any] | None = None
    card: dict[str, Any] | None = None
    versions: dict[str, str] | None = None

    def configure(self, *, device: str, n_jobs: int | None, strict: bool) -> None:
        """Set the hardware to use, and what to do about problems."""
        self.pipeline.set_params(
            embed__device=device,
            embed__n_jobs=n_jobs,
            embed__errors="raise" if strict else "coerce",
            embed__verbose=0,
        )

    def check_channels(self, given: Channels | None) -> None:
        """Raise if `given` cannot be those that the model was trained with."""
        if given is None or self.channels is None:
            return
        # Vectors do not know the names of their measurements; pulses do.
        is_vector = self.pipeline["embed"]._is_vector
        trained = list(self.channels)
        same = [n.casefold() for n in given] == [n.casefold() for n in trained]
        if len(given) != len(trained) or (is_vector and not same):
            renamed = "" if is_vector else ", or map each to its name in the file"
            raise ValueError(
                f"--channels has {', '.join(given)}, and the model was trained with "
                f"{', '.join(trained)}. Leave out --channels{renamed}."
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


def save_model(model: Model, path: Path, scratch: Path) -> None:
    """Write the file; it appears when it is complete.

    If that fails, the model is written to another folder, which the error names.
    """
    content = _content(model, path)
    try:
        write_whole(path, content, scratch)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        kept = _keep_elsewhere(content, path)
        what_now = (
            f"The trained model is not lost: it is in {kept}. Make {path} writable, "
            f"with {len(content) / 1e6:.0f} MB of space, and move it there."
            if kept
            else "Nor could the trained model be written to any other folder: free "
            "some space, and run the command again."
        )
        raise OSError(f"{path} cannot be written ({why}). {what_now}") from error


def _content(model: Model, path: Path) -> bytes:
    """The file's content, in the format that its name calls for."""
    parts = {field.name: getattr(model, field.name) for field in fields(model)}
    if path.suffix.lower() in models.PICKLES:
        content = io.BytesIO()
        # Plain names and values, which do not depend on the import path of our classes.
        joblib.dump({"format": _FORMAT, **parts}, content)
        return content.getvalue()
    pipeline, card = parts.pop("pipeline"), parts.pop("card")
    del parts["versions"]  # the card has them
    return models.to_bytes(pipeline, card, path.name, station=parts)


def _keep_elsewhere(content: bytes, path: Path) -> Path | None:
    """Write the file beside `path`, or else on another disk; None if that fails."""
    # A unique name: the next run must not replace or remove it.
    name = f"{path.stem[:60]}-{secrets.token_hex(4)}{path.suffix}"
    for folder in (path.parent, tempfile.gettempdir(), os.path.expanduser("~")):
        with suppress(OSError):
            kept = Path(os.path.abspath(folder), name)
            write_whole(kept, content, kept.parent)
            return kept
    return None


def read_model_file(path: Path) -> bytes:
    """The file's content, not yet opened: the digest must be of what is used."""
    return models.read_bytes(path)


def open_model(content: bytes, path: Path) -> Model:
    """The model in a file's content. If it is a pickle, it may run code."""
    if is_archive(content):
        return _from_archive(ModelArchive(content, path))
    print_message(
        f"warning: {path} is a joblib file, which can run any program when it is "
        "opened. Only use one that you have made, or that comes from people you trust."
    )
    value = models.unpickled(content, path)
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise ValueError(
            f"{path} contains {found!r}; expected {_FORMAT!r}, written by: python -m "
            "skplankton fit"
        )
    del value["format"]
    return Model(**value)


def _from_archive(archive: ModelArchive) -> Model:
    station = archive.station
    if station is None:
        raise ValueError(
            f"{archive.path} was written by skplankton.save_model, without the object "
            "ids and channels that the commands need. Expected a file written by: "
            "python -m skplankton fit"
        )
    pipeline = models.from_archive(archive)
    try:
        model = Model(pipeline=pipeline, card=archive.card, **station)
        n_ids, n_labels = len(model.gallery_ids), len(pipeline["gallery"].gallery_)
        if n_ids != n_labels or not hasattr(pipeline["embed"], "n_iter_"):
            raise ValueError(f"{n_ids} object ids for a gallery of {n_labels}")
    except Exception as error:  # of a file that anybody may have written
        raise ValueError(
            f"{archive.path} is damaged ({type(error).__name__}: {error}). Copy or "
            "download it again."
        ) from error
    return model


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
