"""
Label eight particles, classify a thousand
==========================================

Nothing is labeled yet, and an expert has time for a few particles. This example chooses
particles that stand for many others, from the embeddings and without any label.
"""

# %%
# A thousand particles, no label
# ------------------------------
# The embedder learns which image belongs to which profile. Labels are not needed.

import matplotlib.pyplot as plt
import numpy as np

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import (
    EmbeddingDisplay,
    GallerySizeDisplay,
    ParticlesDisplay,
)
from skplankton.model_selection import select_to_label

X, species = make_particles(1000, n_species=8, random_state=0, return_X_y=True)
embedder = CrossModalEmbedder(image_size=32, max_epochs=8, random_state=0)
embeddings = embedder.fit_transform(X)

# %%
# The eight most useful
# ---------------------
# The first one resembles the most particles. Each further one resembles particles that
# none of the chosen ones resembles yet. A longer list begins with the same particles.
# The figure shows what the expert sees, with the labels that the expert gives.

chosen = select_to_label(embeddings, 8)
shown = {
    "channel_names": ["FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature"],
    "pixel_size": 0.7,  # µm, of the simulated camera
}
ranked = [f"{rank}. {name}" for rank, name in enumerate(species[chosen], start=1)]
ParticlesDisplay.from_particles(X.iloc[chosen], ranked, **shown)
print(f"{len(set(species[chosen]))} of {len(set(species))} species are among them")

# %%
# Classify the others
# -------------------
# With ``use_unlabeled=True`` the particles without a label help: a label counts for
# particles that are connected to it through similar ones.


def fit_gallery(rows):
    labels = np.full(len(X), None, dtype=object)
    labels[rows] = species[rows]
    return GalleryKNNClassifier(use_unlabeled=True).fit(embeddings, labels)


def accuracy_on_others(rows):
    others = np.setdiff1d(np.arange(len(X)), rows)
    return fit_gallery(rows).score(embeddings[others], species[others])


predicted = fit_gallery(chosen).predict(embeddings)
is_wrong = predicted != species
print(f"accuracy on the others: {accuracy_on_others(chosen):.3f}")
print(f"{is_wrong.sum()} of {len(X)} particles are misclassified")

# %%
# The map shows the embeddings in two of their dimensions, with the predicted labels.
# Stars are the eight chosen ones.

display = EmbeddingDisplay.from_embeddings(embeddings, predicted)
stars = display.positions[chosen, 0]
display.ax_.scatter(*stars.T, s=70, marker="*", c="white", edgecolor="black", zorder=3)
display.ax_.set_title("Predicted labels, and the eight chosen", fontsize="medium")

# %%
# These are the first four mistakes, with the predicted and the true label.

wrong = np.flatnonzero(is_wrong)[:4]
ParticlesDisplay.from_particles(
    X.iloc[wrong], predicted[wrong], species[wrong], **shown
)

# %%
# The same number at random
# -------------------------
# Random particles miss some species and repeat others. How many of them are needed for
# the same accuracy? The band is one standard deviation over five draws.

budgets = [8, 16, 32, 64]
rng = np.random.RandomState(0)
at_random = np.array(
    [
        [accuracy_on_others(rng.choice(len(X), n, replace=False)) for _ in range(5)]
        for n in budgets
    ]
)
by_choice = [accuracy_on_others(select_to_label(embeddings, n)) for n in budgets]
display = GallerySizeDisplay(
    budgets,
    means=[by_choice, at_random.mean(axis=1)],
    stds=[np.zeros(len(budgets)), at_random.std(axis=1)],
    names=["chosen", "at random"],
).plot()
display.ax_.set_xlabel("labeled particles in all")
display.ax_.set_title("Accuracy on the other particles", fontsize="medium")
for n, accuracy, random_accuracies in zip(budgets, by_choice, at_random, strict=True):
    print(f"{n:2} labels: chosen {accuracy:.2f}, random {random_accuracies.mean():.2f}")

plt.show()

# %%
# What to read next
# -----------------
# :doc:`plot_few_labels` measures the accuracy if there are only few labels.
# :doc:`../user_guide/unlabeled` compares the choice on nine data sets, and
# :func:`~skplankton.model_selection.select_to_label` describes how it works.
