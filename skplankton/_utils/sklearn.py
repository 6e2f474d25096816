"""What scikit-learn offers its own estimators under private names, and we use.

Third-party estimators have no public way to validate parameters in scikit-learn's words
or to take rows of whatever is a table. These names may move or change with any release,
so that one file alone imports them: what a release breaks is mended here, and
tests/test_imports.py keeps them out of every other module.
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
