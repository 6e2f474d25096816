"""Options → a new embedder; particles → its input."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pandas as pd

from skplankton import CrossModalEmbedder
from skplankton._cli._reports import errors
from skplankton._cli._work_folder import TRAINING


def new_embedder(options: Namespace, work: Path) -> CrossModalEmbedder:
    """An embedder with the options of training, not yet fitted.

    The state of its training is kept in the folder `work`.
    """
    return CrossModalEmbedder(
        max_epochs=options.max_epochs,
        temperature=options.temperature,
        crop_top=options.crop_top,
        crop_bottom=options.crop_bottom,
        random_state=options.random_state,
        checkpoint=work / TRAINING,
        device=options.device,
        n_jobs=options.n_jobs,
        errors=errors(options.strict),
        verbose=int(not options.quiet),
    )


def has_pair(particles: pd.DataFrame) -> pd.Series:
    """Which particles have an image and a profile, to train on."""
    return particles["image"].notna() & particles["profile"].notna()


def as_X(particles: pd.DataFrame) -> pd.DataFrame:
    """The particles as the embedder's X, whose messages name them by their ids."""
    return particles[["image", "profile"]].set_axis(particles["object_id"], axis=0)
