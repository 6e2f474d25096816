"""``fit``: labeled samples → a model file."""

from __future__ import annotations

import shlex
import warnings
from argparse import Namespace
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from skplankton import GalleryKNNClassifier
from skplankton._cli._abundances import LeftOut, known_mistakes
from skplankton._cli._arguments import CARD_TEXTS, DONE, PROBLEMS
from skplankton._cli._checks import report_gallery, warn_of_scale_bar
from skplankton._cli._embedder import as_X, has_pair, new_embedder
from skplankton._cli._files import reserved
from skplankton._cli._model import Model, save_model
from skplankton._cli._particles import load_labeled
from skplankton._cli._reports import (
    collected_reports,
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
from skplankton._sharing.card import make_card
from skplankton._utils.labels import UNKNOWN

# What `fit` records and the card contains.
_OF_CARD = ("fitted", "samples", "n_particles", "n_pairs", "n_labeled")

# Several times the size of a typical model with a gallery of 100,000 entries.
_SPACE_FOR_MODEL = 64 * 2**20


def run(options: Namespace) -> int:
    """Train a model and write it."""
    # Errors that can be found early are found before the hours of training.
    _check_output(options)
    samples = find_samples(options.samples)
    work = options.output.with_name(f"{options.output.name}.work")
    busy = f"Another process is fitting {options.output}. Wait, or stop it."
    with work_folder(work, busy), collected_reports() as reports:
        with (
            reported_if_kept(work, "No model"),
            reserved(work, _SPACE_FOR_MODEL, "are reserved for the model"),
        ):
            table = load_labeled(
                samples,
                options,
                channels=options.channels,
                cache=options.cache or work / VIEWS,
                labels_cache=work / LABELS,
            )
            model = _fitted(table, options, work)
            left_out = model.pipeline["gallery"].leave_one_out()
            model = _with_mistakes(model, left_out, table)
            given = {name: getattr(options, name) for name in CARD_TEXTS}
            model = _with_card(model, given, left_out)
        save_model(model, options.output, work)
    gallery = model.pipeline["gallery"]
    print_result(
        f"{options.output}: {len(gallery.classes_)} species, and "
        f"{plural(len(model.gallery_ids), 'labeled particle')} in the gallery"
    )
    doubtful = options.output.with_name(f"{options.output.stem}_doubtful_labels.csv")
    report_gallery(gallery, left_out, model.gallery_ids, doubtful)
    words = ["classify", str(options.output), "SAMPLE...", "--output", "results"]
    print_result(f"Next: python -m skplankton {shlex.join(words)} --report")
    for report in reports:
        print_message(report)
    return PROBLEMS if reports else DONE


def _check_output(options: Namespace) -> None:
    output = options.output
    if output.is_dir():
        raise ValueError(
            f"--output {output} is a folder; expected the name of a file, such as "
            f"{output / 'model.skops'}."
        )
    if not output.exists():
        return
    if not options.overwrite:
        raise FileExistsError(
            f"{output} exists. Choose another --output, or pass --overwrite to replace "
            "it."
        )
    for path in map(Path, filter(None, [options.labels, *options.samples])):
        if path.exists() and output.samefile(path):
            raise ValueError(
                f"--output {output} is a file to read, and would be replaced. Choose "
                "another --output."
            )


def _fitted(table: pd.DataFrame, options: Namespace, work: Path) -> Model:
    labeled = table["label"].notna()
    complete = has_pair(table)
    species = table["label"][labeled].unique()
    if len(species) == 1:
        raise ValueError(
            f"All {labeled.sum()} labeled particles of the samples have the label "
            f"{species[0]!r}, and two species or more are needed. Label more "
            "particles, or add samples with others."
        )
    if options.contamination and UNKNOWN in species:
        raise ValueError(
            f"{(table['label'] == UNKNOWN).sum()} particles have the label "
            f"{UNKNOWN!r}, which classify gives to those of none of the species. Leave "
            "their label empty, rename it, or pass --contamination 0, which does "
            "without."
        )
    print_result(
        f"{plural(len(table), 'particle')}: {complete.sum()} with image and profile, "
        f"to train on; {labeled.sum()} labeled, {(~labeled).sum()} unlabeled"
    )
    if complete.sum() < 2:
        raise ValueError(
            "Training needs two particles or more with an image and a profile or "
            f"measurements, got {complete.sum()}: {table['image'].notna().sum()} have "
            f"an image, and {table['profile'].notna().sum()} a profile. An export of "
            "EcoTaxa has images only if that is chosen."
        )
    warn_of_scale_bar(table["image"], options.crop_top, options.crop_bottom)
    # Only pairs are used for training: most particles have no image.
    used = table[labeled | complete].reset_index(drop=True)
    pipeline = Pipeline(
        [
            ("embed", new_embedder(options, work)),
            (
                "gallery",
                GalleryKNNClassifier(
                    n_neighbors=options.n_neighbors,
                    gallery_size=options.gallery_size,
                    use_unlabeled=True,
                    **_unknown(options.contamination),
                    random_state=options.random_state,
                ),
            ),
        ]
    )
    with warnings.catch_warnings():
        # load_labeled has warned of it already, in terms of this command.
        warnings.filterwarnings("ignore", "y contains the text", UserWarning)
        pipeline.fit(as_X(used), used["label"].to_numpy(dtype=object))
    pipeline.set_params(embed__checkpoint=None)  # the folder will be removed
    kept = pipeline["gallery"].gallery_indices_
    channels = options.channels
    if not isinstance(channels, dict):
        # By name: what "auto" takes in one file might be other channels in the next.
        # Vectors of measurements do not know their names, but their table does.
        found = pipeline["embed"]._channels or table.attrs.get("measurements")
        channels = channels if found is None else list(found)
    training = {
        "fitted": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "samples": sorted(set(table["sample_id"])),
        "n_particles": len(table),
        "n_pairs": int(complete.sum()),
        "n_labeled": int(labeled.sum()),
    }
    ids = used["object_id"].iloc[kept].tolist()
    return Model(pipeline, ids, channels, training)


def _with_mistakes(model: Model, left_out: LeftOut, table: pd.DataFrame) -> Model:
    """The model with the known mistakes of its gallery."""
    gallery = model.pipeline["gallery"]
    has_image = table.set_index("object_id")["image"].notna()
    mistakes = {
        "left_out": (
            int(np.sum(left_out[0] == gallery.gallery_labels_)),
            len(gallery.gallery_labels_),
        ),
        "calibration": known_mistakes(
            gallery, left_out, has_image[model.gallery_ids].to_numpy()
        ),
    }
    return replace(model, training={**(model.training or {}), **mistakes})


def _with_card(model: Model, given: dict[str, str | None], left_out: LeftOut) -> Model:
    """The model with its card."""
    training = model.training or {}
    known = {name: training[name] for name in _OF_CARD}
    card = make_card(
        model.pipeline,
        given,
        left_out[0],
        known | {"channels": list(model.channels)} if model.channels else known,
    )
    return replace(model, card=card)


def _unknown(contamination: float) -> dict[str, Any]:
    """Parameters of the classifier; 0 gives each particle the name of a species."""
    if contamination == 0:
        return {}
    return {"outlier_label": UNKNOWN, "contamination": contamination}
