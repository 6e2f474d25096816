"""What a model file may hold: the types by name, and the kinds of nodes of skops.

skops itself trusts more by default: all estimators of scikit-learn and all functions
of numpy, among others. The schema of a file is checked here before skops sees it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# As they are called in files: a type that moves keeps its former name here, too.
TYPES = frozenset(
    {
        "sklearn.frozen._frozen.FrozenEstimator",
        "sklearn.pipeline.Pipeline",
        "skplankton._embedding.cross_modal.CrossModalEmbedder",
        "skplankton._embedding.dino.DINOEmbedder",
        "skplankton._gallery.classifier.GalleryKNNClassifier",
        "skplankton._gallery.walk.GalleryWalk",
    }
)
_SCALARS = frozenset(
    f"numpy.{name}"
    for name in (
        *("bool", "bool_", "str_", "float16", "float32", "float64"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    )
)

# Values without any code, by the kind of node, and what a node of it may be.
_PLAIN: dict[str, Collection[str]] = {
    "DictNode": {"builtins.dict"},
    "JsonNode": {"builtins.str"},
    "ListNode": {"builtins.list"},
    "NdArrayNode": {"numpy.ndarray", *_SCALARS},
    "ObjectNode": TYPES,
    "RandomStateNode": {"numpy.random.mtrand.RandomState"},
    "TupleNode": {"builtins.tuple"},
    # Of the keys of dicts.
    "TypeNode": {f"builtins.{name}" for name in ("bool", "float", "int", "str")},
}

# These call what they name: no list of names can make them safe.
_NEVER = {"MethodNode", "OperatorFuncNode", "PartialNode"}


def name_of(kind: Any) -> str:
    """The name of a type or function, as it is in files."""
    name = getattr(kind, "__qualname__", None) or getattr(kind, "__name__", repr(kind))
    return f"{getattr(kind, '__module__', None)}.{name}"


def refused(schema: Any, trusted: Collection[str]) -> list[str]:
    """The names of what a file must not hold, by the content of its schema."""
    found = set()
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, Mapping):
            waiting += value.values()
            # A node is whatever says how it is loaded.
            if "__loader__" in value and not _is_allowed(value, trusted):
                found.add(_described(value))
    return sorted(found)


def _is_allowed(node: Mapping[str, Any], trusted: Collection[str]) -> bool:
    loader, name = node["__loader__"], _name(node)
    if not isinstance(loader, str) or loader in _NEVER:
        return False
    return name in _PLAIN.get(loader, ()) or name in trusted


def _name(node: Mapping[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _described(node: Mapping[str, Any]) -> str:
    loader = str(node["__loader__"])
    called = node.get("content")
    if loader == "MethodNode" and isinstance(called, Mapping):
        return f"{_name(node)}.{called.get('func')} (MethodNode)"
    return f"{_name(node)} ({loader})"
