"""Which particles to label, and splitters for partly labeled data.

Each splitter can be passed as ``cv=`` to scikit-learn's ``cross_validate``,
``cross_val_score`` and ``GridSearchCV``. As everywhere in skplankton, None, NaN, NaT,
``pandas.NA`` and any value equal to `unlabeled` count as unlabeled.
"""

from skplankton.model_selection._select_to_label import select_to_label
from skplankton.model_selection._splitters import (
    GallerySplit,
    LabeledTestSplit,
    TrainValidationTestFolds,
)

__all__ = [
    "GallerySplit",
    "LabeledTestSplit",
    "TrainValidationTestFolds",
    "select_to_label",
]
