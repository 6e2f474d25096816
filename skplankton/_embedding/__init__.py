"""Particles → embeddings: the estimators that train and apply the networks."""
