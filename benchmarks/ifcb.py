"""Memory and time of reading IFCB bins and their images.

Bins of 5,000 simulated particles each (300 distinct ones, repeated), in a temporary
folder. Each way reads them in a separate process, and then looks at each image once, as
`transform` does:

- `load_ifcb`: the library, whose table has the places of the images;
- arrays: pandas and numpy, with a copy of each image in memory.

Peaks are of the process's memory, less its memory before the bins were opened; this
needs Linux. Times are per particle. Results are printed and written to
results/ifcb.csv.

    OMP_NUM_THREADS=1 python benchmarks/ifcb.py
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import _timing
import numpy as np
import pandas as pd

from skplankton._views.entries import image_pixels
from skplankton.datasets import load_ifcb, make_particles, write_ifcb

SEED, N_DISTINCT, PER_BIN = 0, 300, 5_000
SIZES = (5_000, 20_000, 100_000)


def write_bins(folder: Path, n_bins: int) -> None:
    """Write bins with the names of consecutive days, of one content."""
    X, _ = make_particles(N_DISTINCT, random_state=SEED, return_X_y=True)
    vectors = [
        np.concatenate([p[:, :4].sum(axis=0), p[:, :4].max(axis=0), [len(p)] * 2])
        for p in X["profile"]
    ]
    rows = np.arange(PER_BIN) % N_DISTINCT
    table = X.assign(profile=vectors).iloc[rows].reset_index(drop=True)
    for day in pd.date_range("2022-01-01", periods=n_bins):
        write_ifcb(table, folder / f"D{day:%Y%m%d}T120000_IFCB134")


def load(folder: Path) -> list:
    """The library's table, as long as its images are looked at."""
    return load_ifcb(folder)["image"].tolist()


def arrays(folder: Path) -> list[np.ndarray]:
    """All images in memory."""
    images = []
    for adc in sorted(folder.glob("*.adc")):
        rows = pd.read_csv(adc, header=None)
        rows[list(range(2, 11))].to_numpy(np.float32)
        pixels = np.fromfile(adc.with_suffix(".roi"), np.uint8)
        for width, height, start in rows[[15, 16, 17]].to_numpy():
            image = pixels[start : start + width * height].copy()
            images.append(image.reshape(height, width))
    return images


WAYS = {"load_ifcb": load, "arrays": arrays}


def measure(way: str, folder: str) -> None:
    """Print the figures of one way, as JSON."""
    before = _timing.megabytes_of("VmRSS")
    _timing.forget_peak()
    start = time.perf_counter()
    images = WAYS[way](Path(folder))
    loaded = time.perf_counter()
    peak = _timing.megabytes_of("VmHWM") - before
    for image in images:
        image_pixels(image)
    looked = time.perf_counter()
    figures = {
        "reading_us": (loaded - start) / len(images) * 1e6,
        "images_us": (looked - loaded) / len(images) * 1e6,
        "reading_peak_mb": peak,
        "peak_mb": _timing.megabytes_of("VmHWM") - before,
    }
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


def main() -> None:
    options = _timing.parser(__doc__)
    options.set_defaults(n_runs=3)
    options = options.parse_args()
    records = []
    for n in SIZES:
        with TemporaryDirectory() as folder:
            write_bins(Path(folder), n // PER_BIN)
            roi_mb = sum(f.stat().st_size for f in Path(folder).glob("*.roi")) / 1e6
            runs: dict[str, list[dict]] = {way: [] for way in WAYS}
            for _ in range(options.n_runs):
                for way, figures in runs.items():
                    text = _timing.in_a_process(__file__, way, folder)
                    figures.append(json.loads(text))
        for way, figures in runs.items():
            medians = pd.DataFrame(figures).median().round(1).to_dict()
            sizes = {"way": way, "n_particles": n, "roi_mb": round(roi_mb)}
            records.append({**sizes, **medians})
            print(records[-1], flush=True)
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in WAYS:
        measure(*sys.argv[1:])
    else:
        main()
