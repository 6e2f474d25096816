"""Who may import what: of the package itself, and of other people's packages.

The rules are import-linter's contracts in pyproject.toml. A contract that sees nothing
looks like one that is kept: some imports are planted here, and have to be reported.
"""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skplankton

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
PACKAGE = Path(skplankton.__file__).parent
DEPENDENCIES = {"PIL", "joblib", "numpy", "pandas", "scipy", "skorch", "sklearn"}
DEPENDENCIES |= {"fsspec", "jinja2", "lightly", "matplotlib", "skimage", "timm"}
DEPENDENCIES |= {"torch", "tqdm"}
LINT = "from importlinter.cli import lint_imports; exit(lint_imports(no_cache=True))"

# Module, what is written at its end, what import-linter has to report.
PLANTED = [
    (
        "_views.decoding",
        "import skplankton._training",
        "decoding -> skplankton._training",
    ),
    (
        "_views.images",
        "from . import table",
        "_views.images -> skplankton._views.table",
    ),
    ("_utils.labels", "from .. import datasets", "labels -> skplankton.datasets"),
    ("_embedding.base", "from .. import baselines", "base -> skplankton.baselines"),
    (
        "_gallery.nearest",
        "from . import classifier",
        "-> skplankton._gallery.classifier",
    ),
    ("datasets._simulator.body", "from ... import ecotaxa", "-> skplankton.ecotaxa"),
    ("evaluation._table", "from .. import _cli", "_table -> skplankton._cli"),
    ("_gallery.classifier", "def f():\n    import torch", "classifier -> torch"),
    ("ecotaxa._columns", "import torch.nn", "ecotaxa._columns -> torch"),
    ("_training.dino", "import skorch", "_training.dino -> skorch"),
    ("losses", "import sklearn", "losses -> sklearn"),
    ("_training.schedule", "from .. import _gallery", "-> skplankton._gallery"),
    ("_krill", "", "- skplankton._krill"),  # modules without a layer
    ("_views._krill", "", "- skplankton._views._krill"),
]


def lint_imports(folder):
    return subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package and its rules, to be spoilt."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def report(copy):
    """What import-linter says of all the planted imports."""
    kept = lint_imports(copy)
    assert kept.returncode == 0, kept.stdout + kept.stderr
    for module, code, _ in PLANTED:
        file = (copy / PACKAGE.name).joinpath(*module.split(".")).with_suffix(".py")
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"\n\n{code}\n")
    broken = lint_imports(copy)
    assert broken.returncode == 1, broken.stdout + broken.stderr
    return re.sub(r"\x1b\[\d+m", "", broken.stdout).splitlines()  # without colours


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted[0])
def test_a_planted_import_is_reported(report, planted):
    expected = planted[2]
    assert any(line.partition(" (l.")[0].endswith(expected) for line in report), (
        "\n".join(report)
    )


def _is_private(name):
    return name.startswith("_") and not name.endswith("__")


def _foreign_names(tree):
    """Dotted names of other people's packages that a module imports or reads."""
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                first = alias.name.partition(".")[0]
                aliases[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        attributes = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        if attributes and isinstance(node, ast.Name) and node.id in aliases:
            yield ".".join([aliases[node.id], *attributes])


def private_names(source):
    return {
        name
        for name in _foreign_names(ast.parse(source))
        if name.partition(".")[0] in DEPENDENCIES
        and any(_is_private(part) for part in name.split("."))
    }


@pytest.mark.parametrize(
    "source",
    [
        "import sklearn.utils._mask",
        "from sklearn.utils._mask import _get_mask",
        "def f():\n    from sklearn.base import _fit_context as fit_context",
        "import torch.nn as nn\nnn.modules._functions",
        "import numpy as np\nnp._core.multiarray()",
        "from torch import nn\nnn.Module._apply(module)",
    ],
)
def test_a_private_name_is_found(source):
    assert private_names(source)


def sources():
    for file in PACKAGE.rglob("*.py"):
        name = file.relative_to(PACKAGE).as_posix()
        yield name, file.read_text(encoding="utf-8")


def test_one_file_alone_imports_private_names_of_dependencies():
    found = {name for name, source in sources() if private_names(source)}
    assert found == {"_utils/sklearn.py"}, "import them from there, or do without"


def test_only_the_command_line_goes_through_the_lazy_names():
    """A rule does not see what `from skplankton import CrossModalEmbedder` loads."""
    lazy = {f"skplankton.{name}" for name in skplankton._HOME_OF_NAME}
    users = [
        name
        for name, source in sources()
        if lazy & set(_foreign_names(ast.parse(source)))
    ]
    assert {user.partition("/")[0] for user in users} == {"_cli"}
