"""Pairs of arrays → trained networks: the loops."""
