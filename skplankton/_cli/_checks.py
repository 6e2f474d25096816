"""What ``fit`` reports of its input: scale bars in images, doubtful labels."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from skplankton import GalleryKNNClassifier
from skplankton._cli._abundances import LeftOut
from skplankton._cli._reports import plural, print_message, print_result
from skplankton._views.decoding import cropped_pixels
from skplankton._views.scale_bar import find_scale_bar
from skplankton.evaluation import suspect_labels
from skplankton.exports import write_csv

_N_IMAGES = 60  # in which a scale bar is looked for
_FEW_LABELS = 4  # fewer are marked


def warn_of_scale_bar(images: pd.Series, crop_top: int, crop_bottom: int) -> None:
    """Print a message if the images seem to have a scale bar burned in."""
    present = np.flatnonzero(images.notna())
    n_images = min(_N_IMAGES, len(present))
    rows = present[np.linspace(0, len(present) - 1, n_images).astype(int)]
    pixels = []
    for image in images.iloc[rows]:
        with suppress(ValueError, OSError):  # reported when it is read for training
            pixels.append(cropped_pixels(image, crop_top, crop_bottom))
    bar = find_scale_bar(pixels)
    if bar is None:
        return
    where = f"the {'first' if bar.side == 'top' else 'last'} {bar.n_rows} rows"
    cropped = {"top": crop_top, "bottom": crop_bottom}[bar.side]
    option = f"--crop-{bar.side} {cropped + bar.n_rows}"
    print_message(
        f"warning: the images seem to have a scale bar burned in, in {where}. It is no "
        f"part of a particle. Pass {option} to cut it off."
    )


def report_gallery(
    gallery: GalleryKNNClassifier,
    left_out: LeftOut,
    ids: list[str],
    path: Path,
) -> None:
    """Print how well the gallery recognizes itself; write labels that may be wrong."""
    labels = np.asarray(gallery.gallery_labels_)
    predicted, shares = left_out
    accuracy = np.mean(predicted == labels)
    table = pd.DataFrame({"label": labels.astype(str), "got": predicted.astype(str)})
    rows = []
    for label, group in table.groupby("label"):
        others = group["got"][group["got"] != label].value_counts()
        rows.append(
            {
                "labels": f"{len(group)}{' (few)' if len(group) < _FEW_LABELS else ''}",
                "recognized": f"{(group['got'] == label).mean():.0%}",
                "otherwise taken for": f"{others.index[0]} ({others.iloc[0]})"
                if len(others)
                else "",
            }
        )
    species = pd.DataFrame(rows, index=sorted(set(table["label"])))
    print_result(
        "The labeled particles, each classified without its own label "
        f"({accuracy:.0%} right):\n{species.to_string()}"
    )
    suspected = suspect_labels(labels, shares, gallery.classes_)
    path.unlink(missing_ok=True)  # of a former fit
    if len(suspected):
        _write_suspected(suspected, gallery, ids, predicted, shares, path)
        print_message(
            f"{plural(len(suspected), 'label')} may be wrong: see {path}, the most "
            "doubtful first"
        )


def _write_suspected(rows, gallery, ids, predicted, shares, path) -> None:
    labels = np.asarray(gallery.gallery_labels_)[rows]
    own = np.searchsorted(gallery.classes_, labels)
    table = pd.DataFrame(
        {
            "object_id": np.asarray(ids, dtype=object)[rows],
            "label": labels,
            "predicted": predicted[rows],
            "share_of_label": shares[rows, own].round(4),
        }
    )
    write_csv(path, table, overwrite=True)
