"""Size, biovolume and carbon of particles, from the silhouettes in their images."""

from skplankton.size._carbon import carbon
from skplankton.size._measure import measure_particles

__all__ = ["carbon", "measure_particles"]
