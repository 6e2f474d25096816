"""
Choose the temperature and the gallery size
===========================================

The best temperature of the loss depends on the data. A grid search over the whole
pipeline chooses it by the accuracy of the predicted labels. With the `memory` of the
pipeline, an embedder is trained once per temperature and fold, and all gallery sizes
share it.
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
from skplankton.evaluation import GallerySizeDisplay

X, y = make_particles(200, n_species=6, random_state=0, return_X_y=True)
memory = tempfile.TemporaryDirectory()
pipe = Pipeline(
    [
        ("embed", CrossModalEmbedder(image_size=32, max_epochs=6, random_state=0)),
        ("gallery", GalleryKNNClassifier(random_state=0)),
    ],
    memory=memory.name,
)
search = GridSearchCV(
    pipe,
    {"embed__temperature": [0.07, 0.5, 2.0], "gallery__gallery_size": [1, 2, 4, 8]},
    cv=2,
)
# sphinx_gallery_start_ignore
import warnings

warnings.filterwarnings("ignore", "Persisting input arguments")  # on a busy machine
# sphinx_gallery_end_ignore
search.fit(X, y)
print(f"best: {search.best_params_}, accuracy {search.best_score_:.2f}")

# %%
# The result
# ----------
# The table has one row per temperature and one column per gallery size.

results = pd.DataFrame(search.cv_results_)
means, stds = (
    results.pivot_table(
        index="param_embed__temperature",
        columns="param_gallery__gallery_size",
        values=score,
    ).rename_axis(index="temperature", columns="gallery size")
    for score in ("mean_test_score", "std_test_score")
)
print(means.round(2).to_string())

# %%
# How much do the labels and the temperature matter, and how much is chance? With two
# folds, few particles and one draw of the gallery, a configuration scores differently
# in its two folds. If a temperature is ahead by no more than that, or only at some
# gallery sizes, the search does not show that it is better.

few, many = means.columns[[0, -1]]
by_labels = 100 * (means[many] - means[few]).mean()
by_temperature = 100 * (means.max() - means.min()).max()
by_fold = 100 * (results["split0_test_score"] - results["split1_test_score"]).abs()
print(f"{many} labels per species, not {few}: {by_labels:+.0f} points on average")
print(f"temperatures, at one gallery size: up to {by_temperature:.0f} points apart")
print(f"folds, of one configuration: up to {by_fold.max():.0f} points apart")
best = [f"{value:g} with {size}" for size, value in means.idxmax().items()]
print(f"best temperature by labels per species: {', '.join(best)}")

# %%
# One line per temperature, its mean over the folds. The band is their standard
# deviation: with two folds, half of their difference to either side.

display = GallerySizeDisplay(
    means.columns,
    means=means,
    stds=stds,
    names=[f"temperature {value:g}" for value in means.index],
).plot()
display.ax_.set_title("Accuracy by temperature", fontsize="medium")
memory.cleanup()  # the cached embedders are no longer needed
plt.show()

# %%
# What to read next
# -----------------
# :doc:`plot_unknown_species` is about species that are not labeled.
# :doc:`../user_guide/choosing` has measurements on more data sets, and
# :class:`~skplankton.CrossModalEmbedder` lists the other parameters.
