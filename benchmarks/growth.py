"""Growth of time and memory with the number of particles, and a forecast for millions.

fit (2 epochs, batches of 128), transform and predict at 1,000, 10,000 and 100,000
particles of a table of paths: the files of 2,000 particles, repeated. Images are
fitted into 32 pixels and encoders are narrow, so that it takes minutes; each size runs
in a separate process. Two tables and a figure:

- growth.csv: time, and peak memory above the memory before, with the slope on log-log
  axes from the first size to the last;
- growth_forecast.csv: the needs of 10⁶ and 10⁸ particles, at the largest size's time
  and memory per particle, without the table itself. Nothing that large was run. fit
  keeps decoded pairs in a file beyond 2 GiB per view: they count as disk from there on,
  as do the embeddings.

Each size runs once: repeats would only show how busy the machine is.

    OMP_NUM_THREADS=1 python benchmarks/growth.py
"""

import json
import pickle
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import _timing
import numpy as np
import pandas as pd

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._views.pair_store import LARGEST_IN_MEMORY
from skplankton.datasets import load_particles, make_particles, write_particles

SEED, N_FILES, N_EPOCHS, SIDE = 0, 2000, 2, 32
SIZES = (1_000, 10_000, 100_000)
STEPS = ("fit", "transform", "predict")
FIGURE = Path(__file__).parent.parent / "docs" / "_static" / "growth.svg"
DEFAULT_SIDE, DEFAULT_LENGTH, N_CHANNELS = 64, 64, 6


def embedder() -> CrossModalEmbedder:
    """Narrow encoders on small views."""
    narrow = {"width": 8, "n_stages": 2}
    return CrossModalEmbedder(
        n_components=32,
        image_encoder_params=narrow,
        profile_encoder_params=narrow,
        image_size=SIDE,
        profile_length=SIDE,
        max_epochs=N_EPOCHS,
        batch_size=128,
        random_state=SEED,
    )


def measure(folder: str, n_rows: str) -> None:
    """Print the seconds and MB of each step at one size."""
    files, labels = pickle.loads(Path(folder, "table.pickle").read_bytes())
    rows = np.arange(int(n_rows)) % len(files)
    table = files.iloc[rows].reset_index(drop=True)
    y = np.where(np.arange(len(table)) < 200, labels[rows], None)
    embedder().fit(table.head(200)).transform(table.head(200))  # loads torch

    def step(way) -> dict[str, float]:
        _timing.forget_peak()
        before = _timing.megabytes_of("VmRSS")
        taken = _timing.seconds(way)
        return {
            "seconds": taken,
            "megabytes": max(0.1, _timing.megabytes_of("VmHWM") - before),
        }

    model = embedder()
    embedded: list[np.ndarray] = []
    figures = {
        "fit": step(lambda: model.fit(table)),
        "transform": step(lambda: embedded.append(model.transform(table))),
    }
    gallery = GalleryKNNClassifier(random_state=SEED).fit(embedded[0], y)
    figures["predict"] = step(lambda: gallery.predict(embedded[0]))
    figures["columns"] = embedded[0].shape[1]
    print(json.dumps(figures))


def slope(values: list[float]) -> float:
    """Slope of the line between the first and the last value, on log-log axes."""
    return float(np.log(values[-1] / values[0]) / np.log(SIZES[-1] / SIZES[0]))


def growth_table(figures: list[dict]) -> list[dict]:
    """One row per step and each of time and memory."""
    records = []
    for step in STEPS:
        for name, unit in (("seconds", "s"), ("megabytes", "MB")):
            values = [figure[step][name] for figure in figures]
            grows = slope(values)
            records.append(
                {
                    "step": step,
                    "what": {"seconds": "time", "megabytes": "peak memory"}[name],
                    **{
                        f"{n:,}": f"{value:.3g} {unit}"
                        for n, value in zip(SIZES, values, strict=True)
                    },
                    "slope": f"{grows:.2f}",
                    "target": "<= 1.05",
                    "met": "yes" if grows <= 1.05 else "no",
                }
            )
    return records


def forecast(largest: dict) -> list[dict]:
    """Needs of more particles, at the largest size's time and memory per particle."""
    records = []
    view_bytes = {"image": SIDE**2 * 2, "profile": N_CHANNELS * SIDE * 4}
    default_bytes = DEFAULT_SIDE**2 * 2 + N_CHANNELS * DEFAULT_LENGTH * 4
    for n in (10**6, 10**8):
        for step in STEPS:
            seconds = largest[step]["seconds"] / SIZES[-1] * n
            on_disk = 0.0
            megabytes = largest[step]["megabytes"] / SIZES[-1] * n
            if step == "fit":
                for n_bytes in view_bytes.values():
                    if n * n_bytes > LARGEST_IN_MEMORY:
                        on_disk += n * n_bytes
                        megabytes -= n * n_bytes / 2**20
            records.append(
                {
                    "particles": f"{n:,}",
                    "step": f"fit, {N_EPOCHS} epochs" if step == "fit" else step,
                    "time": hours(seconds),
                    "memory": f"{max(megabytes, 0) / 1024:.2g} GiB",
                    "disk": f"{on_disk / 2**30:.3g} GiB" if on_disk else "",
                }
            )
        records.append(
            {
                "particles": f"{n:,}",
                "step": "decoded pairs at the default sizes",
                "time": "",
                "memory": "",
                "disk": f"{n * default_bytes / 2**30:.3g} GiB",
            }
        )
        n_bytes = n * largest["columns"] * 4
        records.append(
            {
                "particles": f"{n:,}",
                "step": f"embeddings, {largest['columns']} columns",
                "time": "",
                "memory": "",
                "disk": f"{n_bytes / 2**30:.3g} GiB",
            }
        )
    return records


def hours(seconds: float) -> str:
    """The duration as text, in a suitable unit."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def draw(figures: list[dict]) -> None:
    """The log-log figure."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "growth"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    # Okabe and Ito's colors, which color-blind readers can distinguish.
    looks = dict(
        zip(
            STEPS,
            [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^")],
            strict=True,
        )
    )
    for ax, name, label in zip(
        axes,
        ("seconds", "megabytes"),
        ("time (s)", "peak memory above start (MB)"),
        strict=True,
    ):
        for step, (color, marker) in looks.items():
            values = [figure[step][name] for figure in figures]
            ax.loglog(SIZES, values, color=color, marker=marker, label=step)
        low = min(figures[0][step][name] for step in STEPS)
        ax.loglog(SIZES, [low * n / SIZES[0] for n in SIZES], "k:", label="slope 1")
        ax.set(xlabel="particles", ylabel=label)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
        return
    _timing.parser(__doc__).parse_args()
    with TemporaryDirectory() as folder:
        X, y = make_particles(N_FILES, random_state=SEED, return_X_y=True)
        files = load_particles(write_particles(X, y, Path(folder, "data"))).data
        files = files[["image", "profile"]].map(str)
        Path(folder, "table.pickle").write_bytes(pickle.dumps((files, np.asarray(y))))
        figures = []
        for n_rows in SIZES:
            line = _timing.in_a_process(__file__, "--measure", folder, n_rows)
            print(n_rows, line, flush=True)
            figures.append(json.loads(line))
    _timing.write_table(__file__, growth_table(figures))
    _timing.write_table(__file__, forecast(figures[-1]), "growth_forecast")
    draw(figures)
    print(pd.DataFrame(growth_table(figures)).to_string())


if __name__ == "__main__":
    main()
