"""The entries of a particle table → arrays of one size."""
