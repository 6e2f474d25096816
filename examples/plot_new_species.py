"""
A new species joins the gallery
===============================

An expert has identified the unknown particles as a new species. With a few labels of
them in the gallery, the species is predicted from now on. Nothing is trained again.
"""

# %%
# Five labeled species and a sixth
# --------------------------------
# The sixth species is in the water, and so its particles are unlabeled training data of
# the embedder.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import NeighborsDisplay

X, species = make_particles(600, n_species=6, random_state=0, return_X_y=True)
X, X_today, species, species_today = train_test_split(
    X, species, test_size=0.3, stratify=species, random_state=0
)
new = np.unique(species)[-1]
y = np.full(len(X), None, dtype=object)
for name in np.setdiff1d(species, [new]):
    y[np.flatnonzero(species == name)[:8]] = name

embedder = CrossModalEmbedder(image_size=32, max_epochs=10, random_state=0)
embeddings = embedder.fit_transform(X)
today = embedder.transform(X_today)
is_new = species_today == new
gallery = GalleryKNNClassifier(use_unlabeled=True, outlier_label="unknown")
gallery = gallery.fit(embeddings, y)

# %%
# One label after the other
# -------------------------
# ``partial_fit`` adds labels to the gallery. The result is that of a new fit on all of
# them, and takes no training. The table has the shares of the predicted labels of
# today's particles of the new species, and the accuracy on the other species.

history = []
added = np.flatnonzero(species == new)[:4]
for row in [None, *added]:
    if row is not None:
        gallery.partial_fit(embeddings[[row]], [new])
    predicted = gallery.predict(today)
    is_named, is_called_unknown = predicted == new, predicted == "unknown"
    history.append(
        {
            "the new species": is_named[is_new].mean(),
            "unknown": is_called_unknown[is_new].mean(),
            "another species": np.mean(~(is_named | is_called_unknown)[is_new]),
            "accuracy on the others": np.mean((predicted == species_today)[~is_new]),
        }
    )
history = pd.DataFrame(history).rename_axis("labels")
print(history.round(2).to_string())

# %%
# The figure has the first three columns. The first labels need not be typical of their
# species, and can even do harm: particles that were unknown become familiar, and are
# predicted as a similar species.

COLORS = ["#0072B2", "0.75", "#D55E00"]
figure, ax = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
shares = 100 * history.iloc[:, :3]
shares.plot.bar(stacked=True, color=COLORS, width=0.7, rot=0, legend=False, ax=ax)
ax.set_xlabel(f"labels of {new}")
ax.set_ylabel("particles of this species (%)")
ax.set_title("Predicted labels of the new species", fontsize="medium")
ax.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")

# %%
# Particles of the new species and their nearest gallery particles, with all four labels
# in the gallery: two that are classified correctly and, at the bottom, up to two that
# are not.

is_right = is_named & is_new
shown = [*np.flatnonzero(is_right)[:2], *np.flatnonzero(is_new & ~is_right)[:2]]
NeighborsDisplay.from_estimator(
    gallery,
    today[shown],
    X_today.iloc[shown],
    pd.concat([X, X.iloc[added]]),  # all that fit and partial_fit were passed
    species_today[shown],
    n_neighbors=2,
    channel_names=["FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature"],
    pixel_size=0.7,  # µm, of the simulated camera
)
plt.show()

# %%
# What to read next
# -----------------
# :doc:`plot_new_site` uses a trained embedder at another site.
# :doc:`../user_guide/gallery` describes the gallery, and
# :meth:`~skplankton.GalleryKNNClassifier.partial_fit` what can be added to it.
