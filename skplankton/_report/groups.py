"""Unknown particles, grouped by likeness: each group may be a species."""

from __future__ import annotations

import base64
import math

import numpy as np
from sklearn.cluster import AgglomerativeClustering

MOST_GROUPS = 12


def groups_of_alike(embeddings: np.ndarray) -> list[np.ndarray]:
    """Rows of each group, from the most central one; the largest group first.

    Ward's method, as it draws nothing at random: groups in which embeddings differ
    little. Their number grows with the square root of the number of particles.
    """
    n_rows = len(embeddings)
    if n_rows < 2:
        return [np.arange(n_rows)] if n_rows else []
    n_groups = min(MOST_GROUPS, math.ceil(math.sqrt(n_rows / 2)))
    labels = AgglomerativeClustering(n_groups, linkage="ward").fit_predict(embeddings)
    groups = []
    for group in range(n_groups):
        rows = np.flatnonzero(labels == group)
        center = embeddings[rows].mean(axis=0)
        distances = np.linalg.norm(embeddings[rows] - center, axis=1)
        groups.append(rows[np.argsort(distances, kind="stable")])
    return sorted(groups, key=lambda rows: (-len(rows), rows.min()))


def packed(embedding: np.ndarray) -> str:
    """An embedding as a short text, with three decimals."""
    return base64.b64encode(np.asarray(embedding, dtype="<f2").tobytes()).decode()


def unpacked(text: str) -> np.ndarray:
    """The embedding in a text of `packed`."""
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float64)
