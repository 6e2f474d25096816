"""Encoders with ImageNet weights, which a model hub hands out at run time."""

from torch import nn

from skplankton._encoders import build_encoder


def imagenet_encoder(sample_shape, *, model: str, **params) -> nn.Module:
    """Build the timm model `model` with the weights it was published with."""
    try:
        return build_encoder(
            model, "image", sample_shape, {"pretrained": True, **params}
        )
    except (OSError, RuntimeError) as error:  # the hub's errors, and timm's own
        raise OSError(
            f"The ImageNet weights of {model!r} could not be loaded: {error}. "
            "Connect this machine, or copy the hub's cache (~/.cache/huggingface) from "
            "one that has them; or train from scratch with "
            "kareinen2026(pretrained=False)."
        ) from error
