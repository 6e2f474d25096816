"""The card of a model: what it was made from, and how well its labels agree.

A card is a dict, as JSON has it. Facts that do not apply or are not known are absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skplankton import __version__
from skplankton._embedding.base import ParticleTransformer
from skplankton._gallery.classifier import GalleryKNNClassifier
from skplankton._sharing.archive import FORMAT
from skplankton._utils.reports import listed
from skplankton._views.particle_table import MODALITIES

_LIBRARIES = ("scikit-learn", "torch", "numpy", "skops")
_N_SAMPLES = 8  # names of samples that are shown


def make_card(
    model: Any,
    given: Mapping[str, str | None],
    left_out: np.ndarray | None = None,
    training: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The card of a model that is saved now.

    Parameters
    ----------
    model : estimator
        The model.
    given : dict of str
        The texts of the user: `description`, `authors`, `license`.
    left_out : ndarray of shape (n_gallery,)
        The labels that `GalleryKNNClassifier.leave_one_out` predicts, if known already.
    training : dict
        Further facts about the training.
    """
    steps = list(model.named_steps.values()) if isinstance(model, Pipeline) else [model]
    card: dict[str, Any] = {
        "format": FORMAT,
        "saved": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": {
            "skplankton": __version__,
            **{name: version(name) for name in _LIBRARIES},
        },
        "steps": [type(step).__name__ for step in steps],
    }
    card |= {name: text for name, text in given.items() if text}
    for step in steps:
        if isinstance(step, ParticleTransformer) and hasattr(step, "n_iter_"):
            card["training"] = {**training_of(step), **(training or {})}
        if isinstance(step, GalleryKNNClassifier) and hasattr(step, "gallery_"):
            predicted = step.leave_one_out()[0] if left_out is None else left_out
            card["gallery"] = gallery_of(step, predicted)
    return card


def training_of(embedder: ParticleTransformer) -> dict[str, Any]:
    """What a fitted embedder knows of its training."""
    facts = {
        "n_trained": getattr(embedder, "_n_trained", None),  # not in former models
        "n_epochs": embedder.n_iter_,
        "temperature": getattr(embedder, "temperature_", None),
        "image_encoder": str(embedder.image_encoder),
        "image_size": embedder._reading["image_size"] if embedder._is_table else None,
    }
    if "profile" in embedder._modalities:
        facts["profile_encoder"] = str(embedder.profile_encoder)
        if embedder._channels is not None:
            facts["channels"] = [str(name) for name in embedder._channels]
        elif embedder._n_channels is not None:
            facts["n_channels"] = int(embedder._n_channels)
    return {name: value for name, value in facts.items() if value is not None}


def gallery_of(gallery: GalleryKNNClassifier, left_out: np.ndarray) -> dict[str, Any]:
    """The labels of a gallery, and which of them the others recognize."""
    is_right = left_out == gallery.gallery_labels_
    species = []
    for label in gallery.classes_:
        of_species = gallery.gallery_labels_ == label
        species.append(
            {
                "label": str(label),
                "n_labels": int(of_species.sum()),
                "n_recognized": int(is_right[of_species].sum()),
            }
        )
    return {"n_neighbors": int(gallery.n_neighbors), "species": species}


def facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The terms of a card with their values, for people to read."""
    given = [(name.title(), card.get(name)) for name in ("authors", "license")]
    training = card.get("training", {})
    return [
        (term, printable(text))
        for term, text in [
            *given,
            ("Saved", card.get("saved")),
            ("Fitted", training.get("fitted")),
            ("Steps", ", ".join(card.get("steps", []))),
            *_training_facts(training),
            *_gallery_facts(card.get("gallery", {})),
            ("Versions", ", ".join(f"{k} {v}" for k, v in card["versions"].items())),
        ]
        if text
    ]


def _training_facts(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    samples = training.get("samples", [])
    shown = listed(samples, _N_SAMPLES)
    trained = training.get("n_trained")
    particles = "" if trained is None else f"{trained:,} to train on"
    if "n_particles" in training:
        particles = (
            f"{training['n_particles']:,}, {training['n_pairs']:,} of them with image "
            f"and profile, {training['n_labeled']:,} labeled"
        )
    channels = ", ".join(training.get("channels") or [])
    encoders = {name: training.get(f"{name}_encoder") for name in ("image", "profile")}
    epochs = training.get("n_epochs")
    temperature = training.get("temperature")
    return [
        ("Samples", shown),
        ("Particles", particles),
        ("Image size", _with_unit(training.get("image_size"), "pixels")),
        ("Channels", channels or _with_unit(training.get("n_channels"), "not named")),
        ("Encoders", ", ".join(f"{n} {e}" for n, e in encoders.items() if e)),
        (
            "Epochs, temperature",
            ", ".join(f"{n:g}" for n in (epochs, temperature) if n is not None),
        ),
    ]


def _with_unit(number: int | None, unit: str) -> str:
    return "" if number is None else f"{number:,} {unit}"


def _gallery_facts(gallery: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not gallery:
        return []
    species = gallery["species"]
    n_labels = sum(row["n_labels"] for row in species)
    n_right = sum(row["n_recognized"] for row in species)
    accuracy = (
        f"{n_right / n_labels:.3f} of {n_labels} labeled particles, each classified "
        "without its own label"
    )
    return [
        ("Gallery", f"{n_labels:,} labeled particles of {len(species)} species"),
        ("Neighbors", str(gallery["n_neighbors"])),
        ("Leave-one-out accuracy", accuracy),
    ]


def as_markdown(card: Mapping[str, Any], name: str) -> str:
    """The card as Markdown; `name` is that of the file."""
    lines = [f"# {_cell(name)}", ""]
    if card.get("description"):
        lines += [_cell(card["description"]), ""]
    lines += _table(("", ""), facts(card))
    species = card.get("gallery", {}).get("species", [])
    if species:
        columns = ("label", "n_labels", "n_recognized")
        rows = [tuple(str(row[column]) for column in columns) for row in species]
        lines += [
            "",
            "## Labeled particles of each species",
            "",
            *_table(("Species", "Labels", "Recognized without their own label"), rows),
        ]
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from skplankton import load_model",
        "",
        *_loading(card, name),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _loading(card: Mapping[str, Any], name: str) -> list[str]:
    """The lines that load the model, with the encoders that are imported for it."""
    training = card.get("training", {})
    encoders = [training.get(f"{modality}_encoder") for modality in MODALITIES]
    imported = sorted({encoder for encoder in encoders if encoder and ":" in encoder})
    if not imported:
        return [f"model = load_model({name!r})"]
    return [
        "# Loading imports and runs these encoders: have and trust their code first.",
        f"model = load_model({name!r}, trusted={imported!r})",
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells: list[Sequence[str]] = [header, ["---"] * len(header)]
    cells += [[_cell(text) for text in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in cells]


def _cell(text: str) -> str:
    """A text on one line in which nothing is markup."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return printable(text)


def printable(text: str) -> str:
    """A text without control characters, which could rewrite what a terminal shows."""
    return "".join(c if c.isprintable() else " " for c in str(text))
