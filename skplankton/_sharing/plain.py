"""Models with their networks as plain values, for skops, and the way back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skplankton._embedding.base import ParticleTransformer
from skplankton._sharing.trusted import TYPES, name_of

# Where an embedder has its trained network, and where the copy of it in a file has the
# plain values of that, by the name of the former.
_NETWORKS = ("net_", "module_")
_PARTS = "_network_parts"

# Parameters that name a folder of the machine where the model was made. Some folders
# may hold pickles: no model file names one.
_FOLDERS = ("checkpoint", "memory")

_ENCODERS = ("image_encoder", "profile_encoder")


class Refused(ValueError):
    """A file names what it must not name, or not without permission."""


def to_plain(model: BaseEstimator, trusted: Collection[str]) -> Any:
    """A copy of the model for skops, with plain values for the networks in it.

    Raises
    ------
    TypeError
        If it contains code, such as a class or function, or objects of a type that is
        neither on the list of types nor in `trusted`.
    """
    return _Copy(trusted).of(model, type(model).__name__)


class _Copy:
    def __init__(self, trusted: Collection[str]):
        self.trusted = trusted

    def of(self, value: Any, where: str) -> Any:
        """The value, or a copy of it in which networks are plain."""
        if value is None or isinstance(value, (bool, int, float, str, np.generic)):
            return value
        if isinstance(value, np.ndarray):
            if value.dtype == object:
                self.of(value.ravel().tolist(), where)
            return value
        if type(value) in (list, tuple):
            return type(value)(self.of(item, where) for item in value)
        if type(value) is dict:
            return {
                self.of(key, where): self.of(item, f"{where}[{key!r}]")
                for key, item in value.items()
            }
        if isinstance(value, np.random.RandomState):
            return value
        if callable(value) and not isinstance(value, BaseEstimator):
            if name_of(value) in self.trusted:
                return value
            raise TypeError(_about_code(value, where))
        return self._object(value, where)

    def _object(self, value: Any, where: str) -> Any:
        kind: Any = type(value)
        if name_of(kind) not in TYPES and name_of(kind) not in self.trusted:
            raise TypeError(_about_type(value, where))
        embeds = isinstance(value, ParticleTransformer)
        state = _with_parts(value) if embeds else _state_of(value)
        if not isinstance(state, dict):  # of compiled code: skops knows how
            return value
        copied = kind.__new__(kind)
        for name, item in state.items():
            item = None if name in _FOLDERS else item
            vars(copied)[name] = self.of(item, f"{kind.__name__}.{name}")
        if embeds:
            _check_weights_elsewhere(copied, TypeError)
            _check_rebuilt(value, copied)
        return copied


def _state_of(value: Any) -> Any:
    getstate = getattr(value, "__getstate__", None)  # Python 3.10 may have none
    return getstate() if getstate else getattr(value, "__dict__", None)


def _about_code(value: Any, where: str) -> str:
    kind = "class" if isinstance(value, type) else "function or other callable"
    name = name_of(value)
    attribute = where.rpartition(".")[2]
    if attribute == "optimizer":
        what_now = "Only fit uses it: set_params(optimizer='adamw') before saving"
    elif attribute in _ENCODERS:
        what_now = (
            f"Fit with {attribute}='package.module:name' instead, the place from which "
            "it can be imported; those who load the model must then permit that"
        )
    elif _PARTS in where:
        what_now = (
            "The network was built from it in fit: fit again with "
            "image_encoder='package.module:name' (or profile_encoder), the place from "
            "which it can be imported"
        )
    else:
        what_now = "Replace it by a plain value"
    return (
        f"{where} is the {kind} {name}, and a file that is safe to open cannot contain "
        f"code. {what_now}; or, among people who trust one another, use joblib.dump, "
        "whose files run code when they are opened."
    )


def _about_type(value: Any, where: str) -> str:
    name = name_of(type(value))
    if hasattr(value, "best_estimator_"):
        what_now = "Save its best_estimator_"
    else:
        what_now = (
            f"If whoever loads it may permit that, pass trusted=[{name!r}] to "
            "save_model, and later to load_model"
        )
    return (
        f"{where}: {name} is not on the list of types that load_model opens without "
        f"asking. {what_now}; or, among people who trust one another, use "
        "joblib.dump, whose files run code when they are opened."
    )


def from_plain(model: Any, trusted: Collection[str]) -> None:
    """Build the networks of the embedders in a model that skops has loaded.

    Raises
    ------
    Refused
        If it names a folder, other weights, or an encoder to import that is not in
        `trusted`. Nothing is built or imported then.
    """
    objects = list(_objects(model, set()))
    embedders = [value for value in objects if isinstance(value, ParticleTransformer)]
    for value in objects:
        _check_folders(value)
    for embedder in embedders:
        _check_weights_elsewhere(embedder, Refused)
        _check_imports(embedder, trusted)
    for embedder in embedders:
        for network, parts in embedder.__dict__.pop(_PARTS, {}).items():
            setattr(embedder, network, _built(network, parts))


def _objects(value: Any, seen: set[int]) -> Iterator[Any]:
    """All objects with attributes within a value, itself included."""
    if id(value) in seen:
        return
    seen.add(id(value))
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set)):
        inner = list(value)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        inner = value.ravel().tolist()
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield value
        inner = list(vars(value).values())
    for item in inner:
        yield from _objects(item, seen)


def _check_folders(value: Any) -> None:
    for name in _FOLDERS:
        folder = vars(value).get(name)
        if folder is not None and isinstance(value, BaseEstimator):
            raise Refused(
                f"{type(value).__name__} in it names a folder of this machine, "
                f"{name}={folder!r}; expected None"
            )


def _check_weights_elsewhere(
    embedder: ParticleTransformer, error: type[Exception]
) -> None:
    """Raise if the next fit would read weights from a file or address."""
    from skplankton._training.saved import WEIGHTS_OF_TIMM

    for encoder in _ENCODERS:
        params = getattr(embedder, f"{encoder}_params", None) or {}
        elsewhere = sorted((WEIGHTS_OF_TIMM - {"pretrained"}) & set(params))
        if elsewhere and not _is_imported(getattr(embedder, encoder)):
            raise error(
                f"{type(embedder).__name__}.{encoder}_params has "
                f"{', '.join(map(repr, elsewhere))}: the next fit would read weights "
                "from there. Those of the model are in its file; before saving, set "
                f"{encoder}_params to the others"
            )


def _check_imports(embedder: ParticleTransformer, trusted: Collection[str]) -> None:
    specs = [getattr(embedder, encoder, None) for encoder in _ENCODERS]
    for parts in vars(embedder).get(_PARTS, {}).values():
        module = parts["module"]
        for config in (module, module.get("image"), module.get("profile")):
            specs.append((config or {}).get("encoder"))
    for spec in specs:
        if _is_imported(spec) and spec not in trusted:
            raise Refused(
                f"it wants to import and run {spec!r}, an encoder, from an installed "
                f"package. If you trust that with this file, pass trusted=[{spec!r}]"
            )


def _is_imported(spec: Any) -> bool:
    # As `find_factory` recognizes it.
    return isinstance(spec, str) and ":" in spec


def _network_of(embedder: ParticleTransformer) -> str | None:
    """The attribute with the trained network; None before `fit`."""
    return next((name for name in _NETWORKS if name in vars(embedder)), None)


def _with_parts(embedder: ParticleTransformer) -> dict[str, Any]:
    """The attributes of an embedder, its network as plain values."""
    from skplankton._training import saved

    state = dict(vars(embedder))
    network = _network_of(embedder)
    if network == "net_":
        state[_PARTS] = {network: saved.net_to_parts(state.pop(network))}
    elif network == "module_":
        # Models fitted before it was kept have what their parameters say.
        built_from = state.get("_built_from") or {
            name: state[f"image_{name}"] for name in ("encoder", "encoder_params")
        }
        parts = saved.encoder_to_parts(state.pop(network), built_from)
        state[_PARTS] = {network: parts}
    return state


def _built(network: str, parts: Any) -> Any:
    from skplankton._training import saved

    build = {"net_": saved.net_from_parts, "module_": saved.encoder_from_parts}
    return build[network](parts)


def _check_rebuilt(embedder: ParticleTransformer, copied: ParticleTransformer) -> None:
    """Raise unless the network, built from its plain values, gives the same bits."""
    from skplankton._training.saved import same_features

    network = _network_of(embedder)
    if network is None:
        return
    before, parts = vars(embedder)[network], vars(copied)[_PARTS][network]
    try:
        after = _built(network, parts)
        modules = (
            [net.module_ for net in (before, after)]
            if network == "net_"
            else [before, after]
        )
        why = None if same_features(*modules) else "it computes other features"
    except Exception as error:  # of an encoder that anybody may have written
        why = f"{type(error).__name__}: {error}"
    if why:
        raise TypeError(
            f"The trained network of {type(embedder).__name__} cannot be built again "
            f"from its parameters and weights ({why}). An encoder of your own must "
            "keep all that it learns in parameters and buffers; a model that was "
            "fitted by a former version must be fitted again."
        )
