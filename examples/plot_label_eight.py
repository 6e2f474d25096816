"""
Label eight particles, name a thousand
======================================

Nobody has labeled anything yet, and time is short. Which particles should an expert
look at? Those that stand for many others: chosen without a label, from the embeddings.
"""

# %%
# A thousand particles, no label
# ------------------------------
# The embedder learns which image belongs to which profile. Labels are not needed.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.model_selection import select_to_label

X, species = make_particles(1000, n_species=8, random_state=0, return_X_y=True)
embedder = CrossModalEmbedder(image_size=32, max_epochs=15, random_state=0)
embeddings = embedder.fit_transform(X)

# %%
# The eight most useful
# ---------------------
# In order: the first stands for the most particles, each further one for those that
# nothing chosen stands for yet. Labeling more goes on where this list ends.

chosen = select_to_label(embeddings, 8)

figure, axes = plt.subplots(1, 8, figsize=(9, 2), layout="constrained")
for panel, (rank, row) in zip(axes, enumerate(chosen, start=1), strict=True):
    panel.imshow(X["image"][row], cmap="gray", vmin=0, vmax=255)
    panel.set_title(f"{rank}. {species[row]}".replace("_", "\n"), fontsize="x-small")
    panel.set_axis_off()

# %%
# Name the others
# ---------------
# The expert writes the eight names. With ``use_unlabeled=True`` the particles without a
# label help: a name spreads from particle to similar particle.


def accuracy_with(rows):
    labels = np.full(len(X), None, dtype=object)
    labels[rows] = species[rows]
    gallery = GalleryKNNClassifier(use_unlabeled=True).fit(embeddings, labels)
    others = np.setdiff1d(np.arange(len(X)), rows)
    return gallery.score(embeddings[others], species[others]), gallery


accuracy, gallery = accuracy_with(chosen)
print(f"accuracy with the {len(chosen)} chosen labels: {accuracy:.2f}")

# %%
# The same number at random
# -------------------------
# Random particles miss some species and repeat others. How many of them would it take?

rng = np.random.RandomState(0)
budgets = [8, 16, 32, 64]
at_random = {
    n: [accuracy_with(rng.choice(len(X), n, replace=False))[0] for _ in range(10)]
    for n in budgets
}
by_choice = [accuracy_with(select_to_label(embeddings, n))[0] for n in budgets]

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(budgets, by_choice, "o-", label="chosen")
left.errorbar(
    budgets,
    [np.mean(at_random[n]) for n in budgets],
    [np.std(at_random[n]) for n in budgets],
    color="0.5",
    marker="s",
    capsize=3,
    label="at random, mean ± standard deviation of 10",
)
left.set_xscale("log", base=2)
left.set_xticks(budgets, budgets)
left.set_xlabel("labels")
left.set_ylabel("accuracy on the other particles")
left.legend(frameon=False, fontsize="small")

positions = PCA(2, random_state=0).fit_transform(embeddings)
predicted = gallery.predict(embeddings)
for number, name in enumerate(gallery.classes_):
    right.scatter(*positions[predicted == name].T, s=5, color=f"C{number}", alpha=0.6)
right.scatter(
    *positions[chosen].T, s=90, marker="*", color="white", edgecolor="black", zorder=3
)
right.set_title("predicted labels; stars: the eight chosen", fontsize="medium")
right.set_xticks([])
right.set_yticks([])
