"""Private names of scikit-learn that skplankton uses.

There is no public way to validate parameters with scikit-learn's messages, or to take
rows of any kind of table. These names may move or change with any release, so that only
this file imports them: a break is fixed here, and tests/test_imports.py keeps them out
of every other module.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import _num_samples as num_samples

__all__ = [
    "Interval",
    "StrOptions",
    "fit_context",
    "num_samples",
    "safe_indexing",
    "validate_params",
]
