"""Docstrings and documentation pages say what the code does.

Whatever is public is found by walking ``__all__``, so that what is added later is
checked as well.
"""

import ast
import inspect
import re
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.hooks.validate_docstrings import parse_config
from numpydoc.validate import ERROR_MSGS, validate
from sklearn.base import BaseEstimator

import skplankton
from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.baselines import DINOEmbedder

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent


def public_modules():
    values = {name: getattr(skplankton, name) for name in skplankton.__all__}
    modules = {name: value for name, value in values.items() if inspect.ismodule(value)}
    return {
        "skplankton": skplankton,
        **{f"skplankton.{name}": module for name, module in modules.items()},
    }


def public_objects():
    """Classes, their own methods, and functions, by the name a user imports."""
    found = {}
    for path, module in public_modules().items():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value):
                continue
            found[f"{path}.{name}"] = value
            if inspect.isclass(value):
                for method in sorted(vars(value)):
                    if is_own_method(value, method):
                        found[f"{path}.{name}.{method}"] = getattr(value, method)
    return found


def is_own_method(cls, name):
    """Whether we wrote it: scikit-learn adds methods such as set_score_request."""
    written = inspect.isroutine(getattr(cls, name)) or isinstance(
        vars(cls)[name], property
    )
    return written and not name.startswith("_") and not name.endswith("_request")


OBJECTS = public_objects()
CALLABLES = [name for name, value in OBJECTS.items() if callable(value)]
ESTIMATORS = {
    value
    for value in OBJECTS.values()
    if inspect.isclass(value) and issubclass(value, BaseEstimator)
}


def enabled_checks(name):
    chosen = parse_config(ROOT)["checks"]
    if "all" in chosen:  # then the ones named are those left out
        chosen = set(ERROR_MSGS) - chosen
    parent = OBJECTS.get(name.rpartition(".")[0])
    is_method = inspect.isclass(parent)
    return chosen if is_method else chosen | {"EX01"}


def documented(name, section):
    """(name, type) of each entry of a section; "a, b : int" is two entries.

    "**overrides", as numpydoc wants it, is "overrides" in the signature.
    """
    entries = get_doc_object(OBJECTS[name])[section]
    return [
        (single.lstrip("*"), entry.type)
        for entry in entries
        for single in entry.name.split(", ")
    ]


def signature_of(name):
    parameters = inspect.signature(OBJECTS[name]).parameters.values()
    return [p for p in parameters if p.name not in ("self", "cls")]


def test_objects_are_found():
    assert "skplankton.GalleryKNNClassifier.kneighbors" in OBJECTS
    assert "skplankton.losses.clip_loss" in OBJECTS
    assert "skplankton.GalleryKNNClassifier.set_score_request" not in OBJECTS
    assert {CrossModalEmbedder, GalleryKNNClassifier} <= ESTIMATORS


@pytest.mark.parametrize("name", public_modules())
def test_module_says_what_it_is_for(name):
    summary = (public_modules()[name].__doc__ or "").split("\n")[0]
    assert summary.endswith(".")


@pytest.mark.parametrize("name", OBJECTS)
def test_numpydoc(name):
    checks = enabled_checks(name)
    errors = [error for error in validate(name)["errors"] if error[0] in checks]
    assert not errors


@pytest.mark.parametrize("name", CALLABLES)
def test_parameters_are_the_signature(name):
    names = [parameter for parameter, _ in documented(name, "Parameters")]
    assert names == [parameter.name for parameter in signature_of(name)]


@pytest.mark.parametrize("name", CALLABLES)
def test_defaults_are_the_signature(name):
    types = dict(documented(name, "Parameters"))
    for parameter in signature_of(name):
        text = types[parameter.name]
        _, says_default, default = text.partition("default=")
        if parameter.name in ("X", "y", "groups") and not says_default:
            # scikit-learn's calling convention gives them one even where they are
            # ignored, or where None raises.
            assert parameter.default in (None, parameter.empty)
        elif parameter.default is parameter.empty:
            assert not says_default, f"{parameter.name} has no default"
        else:
            assert says_default, f"{parameter.name} has a default"
            assert ast.literal_eval(default) == parameter.default, parameter.name


@pytest.mark.parametrize(
    "estimator", sorted(ESTIMATORS, key=str), ids=lambda estimator: estimator.__name__
)
def test_choices_are_the_constraints(estimator):
    """What the docstring lists in braces is what the parameter validation takes."""
    name = next(name for name, value in OBJECTS.items() if value is estimator)
    n_compared = 0
    for parameter, text in documented(name, "Parameters"):
        choices = re.match(r"\{(.*?)\}", text)
        constraints = estimator._parameter_constraints[parameter]
        options = [c.options for c in constraints if hasattr(c, "options")]
        if choices and options:
            assert set(ast.literal_eval(f"[{choices[1]}]")) == set(options[0])
            n_compared += 1
    assert n_compared


# How to fit each estimator on small data with every attribute there: X with names.
def fit_embedder():
    X, _ = skplankton.datasets.make_particles(
        12, n_species=2, random_state=0, return_X_y=True
    )
    return CrossModalEmbedder(max_epochs=1, image_size=16, profile_length=16).fit(X)


