"""
An unknown species turns up
===========================

A monitoring station has labels of the species in its waters. One day there are other
species. A classifier that can only choose among the labeled species predicts one of
them, often with a high score.
"""

# %%
# Six species, two of them unknown
# --------------------------------
# The station has labeled eight particles of each of four species. The other two species
# are among the unlabeled particles.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import FamiliarityDisplay, ParticlesDisplay

X, species = make_particles(600, n_species=6, random_state=0, return_X_y=True)
X, X_today, species, species_today = train_test_split(
    X, species, test_size=0.3, stratify=species, random_state=0
)
unknown = np.unique(species)[[0, -1]]
y = np.full(len(X), None, dtype=object)
for name in np.setdiff1d(species, unknown):
    y[np.flatnonzero(species == name)[:8]] = name

embedder = CrossModalEmbedder(image_size=32, max_epochs=10, random_state=0)
embeddings = embedder.fit_transform(X)
today = embedder.transform(X_today)
is_unknown = np.isin(species_today, unknown)

# %%
# The share of the votes does not detect unknown species
# ------------------------------------------------------
# Half of the particles get at least this share of the votes for the species that is
# predicted:

gallery = GalleryKNNClassifier().fit(embeddings, y)
shares = gallery.predict_proba(today).max(axis=1)
print(f"known species:   {np.median(shares[~is_unknown]):.2f}")
print(f"unknown species: {np.median(shares[is_unknown]):.2f}")

# %%
# Familiarity detects most of them
# --------------------------------
# A random walk from particle to similar particle is more likely to end at a labeled one
# if the particle belongs to a labeled species. ``offset_``, the dashed line, is learned
# from the labeled particles, so that about 5 % of the known particles fall below it.
# The legend has the actual shares.

gallery = GalleryKNNClassifier(use_unlabeled=True, outlier_label="unknown")
gallery.fit(embeddings, y)
display = FamiliarityDisplay.from_estimator(gallery, today, species_today)
display.ax_.set_title("Familiarity of today's particles", fontsize="medium")

# %%
# Predicted labels
# ----------------
# How many particles there are of each species, and how many are predicted:

predicted = gallery.predict(today)
truth = np.where(is_unknown, "unknown", species_today)
for name in [*gallery.classes_, "unknown"]:
    is_named, is_true = predicted == name, truth == name
    found = np.mean(is_named[is_true])
    print(f"{name:26} {is_true.sum():3} true, {is_named.sum():3} predicted, ", end="")
    print(f"{found:.0%} of the true ones found")

# %%
# Particles to look at
# --------------------
# The four least familiar particles, for an expert to identify, and below them four
# particles whose predicted label is wrong, each with the true one.

least = np.argsort(gallery.score_samples(today))[:4]
wrong = np.flatnonzero(predicted != truth)[:4]
shown = np.concatenate([least, wrong])
ParticlesDisplay.from_particles(
    X_today.iloc[shown],
    predicted[shown],
    truth[shown],
    channel_names=["FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature"],
    pixel_size=0.7,  # µm, of the simulated camera
)
plt.show()

# %%
# What to read next
# -----------------
# In :doc:`plot_new_species` an expert has identified them. :ref:`unlabeled_pool` in the
# user guide explains the walk, and :class:`~skplankton.GalleryKNNClassifier` has
# ``contamination``, the share of known particles that may fall below the offset.
