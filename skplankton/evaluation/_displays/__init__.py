"""Results and embeddings → figures."""
