"""Figures of results and embeddings."""
