"""scikit-learn's own checks, in full: nothing expected to fail, nothing skipped.

One of the checks only runs with SCIPY_ARRAY_API=1 set before scipy is imported, so they
run in a process of their own. The lowest versions check the galleries and one embedder.
"""

import os
import subprocess
import sys

import pytest

ESTIMATORS = [
    "GalleryKNNClassifier()",
    "GalleryKNNClassifier(use_unlabeled=True)",
    "GalleryKNNClassifier(use_unlabeled=True, metric='euclidean', contamination=0.2)",
    pytest.param("CrossModalEmbedder()", marks=pytest.mark.once),
    (
        "CrossModalEmbedder(max_epochs=1, loss='siglip', learn_temperature=True, "
        "output='concat', features='projection')"
    ),
    pytest.param(
        "CrossModalEmbedder(max_epochs=2, output='image', features='encoder', "
        "early_stopping=True, validation_fraction=0.5)",
        marks=pytest.mark.once,
    ),
    pytest.param("DINOEmbedder(max_epochs=1)", marks=pytest.mark.once),
]

SCRIPT = """
import warnings
from sklearn.utils.estimator_checks import check_estimator
from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.baselines import DINOEmbedder

warnings.simplefilter("error")
results = check_estimator({estimator}, on_skip=None, on_fail="raise")
statuses = {{result["status"] for result in results}}
assert statuses == {{"passed"}}, statuses
print(len(results))
"""


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_check_estimator_in_full(estimator):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(estimator=estimator)],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    # As many checks as scikit-learn 1.6 had for a transformer; later ones have more.
    assert int(run.stdout) >= 40
