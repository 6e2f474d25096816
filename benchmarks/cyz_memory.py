"""Memory and time of reading cyz2json files and embedding their particles.

A file of each size is made of simulated particles (one in three with an image, as a
JPEG), in a temporary folder. Each way reads and embeds it in a separate process, with
an embedder fitted on a few particles:

- `load_cyz_json`: the library, which keeps images and profiles in a cache on disk;
- `json.load`: the whole tree, and arrays of all images and profiles, in memory.

Peaks are of the process's memory, less its memory before the file was opened; this
needs Linux. Times are per particle. Results are printed as rows of Markdown and written
to results/cyz_memory.csv.

    OMP_NUM_THREADS=1 python benchmarks/cyz_memory.py
    OMP_NUM_THREADS=1 python benchmarks/cyz_memory.py --megabytes 50 200
"""

import argparse
import base64
import io
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from _timing import forget_peak, megabytes_of
from PIL import Image

from skplankton import CrossModalEmbedder
from skplankton.datasets import load_cyz_json, make_particles, write_cyz_json

RESULTS = Path(__file__).parent / "results" / "cyz_memory.csv"
N_FITTED, N_DISTINCT, ONE_IMAGE_IN = 60, 300, 3
SEED = 0


def write_file(path: Path, megabytes: int) -> None:
    """Write a file of at least this size: simulated particles, repeated."""
    X = make_particles(N_DISTINCT, random_state=SEED, return_X_y=True)[0].astype(object)
    X.loc[np.arange(N_DISTINCT) % ONE_IMAGE_IN > 0, "image"] = None
    small = write_cyz_json(X, path.with_suffix(".part"), image_format="jpeg")
    tree = json.loads(small.read_text(encoding="utf-8-sig"))
    small.unlink()
    particles, images = (
        {item["particleId"]: as_template(item) for item in tree[name]}
        for name in ("particles", "images")
    )
    size = sum(map(len, particles.values())) + sum(map(len, images.values()))
    n_copies = -(-megabytes * 10**6 // size)
    with open(path, "w", encoding="utf-8-sig") as file:
        file.write('{"filename": "a.cyz", "instrument": {"name": "simulated"}')
        for name, templates in (("particles", particles), ("images", images)):
            file.write(f', "{name}": [')
            for copy in range(n_copies):
                items = (
                    template.replace("@", str(copy * N_DISTINCT + number), 1)
                    for number, template in templates.items()
                )
                file.write((", " if copy else "") + ",\n".join(items))
            file.write("]")
        file.write("}")


def as_template(item: dict) -> str:
    """The text of an item, indented as by cyz2json, with @ for the particleId."""
    text = json.dumps({**item, "particleId": 0}, indent=2)
    return text.replace('"particleId": 0', '"particleId": @', 1)


def plain(path: Path) -> pd.DataFrame:
    """The simplest way: the tree, then an array per image and profile."""
    with open(path, encoding="utf-8-sig") as file:
        tree = json.load(file)
    images = {
        item["particleId"]: np.asarray(
            Image.open(io.BytesIO(base64.b64decode(item["base64"])))
        )
        for item in tree["images"]
    }
    particles = [
        (
            images.get(item["particleId"]),
            np.array([shape["values"] for shape in item["pulseShapes"]], np.float32).T,
        )
        for item in tree["particles"]
    ]
    X = pd.DataFrame(
        index=range(len(particles)), columns=["image", "profile"], dtype=object
    )
    for view, column in zip(X, zip(*particles, strict=True), strict=True):
        X[view] = pd.Series(column, dtype=object)
    return X


WAYS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "load_cyz_json": load_cyz_json,
    "json.load": plain,
}


def fitted_embedder() -> CrossModalEmbedder:
    """An embedder fitted on a few particles."""
    X = make_particles(N_FITTED, random_state=SEED, return_X_y=True)[0]
    return CrossModalEmbedder(
        max_epochs=1, image_size=32, profile_length=32, random_state=SEED
    ).fit(X)


def measure(way: str, path: Path, embedder_path: Path) -> dict[str, float]:
    """Read and embed a file in this process."""
    # Fitting here would leave freed memory, which reading could reuse unmeasured.
    embedder = pickle.loads(embedder_path.read_bytes())
    embedder.transform(make_particles(2, random_state=SEED, return_X_y=True)[0])
    forget_peak()
    before, start = megabytes_of("VmRSS"), time.perf_counter()
    table = WAYS[way](path)
    read, reading_peak = time.perf_counter(), megabytes_of("VmHWM")
    embeddings = embedder.transform(table)
    end = time.perf_counter()
    return {
        "n_particles": len(table),
        "n_images": int(table["image"].notna().sum()),
        "reading_us": (read - start) / len(table) * 1e6,
        "embedding_us": (end - read) / len(table) * 1e6,
        "before_mb": before,
        "reading_peak_mb": reading_peak - before,
        "peak_mb": megabytes_of("VmHWM") - before,
        "checksum": float(np.nansum(embeddings, dtype=np.float64)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        way, path, embedder_path = options.measure
        print(json.dumps(measure(way, Path(path), Path(embedder_path))))
        return
    records = []
    embedder = fitted_embedder()
    for megabytes in options.megabytes:
        with TemporaryDirectory() as folder:
            path = Path(folder, "simulated.json")
            write_file(path, megabytes)
            embedder_path = Path(folder, "embedder.pickle")
            embedder_path.write_bytes(pickle.dumps(embedder))
            for way in WAYS:
                run = subprocess.run(
                    [
                        sys.executable,
                        __file__,
                        "--measure",
                        way,
                        path,
                        embedder_path,
                    ],
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                size = round(path.stat().st_size / 1e6)
                result = json.loads(run.stdout.splitlines()[-1])
                records.append({"way": way, "file_mb": size, **result})
    results = pd.DataFrame(records)
    for _, rows in results.groupby("file_mb"):
        np.testing.assert_allclose(
            rows["checksum"], rows["checksum"].iloc[0], rtol=1e-5
        )
    results = results.drop(columns="checksum").round(0).convert_dtypes()
    results.to_csv(RESULTS, index=False)
    print(f"| {' | '.join(results)} |")
    print("| :-- " + "| --: " * (results.shape[1] - 1) + "|")
    for row in results.itertuples(index=False):
        print(f"| {' | '.join(map(str, row))} |")


if __name__ == "__main__":
    main()
