"""Estimators that train the networks and embed particles with them."""
