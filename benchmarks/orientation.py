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
from _sets import directed, imbalanced, simulated
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder
from skplankton.evaluation import cross_modal_benchmark

ORIENTATIONS = ("keep", "shared", "independent", "average")
RESULTS = Path(__file__).parent / "results" / "orientation.csv"
SETS = {
    "simulator": simulated(600),
    "twice the noise": simulated(600, image_noise=2, profile_noise=2),
    "imbalanced": imbalanced,
    "directed": directed,
}


def accuracies(X, y, seed):
    X_train, X_test, _, y_test = train_test_split(
        X, y, test_size=1 / 3, stratify=y, random_state=seed
    )
    fitted, embedded = {}, {}
    for orientation in ORIENTATIONS:
        training = "shared" if orientation == "average" else orientation
        if training not in fitted:
            fitted[training] = CrossModalEmbedder(
                orientation=training, random_state=seed
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


def of_docs(results):
    """Accuracy in % with both modalities and 1 and 4 labels: a row for each set."""
    fused = results[results["model"].str.endswith(" fused")]
    fused = fused.assign(model=fused["model"].str.removesuffix(" fused"))
    keys = ["set", "model", "gallery_size"]
    means = 100 * fused.groupby(keys, sort=False)["accuracy"].mean()
    cells = means.unstack("gallery_size")[[1, 4]].map("{:.1f}".format)
    return (
        cells.agg(", ".join, axis=1).unstack("model")[list(ORIENTATIONS)].loc[[*SETS]]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    frames = []
    for name in options.sets:
        for seed in range(options.seeds):
            X, y, _ = SETS[name](seed)
            frame = accuracies(X, y, seed).reset_index()
            frames.append(frame.assign(set=name, seed=seed))
        print(name)
        means = pd.concat(frames[-options.seeds :]).groupby(
            ["model", "gallery_size"], sort=False
        )
        print((100 * means["accuracy"].mean().unstack()).round(1).to_string())
    results = pd.concat(frames, ignore_index=True).round(4)
    results.to_csv(RESULTS, index=False)
    of_docs(results).to_csv(RESULTS.with_name("orientation_fused.csv"))


if __name__ == "__main__":
    main()
