"""Accuracy with votes of two views, unscaled and scaled, and with the views' mean.

Accuracy and mean recall of the classes, with both views in the gallery and in the
queries and 1, 4 and 16 labels per class, on simulated particles (one half trains the
embedder, the other half is classified) or on embeddings of your own: an .npz file with
`Z`, [image | profile], and `y`. "fused" classifies by the mean of both views as unit
vectors.

    OMP_NUM_THREADS=1 python benchmarks/two_views.py
    OMP_NUM_THREADS=1 python benchmarks/two_views.py --embeddings mine.npz
"""

import _timing
import numpy as np
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.model_selection import GallerySplit

SEED, N_DRAWS = 0, 5
GALLERY_SIZES = (1, 4, 16)


def simulated(n_particles: int) -> tuple[np.ndarray, np.ndarray]:
    """[image | profile] embeddings of particles not used in training."""
    X, y = make_particles(n_particles, random_state=SEED, return_X_y=True)
    embedder = CrossModalEmbedder(output="concat", random_state=SEED)
    embedder.fit(X[: n_particles // 2])
    return embedder.transform(X[n_particles // 2 :]), y[n_particles // 2 :]


def fused(Z: np.ndarray) -> np.ndarray:
    """The mean of both views as unit vectors."""
    views = Z.reshape(len(Z), 2, -1)
    views = views / np.maximum(np.linalg.norm(views, axis=2, keepdims=True), 1e-30)
    return views.mean(axis=1)


def main() -> None:
    options = _timing.parser(__doc__)
    options.add_argument("--n-particles", type=int, default=600)
    options.add_argument("--embeddings", help="an .npz file with Z and y")
    options = options.parse_args()
    if options.embeddings:
        with np.load(options.embeddings, allow_pickle=True) as file:
            Z, y = file["Z"], file["y"]
    else:
        Z, y = simulated(options.n_particles)
    two = {"n_modalities": 2, "random_state": SEED}
    ways = {
        "plain sum": (Z, GalleryKNNClassifier(**two, scale_views=False)),
        "scaled": (Z, GalleryKNNClassifier(**two, scale_views=True)),
        "fused": (fused(Z), GalleryKNNClassifier()),
    }
    records = []
    for size in GALLERY_SIZES:
        draws = GallerySplit(size, n_repeats=N_DRAWS, random_state=SEED)
        for name, (rows, knn) in ways.items():
            scores = [
                (
                    accuracy_score(y[test], labels),
                    balanced_accuracy_score(y[test], labels),
                )
                for train, test in draws.split(Z, y)
                for labels in [knn.fit(rows[train], y[train]).predict(rows[test])]
            ]
            columns = zip(
                ("accuracy", "mean recall"), 100 * np.transpose(scores), strict=True
            )
            records.append(
                {
                    "labels a class": size,
                    "votes": name,
                    **{key: f"{s.mean():.1f} ± {s.std():.1f}" for key, s in columns},
                }
            )
            print(" | ".join(map(str, records[-1].values())), flush=True)
    print("view_scales_ of the last:", ways["scaled"][1].view_scales_)
    if not options.embeddings:
        _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
