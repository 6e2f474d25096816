"""
Particles without an image or without a profile
===============================================

Cameras miss particles, and detectors do. Such particles stay in the table: the pairs
train the embedder, and a particle with one view is named by the view it has.
"""

# %%
# A table with gaps
# -----------------
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
# Train and name
# --------------
# With ``output="concat"`` the embeddings of the two views lie side by side, and a
# missing view is a block of NaN. ``n_modalities=2`` tells the classifier about it: each
# view that is there votes.

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
# Who is named how well
# ---------------------
# The species differ by shape, by pigment or by both, so that neither view tells all of
# them apart, and particles with both are named best. The three groups are different
# particles, and small: do not read much into a few hundredths.

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
# Their nearest neighbours
# ------------------------
# One query of each kind, from the top: both views, image only, profile only. A
# gallery particle may lack a view too. The tick and the blue frame mean that the name
# is right; the cross and the orange frame, that it is not.

shown = [np.flatnonzero(views == name)[0] for name in np.unique(views)]
NeighborsDisplay.from_estimator(
    gallery,
    Z_test[shown],
    X_test.iloc[shown],
    X_train,
    y_test[shown],
    channel_names=["FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature"],
)
