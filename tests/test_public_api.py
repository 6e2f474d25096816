"""What `import skplankton` gives: its names, their signatures, and how light it is."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from packaging.version import Version
from sklearn.base import BaseEstimator, clone

import skplankton

DOCS = Path(__file__).parent.parent / "docs"
PUBLIC_MODULES = sorted(
    module.name
    for module in pkgutil.iter_modules(skplankton.__path__)
    if not module.name.startswith("_")
)
ESTIMATORS = [
    value
    for value in (getattr(skplankton, name) for name in skplankton.__all__)
    if inspect.isclass(value) and issubclass(value, BaseEstimator)
]
# What has to work, and be quick, on a machine that only names species.
USES_WITHOUT_TRAINING = """
from tempfile import TemporaryDirectory
from sklearn.base import clone
from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.baselines import DINOEmbedder
from skplankton.datasets import (
    load_cyz_json, load_particles, make_particles, write_cyz_json, write_particles
)
from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa
from skplankton.evaluation import cross_modal_benchmark
from skplankton.exports import read_csv, to_darwin_core, write_csv, write_darwin_core
from skplankton.recipes import kareinen2026
from skplankton.size import measure_particles

X, y = [[1, 0], [0, 1], [1, 1], [0, 2]], ["a", "b", "a", "b"]
GalleryKNNClassifier(n_neighbors=1).fit(X, y).predict(X)
cross_modal_benchmark(X, y, gallery_sizes=[1], n_repeats=1)

X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
with TemporaryDirectory() as folder:
    load_particles(write_particles(X, y, folder + "/LAB"))
    table = load_cyz_json(write_cyz_json(X, folder + "/Vilaine 3.json"))
    read_ecotaxa(write_ecotaxa(folder + "/named.zip", table, y))
    read_csv(write_csv(folder + "/sizes.csv", measure_particles(X, pixel_size=0.7)))

for embedder in (CrossModalEmbedder(max_epochs=3), DINOEmbedder(), kareinen2026()):
    repr(clone(embedder))
"""
TRAINING = """
from skplankton import CrossModalEmbedder
CrossModalEmbedder(max_epochs=1).fit([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]])
"""


def modules_loaded_by(code):
    """Top-level modules that a fresh Python has loaded after `code`."""
    script = (
        f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_import_loads_nothing_heavy():
    loaded = modules_loaded_by("import skplankton")
    heavy = {"torch", "skorch", "sklearn", "scipy", "pandas", "numpy", "PIL", "timm"}
    assert "skplankton" in loaded
    assert not loaded & heavy


def test_torch_is_loaded_by_training_alone():
    loaded = modules_loaded_by(USES_WITHOUT_TRAINING)
    assert "sklearn" in loaded
    assert not loaded & {"torch", "skorch", "timm", "matplotlib"}


def test_training_does_load_torch():
    """The test above could not fail if modules_loaded_by saw nothing."""
    assert {"torch", "skorch"} <= modules_loaded_by(TRAINING)


@pytest.mark.parametrize("module", ["", *PUBLIC_MODULES])
def test_all_names_resolve_and_show(module):
    module = importlib.import_module(f"skplankton.{module}".rstrip("."))
    assert list(module.__all__) == sorted(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


def test_every_public_module_is_a_public_name():
    assert set(PUBLIC_MODULES) <= set(skplankton.__all__)


def test_star_import():
    names = {}
    exec("from skplankton import *", names)
    assert set(skplankton.__all__) <= set(names)


def test_unknown_name():
    with pytest.raises(AttributeError, match="'skplankton' has no attribute 'krill'"):
        _ = skplankton.krill
    with pytest.raises(ImportError, match="krill"):
        exec("from skplankton import krill")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_all_parameters_but_the_first_are_given_by_name(estimator):
    """So that one can be added, or its place changed, without breaking a caller."""
    first, *others = inspect.signature(estimator).parameters.values()
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert {parameter.kind for parameter in others} == {first.KEYWORD_ONLY}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_init_only_stores(estimator):
    """Nothing is checked, converted or copied: clone and grid search rely on it."""
    params = {name: object() for name in inspect.signature(estimator).parameters}
    instance = estimator(**params)
    assert vars(instance) == params
    assert instance.get_params(deep=False) == params


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_params_round_trip(estimator):
    changed = estimator().set_params(random_state=3)
    again = clone(estimator(**changed.get_params()))
    assert again.get_params() == changed.get_params()
    assert again.random_state == 3


def test_package_is_typed():
    assert (resources.files("skplankton") / "py.typed").is_file()


def test_version_is_a_normalised_pep_440_version():
    assert str(Version(skplankton.__version__)) == skplankton.__version__


def test_docs_list_every_public_name():
    listed = (DOCS / "api.rst").read_text(encoding="utf-8").split()
    public = {
        f"{name}.{inner}".rstrip(".")
        for name in skplankton.__all__
        for inner in getattr(getattr(skplankton, name), "__all__", [""])
    }
    assert public <= set(listed), "add the names that are missing to docs/api.rst"
