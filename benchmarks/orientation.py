"""Accuracy with each `orientation` of CrossModalEmbedder, on simulated particles.

The sets: the simulator as it is; with twice the noise; with species whose abundances
differ tenfold; and "directed": particles turned so that the end with more signal comes
first, where one species is split in two that differ only in which end that is. In the
last set, "average" must fail on these two, and "keep" need not.

Galleries are drawn from the test particles; the other test particles are classified.

    OMP_NUM_THREADS=1 python benchmarks/orientation.py
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder
from skplankton.datasets import make_particles
from skplankton.evaluation import cross_modal_benchmark

ORIENTATIONS = ("keep", "shared", "independent", "average")
RESULTS = Path(__file__).parent / "results" / "orientation.csv"


def plain(seed, n_samples=600):
    return make_particles(n_samples, random_state=seed, return_X_y=True)


def noisy(seed):
    noise = {"image_noise": 2, "profile_noise": 2}
    return make_particles(600, random_state=seed, return_X_y=True, **noise)


def imbalanced(seed):
    X, y = plain(seed, n_samples=4000)
    rng = np.random.RandomState(seed)
    n = [256, 128, 64, 48, 32, 24, 24, 24]
    kept = [
        rng.permutation(np.flatnonzero(y == species))[:count]
        for species, count in zip(np.unique(y), n, strict=True)
    ]
    rows = np.sort(np.concatenate(kept))
    return X.iloc[rows].reset_index(drop=True), y[rows]


def directed(seed):
    X, y = plain(seed)
    rng = np.random.RandomState(seed)
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
    return pd.DataFrame({"image": images, "profile": profiles}), np.array(labels)


SETS = {
    "simulator": plain,
    "twice the noise": noisy,
    "imbalanced": imbalanced,
    "directed": directed,
}


def accuracies(X, y, seed, image_size):
    X_train, X_test, _, y_test = train_test_split(
        X, y, test_size=1 / 3, stratify=y, random_state=seed
    )
    fitted, embedded = {}, {}
    for orientation in ORIENTATIONS:
        training = "shared" if orientation == "average" else orientation
        if training not in fitted:
            fitted[training] = CrossModalEmbedder(
                orientation=training, image_size=image_size, random_state=seed
            ).fit(X_train)
        embedder = fitted[training].set_params(orientation=orientation)
        for output in ("fused", "image", "profile"):
            embedder.set_params(output=output)
            embedded[f"{orientation} {output}"] = embedder.transform(X_test)
    largest = np.unique(y_test, return_counts=True)[1].max()
    sizes = [size for size in (1, 4, 16) if size < largest]
    results = cross_modal_benchmark(
        embedded,
        y_test,
        setups=None,
        gallery_sizes=sizes,
        n_repeats=10,
        random_state=seed,
    )
    return results.groupby(["model", "gallery_size"], sort=False)["accuracy"].mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    frames = []
    for name in options.sets:
        for seed in range(options.seeds):
            X, y = SETS[name](seed)
            frame = accuracies(X, y, seed, options.image_size).reset_index()
            frames.append(frame.assign(set=name, seed=seed))
        print(name)
        means = pd.concat(frames[-options.seeds :]).groupby(
            ["model", "gallery_size"], sort=False
        )
        print((100 * means["accuracy"].mean().unstack()).round(1).to_string())
    results = pd.concat(frames, ignore_index=True)
    results["image_size"] = options.image_size
    results.round(4).to_csv(RESULTS, index=False)


if __name__ == "__main__":
    main()
