"""Particle data: simulated, and in the files users have."""

from ._cytoprocess import load_cytoprocess
from ._cyz_reader import load_cyz_json
from ._cyz_writer import write_cyz_json
from ._lab_layout import load_particles
from ._lab_writer import write_particles
from ._simulator import make_particles

__all__ = [
    "load_cytoprocess",
    "load_cyz_json",
    "load_particles",
    "make_particles",
    "write_cyz_json",
    "write_particles",
]
