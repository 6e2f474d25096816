"""Accuracy of unsupervised embeddings with a k-NN gallery of 1, 4 and 16 labels.

    python benchmarks/accuracy.py                      everything that the docs show
    python benchmarks/accuracy.py --methods ours raw --data digits --seeds 1

Every method learns from the same unlabeled training rows, and classifies the same test
rows by the same galleries, with both views, the image only and the profile only.
Results are appended to results/accuracy.csv; those already in it are not computed
again. The requested ones are printed; the tables of the docs are written to the same
folder.

_sets.py describes the data sets; two of them need files that are not part of this
repository.
"""

import argparse
import inspect
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _sets import DATA, TEST_SHARE, available, take
from PIL import Image
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._nn.encoders import MLP, ImageCNN, ProfileCNN, build_encoder
from skplankton._views.decoding import fit_to_square
from skplankton._views.table import ParticleTable
from skplankton.baselines import DINOEmbedder

RESULTS = Path(__file__).parent / "results"
VIEWS = ("both", "image", "profile")
GALLERY_SIZES = (1, 4, 16)
N_GALLERIES = 10  # random galleries per size; a result is their mean accuracy
RAW_IMAGE_SIDE, RAW_PROFILE_LENGTH = 16, 32  # input of the raw rivals


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
    """Image-only self-supervision: no profile, so no fused embedding.

    As ours, the embedding is the mean of a particle's and its mirror image's.
    """
    embedder = DINOEmbedder(random_state=seed, **shapes).fit(X_train)
    embedded = embedder.transform(X)
    if isinstance(X, pd.DataFrame):
        mirrored = X.assign(image=[image[:, ::-1] for image in X["image"]])
        both = normalize(embedded) + normalize(embedder.transform(mirrored))
        embedded = normalize(both)
    return {"image": embedded}


def votes(X_train, X, seed, shapes):
    """Both views concatenated, for a classifier in which each of them votes."""
    embedder = CrossModalEmbedder(output="concat", random_state=seed, **shapes)
    return {"both": embedder.fit(X_train).transform(X)}


