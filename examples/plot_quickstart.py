"""
From files on disk to predicted species
=======================================

The main task from start to end: particle files on disk, an embedder trained on them
without labels, a gallery of a few labeled particles, and predictions for all others.

The particles are simulated, written in the layout of the published data sets
(`annotations.csv`, PNG images, CSV profiles) and read back. For your own data, replace
the first section by ``load_particles("path/to/annotations.csv")``.
"""

# %%
# Particles
# ---------
# A table with one row per particle: its image, its profile, and its species. One in ten
# lacks the image and one in ten the profile, as happens in practice.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import load_particles, make_particles, write_particles

output, n_particles, max_epochs = Path("skplankton_quickstart"), 1500, 20
# sphinx_gallery_start_ignore
import argparse
import sys
import tempfile

if Path(sys.argv[0]).name == "plot_quickstart.py":
    parser = argparse.ArgumentParser(description="Simulated particles → species.")
    parser.add_argument("--output", type=Path, default=output, help="folder to write")
    parser.add_argument("--n-particles", type=int, default=n_particles)
    parser.add_argument("--epochs", type=int, default=max_epochs)
    options = parser.parse_args()
    output, n_particles, max_epochs = (
        options.output,
        options.n_particles,
        options.epochs,
    )
else:  # run by sphinx-gallery, which must not leave files behind
    output = Path(tempfile.mkdtemp())
# sphinx_gallery_end_ignore

simulated, species = make_particles(
    n_particles, missing=0.1, random_state=0, return_X_y=True
)
annotations = write_particles(simulated, species, output / "LAB", overwrite=True)
X, y = load_particles(annotations, return_X_y=True)
X.head().map(Path, na_action="ignore").map(lambda path: path.name, na_action="ignore")

# %%
# Train without labels, classify with four per species
# ----------------------------------------------------
# The embedder never sees the labels: it learns which image and which profile come from
# the same particle. The classifier keeps four labeled particles per species as its
# gallery.

X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)
pipe = Pipeline(
    [
        (
            "embed",
            CrossModalEmbedder(max_epochs=max_epochs, random_state=0, verbose=1),
        ),
        ("gallery", GalleryKNNClassifier(gallery_size=4, random_state=0)),
    ]
)
pipe.fit(X_train, y_train)
predicted = pipe.predict(X_test)

report = classification_report(y_test, predicted, output_dict=True, zero_division=0)
species_table = pd.DataFrame(report).T.drop(index=["accuracy"], errors="ignore")
species_table.to_csv(output / "species.csv", index_label="species")
print(species_table.round(2).to_string())
print(f"\naccuracy with 4 labels per species: {pipe.score(X_test, y_test):.3f}")

# %%
# Nine set-ups
# ------------
# The gallery can hold images, profiles or both, and so can a query: the paper's nine
# set-ups. With ``output="concat"`` the embedder concatenates the two views, and the
# classifier compares those chosen by ``gallery_modalities`` and ``query_modalities``.
# Only particles with both views are queries, so that the nine numbers are of the same
# particles.

embedder = pipe["embed"].set_params(output="concat")
Z_train, Z_test = embedder.transform(X_train), embedder.transform(X_test)
complete = ~np.isnan(Z_test).any(axis=1)
VIEWS = {"image": "I", "profile": "P", "all": "I+P"}

setups = pd.DataFrame(index=VIEWS.values(), columns=VIEWS.values(), dtype=float)
for gallery_views, gallery in VIEWS.items():
    for query_views, query in VIEWS.items():
        scores = [
            GalleryKNNClassifier(
                gallery_size=4,
                n_modalities=2,
                gallery_modalities=gallery_views,
                query_modalities=query_views,
                random_state=draw,
            )
            .fit(Z_train, y_train)
            .score(Z_test[complete], y_test[complete])
            for draw in range(5)
        ]
        setups.loc[gallery, query] = np.mean(scores)
setups = setups.rename_axis(index="gallery", columns="query")
setups.to_csv(output / "nine_setups.csv")
print(setups.round(3).to_string())

# %%
# Both views are not always better than images alone: both vote, and the weaker one can
# cost more accuracy than it adds. Compare them on your own data, as here:

for one in ("I", "P"):
    gain = 100 * (setups.loc["I+P", "I+P"] - setups.loc[one, one])
    print(f"both views rather than {one} alone: {gain:+.1f} points of accuracy")

# %%
# Queries and their nearest gallery entries
# -----------------------------------------
# Correct predictions are blue; wrong ones are orange, with the true species.

gallery = pipe.set_params(embed__output="fused")["gallery"]
has_both = np.flatnonzero(X_test.notna().all(axis=1))
shown = np.random.RandomState(0).permutation(has_both)[:6]
nearest = gallery.kneighbors(
    pipe["embed"].transform(X_test.iloc[shown]), n_neighbors=1, return_distance=False
)[:, 0]
X_gallery = X_train.iloc[gallery.gallery_indices_]

# Colors that color-blind readers can distinguish (Okabe and Ito 2008).
BLUE, VERMILION = "#0072B2", "#D55E00"
CHANNELS = ["#000000", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"]
figure = plt.figure(figsize=(9, 6.5), layout="constrained")
queries_half, gallery_half = figure.subfigures(1, 2, wspace=0.04)


def draw(half, title, particles, labels, colors):
    half.suptitle(title, fontsize=11)
    axes = half.subplots(len(particles), 2)
    for row, (image_axis, profile_axis) in enumerate(axes):
        particle, color = particles.iloc[row], colors[row]
        if pd.isna(particle["image"]):
            image_axis.text(0.5, 0.5, "no image", ha="center", va="center", fontsize=8)
        else:
            image_axis.imshow(plt.imread(particle["image"]), cmap="gray")
        image_axis.set_axis_off()
        if not pd.isna(particle["profile"]):
            profile = pd.read_csv(particle["profile"])
            profile_axis.set_prop_cycle(color=CHANNELS)
            lines = profile_axis.semilogy(profile.clip(lower=1), linewidth=0.8)
            legend = lines, list(profile.columns)
        profile_axis.set_title(labels[row], fontsize=8, color=color, loc="left")
        profile_axis.tick_params(labelsize=6)
        profile_axis.set_ylabel("mV", fontsize=7)
    axes[-1, 1].set_xlabel("time (samples)", fontsize=7)
    return legend


right = predicted[shown] == y_test[shown]
colors = np.where(right, BLUE, VERMILION)
titles = [
    label if is_right else f"{label} (is {truth})"
    for label, truth, is_right in zip(
        predicted[shown], y_test[shown], right, strict=True
    )
]
draw(queries_half, "query and predicted label", X_test.iloc[shown], titles, colors)
legend = draw(
    gallery_half,
    "nearest gallery entry",
    X_gallery.iloc[nearest],
    gallery.gallery_labels_[nearest],
    np.full(len(shown), "black"),
)
figure.legend(*legend, loc="outside lower center", ncols=6, fontsize=7, frameon=False)
figure.savefig(output / "quickstart.png", dpi=150)
print(f"\ntables and figure: {output}")
