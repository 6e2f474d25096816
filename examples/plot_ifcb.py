"""
Bins of an Imaging FlowCytobot
==============================

An Imaging FlowCytobot keeps an image of each particle and some numbers of how it
scatters and fluoresces. Here, two bins are simulated, opened, and joined with a few
labels.
"""

# %%
# Two bins
# --------
# The simulator records pulses, of which an IFCB would keep the integral and the peak.
# Four detectors are enough. Pulses without a particle are noise about 0.

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from skplankton.datasets import (
    load_ifcb,
    make_particles,
    read_ifcb_labels,
    write_ifcb,
    write_ifcb_class_scores,
)

folder = TemporaryDirectory()
data = Path(folder.name, "data")
X, y = make_particles(400, n_species=5, random_state=0, return_X_y=True)
FOUR_DETECTORS = [0, 1, 2, 4]  # two of scatter, two of fluorescence


def as_measured(pulses):
    """The integrals and peaks of four detectors, and the length twice."""
    four = pulses[:, FOUR_DETECTORS]
    return np.concatenate([four.sum(axis=0), four.max(axis=0), [len(pulses)] * 2])


X["profile"] = [as_measured(pulses) for pulses in X["profile"]]
NAMES = ["D20220522T003051_IFCB134", "D20220522T010312_IFCB134"]
for name, rows in zip(NAMES, (X[:200], X[200:]), strict=True):
    write_ifcb(rows, data / "2022" / name[:9] / name)

# %%
# Open them
# ---------
# The whole tree is one table. Its images are places in the .roi files.

particles, samples = load_ifcb(data, return_samples=True)
print(particles[["object_id", "image"]].head(3))
print("\nmeasurements:", *particles.attrs["measurements"])
print(samples[["sample_id", "start", "n_images", "analyzed_volume_ml"]].T)

# %%
# Labels
# ------
# They are kept as images in folders of classes, as manual .mat files or, as here, as a
# table per bin. They are joined by the particle's id.

species, codes = np.unique(y.astype(str), return_inverse=True)
scores = np.eye(len(species))[codes]
few = np.arange(0, len(y), 10)
write_ifcb_class_scores(
    particles["object_id"].iloc[few],
    scores[few],
    species,
    Path(folder.name, "labels"),
    file_format="csv",
)
labels = read_ifcb_labels(Path(folder.name, "labels"))
particles = particles.merge(labels, on="object_id", how="left")
print(pd.Series(particles["label"]).value_counts(dropna=False))

# %%
folder.cleanup()
