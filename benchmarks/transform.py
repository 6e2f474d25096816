"""Time of transform, compared with a bare forward loop, and its memory.

From arrays: the bare loop runs both encoders on prepared tensors, in inference mode,
with as many rows per pass as transform, and fuses the views.
From paths: the plain way alternates reading a chunk and embedding it; ours reads the
next chunk while it embeds one.
Few rows: predict of the whole pipeline on 1 and 8 rows of arrays, checks, decoding and
gallery included, compared with the bare forward pass alone.
Memory: 100,000 rows of paths (the same few thousand files, repeated) compared with
1,000, each in a separate process, by the peak above the memory before.

    OMP_NUM_THREADS=1 python benchmarks/transform.py
"""

import json
import pickle
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import _timing
import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import make_pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton._embedding.base import ROWS_PER_CHUNK
from skplankton._views.table import View
from skplankton.datasets import load_particles, make_particles, write_particles

SEED = 0
ROWS_PER_PASS = 64


def bare_loop(module, tensors) -> np.ndarray:
    """The network on prepared tensors, and the mean of the views."""
    n = len(tensors["image"])
    fused = []
    with torch.inference_mode():
        for rows in torch.arange(n).split(ROWS_PER_PASS):
            total = sum(
                module.embed(
                    view,
                    tensors[view][rows],
                    tensors[f"{view}_size"][rows],
                    "both",
                    both_ways=True,
                )
                for view in ("image", "profile")
            )
            fused.append(torch.nn.functional.normalize(total, dim=1))
    return torch.cat(fused).numpy()


class Decoded:
    """A source of decoded images and profiles."""

    n_jobs = 1

    def __init__(self, source):
        self.present, self.problems = source.present, source.problems
        self.n_rows = len(source)
        rows = np.arange(self.n_rows)
        self.views = {view: source.read(view, rows) for view in ("image", "profile")}

    def __len__(self) -> int:
        return self.n_rows

    def read(self, modality: str, rows: np.ndarray) -> View:
        """Look up decoded rows."""
        _, values, sizes = self.views[modality]
        return View(rows, values[rows], sizes[rows])


def from_arrays(embedder: CrossModalEmbedder, table, n_runs: int) -> dict:
    """Measure transform from arrays."""
    source = Decoded(embedder._check_X(table, reset=False))
    decoded = embedder.__class__(**embedder.get_params())
    decoded.__dict__.update(embedder.__dict__)
    decoded._check_X = lambda X, reset: source
    tensors = {}
    for view, (_, values, sizes) in source.views.items():
        tensors |= {view: torch.from_numpy(values)}
        tensors |= {f"{view}_size": torch.from_numpy(sizes)}
    module = embedder.net_.module_
    np.testing.assert_allclose(
        bare_loop(module, tensors), decoded.transform(None), atol=1e-5
    )
    figures = _timing.take_turns(
        {
            "plain": lambda: _timing.seconds(lambda: bare_loop(module, tensors)),
            "ours": lambda: _timing.seconds(lambda: decoded.transform(None)),
        },
        n_runs,
    )
    return _timing.compare(
        f"from arrays, {len(table)} rows",
        figures,
        target="<= 1.10",
        ours_over_plain=True,
    )


def from_paths(embedder: CrossModalEmbedder, table, n_runs: int) -> dict:
    """Measure transform from paths."""

    def alternating() -> None:
        for start in range(0, len(table), ROWS_PER_CHUNK):
            embedder.transform(table.iloc[start : start + ROWS_PER_CHUNK])

    figures = _timing.take_turns(
        {
            "plain": lambda: _timing.seconds(alternating),
            "ours": lambda: _timing.seconds(lambda: embedder.transform(table)),
        },
        n_runs,
    )
    return _timing.compare(
        f"from paths, {len(table)} rows: reading and embedding in turns, and at once",
        figures,
        target=">= 1",
    )


