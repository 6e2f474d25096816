"""
Many particles, few labels
==========================

An instrument records thousands of particles; somebody names a handful. All of them
train the embedder. Only the labelled ones can be in the gallery, and only they can test
it.
"""

# %%
# One particle in five is labelled
# --------------------------------
# None stands for "not labelled".

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
labelled = np.array([label is not None for label in y])
print(f"{labelled.sum()} of {len(y)} particles are labelled")

# %%
# Cross-validation that tests labelled particles only
# ---------------------------------------------------
# ``LabeledTestSplit`` puts every unlabelled particle into every training set, and only
# labelled ones into the test sets. It goes wherever scikit-learn takes a ``cv``.

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
# Is the estimate to be trusted?
# ------------------------------
# Here, unlike at sea, the species of the others are known. The two numbers need not
# agree closely: the folds test few particles, and their galleries are smaller.

pipe.fit(X, y)
truly = np.mean(pipe.predict(X[~labelled]) == species[~labelled])
print(f"accuracy on the unlabelled particles: {truly:.2f}")

# %%
# The map
# -------
# Labelled particles have the colour and the marker of their species; the unlabelled
# ones are grey dots.

EmbeddingDisplay.from_embeddings(pipe["embed"].transform(X), y)
