"""Bias and spread of measured sizes, against the true volumes of simulated particles.

For each species, particles with scale bars are simulated and measured by
`skplankton.size.measure_particles`. The ratio of the measured to the true biovolume is
given as its median (1 is no bias) and its spread: the geometric standard deviation, so
that two thirds of the particles are between median / spread and median × spread. The
last row is all particles. Flat species, which turn their broad side to the camera,
cannot be right: the column `flat` is the factor by which they are wider than deep.

`ms` is processor time per particle, and the table `size_memory` has the peak memory
beyond the table of paths at two numbers of particles, on disk.

Run: OMP_NUM_THREADS=1 python benchmarks/size.py
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _timing import forget_peak, megabytes_of, parser, write_table

from skplankton.datasets import make_particles, write_particles
from skplankton.datasets._simulator.cytometer import SCALE_BAR_ROWS
from skplankton.size import measure_particles

N_SPECIES = 16  # each body plan in both forms
PER_SPECIES = 60
MEMORY = (1000, 10_000)


def measured(particles):
    return measure_particles(
        particles.data, pixel_size=particles.pixel_size, crop_top=SCALE_BAR_ROWS
    )


def row(name, ratio, sizes, milliseconds=""):
    logs = np.log(ratio[sizes["note"] == ""])
    return {
        "species": name,
        "particles": len(sizes),
        "measured": len(logs),
        "median ratio": f"{np.exp(np.median(logs)):.2f}",
        "spread": f"{np.exp(np.std(logs)):.2f}",
        "by distance map": f"{(sizes['method'] == 'distance map').mean():.0%}",
        "ms": milliseconds,
    }


def accuracy(per_species):
    particles = make_particles(
        N_SPECIES * per_species, n_species=N_SPECIES, scale_bar=True, random_state=0
    )
    start = time.process_time()
    sizes = measured(particles)
    milliseconds = 1e3 * (time.process_time() - start) / len(sizes)
    ratio = sizes["biovolume_um3"] / particles.volume
    records = []
    for name in particles.target_names:
        chosen = particles.target == name
        records.append(row(name, ratio[chosen], sizes[chosen]))
    records.append(row("all", ratio, sizes, f"{milliseconds:.1f}"))
    return records


def memory():
    """Peak memory of measuring files, at several numbers of particles."""
    X, y = make_particles(100, random_state=0, return_X_y=True)
    records = []
    with tempfile.TemporaryDirectory() as folder:
        files = write_particles(X, y, Path(folder, "LAB")) and sorted(
            str(path) for path in Path(folder, "LAB", "images").iterdir()
        )
        for n_particles in MEMORY:
            table = pd.DataFrame({"image": np.resize(files, n_particles)})
            before = megabytes_of("VmRSS")
            forget_peak()
            measure_particles(table, pixel_size=0.7)
            peak = megabytes_of("VmHWM") - before
            records.append({"particles": n_particles, "peak memory": f"{peak:.0f} MB"})
    return records


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--per-species", type=int, default=PER_SPECIES)
    arguments = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    records = accuracy(arguments.per_species)
    print(pd.DataFrame(records).to_string(index=False))
    write_table(__file__, records)
    records = memory()
    print(pd.DataFrame(records).to_string(index=False))
    write_table(__file__, records, "size_memory")
