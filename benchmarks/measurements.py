"""Accuracy with vectors of measurements as profiles, passed in several ways.

    OMP_NUM_THREADS=1 python benchmarks/measurements.py

- "vector": in a table, one vector per particle; "vector, no sizes" is the same with
  ``size_features=False``, without the images' original size.
- "flat columns": in an array, beside the pixels of images of one size. Images are not
  mirrored, their original size is lost, and columns are scaled by mean and deviation.
- "sequence": in a table, as if they were the samples of one channel.

The data sets are 600 particles of the simulator with ``profile="measurements"``, and
1,000 of the FlowCam particles that _sets.py describes, with all 38 measurements of the
instrument or with its six of color alone. Values are the mean accuracy in percent over
ten random galleries, of one split and seed. Written to results/measurements.csv; what
is there already is not computed again.
"""

import argparse

import numpy as np
import pandas as pd
from _sets import FLOWCAM_SIDE, TEST_SHARE, as_array, flowcam_particles, take
from accuracy import RESULTS, accuracies, cross_modal
from sklearn.model_selection import train_test_split

from skplankton.datasets import make_particles

FORMS = ["vector", "vector, no sizes", "flat columns", "sequence"]
RESULTS_PATH = RESULTS / "measurements.csv"
SIMULATED_SIDE = 48  # the embedder's default
N_FLOWCAM = 1000


def simulated(seed):
    X, y = make_particles(
        600, profile="measurements", random_state=1000 + seed, return_X_y=True
    )
    return [*X["image"]], np.stack([*X["profile"]]), y, SIMULATED_SIDE


def flowcam(color_only):
    def load(seed):
        images, measurements, color, y = flowcam_particles()
        rows = np.random.RandomState(seed).permutation(len(y))[:N_FLOWCAM]
        columns = color if color_only else np.arange(measurements.shape[1])
        vectors = measurements[np.ix_(rows, columns)]
        return [images[row] for row in rows], vectors, y[rows], FLOWCAM_SIDE

    return load


DATA = {
    "simulator": simulated,
    "FlowCam, all measurements": flowcam(color_only=False),
    "FlowCam, color": flowcam(color_only=True),
}


def table(images, profiles):
    return pd.DataFrame({"image": images, "profile": profiles}, dtype=object)


def forms(images, vectors, side):
    """X and the embedder's parameters, by the way in which the vectors are passed."""
    as_vectors = table(images, [*vectors])
    return {
        "vector": (as_vectors, {}),
        "vector, no sizes": (as_vectors, {"size_features": False}),
        "flat columns": as_array(images, vectors, side),
        "sequence": (table(images, [*vectors[:, :, None]]), {}),
    }


def measured(name, form, seed):
    """Accuracies in percent, by view and number of labels."""
    images, vectors, y, side = DATA[name](seed)
    X, params = forms(images, vectors, side)[form]
    train, test = train_test_split(
        np.arange(len(y)), test_size=TEST_SHARE, stratify=y, random_state=seed
    )
    embedded = cross_modal()(take(X, train), X, seed, params)
    rows = accuracies(embedded, y, train, test, seed)
    return {(name, view, size): round(100 * score, 1) for view, size, score in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=DATA, default=[*DATA])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    columns = {}
    if RESULTS_PATH.exists():
        columns = pd.read_csv(RESULTS_PATH, index_col=[0, 1, 2]).to_dict()
    for name in options.data:
        for form in FORMS:
            column = columns.setdefault(form, {})
            if any(row[0] == name for row in column):
                continue
            column.update(measured(name, form, options.seed))
            found = pd.DataFrame(columns, columns=FORMS)
            found.index.names = ["data", "view", "labels"]
            found.to_csv(RESULTS_PATH)
            print(f"{name} · {form}", flush=True)
    print(pd.read_csv(RESULTS_PATH, index_col=[0, 1, 2]).to_string())


if __name__ == "__main__":
    main()
