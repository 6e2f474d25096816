"""Inputs: models, embeddings, labels and results, and their validation."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from skplankton._gallery.views import split_views
from skplankton._utils.labels import split_labels
from skplankton._utils.sklearn import num_samples, safe_indexing
from skplankton._views.particle_table import is_particle_table

# Key of a single model, which no dict of the caller can contain.
SINGLE_MODEL = object()


@dataclass(frozen=True)
class Model:
    """The data to embed, and the embedder."""

    X: Any
    X_gallery: Any
    embedder: Any

    def views(
        self, labels: "Labels", n_modalities: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Views of the labeled queries, and of the rows to draw galleries from."""
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
                f"{widths[1]}. Embed both with the same model."
            )
        return X, X_gallery


@dataclass(frozen=True)
class Labels:
    """Which rows of X and X_gallery are labeled, and their labels as class numbers.

    None for X_gallery where galleries are drawn from X.
    """

    classes: np.ndarray
    labeled: np.ndarray
    codes: np.ndarray
    labeled_gallery: np.ndarray | None = None
    codes_gallery: np.ndarray | None = None


def models_by_key(X: Any, X_gallery: Any, embedder: Any) -> dict:
    """The models by key; `SINGLE_MODEL` without a dict."""
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
        models = {SINGLE_MODEL: Model(X, X_gallery, embedder)}
    if not models:
        raise ValueError("The dict of models is empty. Pass at least one model.")
    return models


def _embed(
    embedder: Any, X: Any, name: str, labeled: np.ndarray, n_modalities: int
) -> np.ndarray:
    """Views of the labeled rows, of shape (n_labeled, n_modalities, n_columns)."""
    n_rows = num_samples(X)
    if n_rows != len(labeled):
        raise ValueError(
            f"{name} has {n_rows} rows, and y{name[1:]} {len(labeled)} labels. Pass "
            "one label per row, None for unlabeled rows."
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
    """The method that computes [image | profile] embeddings, or one embedding."""
    if isinstance(embedder, type):
        raise ValueError(
            f"embedder={embedder.__name__} is a class. Pass a fitted transformer, or a "
            "dict of them."
        )
    if not hasattr(embedder, "transform"):
        raise ValueError(
            f"embedder={embedder!r} has no method transform. Pass a fitted "
            "CrossModalEmbedder or another transformer, or a dict of them."
        )
    params = embedder.get_params() if hasattr(embedder, "get_params") else {}
    if n_modalities == 2 and "output" in params:
        # Unlike a clone, a shallow copy stays fitted; the original does not change.
        embedder = copy.copy(embedder).set_params(output="concat")
    return embedder.transform


def benchmark_labels(
    y: ArrayLike, has_gallery: bool, y_gallery: ArrayLike | None, unlabeled: Any
) -> Labels:
    """The labels of both tables, encoded by the classes of both."""
    if has_gallery != (y_gallery is not None):
        given, lacking = ("X", "y") if has_gallery else ("y", "X")
        raise ValueError(
            f"{given}_gallery was given without {lacking}_gallery. Pass both, or "
            "neither to draw the galleries from X."
        )
    query_labels, labeled = _some_labels(y, "y", unlabeled)
    if y_gallery is None:
        classes, codes = np.unique(query_labels, return_inverse=True)
        return Labels(classes, labeled, codes)
    gallery_labels, labeled_gallery = _some_labels(y_gallery, "y_gallery", unlabeled)
    kinds = {query_labels.dtype.kind, gallery_labels.dtype.kind}
    if len(kinds) > 1 and not kinds <= set("iuf"):
        raise TypeError(
            f"The labels in y are {query_labels.dtype} and those in y_gallery "
            f"{gallery_labels.dtype}. Convert one, or they can never be equal."
        )
    joined = np.concatenate([query_labels, gallery_labels])
    classes, codes = np.unique(joined, return_inverse=True)
    of_queries, of_gallery = np.split(codes, [len(query_labels)])
    return Labels(classes, labeled, of_queries, labeled_gallery, of_gallery)


def _some_labels(y: ArrayLike, name: str, unlabeled: Any):
    labels, labeled = split_labels(y, unlabeled)
    if not labels.size:
        raise ValueError(
            f"All {len(labeled)} rows of {name} are unlabeled. Pass some labeled rows."
        )
    return labels, labeled


def check_results(results: Any) -> None:
    """Raise unless it is a table."""
    if not isinstance(results, pd.DataFrame):
        raise TypeError(
            f"results is a {type(results).__name__}; expected the DataFrame that "
            "cross_modal_benchmark returns."
        )


def check_result_columns(results: pd.DataFrame, needed: Sequence[str]) -> None:
    """Raise if a table of results lacks a column."""
    missing = [name for name in needed if name not in results]
    if missing:
        raise ValueError(
            f"results has no column {', '.join(map(repr, missing))}; it has "
            f"{list(results.columns)}. Pass the result of cross_modal_benchmark."
        )