def few_rows(embedder: CrossModalEmbedder, X, y, n_rows: int, n_runs: int) -> dict:
    """Measure predict on few particles per call."""
    gallery = GalleryKNNClassifier().fit(embedder.transform(X), y)
    pipe = make_pipeline(embedder, gallery)
    table = X.head(n_rows)
    source = embedder._check_X(table, reset=False)
    tensors = {}
    for view in ("image", "profile"):
        _, values, sizes = source.read(view, np.arange(n_rows))
        tensors |= {view: torch.from_numpy(values)}
        tensors |= {f"{view}_size": torch.from_numpy(sizes)}
    module = embedder.net_.module_
    n_calls = 100 // n_rows
    figures = _timing.take_turns(
        {
            "plain": lambda: _timing.seconds(
                lambda: [bare_loop(module, tensors) for _ in range(n_calls)]
            ),
            "ours": lambda: _timing.seconds(
                lambda: [pipe.predict(table) for _ in range(n_calls)]
            ),
        },
        n_runs,
    )
    return _timing.compare(
        f"predict of {n_rows} row{'s' * (n_rows > 1)} beside the bare forward pass, "
        f"{n_calls} calls",
        figures,
        target="<= 1.5",
        ours_over_plain=True,
    )


def memory(folder: str, n_rows: str) -> None:
    """Print the peak of one transform, in MB; run in a separate process."""
    embedder = pickle.loads(Path(folder, "embedder.pickle").read_bytes())
    files = pd.read_pickle(Path(folder, "table.pickle"))
    table = files.iloc[np.arange(int(n_rows)) % len(files)].reset_index(drop=True)
    embedder.transform(table.head(100))
    _timing.forget_peak()
    before = _timing.megabytes_of("VmRSS")
    n_bytes = embedder.transform(table).nbytes
    peak = _timing.megabytes_of("VmHWM") - before
    print(json.dumps({"peak": peak, "result": n_bytes / 2**20}))


def main() -> None:
    if sys.argv[1:2] == ["--memory"]:
        memory(*sys.argv[2:])
        return
    options = _timing.parser(__doc__)
    options.add_argument("--n-rows", type=int, default=2048)
    options = options.parse_args()
    records = []
    with TemporaryDirectory() as folder:
        X, y = make_particles(options.n_rows, random_state=SEED, return_X_y=True)
        table = load_particles(write_particles(X, y, Path(folder, "data"))).data
        table = table[["image", "profile"]].map(str)
        embedder = CrossModalEmbedder(
            max_epochs=1, batch_size=128, random_state=SEED
        ).fit(X.head(256))
        records.append(from_arrays(embedder, table, options.n_runs))
        records.append(from_paths(embedder, table, options.n_runs))
        for n_rows in (1, 8):
            records.append(few_rows(embedder, X.head(600), y[:600], n_rows, 15))
        _timing.write_table(__file__, records)

        # Smaller images, so that it takes minutes.
        narrow = CrossModalEmbedder(
            max_epochs=1, batch_size=128, image_size=32, random_state=SEED
        ).fit(X.head(256))
        Path(folder, "embedder.pickle").write_bytes(pickle.dumps(narrow))
        table.to_pickle(Path(folder, "table.pickle"))
        figures = {"plain": [], "ours": []}
        for name, n_rows in (("plain", 1_000), ("ours", 100_000)):
            line = _timing.in_a_process(__file__, "--memory", folder, n_rows)
            figures[name] = json.loads(line)
    small, large = figures["plain"], figures["ours"]
    added = large["peak"] - small["peak"]
    records.append(
        {
            "row": "memory of transform from paths, 1,000 rows (plain) and 100,000 "
            f"(ours), of which the result is {large['result']:.0f} MB; images of 32 "
            "pixels",
            "plain": f"{small['peak']:.0f} MB",
            "ours": f"{large['peak']:.0f} MB",
            "ratio": f"{added:.0f} MB more",
            "target": "<= 300 MB more",
            "met": "yes" if added <= 300 else "no",
            "runs": 1,
        }
    )
    print(records[-1])
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
