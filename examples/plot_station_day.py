"""
A station's day: from instrument files to EcoTaxa labels
========================================================

This example reads measurements in the format of `cyz2json` and labels from EcoTaxa,
trains a model, predicts the labels of today's particles, and writes an archive for
EcoTaxa to import. Each step is in Python, with the equivalent command; see
:doc:`../stations`.
"""

# %%
# A season of samples
# -------------------
# Four simulated samples, one JSON file each. Every species has its season. A fifth of
# the particles have no image, as the camera is slower than the laser.

import html
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.abundance import abundance_table, gallery_calibration
from skplankton.datasets import load_cyz_json, make_particles, write_cyz_json
from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa
from skplankton.evaluation import NeighborsDisplay

temporary = TemporaryDirectory()
folder = Path(temporary.name)
DAYS = ["April", "June", "August", "today"]
N_SPECIES = 6

X, y = make_particles(600, n_species=N_SPECIES, random_state=0, return_X_y=True)
species = np.unique(y)
rng = np.random.RandomState(0)
X = X.astype(object)
X.loc[rng.uniform(size=len(X)) < 0.2, "image"] = None

season = np.arange(len(DAYS)) / len(DAYS)
time_of_species = np.searchsorted(species, y) / N_SPECIES
abundance = 1 + np.cos(2 * np.pi * (season - time_of_species[:, None]))
abundance /= abundance.sum(axis=1, keepdims=True)
day = np.array([rng.choice(DAYS, p=shares) for shares in abundance])
truth = {}
for name in DAYS:
    rows = np.flatnonzero(day == name)
    path = write_cyz_json(X.iloc[rows], folder / "season" / f"{name}.json")
    truth |= {f"{name}_{i}": y[row] for i, row in enumerate(rows)}
    print(f"{path.name}: {len(rows)} particles, {path.stat().st_size / 1e6:.1f} MB")

# %%
# Labels from EcoTaxa
# -------------------
# An expert has validated every third particle with an image in the first three samples.
# The table has the format of an EcoTaxa export.

past = [folder / "season" / f"{name}.json" for name in DAYS[:-1]]
particles = load_cyz_json(past, cache=folder / "views")
shown = particles[particles["image"].notna()]
status = np.where(np.arange(len(shown)) % 3 == 0, "validated", "predicted")
export = pd.DataFrame(
    {
        "object_id": shown["object_id"],
        "object_annotation_category": shown["object_id"].map(truth),
        "object_annotation_hierarchy": shown["object_id"].map(truth),
        "object_annotation_status": status,
    }
)
export.to_csv(folder / "ecotaxa_export.tsv", sep="\t", index=False)

labels = read_ecotaxa(folder / "ecotaxa_export.tsv")[["object_id", "label"]]
particles = particles.merge(labels, on="object_id", how="left")
counts = particles["label"].notna().groupby(particles["sample_id"]).agg(["size", "sum"])
print(counts.set_axis(["particles", "labeled"], axis="columns").to_string())

# %%
# A model
# -------
# All particles with image and profile train the encoders; the labeled ones become the
# gallery. On the command line, with more epochs and larger images:
#
# .. code-block:: console
#
#    $ python -m skplankton fit April.json June.json August.json
#          --labels ecotaxa_export.tsv --output model.skops

pipe = Pipeline(
    [
        ("embed", CrossModalEmbedder(image_size=32, max_epochs=10, random_state=0)),
        ("gallery", GalleryKNNClassifier()),
    ]
)
pipe.fit(particles, particles["label"].to_numpy())
gallery_ids = particles["object_id"].to_numpy()[pipe["gallery"].gallery_indices_]

# %%
# Today
# -----
# Predicted labels, their shares of the votes, and the labeled particles that voted. On
# the command line:
#
# .. code-block:: console
#
#    $ python -m skplankton classify model.skops today.json --output results --ecotaxa
#          --report

today_file = folder / "season" / "today.json"
today = load_cyz_json(today_file, cache=folder / "views")
embeddings = pipe["embed"].transform(today)
votes = pipe["gallery"].predict_proba(embeddings)
nearest = pipe["gallery"].kneighbors(embeddings, return_distance=False)
predicted = pipe["gallery"].predict(embeddings)
archive = write_ecotaxa(
    folder / "ecotaxa_today.zip",
    today,
    predicted,
    proba=votes,
    neighbors=gallery_ids[nearest],
    without_image="aside",
)

# %%
# What EcoTaxa imports
# --------------------
# One object per image, with the status "predicted". Here they are sorted by score, the
# lowest first. Particles without an image are classified too; EcoTaxa ignores their
# table in the archive.

