"""
Quick start: from files on disk to predicted species
====================================================

This example goes from particle files to predicted species. It trains an embedder
without labels, makes a gallery of a few labeled particles, and classifies all others.

The particles are simulated, and written in the layout of the published data sets
(``annotations.csv``, PNG images, CSV profiles). For your own data, replace the first
section by ``load_particles("path/to/annotations.csv", return_X_y=True)``.
"""

# %%
# Particles
# ---------
# A table with one row per particle: the file of its image, the file of its profile, and
# its species. One particle in ten lacks the image and one in ten the profile, as
# happens in practice.

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import load_particles, make_particles, write_particles
from skplankton.evaluation import NeighborsDisplay

output, n_particles, max_epochs = Path("skplankton_quickstart"), 1000, 15
# sphinx_gallery_start_ignore
import argparse
import tempfile

parser = argparse.ArgumentParser(description="Simulated particles → species.")
parser.add_argument("--output", type=Path, help="folder; else a temporary one")
parser.add_argument("--n-particles", type=int, default=n_particles)
parser.add_argument("--epochs", type=int, default=max_epochs)
options = parser.parse_args()
output, n_particles, max_epochs = (
    options.output,
    options.n_particles,
    options.epochs,
)
if output is None:
    temporary = tempfile.TemporaryDirectory()
    output = Path(temporary.name)
# sphinx_gallery_end_ignore

simulated, species = make_particles(
    n_particles, missing=0.1, random_state=0, return_X_y=True
)
write_particles(simulated, species, output / "LAB", overwrite=True)
X, y = load_particles(output / "LAB", return_X_y=True)
print(X.head().map(lambda path: Path(path).name, na_action="ignore"))

# %%
# Train without labels, classify with four per species
# ----------------------------------------------------
# The embedder does not use the labels: it learns which image and which profile come
# from the same particle. The classifier keeps four labeled particles per species as its
# gallery, and classifies a particle by the three gallery particles nearest to it.

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
print(f"accuracy with 4 labels per species: {np.mean(predicted == y_test):.3f}")

# %%
# Scores by species
# -----------------
# The table shows how well each species is recognized.

report = classification_report(y_test, predicted, output_dict=True, zero_division=0)
table = pd.DataFrame(report).T.drop(index="accuracy", errors="ignore")
table.to_csv(output / "scores.csv", index_label="species")
print(table.round(2).to_string())

# %%
# The neighbors behind a predicted label
# --------------------------------------
# Each row is a test particle, at the left, with the three gallery particles that voted;
# nearer ones count more. Those of the right species have a tick and are blue, the
# others have a cross and are orange. The first two test particles are classified
# correctly, the last two are not.

is_right = predicted == y_test
shown = [*np.flatnonzero(is_right)[:2], *np.flatnonzero(~is_right)[:2]]
display = NeighborsDisplay.from_estimator(
    pipe["gallery"],
    pipe["embed"].transform(X_test.iloc[shown]),
    X_test.iloc[shown],
    X_train,
    y_test[shown],
    pixel_size=0.7,  # µm, of the simulated camera
)
display.figure_.savefig(output / "quickstart.png", dpi=150)
print("written:", *sorted(path.name for path in output.iterdir()))

# %%
# What to read next
# -----------------
# :doc:`plot_label_eight` chooses which particles to label if none are labeled yet.
# :doc:`../user_guide/particles` describes the files and tables that can be read, and
# :doc:`../stations` the commands that need no Python.
# :class:`~skplankton.CrossModalEmbedder` and :class:`~skplankton.GalleryKNNClassifier`
# list all parameters.
