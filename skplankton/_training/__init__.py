"""Pairs of arrays → trained networks: the loops."""


def __getattr__(name: str):
    # Models that were saved when this was one module look for their net here.
    if name == "ContrastiveNet":
        from skplankton._training.contrastive import ContrastiveNet

        return ContrastiveNet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
