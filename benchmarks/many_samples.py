"""What `classify` takes by the number of its samples.

IFCB bins of 8 simulated particles each, so that what a sample takes whatever its size
counts, all in one call of the command. Each number is measured in a separate process,
which has classified a bin before, by the processor's time. Written to
results/many_samples.csv, with the slope on log-log axes from the first number: 1 is in
proportion.

    OMP_NUM_THREADS=1 python benchmarks/many_samples.py
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import _timing
import numpy as np
import pandas as pd
from scale import quietly

from skplankton.datasets import make_particles, write_ifcb

SEED, N_SPECIES = 0, 5
N_LABELED, PER_SAMPLE = 200, 8
SIZES = (25, 100, 400)


def write_input(folder: Path) -> None:
    """Bins of consecutive minutes, and a model of one larger bin."""
    X, y = make_particles(
        N_LABELED,
        n_species=N_SPECIES,
        profile="measurements",
        random_state=SEED,
        return_X_y=True,
    )
    X = X.assign(profile=list(np.stack(X["profile"])[:, :10]))
    labeled = "D20210101T000000_IFCB134"
    write_ifcb(X, folder / labeled)
    ids = [f"{labeled}_{row + 1:05}" for row in range(N_LABELED)]
    pd.DataFrame({"object_id": ids, "label": y}).to_csv(
        folder / "labels.csv", index=False
    )
    quietly(
        *("fit", folder / labeled, "--labels", folder / "labels.csv"),
        *("--output", folder / "model.skops", "--max-epochs", 2, "--quiet"),
    )
    times = pd.date_range("2022-01-01", periods=max(SIZES), freq="min")
    rng = np.random.default_rng(SEED)
    for time in times:
        rows = rng.integers(N_LABELED, size=PER_SAMPLE)
        bin = folder / "bins" / f"D{time:%Y%m%dT%H%M%S}_IFCB134"
        write_ifcb(X.iloc[rows].reset_index(drop=True), bin)


def measure(folder: str, n_samples: str) -> None:
    """Print the seconds of one number of samples."""
    bins = sorted(Path(folder, "bins").glob("*.adc"))[: int(n_samples)]
    output = Path(folder, "names")
    words = ["classify", Path(folder, "model.skops"), "--quiet", "--output"]
    quietly(*words, output / "warm", bins[0])
    taken = _timing.processor_seconds(
        lambda: quietly(*words, output / n_samples, *bins)
    )
    print(taken)


def main() -> None:
    _timing.parser(__doc__).parse_args()
    records = []
    with TemporaryDirectory() as folder:
        write_input(Path(folder))
        for n in SIZES:
            seconds = float(_timing.in_a_process(__file__, folder, n))
            slope = ""
            if records:
                growth = seconds / records[0]["seconds"]
                slope = f"{np.log(growth) / np.log(n / SIZES[0]):.2f}"
            records.append(
                {
                    "samples": n,
                    "seconds": round(seconds, 2),
                    "seconds per sample": f"{seconds / n:.3f}",
                    "slope": slope,
                }
            )
            print(records[-1], flush=True)
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[2].isdigit():
        measure(*sys.argv[1:])
    else:
        main()
