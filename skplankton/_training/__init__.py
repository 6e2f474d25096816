"""Arrays of pairs or images to trained networks: the training loops."""


def __getattr__(name: str):
    # Models saved when this was one module refer to their net here.
    if name == "ContrastiveNet":
        from skplankton._training.contrastive import ContrastiveNet

        return ContrastiveNet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
