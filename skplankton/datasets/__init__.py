"""Files and simulated particles to tables with one row per particle, and back."""

from skplankton.datasets._cytoprocess import load_cytoprocess
from skplankton.datasets._cyz.reader import load_cyz_json
from skplankton.datasets._cyz.writer import write_cyz_json
from skplankton.datasets._lab.reader import load_particles
from skplankton.datasets._lab.writer import write_particles
from skplankton.datasets._samples.reader import read_samples
from skplankton.datasets._simulator.particles import make_particles

__all__ = [
    "load_cytoprocess",
    "load_cyz_json",
    "load_particles",
    "make_particles",
    "read_samples",
    "write_cyz_json",
    "write_particles",
]
