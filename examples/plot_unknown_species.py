"""
An unknown species turns up
===========================

A monitoring station knows the species of its waters. One day there are others. A
classifier that can only choose among the species it knows gives them a wrong name, and
is often sure of it.
"""

# %%
# Six species, two of them unknown
# --------------------------------
# The station has labeled eight particles of each of four species. The other two are
# among the unlabeled particles, where nobody has noticed them.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import FamiliarityDisplay

X, species = make_particles(600, n_species=6, random_state=0, return_X_y=True)
X, X_today, species, species_today = train_test_split(
    X, species, test_size=0.3, stratify=species, random_state=0
)
unknown = np.unique(species)[-2:]
y = np.full(len(X), None, dtype=object)
for name in np.setdiff1d(species, unknown):
    y[np.flatnonzero(species == name)[:8]] = name

embedder = CrossModalEmbedder(image_size=32, max_epochs=15, random_state=0)
embeddings = embedder.fit_transform(X)
today = embedder.transform(X_today)
is_unknown = np.isin(species_today, unknown)

# %%
# The share of the votes does not show it
# ---------------------------------------
# Half of the particles of unknown species get at least this share of the votes:

gallery = GalleryKNNClassifier().fit(embeddings, y)
shares = gallery.predict_proba(today).max(axis=1)
print(f"known species:   {np.median(shares[~is_unknown]):.2f}")
print(f"unknown species: {np.median(shares[is_unknown]):.2f}")

# %%
# Familiarity does
# ----------------
# A random walk from particle to similar particle ends at a labeled one, if the particle
# belongs to a labeled species. If it belongs to another, the walk stays among the
# others. ``offset_`` is learned from the labeled particles: about 5 % of the known
# particles are to fall below.

gallery = GalleryKNNClassifier(use_unlabeled=True, outlier_label="unknown")
gallery.fit(embeddings, y)
FamiliarityDisplay.from_estimator(gallery, today, species_today)

# %%
# What is reported
# ----------------

predicted = gallery.predict(today)
for name in [*gallery.classes_, "unknown"]:
    right = np.mean(is_unknown if name == "unknown" else species_today == name)
    print(f"{name:24} true {right:5.1%}   reported {np.mean(predicted == name):5.1%}")

# %%
# The least familiar particles
# ----------------------------
# An expert looks at these first.

order = np.argsort(gallery.score_samples(today))[:8]
figure, axes = plt.subplots(1, 8, figsize=(9, 2), layout="constrained")
for panel, row in zip(axes, order, strict=True):
    panel.imshow(X_today["image"].iloc[row], cmap="gray", vmin=0, vmax=255)
    panel.set_title(species_today[row].replace("_", "\n"), fontsize="x-small")
    panel.set_axis_off()
