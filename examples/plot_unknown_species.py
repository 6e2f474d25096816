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
# The share of the votes does not show it
# ---------------------------------------
# Half of the particles get at least this share of the votes for the species that is
# predicted:

gallery = GalleryKNNClassifier().fit(embeddings, y)
shares = gallery.predict_proba(today).max(axis=1)
print(f"known species:   {np.median(shares[~is_unknown]):.2f}")
print(f"unknown species: {np.median(shares[is_unknown]):.2f}")

# %%
# Familiarity shows most of them
# ------------------------------
# A random walk from particle to similar particle is more likely to end at a labeled one
# if the particle belongs to a labeled species. ``offset_``, the dashed line, is learned
# from the labeled particles: about 5 % of the known particles are to fall below. The
# legend has the shares that do.

gallery = GalleryKNNClassifier(use_unlabeled=True, outlier_label="unknown")
gallery.fit(embeddings, y)
display = FamiliarityDisplay.from_estimator(gallery, today, species_today)
display.ax_.set_title("Familiarity of today's particles", fontsize="medium")

# %%
# What is reported
# ----------------

predicted = gallery.predict(today)
truth = np.where(is_unknown, "unknown", species_today)
for name in [*gallery.classes_, "unknown"]:
    is_named, is_true = predicted == name, truth == name
    found = np.mean(is_named[is_true])
    print(f"{name:26} {is_true.sum():3} true, {is_named.sum():3} reported, ", end="")
    print(f"{found:.0%} of the true ones found")

# %%
# Look at these first
# -------------------
# The four least familiar particles, for an expert to name, and below them four
# particles whose label is wrong, each with the true one.

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
# In :doc:`plot_new_species` the expert has named them. :ref:`unlabeled_pool` in the
# user guide explains the walk, and :class:`~skplankton.GalleryKNNClassifier` has
# ``contamination``, the share of known particles that may fall below the offset.
