"""
Choose the temperature and the gallery size
===========================================

How much the temperature of the loss matters depends on the data, and no value is best
for all of them. A grid search over the whole pipeline chooses it by the accuracy of the
predicted labels. With the pipeline's memory, an embedder is trained once per
temperature and fold; all gallery sizes share it.
"""

# %%
# The search
# ----------
# Simulated particles, small images and few epochs keep this page quick.

import tempfile

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles

X, y = make_particles(240, n_species=6, random_state=0, return_X_y=True)
memory = tempfile.TemporaryDirectory()
pipe = Pipeline(
    [
        (
            "embed",
            CrossModalEmbedder(image_size=32, max_epochs=6, random_state=0),
        ),
        ("gallery", GalleryKNNClassifier(random_state=0)),
    ],
    memory=memory.name,
)
search = GridSearchCV(
    pipe,
    {"embed__temperature": [0.07, 0.5, 2.0], "gallery__gallery_size": [1, 2, 4, 8]},
    cv=2,
)
search.fit(X, y)
print(f"best: {search.best_params_}, accuracy {search.best_score_:.2f}")

# %%
# The result
# ----------
# The table has one row per temperature and one column per gallery size.

results = pd.DataFrame(search.cv_results_)
scores = results.pivot_table(
    index="param_embed__temperature",
    columns="param_gallery__gallery_size",
    values="mean_test_score",
)
scores = scores.rename_axis(index="temperature", columns="gallery size")
print(scores.round(2).to_string())

# %%
# How much do the labels and the temperature matter, and how much is chance? With two
# folds, few particles and one draw of the gallery, the same configuration scores
# differently in its two folds. A temperature whose lead is no larger than that, or that
# leads at some gallery sizes only, is not shown to be the better one.

few, many = scores.columns[[0, -1]]
by_labels = 100 * (scores[many] - scores[few]).mean()
by_temperature = 100 * (scores.max() - scores.min()).max()
by_fold = 100 * (results["split0_test_score"] - results["split1_test_score"]).abs()
print(f"{many} labels per species, not {few}: {by_labels:+.0f} points on average")
print(f"temperatures, at one gallery size: up to {by_temperature:.0f} points apart")
print(f"folds, of one configuration: up to {by_fold.max():.0f} points apart")
best = [f"{value:g} with {size}" for size, value in scores.idxmax().items()]
print(f"best temperature by labels per species: {', '.join(best)}")

# %%
# One line per temperature:

COLORS = ("#0072B2", "#E69F00", "#009E73")  # Okabe and Ito 2008
figure, ax = plt.subplots(figsize=(4.5, 3), layout="constrained")
for (temperature, row), color, marker in zip(
    scores.iterrows(), COLORS, "os^", strict=True
):
    ax.plot(100 * row, color=color, marker=marker, label=f"{temperature:g}")
ax.set_xscale("log", base=2)
ax.set_xticks(scores.columns, labels=map(str, scores.columns))
ax.set_xlabel("labeled particles per species", fontsize=8)
ax.set_ylabel("accuracy (%)", fontsize=8)
ax.tick_params(labelsize=7)
figure.legend(
    title="temperature",
    title_fontsize=8,
    fontsize=7,
    frameon=False,
    loc="outside right upper",
)

# %%
# The cached embedders are no longer needed.

memory.cleanup()
