"""Bias and spread of measured biovolumes, against true volumes of simulated particles.

Particles with scale bars are simulated, some of each species, and measured by
`skplankton.size.measure_particles`. In the table, "ratio" is the median of the measured
over the true biovolume: 1 is no bias. "spread" is the geometric standard deviation of
the ratio: about two thirds of the particles are from ratio / spread to ratio × spread.
"ms" is processor time per particle. The last row is of all particles.

In the table size_memory, images are read from files, and "memory" is the peak during
the measurement beyond what was used before. Linux only.

Run: OMP_NUM_THREADS=1 python benchmarks/size.py
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _timing import forget_peak, megabytes_of, write_table

from skplankton.datasets import make_particles, write_particles
from skplankton.datasets._simulator.cytometer import SCALE_BAR_ROWS
from skplankton.size import measure_particles

N_SPECIES = 16  # each body plan in both forms
PER_SPECIES = 60
N_FILES = (1000, 10_000)


def accuracy(per_species):
    """A record for each species, and one for all."""
    particles = make_particles(
        N_SPECIES * per_species, n_species=N_SPECIES, scale_bar=True, random_state=0
    )
    start = time.process_time()
    sizes = measure_particles(
        particles.data, pixel_size=particles.pixel_size, crop_top=SCALE_BAR_ROWS
    )
    milliseconds = 1e3 * (time.process_time() - start) / len(sizes)
    sizes["ratio"] = sizes["biovolume_um3"] / particles.volume
    for name in particles.target_names:
        yield record(name, sizes[particles.target == name])
    yield record("all", sizes) | {"ms": f"{milliseconds:.1f}"}


def record(name, sizes):
    measured = sizes[sizes["note"] == ""]
    logs = np.log(measured["ratio"])
    return {
        "species": name,
        "particles": len(sizes),
        "measured": len(measured),
        "ratio": f"{np.exp(logs.median()):.2f}",
        "spread": f"{np.exp(logs.std()):.2f}",
        "by distance map": f"{(measured['method'] == 'distance map').mean():.0%}",
        "ms": "",
    }


def memory():
    """The peak memory for each number of files."""
    X, y = make_particles(100, random_state=0, return_X_y=True)
    with tempfile.TemporaryDirectory() as folder:
        images = write_particles(X, y, Path(folder, "LAB")).parent / "images"
        paths = sorted(str(path) for path in images.iterdir())
        for n_files in N_FILES:
            table = pd.DataFrame({"image": np.resize(paths, n_files)})
            before = megabytes_of("VmRSS")
            forget_peak()
            measure_particles(table, pixel_size=0.7)
            peak = megabytes_of("VmHWM") - before
            yield {"images": n_files, "memory": f"{peak:.0f} MB"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--per-species", type=int, default=PER_SPECIES)
    options = parser.parse_args()
    tables = {"size": accuracy(options.per_species), "size_memory": memory()}
    for name, records in tables.items():
        table = list(records)
        print(pd.DataFrame(table).to_string(index=False))
        write_table(__file__, table, name)
