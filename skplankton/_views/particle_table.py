"""Whether X is a table of particles or an array of numbers, without reading it."""

MODALITIES = ("image", "profile")


def is_particle_table(X) -> bool:
    """Whether X is a table with image and profile columns, rather than numbers."""
    return hasattr(X, "columns") and any(name in X.columns for name in MODALITIES)


def reject_particle_table(X, name: str = "X") -> None:
    """Raise a TypeError if embeddings were expected, and X is a table of particles."""
    if is_particle_table(X):
        raise TypeError(
            f"{name} is a table of particles, where embeddings were expected. Pass "
            "their embeddings, such as CrossModalEmbedder().fit_transform(X)."
        )
