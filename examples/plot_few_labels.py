"""
Many particles, few labels
==========================

An instrument records thousands of particles; an expert labels a handful. All of them
train the embedder. Only the labeled ones can be gallery entries or test particles.
"""

# %%
# One particle in five is labeled
# -------------------------------
# None stands for "unlabeled".

import numpy as np
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import EmbeddingDisplay
from skplankton.model_selection import LabeledTestSplit

X, species = make_particles(400, n_species=6, random_state=0, return_X_y=True)
y = species.astype(object).copy()
y[np.random.RandomState(0).permutation(len(y))[80:]] = None
labeled = np.array([label is not None for label in y])
print(f"{labeled.sum()} of {len(y)} particles are labeled")

# %%
# Cross-validation that tests labeled particles only
# --------------------------------------------------
# ``LabeledTestSplit`` puts every unlabeled particle into every training set, and only
# labeled ones into the test sets. It works wherever scikit-learn takes a ``cv``.

pipe = Pipeline(
    [
        (
            "embed",
            CrossModalEmbedder(image_size=32, max_epochs=10, random_state=0),
        ),
        ("gallery", GalleryKNNClassifier(random_state=0)),
    ]
)
scores = cross_val_score(pipe, X, y, cv=LabeledTestSplit(3))
print(f"accuracy: {scores.mean():.2f} ± {scores.std():.2f} over {len(scores)} folds")

# %%
# Can the estimate be trusted?
# ----------------------------
# Here, unlike at sea, the true species of the unlabeled particles are known. The two
# numbers need not agree closely: the folds test few particles, and their galleries are
# smaller.

pipe.fit(X, y)
accuracy = np.mean(pipe.predict(X[~labeled]) == species[~labeled])
print(f"accuracy on the unlabeled particles: {accuracy:.2f}")

# %%
# Map of the embeddings
# ---------------------
# Labeled particles have the color and the marker of their species; unlabeled ones are
# gray dots.

EmbeddingDisplay.from_embeddings(pipe["embed"].transform(X), y)
