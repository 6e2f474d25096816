"""
Bins of an Imaging FlowCytobot
==============================

An Imaging FlowCytobot keeps an image of each particle and some numbers of how it
scatters and fluoresces. Here, two bins are simulated and opened, the particles are
classified with a few labels, and the class scores are written for other programs.
"""

# %%
# Two bins
# --------
# The simulator records pulses, of which an IFCB keeps the integral and the peak, for
# four detectors.

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import (
    load_ifcb,
    make_particles,
    read_ifcb_labels,
    write_ifcb,
    write_ifcb_class_scores,
)
from skplankton.evaluation import NeighborsDisplay

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
# All bins in the folder become one table. The images stay in the .roi files until they
# are needed.

particles, samples = load_ifcb(data, return_samples=True)
print(particles[["object_id", "image"]].head(3))
measurements = particles.attrs["measurements"]
print("\nmeasurements:", *measurements)
print(samples[["sample_id", "start", "n_images", "analyzed_volume_ml"]].T)

# %%
# Labels
# ------
# Labels can be images in folders of classes, manual .mat files or, as here, a table per
# bin. They are joined by the particle's id. Every tenth particle has a label.

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
# Train and classify
# ------------------
# All particles train the embedder, which needs no labels. The labeled ones are the
# gallery, with which all others are compared.

embedder = CrossModalEmbedder(image_size=32, max_epochs=12, random_state=0)
embeddings = embedder.fit(particles).transform(particles)
is_labeled = particles["label"].notna().to_numpy()
known, new = particles[is_labeled], particles[~is_labeled]
gallery = GalleryKNNClassifier()
gallery.fit(embeddings[is_labeled], known["label"].to_numpy(dtype=str))
predicted = gallery.predict(embeddings[~is_labeled])
is_right = predicted == y[~is_labeled]
print(f"accuracy with {len(known)} labels: {is_right.mean():.2f}")

# %%
# A particle without the image, or without the measurements, can be classified as well.
# For these few species, the images alone are more informative than the measurements.

for lacking in ("profile", "image"):
    half = embedder.transform(new.assign(**{lacking: None}))
    accuracy = np.mean(gallery.predict(half) == y[~is_labeled])
    print(f"accuracy without the {lacking:7}: {accuracy:.2f}")

# %%
# Nearest neighbors
# -----------------
# Two particles, at the left, that are classified correctly, and in the last row one
# that is not, each with the two gallery particles that are nearest. Bars are the
# percentiles of the measurements, among the particles shown and the gallery.

shown = [*np.flatnonzero(is_right)[[0, -1]], *np.flatnonzero(~is_right)[:1]]
NeighborsDisplay.from_estimator(
    gallery,
    embeddings[~is_labeled][shown],
    new.iloc[shown],
    known,
    y[~is_labeled][shown],
    n_neighbors=2,
    channel_names=measurements,
    pixel_size=0.7,  # µm, of the simulated camera
)
plt.show()

# %%
# Class scores
# ------------
# One file per bin, in which the scores are the shares of the votes. Particles with a
# score below 0.66 are "unclassified". The CSV files, as of ClassiPyR, can be read as
# labels; ``file_format="h5"`` writes the files that the IFCB Dashboard and iRfcb read.

files = write_ifcb_class_scores(
    new["object_id"],
    gallery.predict_proba(embeddings[~is_labeled]),
    gallery.classes_,
    Path(folder.name, "class2022"),
    thresholds=0.66,
    file_format="csv",
)
print(*(file.name for file in files))
written = read_ifcb_labels(files[0].parent).set_index("object_id")["label"]
accepted = written[new["object_id"]].to_numpy()
is_accepted = pd.notna(accepted)
accuracy = np.mean(accepted[is_accepted] == y[~is_labeled][is_accepted])
print(f"{is_accepted.mean():.0%} are classified, {accuracy:.0%} of these correctly")

# %%
# Particles per mL, by predicted label. :doc:`../user_guide/abundance` describes how to
# correct for the mistakes of the classifier.

particles["predicted_label"] = particles["label"]
particles.loc[~is_labeled, "predicted_label"] = predicted
counts = pd.crosstab(particles["predicted_label"], particles["sample_id"])
volumes = samples.set_index("sample_id")["analyzed_volume_ml"]
print((counts / volumes).round(1))

folder.cleanup()

# %%
# What to read next
# -----------------
# :ref:`ifcb_commands` does the same without Python, with a report, and
# :func:`~skplankton.datasets.load_ifcb` describes the tables.
