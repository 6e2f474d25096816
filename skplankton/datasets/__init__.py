"""Particle data: simulated, and in the files users have."""

from ._lab_layout import load_particles
from ._lab_writer import write_particles
from ._simulator import make_particles

__all__ = ["load_particles", "make_particles", "write_particles"]
