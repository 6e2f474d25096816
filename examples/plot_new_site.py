"""
A new site: a new gallery, no training
======================================

An embedder trained at one site can be used to classify particles of another. It only
needs a gallery from there: a few labeled particles per species.
"""

# %%
# Two sites
# ---------
# The new site has other particles of the same species, a noisier instrument, and other
# detector gains: the same scatter or fluorescence gives different readings.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import (
    GallerySizeDisplay,
    SetupConfusionDisplay,
    cross_modal_benchmark,
)

X_home, y_home = make_particles(400, n_species=6, random_state=0, return_X_y=True)
X_new, y_new = make_particles(
    300,
    n_species=6,
    image_noise=2.0,
    profile_noise=2.0,
    random_state=1,
    return_X_y=True,
)
gains = np.array([0.3, 3.0, 1.0, 0.2, 4.0, 1.0])  # one per channel
X_new["profile"] = [profile * gains for profile in X_new["profile"]]

# %%
# Train at home, classify elsewhere
# ---------------------------------
# With ``FrozenEstimator`` the embedder is not fitted again: fitting the pipeline at the
# new site only fits the gallery. Half of the new particles are set aside for the test.

embedder = CrossModalEmbedder(image_size=32, max_epochs=10, random_state=0)
embedder.fit(X_home)
half = len(X_new) // 2
pipe = make_pipeline(
    FrozenEstimator(embedder), GalleryKNNClassifier(gallery_size=4, random_state=0)
)
for site, X, y in (
    ("home", X_home, y_home),
    ("new site", X_new[:half], y_new[:half]),
):
    accuracy = pipe.fit(X, y).score(X_new[half:], y_new[half:])
    print(f"gallery from {site:8}  accuracy {accuracy:.2f} at the new site")

# %%
# How many labels the new site needs
# ----------------------------------
# The same comparison for several gallery sizes, each drawn five times. The band is one
# standard deviation over the draws. Labels from the new site show how its instrument
# records the species; labels from home do not.

Z_home, Z_new = embedder.transform(X_home), embedder.transform(X_new)
galleries = {
    "from home": (Z_home, y_home),
    "from the new site": (Z_new[:half], y_new[:half]),
}
results = pd.concat(
    cross_modal_benchmark(
        Z_new[half:],
        y_new[half:],
        X_gallery=Z_gallery,
        y_gallery=y_gallery,
        gallery_sizes=(1, 2, 4, 8),
        setups=None,
        random_state=0,
    ).assign(model=name)
    for name, (Z_gallery, y_gallery) in galleries.items()
)
display = GallerySizeDisplay.from_results(results)
display.ax_.set_title("Accuracy at the new site", fontsize="medium")
means = results.groupby(["model", "gallery_size"])["accuracy"].mean().unstack()
print((100 * means).round(1).to_string())

# %%
# Mistakes with the gallery from home
# -----------------------------------
# This gallery has eight labels per species. Rows are the true species, columns the
# predicted ones: mistakes are dark fields off the diagonal.

gallery = GalleryKNNClassifier(gallery_size=8, random_state=0).fit(Z_home, y_home)
predicted = gallery.predict(Z_new[half:])
SetupConfusionDisplay.from_predictions(y_new[half:], {"from home": predicted})
plt.show()

# %%
# What to read next
# -----------------
# :doc:`plot_station_day` begins with the files of an instrument.
# :doc:`../user_guide/new_site` has more about other sites and instruments, and
# :class:`~skplankton.evaluation.SetupConfusionDisplay` and
# :class:`~skplankton.evaluation.GallerySizeDisplay` describe the figures.
