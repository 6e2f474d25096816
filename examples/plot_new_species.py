"""
A new species joins the gallery
===============================

An expert has recognized the unknown particles. Four labels are enough to classify the
species from now on. Nothing is trained again.
"""

# %%
# A station that knows five species
# ---------------------------------
# The sixth is in the water, unlabeled, and so in the training data of the embedder.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles

X, species = make_particles(600, n_species=6, random_state=0, return_X_y=True)
X, X_today, species, species_today = train_test_split(
    X, species, test_size=0.3, stratify=species, random_state=0
)
new = np.unique(species)[-1]
y = np.full(len(X), None, dtype=object)
for name in np.setdiff1d(species, [new]):
    y[np.flatnonzero(species == name)[:8]] = name

embedder = CrossModalEmbedder(image_size=32, max_epochs=15, random_state=0)
embeddings = embedder.fit_transform(X)
today = embedder.transform(X_today)
gallery = GalleryKNNClassifier(use_unlabeled=True, outlier_label="unknown")
gallery.fit(embeddings, y)


def share_named(names):
    return [
        np.mean(gallery.predict(today)[species_today == new] == name) for name in names
    ]


before = share_named([new, "unknown"])
print(f"of the new species, {before[1]:.0%} are called unknown")

# %%
# One label after the other
# -------------------------
# ``partial_fit`` adds labels to the gallery. The result is that of a new fit on all of
# them, and takes no training.

found = [before]
rows = np.flatnonzero(species == new)[:4]
for row in rows:
    gallery.partial_fit(embeddings[[row]], [new])
    found.append(share_named([new, "unknown"]))
print(f"with four labels, {found[-1][0]:.0%} get the right name")

# %%
# The other species keep their names
# ----------------------------------

is_known = species_today != new
accuracy = np.mean(gallery.predict(today)[is_known] == species_today[is_known])
print(f"accuracy on the other species: {accuracy:.2f}")

named, unknown = 100 * np.array(found).T
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
n_labels = range(len(found))
axes.bar(n_labels, named, color="C0", label=f"predicted as {new}")
axes.bar(n_labels, unknown, bottom=named, color="0.75", label="predicted as unknown")
axes.set_xticks(n_labels)
axes.set_xlabel("labels of the new species")
axes.set_ylabel("its particles, %")
axes.set_ylim(0, 100)
figure.legend(loc="outside upper center", frameon=False, fontsize="small")