objects = read_ecotaxa(archive, status="predicted", cache=folder / "unpacked")
print(f"{len(objects)} of {len(today)} particles have an image")
columns = ["object_id", "label", "object_score", "object_neighbor_1"]
print(objects.sort_values("object_score")[columns].head().to_string(index=False))

# %%
# Once validated, the labels train the next model and measure the accuracy of this one:
#
# .. code-block:: console
#
#    $ python -m skplankton evaluate model.skops today.json --labels new_export.zip

true_labels = today["object_id"].map(truth).to_numpy()
is_right = predicted == true_labels
has_image = today["image"].notna().to_numpy()
print(f"accuracy today: {is_right.mean():.2f}")
print(f"with an image: {is_right[has_image].mean():.2f}")
print(f"without:       {is_right[~has_image].mean():.2f}")

# %%
# Two of today's particles that are classified correctly, at the left, and two that are
# not, each with the two labeled particles that are nearest.

shown = [*np.flatnonzero(is_right)[:2], *np.flatnonzero(~is_right)[:2]]
NeighborsDisplay.from_estimator(
    pipe["gallery"],
    embeddings[shown],
    today.iloc[shown],
    particles,
    true_labels[shown],
    n_neighbors=2,
    pixel_size=0.7,  # µm, of the simulated camera
)

# %%
# Species over the season
# -----------------------
# Counts of predicted labels are biased: a rare species seems more abundant while
# another one blooms that is sometimes mistaken for it. The counts are corrected for the
# mistakes among the gallery's own particles, each classified without its own label. The
# intervals contain the uncertainty of the correction and the counting error. The
# command writes such a table to ``results/abundance.csv``, with concentrations if the
# volume is known.

predictions = pd.concat(
    [
        pd.DataFrame(
            {
                "sample_id": table["sample_id"],
                "predicted_label": pipe.predict(table),
                "has_image": table["image"].notna(),
            }
        )
        for table in (particles, today)
    ]
)
calibration = gallery_calibration(pipe["gallery"])
counts = abundance_table(predictions, calibration=calibration, random_state=0)
counts = counts.set_index(["label", "sample_id"]).sort_index().loc[list(species)]
counts["true"] = [
    np.sum((y == name) & (day == sample)) for name, sample in counts.index
]

figure, axes = plt.subplots(3, 2, figsize=(5, 5.4), sharex=True, layout="constrained")
figure.suptitle("Particles in each sample, with 95 % intervals", fontsize="medium")
BLUE = "#0072B2"
for ax, name in zip(axes.flat, species, strict=True):
    row = counts.loc[name].loc[DAYS]
    error = row["count"] - row["count_low"], row["count_high"] - row["count"]
    ax.errorbar(
        DAYS, row["count"], error, fmt="o-", color=BLUE, capsize=3, label="counted"
    )
    ax.plot(DAYS, row["true"], "kx", label="true")
    ax.set_title(name, fontsize="small")
    ax.set_ylim(bottom=0)
    ax.tick_params(labelsize="small")
    ax.spines[["top", "right"]].set_visible(False)
handles = axes[0, 0].get_legend_handles_labels()
figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
is_within = counts["true"].between(counts["count_low"], counts["count_high"])
print(f"{is_within.sum()} of {len(counts)} intervals contain the true number")
plt.show()

# %%
# The report
# ----------
# The commands do the same, and ``--report`` writes the result as a page in one file,
# shown here in a frame. This model is trained for two epochs only.


def run_command(*words):
    command = [sys.executable, "-m", "skplankton", *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)


class Framed:
    """A page, as notebooks and this gallery show it."""

    def __init__(self, path):
        self.path = path

    def _repr_html_(self):
        page = html.escape(self.path.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" width="100%" height="700"></iframe>'


model, results = folder / "model.skops", folder / "results"
labels = ("--labels", folder / "ecotaxa_export.tsv")
run_command("fit", *past, *labels, "--output", model, "--max-epochs", 2)
run_command("classify", model, today_file, "--output", results, "--report")
Framed(results / "report.html")

# %%
# The files are no longer needed.

temporary.cleanup()

# %%
# What to read next
# -----------------
# :doc:`plot_ifcb` does this with another instrument. :doc:`../stations` describes the
# commands, :doc:`../user_guide/abundance` how often the intervals hold, and
# :func:`~skplankton.datasets.load_cyz_json` and
# :func:`~skplankton.ecotaxa.write_ecotaxa` the files.
