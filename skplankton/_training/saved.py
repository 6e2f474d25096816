"""Trained modules as plain values and arrays, and back.

Nothing in these values is code: a module is rebuilt from the parameters of its
constructor, and then takes the weights.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from skplankton._nn.dual_encoder import StandardizedEncoder
from skplankton._training.contrastive import ContrastiveNet
from skplankton._training.devices import seeded

# How a net was trained, and how it computes.
_OPTIONS = ("loss", "augment", "flip", "precision", "micro_batch_size", "batch_size")

# The parameters of DualEncoder. A file must not set any others of the net.
_MODULE = (
    *("image", "profile", "n_components"),
    *("temperature", "learn_temperature", "initial_bias"),
)

# Parameters of timm with which it reads weights from elsewhere.
WEIGHTS_OF_TIMM = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
    }
)


def net_to_parts(net: ContrastiveNet) -> dict[str, Any]:
    """The net as plain values; the encoders' factories stay as they were given."""
    params = net.get_params_for("module")
    module = {name: params[name] for name in _MODULE}
    for modality in ("image", "profile"):
        module[modality] = _without_weights(module[modality])
    options = {name: getattr(net, name) for name in _OPTIONS}
    return {"module": module, "options": options, "weights": _weights(net.module_)}


def net_from_parts(parts: Mapping[str, Any]) -> ContrastiveNet:
    """The net, trimmed for inference, on the CPU."""
    module = {name: parts["module"][name] for name in _MODULE}
    for modality in ("image", "profile"):
        module[modality] = _without_weights(module[modality])
    net = ContrastiveNet(
        optimizer=_no_optimizer,
        device="cpu",
        train_split=None,
        callbacks=None,
        verbose=0,
        **{name: parts["options"][name] for name in _OPTIONS},
        **{f"module__{name}": value for name, value in module.items()},
    )
    with seeded("cpu", 0):  # the initial weights are replaced
        net.initialize()
    _set_weights(net.module_, parts["weights"])
    net.trim_for_prediction()
    net.optimizer = torch.optim.SGD  # skorch's default
    return net


def _no_optimizer(parameters, **params) -> None:
    """In place of torch's, as the first one in a process takes seconds to import."""


def encoder_to_parts(encoder: StandardizedEncoder, built_from: Mapping) -> dict:
    """An encoder of images as plain values; `built_from` names the factory."""
    config = {
        **built_from,
        "sample_shape": encoder.sample_shape,
        "n_sizes": len(encoder.size_mean),
    }
    return {"module": _without_weights(config), "weights": _weights(encoder)}


def encoder_from_parts(parts: Mapping[str, Any]) -> StandardizedEncoder:
    """The encoder, on the CPU."""
    with seeded("cpu", 0):
        encoder = StandardizedEncoder("image", **_without_weights(parts["module"]))
    _set_weights(encoder, parts["weights"])
    return encoder


def same_features(module: nn.Module, rebuilt: nn.Module) -> bool:
    """Whether all encoders of two modules give the same features, bit for bit."""
    pairs = zip(_encoders(module), _encoders(rebuilt), strict=True)
    return all(torch.equal(_features(one), _features(other)) for one, other in pairs)


def _encoders(module: nn.Module) -> list[StandardizedEncoder]:
    return [m for m in module.modules() if isinstance(m, StandardizedEncoder)]


def _features(encoder: StandardizedEncoder) -> torch.Tensor:
    """The features of some noise."""
    if encoder.training or encoder.mean.device.type != "cpu":
        encoder = deepcopy(encoder).to("cpu").eval()
    measurements = getattr(encoder, "measurements", None)  # not in former models
    n_known = None if measurements is None else len(measurements.median)
    shape = encoder.sample_shape if n_known is None else (n_known,)
    draw = np.random.RandomState(0).standard_normal
    values = torch.from_numpy(draw((2, *shape)).astype(np.float32))
    n_sizes = len(encoder.size_mean)
    sizes = torch.from_numpy(draw((2, n_sizes)).astype(np.float32)) if n_sizes else None
    with torch.no_grad():
        return encoder.encode(values, sizes)


def _without_weights(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of an encoder that will take weights from a file.

    A timm model must not look for others. It could then change nothing but the weights.
    """
    encoder, params = config["encoder"], config["encoder_params"]
    if isinstance(encoder, str) and ":" not in encoder and params:
        params = {k: v for k, v in params.items() if k not in WEIGHTS_OF_TIMM}
    return {**config, "encoder_params": params}


def _weights(module: nn.Module) -> dict[str, np.ndarray]:
    state = module.state_dict()
    return {name: value.detach().cpu().numpy() for name, value in state.items()}


def _set_weights(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    module.load_state_dict(tensors)
    module.eval()
