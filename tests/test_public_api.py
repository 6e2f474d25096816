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
REQUIRED = inspect.Parameter.empty
# The contract. Code out there spells these names, and grids are written with them.
EMBEDDER_PARAMETERS = {
    "n_components": 128,
    "image_encoder": "auto",
    "profile_encoder": "auto",
    "image_encoder_params": None,
    "profile_encoder_params": None,
    "image_size": 64,
    "profile_length": 64,
    "crop_top": 0,
    "image_shape": None,
    "profile_shape": None,
    "size_features": True,
    "augment": True,
    "loss": "clip",
    "temperature": 0.5,
    "learn_temperature": False,
    "output": "fused",
    "features": "both",
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "warmup_epochs": 1,
    "max_epochs": 30,
    "batch_size": 64,
    "micro_batch_size": None,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "patience": 10,
    "device": "auto",
    "precision": "auto",
    "compile": False,
    "errors": "raise",
    "n_jobs": None,
    "warm_start": False,
    "random_state": None,
    "verbose": 0,
}
GALLERY_PARAMETERS = {
    "n_neighbors": 3,
    "gallery_size": None,
    "weights": "distance",
    "metric": "cosine",
    "n_modalities": 1,
    "gallery_modalities": "all",
    "query_modalities": "all",
    "scale_views": True,
    "unlabeled": None,
    "random_state": None,
}
FUNCTION_PARAMETERS = {
    "losses.clip_loss": {
        "image_embeddings": REQUIRED,
        "profile_embeddings": REQUIRED,
        "logit_scale": REQUIRED,
    },
    "losses.siglip_loss": {
        "image_embeddings": REQUIRED,
        "profile_embeddings": REQUIRED,
        "logit_scale": REQUIRED,
        "bias": REQUIRED,
    },
    "datasets.load_cytoprocess": {
        "project": REQUIRED,
        "samples": None,
        "channels": "auto",
        "require_image": False,
        "cache": None,
        "errors": "raise",
        "n_jobs": None,
        "verbose": 0,
    },
    "datasets.load_cyz_json": {
        "path": REQUIRED,
        "channels": "auto",
        "require_image": False,
        "cache": None,
        "errors": "raise",
        "n_jobs": None,
        "verbose": 0,
    },
    "datasets.load_particles": {
        "path": REQUIRED,
        "errors": "raise",
        "return_X_y": False,
    },
    "datasets.write_cyz_json": {
        "X": REQUIRED,
        "path": REQUIRED,
        "channels": None,
        "image_format": "png",
        "frame_shape": None,
        "instrument": "CytoSense",
        "overwrite": False,
    },
    "ecotaxa.read_ecotaxa": {
        "path": REQUIRED,
        "status": "validated",
        "cache": None,
        "errors": "raise",
    },
    "ecotaxa.write_ecotaxa": {
        "path": REQUIRED,
        "table": REQUIRED,
        "predictions": REQUIRED,
        "proba": None,
        "neighbors": None,
        "date": None,
        "without_image": "raise",
        "overwrite": False,
    },
    "datasets.write_particles": {
        "X": REQUIRED,
        "y": REQUIRED,
        "path": REQUIRED,
        "overwrite": False,
    },
}
# What has to work, and be quick, on a machine that only names species.
USES_WITHOUT_TRAINING = {
    "gallery": """
from skplankton import GalleryKNNClassifier
X, y = [[1, 0], [0, 1], [1, 1]], ["a", "b", None]
GalleryKNNClassifier(n_neighbors=1).fit(X, y).predict(X)
""",
    "instrument files": """
from tempfile import TemporaryDirectory
from skplankton.datasets import load_cyz_json, make_particles, write_cyz_json
from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa
X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
with TemporaryDirectory() as folder:
    table = load_cyz_json(write_cyz_json(X, folder + "/Vilaine 3.json"))
    read_ecotaxa(write_ecotaxa(folder + "/named.zip", table, y))
""",
    "datasets": """
from tempfile import TemporaryDirectory
from skplankton.datasets import load_particles, make_particles, write_particles
X, y = make_particles(4, n_species=2, random_state=0, return_X_y=True)
with TemporaryDirectory() as folder:
    load_particles(write_particles(X, y, folder))
""",
    "unfitted embedder": """
from sklearn.base import clone
from skplankton import CrossModalEmbedder
repr(clone(CrossModalEmbedder(max_epochs=3)))
""",
}
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


def parameters_of(callable_):
    signature = inspect.signature(callable_).parameters
    return {name: parameter.default for name, parameter in signature.items()}


def test_import_loads_nothing_heavy():
    loaded = modules_loaded_by("import skplankton")
    heavy = {"torch", "skorch", "sklearn", "scipy", "pandas", "numpy", "PIL", "timm"}
    assert "skplankton" in loaded
    assert not loaded & heavy


@pytest.mark.parametrize(
    "code", USES_WITHOUT_TRAINING.values(), ids=USES_WITHOUT_TRAINING
)
def test_torch_is_loaded_by_training_alone(code):
    loaded = modules_loaded_by(code)
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CrossModalEmbedder", EMBEDDER_PARAMETERS),
        ("GalleryKNNClassifier", GALLERY_PARAMETERS),
    ],
)
def test_constructor_signature(name, expected):
    estimator = getattr(skplankton, name)
    assert list(parameters_of(estimator).items()) == list(expected.items())
    first, *others = inspect.signature(estimator).parameters.values()
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert {parameter.kind for parameter in others} == {first.KEYWORD_ONLY}


@pytest.mark.parametrize("name", FUNCTION_PARAMETERS)
def test_function_signature(name):
    module, function = name.split(".")
    function = getattr(getattr(skplankton, module), function)
    expected = FUNCTION_PARAMETERS[name]
    assert list(parameters_of(function).items()) == list(expected.items())


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_init_only_stores(estimator):
    """Nothing is checked, converted or copied: clone and grid search rely on it."""
    params = {name: object() for name in parameters_of(estimator)}
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
