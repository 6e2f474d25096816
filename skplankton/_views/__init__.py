"""Read the entries of a particle table into arrays of one size."""
