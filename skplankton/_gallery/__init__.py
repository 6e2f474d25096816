"""Embeddings and a few labels → predicted labels, by nearest neighbours."""
