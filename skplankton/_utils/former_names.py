"""Aliases for the former names of modules, for models saved under those names.

A pickle stores the module name of each class in it. Models saved before the modules
moved into folders would not load without these; remove a line once nobody has such
models.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

FORMER_NAMES = {
    "skplankton._dual_encoder": "skplankton._nn.dual_encoder",
    "skplankton._embedder": "skplankton._embedding.cross_modal",
    "skplankton._encoders": "skplankton._nn.encoders",
    "skplankton._nearest": "skplankton._gallery.nearest",
}


class FormerNames(MetaPathFinder, Loader):
    """Finds a module by its former name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        """Find the former names only."""
        return ModuleSpec(fullname, self) if fullname in FORMER_NAMES else None

    def exec_module(self, module: ModuleType) -> None:
        """Copy the contents of the current module."""
        current = importlib.import_module(FORMER_NAMES[module.__name__])
        names = {n: value for n, value in vars(current).items() if n[:2] != "__"}
        vars(module).update(names)


def find_former_names() -> None:
    """Let `import` find the former names, after all other modules."""
    sys.meta_path.append(FormerNames())
