"""
Particles without an image or without a profile
===============================================

Cameras miss particles, and so do detectors. Such particles stay in the table: complete
pairs train the embedder, and a particle with one view is classified by that view.
"""

# %%
# A table with missing views
# --------------------------
# Three in ten particles lack the image, and three in ten the profile. A missing view is
# None.

import numpy as np
from sklearn.model_selection import train_test_split

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles
from skplankton.evaluation import NeighborsDisplay

X, y = make_particles(500, n_species=6, missing=0.3, random_state=0, return_X_y=True)
print(X.isna().sum().rename("missing").to_string())

# %%
# Train and classify
# ------------------
# With ``output="concat"`` the embeddings of the two views are concatenated, and a
# missing view is a block of NaN. With ``n_modalities=2`` the classifier splits them
# again, and each view that is present votes.

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
# Accuracy by available views
# ---------------------------
# The species differ by shape, by pigment or by both. Neither view alone distinguishes
# all of them, so particles with both are classified best. The three groups are small
# and of different particles: do not read much into a few hundredths.

views = np.select(
    [X_test["image"].isna(), X_test["profile"].isna()],
    ["profile only", "image only"],
    "both views",
)
for name in ("both views", "image only", "profile only"):
    rows = views == name
    accuracy = np.mean(predicted[rows] == y_test[rows])
    print(f"{name:12}  {rows.sum():3} particles, accuracy {accuracy:.2f}")

# %%
# Nearest neighbors
# -----------------
# One query of each kind, from the top: both views, image only, profile only. A gallery
# entry may lack a view too. A tick and a blue frame mark a correct prediction, a cross
# and an orange frame a wrong one.

shown = [np.flatnonzero(views == name)[0] for name in np.unique(views)]
NeighborsDisplay.from_estimator(
    gallery,
    Z_test[shown],
    X_test.iloc[shown],
    X_train,
    y_test[shown],
    channel_names=["FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature"],
)
