"""
Particles without an image or without a profile
===============================================

Cameras miss particles, and so do detectors. Such particles stay in the table. Complete
pairs train the embedder, and a particle with only an image or only a profile is
classified by what it has.
"""

# %%
# A table with missing values
# ---------------------------
# Three in ten particles lack the image, and three in ten the profile. A missing one is
# None.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import NeighborsDisplay, cross_modal_benchmark

X, y = make_particles(500, n_species=6, missing=0.3, random_state=0, return_X_y=True)
print(X.isna().sum().rename("missing").to_string())

# %%
# Train and classify
# ------------------
# With ``output="concat"`` the embeddings of image and profile are concatenated, and a
# missing one is a block of NaN. With ``n_modalities=2`` the classifier splits them
# again, and each modality that is present votes.

X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
embedder = CrossModalEmbedder(
    image_size=32, max_epochs=15, output="concat", random_state=0
)
Z_train = embedder.fit(X_train).transform(X_train)
Z_test = embedder.transform(X_test)
gallery = GalleryKNNClassifier(gallery_size=8, n_modalities=2, random_state=0)
predicted = gallery.fit(Z_train, y_train).predict(Z_test)

# %%
# Accuracy by available modalities
# --------------------------------
# The species differ by shape, by pigment or by both: neither modality alone
# distinguishes all of them. The three groups are small, so that differences of a few
# hundredths mean little.

available = np.select(
    [X_test["image"].isna(), X_test["profile"].isna()],
    ["profile only", "image only"],
    "both",
)
is_right = predicted == y_test
for name in ("both", "image only", "profile only"):
    accuracy = is_right[available == name].mean()
    print(
        f"{name:12}  {np.sum(available == name):3} particles, accuracy {accuracy:.2f}"
    )

# %%
# Nearest neighbors
# -----------------
# One query of each kind, from the top: both, image only, profile only. A gallery
# particle may lack one, too. The last two queries are misclassified. A tick and a blue
# frame mark the right species, a cross and an orange frame a wrong one.

kinds = np.unique(available)
shown = [np.flatnonzero(is_right & (available == kind))[0] for kind in kinds]
shown += np.flatnonzero(~is_right)[:2].tolist()
NeighborsDisplay.from_estimator(
    gallery,
    Z_test[shown],
    X_test.iloc[shown],
    X_train,
    y_test[shown],
    n_neighbors=2,
    channel_names=["FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature"],
    pixel_size=0.7,  # µm, of the simulated camera
)

# %%
# Nine combinations of modalities
# -------------------------------
# The gallery can contain images, profiles or both, and so can a query. The paper
# compares these nine combinations. Here they are compared on the test particles with
# both modalities. The accuracies are means over five draws of the gallery.

is_complete = available == "both"
results = cross_modal_benchmark(
    Z_test[is_complete],
    y_test[is_complete],
    X_gallery=Z_train,
    y_gallery=y_train,
    gallery_sizes=(8,),
    random_state=0,
)
nine = results.pivot_table(index="gallery", columns="query", values="accuracy")
order = ["image", "profile", "both"]
nine = nine.loc[order, order]
print(nine.round(2).to_string())

# %%
# Both modalities are not always better than the better one alone: both vote, and the
# weaker one can cost more accuracy than it adds. Compare them on your own data, as
# here.

for one in ("image", "profile"):
    gain = 100 * (nine.loc["both", "both"] - nine.loc[one, one])
    print(f"both rather than the {one} alone: {gain:+.1f} points of accuracy")

plt.show()

# %%
# What to read next
# -----------------
# :doc:`plot_image_only_vs_cross_modal` compares images with images and profiles.
# :doc:`../user_guide/gallery` explains the nine combinations,
# :func:`~skplankton.evaluation.cross_modal_benchmark` and
# :class:`~skplankton.GalleryKNNClassifier` list the parameters.
