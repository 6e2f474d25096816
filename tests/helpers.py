"""Shared by several test modules."""

from skplankton import CrossModalEmbedder

# Kernels of linear algebra differ with the processor and with the number of rows, and
# round differently. Embeddings have unit length: float32 keeps 6e-8 of it, and a
# network's layers add up some tens of such errors. Particles differ by far more.
ROUNDING = {"rtol": 0, "atol": 1e-5}


def quick(**params):
    """An embedder small enough for a test, with every part that a large one has."""
    return CrossModalEmbedder(
        **{
            "n_components": 8,
            "image_encoder_params": {"width": 8, "n_stages": 2},
            "profile_encoder_params": {"width": 8, "n_stages": 2},
            "image_size": 16,
            "profile_length": 16,
            "max_epochs": 2,
            "batch_size": 32,
            "random_state": 0,
            **params,
        }
    )


def weights(embedder):
    """The trained weights and buffers, by name."""
    state = embedder.net_.module_.state_dict()
    return {name: value.numpy() for name, value in state.items()}