def fit_gallery():
    X = pd.DataFrame(np.eye(4), columns=list("abcd"))
    return GalleryKNNClassifier().fit(X, ["diatom", "diatom", "ciliate", None])


def fit_dino():
    X, _ = skplankton.datasets.make_particles(
        12, n_species=2, random_state=0, return_X_y=True
    )
    return DINOEmbedder(max_epochs=1, image_size=16).fit(X)


FITS = {
    CrossModalEmbedder: fit_embedder,
    DINOEmbedder: fit_dino,
    GalleryKNNClassifier: fit_gallery,
}


def test_every_estimator_can_be_fitted_here():
    assert set(FITS) == ESTIMATORS, "add a small fit of the new estimator to FITS"


@pytest.mark.parametrize("estimator", FITS, ids=lambda estimator: estimator.__name__)
def test_fitted_attributes_are_the_documented_ones(estimator):
    """In both directions (the idea is imbalanced-learn's)."""
    fitted = FITS[estimator]()
    properties = [
        name
        for name, _ in inspect.getmembers(estimator, lambda v: isinstance(v, property))
    ]
    there = {
        name
        for name in [*vars(fitted), *properties]
        if name.endswith("_") and not name.startswith("_") and hasattr(fitted, name)
    }
    name = next(name for name, value in OBJECTS.items() if value is estimator)
    attributes = [attribute for attribute, _ in documented(name, "Attributes")]
    assert sorted(attributes) == sorted(there)


def table(**columns):
    columns = {
        "image": np.zeros((8, 8), np.uint8),
        "profile": np.zeros((8, 2)),
    } | columns
    return pd.DataFrame({name: [cell] * 5 for name, cell in columns.items()})


def fit(X, **params):
    return CrossModalEmbedder(**{"max_epochs": 1} | params).fit(X)


def fit_classifier(y, X=None, **params):
    X = np.eye(len(y), 4) if X is None else X
    return GalleryKNNClassifier(**params).fit(X, y)


def fit_without_fsspec(X):
    with mock.patch.dict(sys.modules, {"fsspec.core": None}):
        return fit(X, errors="coerce")


FLAT = np.arange(24.0).reshape(4, 6)
BOTH_BUT_ONE = np.array([[np.nan, np.nan, 1, 2], [1, 2, 3, 4], [2, 1, 4, 3]])
# Each mistake of docs/user_guide/errors.rst, in its order.
MISTAKES = {
    "no known column": lambda: fit(pd.DataFrame({"picture": ["a.png"] * 5})),
    "no profile column": lambda: fit(table().drop(columns="profile")),
    "empty row": lambda: fit(table(image=None, profile=None)),
    "no such file": lambda: fit(table(image="nowhere.png")),
    "no such object": lambda: fit(table(image="memory://nowhere.png")),
    "no fsspec": lambda: fit_without_fsspec(table(image="s3://bucket/a.png")),
    "broken file": lambda: fit(table(profile=np.full((8, 6), np.nan))),
    "other channels": lambda: fit(
        pd.concat([table(), table(profile=np.zeros((8, 3)))], ignore_index=True)
    ),
    "other measurements": lambda: fit(
        pd.concat([table(profile=np.ones(4)), table(profile=np.ones(3))])
    ),
    "a vector among sequences": lambda: fit(
        pd.concat([table(), table(profile=np.ones(3))])
    ),
    "float image": lambda: fit(table(image=np.full((8, 8), 255.0))),
    "shapes": lambda: fit(FLAT, image_shape=(2, 2), profile_shape=(2, 2)),
    "no pairs": lambda: fit(table(image=None)),
    "unknown encoder": lambda: fit(table(), profile_encoder="resnet"),
    "flat cnn": lambda: fit(FLAT, image_encoder="cnn"),
    "cnn of vectors": lambda: fit(table(profile=np.ones(4)), profile_encoder="cnn"),
    "no validation set": lambda: fit(FLAT, early_stopping=True),
    "no such device": lambda: fit(FLAT, device="xpu"),
    "divergence": lambda: fit(
        FLAT, optimizer="sgd", learning_rate=1e30, max_epochs=20, random_state=0
    ),
    "no label": lambda: fit_classifier([None] * 3),
    "one class": lambda: fit_classifier(["a", "a", None]),
    "mixed labels": lambda: fit_classifier(["a", 1, "b"]),
    "set-up": lambda: fit_classifier(["a", "b"], gallery_modalities="image"),
    "NaN": lambda: fit_classifier(["a", "b", "c"], BOTH_BUT_ONE),
    "no view in query_modalities": lambda: fit_classifier(
        ["a", "b", "c"], BOTH_BUT_ONE, n_modalities=2, query_modalities="image"
    ).predict(BOTH_BUT_ONE),
}


def messages_of_errors_page():
    page = (ROOT / "docs" / "user_guide" / "errors.rst").read_text(encoding="utf-8")
    return re.findall(r"``(\w+Error: .*?)``", page)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_messages_of_the_errors_page(mistake):
    messages = dict(zip(MISTAKES, messages_of_errors_page(), strict=True))
    kind, _, words = messages[mistake].partition(": ")
    pattern = ".*".join(re.escape(part) for part in words.split("…"))
    with pytest.raises(Exception, match=f"^{pattern}") as raised:
        MISTAKES[mistake]()
    assert type(raised.value).__name__ == kind
