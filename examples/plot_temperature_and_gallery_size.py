"""
Choose the temperature and the gallery size
===========================================

How much the temperature of the loss matters depends on the data, and there is no best
value for all of them. A grid search over the whole pipeline chooses it by what counts:
how many particles are named rightly. The pipeline's memory trains an embedder once for
each temperature and fold; all gallery sizes share it.
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
# A row of the table is a temperature, a column a gallery size.

scores = pd.DataFrame(search.cv_results_).pivot_table(
    index="param_embed__temperature",
    columns="param_gallery__gallery_size",
    values="mean_test_score",
)
scores = scores.rename_axis(index="temperature", columns="gallery size")
print(scores.round(2).to_string())

# %%
# Here the number of labels matters far more than the temperature: the lines lie close
# together. With two folds, few particles and one draw of the gallery, such small
# differences mean nothing. On other data the lines may part.

COLOURS = ("#0072B2", "#E69F00", "#009E73")  # Okabe and Ito 2008
figure, ax = plt.subplots(figsize=(4.5, 3), layout="constrained")
for (temperature, row), colour, marker in zip(
    scores.iterrows(), COLOURS, "os^", strict=True
):
    ax.plot(100 * row, color=colour, marker=marker, label=f"{temperature:g}")
ax.set_xscale("log", base=2)
ax.set_xticks(scores.columns, labels=map(str, scores.columns))
ax.set_xlabel("labelled particles a species", fontsize=8)
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
# The cached embedders are not needed any more.

memory.cleanup()
