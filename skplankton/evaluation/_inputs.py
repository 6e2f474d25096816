"""What the benchmark is given: models, embeddings, labels; and what fits to what."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from skplankton._gallery.classifier import split_views
from skplankton._utils.labels import split_labels
from skplankton._utils.sklearn import num_samples, safe_indexing
from skplankton._views.table import is_particle_table

# Key of the only model, which no caller's dict can hold.
UNNAMED = object()


@dataclass(frozen=True)
class Model:
    """What is embedded, and by whom."""

    X: Any
    X_gallery: Any
    embedder: Any

    def views(
        self, labels: "Labels", n_modalities: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The labeled queries' views and those that galleries are drawn from."""
        X = _embed(self.embedder, self.X, "X", labels.labeled, n_modalities)
        if labels.labeled_gallery is None:
            return X, X
        X_gallery = _embed(
            self.embedder,
            self.X_gallery,
            "X_gallery",
            labels.labeled_gallery,
            n_modalities,
        )
        if X_gallery.shape[1:] != X.shape[1:]:
            widths = [views[0].size for views in (X, X_gallery)]
            raise ValueError(
                f"The embeddings of X have {widths[0]} columns and those of X_gallery "
                f"{widths[1]}. Embed both by the same model."
            )
        return X, X_gallery


@dataclass(frozen=True)
class Labels:
    """Which rows of X and X_gallery are labeled, and the positions of their labels
    among the classes; None where galleries are drawn from X.
    """

    classes: np.ndarray
    labeled: np.ndarray
    codes: np.ndarray
    labeled_gallery: np.ndarray | None = None
    codes_gallery: np.ndarray | None = None


def named_models(X: Any, X_gallery: Any, embedder: Any) -> dict:
    """The models by their names; `UNNAMED` where no dict was given."""
    if isinstance(embedder, dict):
        if isinstance(X, dict) or isinstance(X_gallery, dict):
            raise ValueError(
                "X or X_gallery and embedder are dicts. Pass one table and several "
                "embedders, or a dict of embeddings without embedder."
            )
        models = {name: Model(X, X_gallery, one) for name, one in embedder.items()}
    elif isinstance(X, dict):
        galleries = dict.fromkeys(X) if X_gallery is None else X_gallery
        if not isinstance(galleries, dict) or set(galleries) != set(X):
            raise ValueError(
                f"X is a dict with the keys {list(X)}; expected X_gallery to be None "
                "or a dict with the same keys, got "
                + (f"{list(galleries)}." if isinstance(galleries, dict) else "a table.")
            )
        models = {name: Model(X[name], galleries[name], embedder) for name in X}
    else:
        models = {UNNAMED: Model(X, X_gallery, embedder)}
    if not models:
        raise ValueError("The dict of models is empty. Pass one model at least.")
    return models


def _embed(
    embedder: Any, X: Any, name: str, labeled: np.ndarray, n_modalities: int
) -> np.ndarray:
    """Views of the labeled rows, of shape (n_labeled, n_modalities, n_columns)."""
    n_rows = num_samples(X)
    if n_rows != len(labeled):
        raise ValueError(
            f"{name} has {n_rows} rows, and y{name[1:]} {len(labeled)} labels. Pass "
            "one label a row, None for those that are unlabeled."
        )
    if embedder is not None:
        transform = _transform(embedder, n_modalities)
        X = transform(safe_indexing(X, np.flatnonzero(labeled)))
        labeled = np.ones(num_samples(X), dtype=bool)
    elif is_particle_table(X):
        raise ValueError(
            f"{name} is a table of particles, where embeddings were expected. Pass a "
            "fitted embedder, or the embedder's transform of the table."
        )
    X = check_array(
        X, dtype=[np.float64, np.float32], ensure_all_finite=False, input_name=name
    )
    return split_views(X, n_modalities)[labeled]


def _transform(embedder: Any, n_modalities: int) -> Callable:
    """How the embedder makes [image | profile] embeddings, or one embedding."""
    if not hasattr(embedder, "transform"):
        raise ValueError(
            f"embedder={embedder!r} has no method transform. Pass a fitted "
            "CrossModalEmbedder or another transformer, or a dict of them."
        )
    params = embedder.get_params() if hasattr(embedder, "get_params") else {}
    if n_modalities == 2 and "output" in params:
        # A shallow copy stays fitted, which clone does not, and leaves theirs alone.
        embedder = copy.copy(embedder).set_params(output="concat")
    return embedder.transform


def benchmark_labels(
    y: ArrayLike, has_gallery: bool, y_gallery: ArrayLike | None, unlabeled: Any
) -> Labels:
    """The labels of both tables, as positions among the classes of both."""
    if has_gallery != (y_gallery is not None):
        given, lacking = ("X", "y") if has_gallery else ("y", "X")
        raise ValueError(
            f"{given}_gallery was given without {lacking}_gallery. Pass both, or "
            "neither to draw the galleries from X."
        )
    names, labeled = _some_labels(y, "y", unlabeled)
    if y_gallery is None:
        classes, codes = np.unique(names, return_inverse=True)
        return Labels(classes, labeled, codes)
    gallery_names, labeled_gallery = _some_labels(y_gallery, "y_gallery", unlabeled)
    kinds = {names.dtype.kind, gallery_names.dtype.kind}
    if len(kinds) > 1 and not kinds <= set("iuf"):
        raise TypeError(
            f"The labels in y are {names.dtype} and those in y_gallery "
            f"{gallery_names.dtype}. Convert one, or they can never be equal."
        )
    joined = np.concatenate([names, gallery_names])
    classes, codes = np.unique(joined, return_inverse=True)
    of_queries, of_gallery = np.split(codes, [len(names)])
    return Labels(classes, labeled, of_queries, labeled_gallery, of_gallery)


def _some_labels(y: ArrayLike, name: str, unlabeled: Any):
    labels, labeled = split_labels(y, unlabeled)
    if not labels.size:
        raise ValueError(
            f"All {len(labeled)} rows of {name} are unlabeled. Pass rows of which "
            "some have a label."
        )
    return labels, labeled
