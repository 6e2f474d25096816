"""
Images only, or images and profiles
===================================

`DINOEmbedder` learns from images alone. `CrossModalEmbedder` learns from images and the
profiles recorded with them, and can then embed either modality or both. Here their
embeddings are used to classify the same particles with the same galleries.
"""

# %%
# Particles
# ---------
# The particles are simulated, and a third of them is kept for testing. Both embedders
# get the same image encoder, the same images, at two thirds of the default size to save
# time, and the same number of epochs.

import copy

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder
from skplankton.baselines import DINOEmbedder
from skplankton.datasets import make_particles
from skplankton.evaluation import GallerySizeDisplay, cross_modal_benchmark

X, y = make_particles(450, random_state=0, return_X_y=True)
X_train, X_test, _, y_test = train_test_split(
    X, y, test_size=1 / 3, stratify=y, random_state=0
)

small = {"image_size": 32, "max_epochs": 15, "random_state": 0}
dino = DINOEmbedder(**small).fit(X_train)
cross_modal = CrossModalEmbedder(**small).fit(X_train)
images_only = copy.copy(cross_modal).set_params(output="image")

# %%
# The same galleries for all
# --------------------------
# With ``setups=None``, each embedding is used as a whole.

embedded = {
    "DINO, image": dino.transform(X_test),
    "cross-modal, image": images_only.transform(X_test),
    "cross-modal, both": cross_modal.transform(X_test),
}
results = cross_modal_benchmark(
    embedded, y_test, setups=None, gallery_sizes=(1, 2, 4, 8), random_state=0
)
means = results.groupby(["gallery_size", "model"])["accuracy"].mean().unstack()
print((100 * means[list(embedded)]).round(1).to_string())

# %%
# What does a profile add to an image when particles are classified, and what does
# training with profiles do for images alone? The differences between neighboring
# columns above, in points of accuracy:

gains = 100 * means[list(embedded)].diff(axis="columns").iloc[:, 1:]
gains.columns = ["cross-modal rather than DINO, image", "both rather than image"]
print(gains.round(1).to_string())

# %%
# The band is one standard deviation over five draws of the gallery. Where bands
# overlap, one split does not show which of two embedders is better: :ref:`accuracy`
# compares them on several splits and data sets.

display = GallerySizeDisplay.from_results(results)
display.ax_.set_title("Accuracy by embedder", fontsize="medium")
plt.show()

# %%
# What to read next
# -----------------
# :doc:`plot_temperature_and_gallery_size` searches the parameters of the embedder.
# :doc:`../user_guide/embedder` describes the embedder, and
# :class:`~skplankton.baselines.DINOEmbedder` the baseline.