# Alternatives to the defaults, each differing in one choice
CHOICES = {
    "T=0.2": {"temperature": 0.2},
    "T=0.3": {"temperature": 0.3},
    "T=1": {"temperature": 1.0},
    "T learned": {"learn_temperature": True},
    "projection": {"features": "projection"},
    "encoder": {"features": "encoder"},
    "15 epochs": {"max_epochs": 15},
    "60 epochs": {"max_epochs": 60},
    "batches of 32": {"batch_size": 32},
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
# The same for choices that matter to images of particles, or only there.
IMAGE_CHOICES = {
    "32 px": {"image_size": 32},
    "64 px": {"image_size": 64},
    "96 px": {"image_size": 96},
    "width 8": {"image_encoder_params": {"width": 8}},
    "width 24": {"image_encoder_params": {"width": 24}},
    "2 stages": {"image_encoder_params": {"n_stages": 2}},
    "4 stages": {"image_encoder_params": {"n_stages": 4}},
    "2 blocks a stage": {"image_encoder_params": {"blocks_per_stage": 2}},
    "32 px, width 24": {"image_size": 32, "image_encoder_params": {"width": 24}},
    "shared flips": {"orientation": "shared"},
    "independent flips": {"orientation": "independent"},
}
# Of the choices above, those with which training takes another time.
COST_CHOICES = ("15 epochs", "60 epochs", "batches of 32", "batches of 128")
LATEST = "FlowCam, all measurements"  # compared with the rivals only
TEMPERATURES = ("T=0.3", "T learned")  # compared on each set by itself
IMAGE_DATA = ("simulator, 600", "simulator, imbalanced", "FlowCam")

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
    **{
        f"ours, {choice}": cross_modal(**params)
        for choice, params in {**CHOICES, **IMAGE_CHOICES}.items()
    },
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
        shape = shapes.get("image_shape", (X.shape[1] // 2,))
        image, profile = np.split(X, [np.prod(shape)], axis=1)
        if len(shape) == 2 and max(shape) > RAW_IMAGE_SIDE:
            resized = [
                fit_to_square(Image.fromarray(pixels.reshape(shape)), RAW_IMAGE_SIDE)
                for pixels in image
            ]
            image = np.reshape(resized, (len(X), -1))
        return image, profile
    table = ParticleTable(
        X, image_size=RAW_IMAGE_SIDE, profile_length=RAW_PROFILE_LENGTH, crop_top=0
    )
    views = (table.read(modality, np.arange(len(X))) for modality in VIEWS[1:])
    return [
        np.hstack([view.values.reshape(len(X), -1).astype(np.float32), view.sizes])
        for view in views
    ]


def is_shown(method, name):
    """Whether the tables of the docs have the method on this data set."""
    choice = method.partition(", ")[2] if method.startswith("ours, ") else None
    if choice is None:
        return method != "DINO" or not name.startswith("simulator, 2000")
    if choice in TEMPERATURES:
        return not name.startswith("simulator, 2000") and name != LATEST
    if (choice, name) == ("4 stages", "digits"):
        return True
    is_image_choice = choice in (*IMAGE_CHOICES, *COST_CHOICES)
    return (name in IMAGE_DATA and is_image_choice) or (
        name in CHOICE_DATA and choice not in IMAGE_CHOICES
    )


def run(methods, data, seeds, path):
    done = pd.read_csv(path) if path.exists() else pd.DataFrame()
    keys = ["data", "method", "seed"]
    have = set(map(tuple, done[keys].to_numpy())) if len(done) else set()
    for name in data:
        for seed in range(seeds):
            wanted = [
                method
                for method in methods
                if (name, method, seed) not in have and is_shown(method, name)
            ]
            if not wanted:
                continue
            X, y, shapes = DATA[name](seed)
            train, test = train_test_split(
                np.arange(len(y)), test_size=TEST_SHARE, stratify=y, random_state=seed
            )
            X_train = take(X, train)
            for method in wanted:
                start = time.process_time()
                embedded = METHODS[method](X_train, X, seed, shapes)
                seconds = time.process_time() - start
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
    means = results.pivot_table(
        index=["data", "view", "method"], columns="gallery_size", values="accuracy"
    )
    wide = (100 * means).round(1).unstack("method")
    wide = wide.reindex(columns=pd.MultiIndex.from_product([GALLERY_SIZES, methods]))
    order = pd.MultiIndex.from_product([data, VIEWS], names=["data", "view"])
    return wide.reindex(order).dropna(how="all")


TABLES = {
    "rivals": ["raw", "PCA", "CCA", "ours"],
    "baselines": ["raw", "DINO", "paper, scaled", "ours"],
}
RIVALS = ("raw", "PCA", "CCA", "DINO")


def write_tables(path):
    """Write the tables of the docs from the results."""
    for name, methods in TABLES.items():
        wide = table(path, methods, [*DATA])
        wide.columns = [f"{method} · {size}" for size, method in wide.columns]
        wide.to_csv(path.with_name(f"accuracy_{name}.csv"))
    leads(path).to_csv(path.with_name("accuracy_leads.csv"))
    # Each choice against the default on the same runs.
    on_all = choices(path, CHOICE_DATA, CHOICES)
    on_all.drop(columns="seconds", errors="ignore").to_csv(
        path.with_name("accuracy_choices.csv")
    )
    cost = choices(path, IMAGE_DATA, [*IMAGE_CHOICES, *COST_CHOICES])
    temperatures(path).to_csv(path.with_name("accuracy_temperatures.csv"))
    # Where the whole shape counts: not particles, and so not a reason for the default.
    shape = choices(path, ("digits",), ["4 stages"])
    shape.index += ", digits"
    pd.concat([cost, shape]).to_csv(path.with_name("accuracy_cost.csv"))


def leads(path):
    """By how many points ours is ahead of the best rival of each row, ± its error.

    The best rival is the one with the highest mean: chosen on the test rows, it is
    better than any single method that one could have chosen before.
    """
    wide = _by_run(path, [*DATA])
    rows = {}
    for row in wide.groupby(["data", "view", "gallery_size"]).groups:
        runs = wide.xs(row, level=["data", "view", "gallery_size"])
        rival = runs[[r for r in RIVALS if r in runs]].mean().idxmax()
        lead = runs["ours"] - runs[rival]
        rows[row] = {
            "lead": lead.mean(),
            "error": lead.sem(),
            "best rival": rival,
            "splits": len(lead.dropna()),
        }
    found = pd.DataFrame.from_dict(rows, orient="index").round(1)
    found.index.names = ["data", "view", "labels"]
    order = pd.MultiIndex.from_product([DATA, VIEWS, GALLERY_SIZES])
    return found.reindex([row for row in order if row in found.index])


def choices(path, data, names):
    """Gain of each choice over the default, in points of accuracy.

    Differences are between runs on the same data, split, view and gallery size: their
    means by gallery size and overall, and the standard error over data and splits.
    "seconds" is the time in relation to the default's.
    """
    wide = _by_run(path, data)
    seconds = _by_run(path, data, "seconds")
    rows = {}
    for choice in names:
        method = f"ours, {choice}"
        if method not in wide:
            continue
        gain = (wide[method] - wide["ours"]).dropna()
        by_run = gain.groupby(["data", "seed"]).mean()
        rows[choice] = {
            **{
                f"gain, labels: {size}": gain.xs(size, level="gallery_size").mean()
                for size in GALLERY_SIZES
            },
            "gain": by_run.mean(),
            "error": by_run.sem(),
            "data × splits": len(by_run),
            "seconds": (seconds[method] / seconds["ours"]).mean(),
        }
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis("choice")
    return found.round(dict.fromkeys(found, 1) | {"seconds": 2})


def temperatures(path):
    """Gain of other temperatures over the default: a row per choice and data set."""
    found = {
        (choice, name): choices(path, (name,), [choice]).loc[choice]
        for choice in TEMPERATURES
        for name in DATA
        if is_shown(f"ours, {choice}", name)
    }
    table = pd.DataFrame.from_dict(found, orient="index")
    table.index.names = ["choice", "data"]
    return table.drop(columns="seconds").rename(columns={"data × splits": "splits"})


def _by_run(path, data, values="accuracy"):
    """Accuracies in % or seconds: a row for each run, a column for each method."""
    results = pd.read_csv(path)
    results = results[results["data"].isin(data)]
    keys = ["data", "seed", "view", "gallery_size"]
    wide = results.pivot_table(index=keys, columns="method", values=values)
    return wide * (100 if values == "accuracy" else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    parser.add_argument("--data", nargs="+", choices=DATA, default=available(DATA))
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
