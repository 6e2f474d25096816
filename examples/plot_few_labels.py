"""
Many particles, few labels
==========================

An instrument records thousands of particles, of which an expert labels a few. All of
them train the embedder. Only the labeled ones can be in the gallery or in a test set.
"""

# %%
# One particle in four is labeled
# -------------------------------
# None stands for "unlabeled".

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import EmbeddingDisplay, ParticlesDisplay
from skplankton.model_selection import LabeledTestSplit

X, species = make_particles(320, n_species=6, random_state=0, return_X_y=True)
y = species.astype(object).copy()
y[np.random.RandomState(0).permutation(len(y))[80:]] = None
is_labeled = np.array([label is not None for label in y])
print(f"{is_labeled.sum()} of {len(y)} particles are labeled")

# %%
# Cross-validation that tests labeled particles only
# --------------------------------------------------
# ``LabeledTestSplit`` puts every unlabeled particle into every training set, and only
# labeled ones into the test sets. It works wherever scikit-learn takes a ``cv``.

pipe = Pipeline(
    [
        ("embed", CrossModalEmbedder(image_size=32, max_epochs=8, random_state=0)),
        ("gallery", GalleryKNNClassifier(random_state=0)),
    ]
)
scores = cross_val_score(pipe, X, y, cv=LabeledTestSplit(3))
print(f"accuracy: {scores.mean():.2f} ± {scores.std():.2f} over {len(scores)} folds")

# %%
# Can the estimate be trusted?
# ----------------------------
# Since these particles are simulated, the true species of the unlabeled ones are known.
# The two numbers need not agree closely: the folds test few particles, and their
# galleries are smaller.

pipe.fit(X, y)
predicted = pipe.predict(X)
is_wrong = ~is_labeled & (predicted != species)
accuracy = 1 - is_wrong.sum() / np.sum(~is_labeled)
print(f"accuracy on the {np.sum(~is_labeled)} unlabeled particles: {accuracy:.2f}")

# %%
# Map of the embeddings
# ---------------------
# Two of their dimensions. Labeled particles have the color and the marker of their
# species; unlabeled ones are gray dots. Species of one shape lie close together here,
# as two dimensions do not show all that distinguishes them.

display = EmbeddingDisplay.from_embeddings(pipe["embed"].transform(X), y)
display.ax_.set_title("Labeled and unlabeled particles", fontsize="medium")

# %%
# Misclassified particles
# -----------------------
# The first four of the unlabeled ones, with their predicted and their true label.

wrong = np.flatnonzero(is_wrong)[:4]
ParticlesDisplay.from_particles(
    X.iloc[wrong],
    predicted[wrong],
    species[wrong],
    channel_names=["FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature"],
    pixel_size=0.7,  # µm, of the simulated camera
)
plt.show()

# %%
# What to read next
# -----------------
# :doc:`plot_missing_views` is about particles with one modality only.
# :doc:`../user_guide/unlabeled` explains what other splitters and scorers do with
# unlabeled particles, and :class:`~skplankton.model_selection.LabeledTestSplit` lists
# the parameters of this one.
