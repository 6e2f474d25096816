"""One worker and two, a table of 10⁶ rows, and a forecast for many machines.

Three tables:

- scale.csv: particles per second and peak memory of each process with one and with two
  workers. "Dask" is `transform` and `predict` of a table of paths by map_partitions,
  "shards" is `classify --shard` of files of cyz2json. The clock runs from the first
  particle to the last, after imports and a warm-up of each worker.
- scale_growth.csv: what grows with the table alone and not with the decoding, up to 10⁶
  rows of different paths: the table itself, and what `transform` does before it opens
  the first file (selecting, validating, finding what is missing); and `merge` by the
  number of samples, which are copies of one. With the slope on log-log axes from the
  first size to the last.
- scale_forecast.csv: 10⁸ particles on 1, 10 and 100 machines such as this one, from the
  particles per second of two workers, and the time per sample of `merge`, which runs on
  one machine. Nothing that large was run, nor on more than one machine: it assumes that
  machines do not wait for a disk that they share.

No run decodes 10⁶ particles, which takes a quarter of an hour by growth.py: 20,000 rows
of 2,000 particles' files are decoded, in a tenth of the time. Encoders are narrow in
"Dask", and those of the command in "shards". Memory is read from /proc (Linux).

    OMP_NUM_THREADS=1 python benchmarks/scale.py
    OMP_NUM_THREADS=1 python benchmarks/scale.py --share 0.02    # to try it
"""

import contextlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import _timing
import joblib
import numpy as np
import pandas as pd
from growth import embedder, hours
from sklearn.pipeline import Pipeline

from skplankton import GalleryKNNClassifier
from skplankton._cli import main as command_line
from skplankton.datasets import (
    load_particles,
    make_particles,
    write_cyz_json,
    write_particles,
)

SEED = 0
N_FILES = 2000  # particles that exist; rows repeat them
N_ROWS, ROWS_PER_PART = 20_000, 500  # of Dask
N_SAMPLES, PER_SAMPLE = 16, 500  # of the shards
PATHS = (10_000, 100_000, 1_000_000)
MERGED, N_SHARDS = (50, 200, 800), 10
WORKERS = (1, 2)
N_FORECAST, MACHINES = 10**8, (1, 10, 100)
# Particles of a sample in the forecast: a measurement of some minutes.
FORECAST_PER_SAMPLE = 10_000


# Dask


def write_dask_input(folder: Path, share: float) -> None:
    """A fitted pipeline, and a table of paths in Parquet."""
    n_files = max(200, int(N_FILES * share))
    X, y = make_particles(n_files, random_state=SEED, return_X_y=True)
    files = load_particles(write_particles(X, y, folder / "data")).data
    files = files[["image", "profile"]].map(str)
    pipe = Pipeline([("embed", embedder()), ("gallery", GalleryKNNClassifier())])
    joblib.dump(pipe.fit(files.head(200), np.asarray(y)[:200]), folder / "pipe.joblib")
    rows = np.arange(int(N_ROWS * share)) % n_files
    files.iloc[rows].reset_index(drop=True).to_parquet(folder / "rows.parquet")


def predict(part: pd.DataFrame, model: str) -> pd.DataFrame:
    return pd.DataFrame({"label": joblib.load(model).predict(part)})


def memory_of_worker() -> dict[str, float]:
    """The peak in MB, and how far it is above the memory of the warm worker."""
    peak = _timing.megabytes_of("VmHWM")
    return {"peak": peak, "above": peak - float(os.environ["MEGABYTES_BEFORE"])}


def largest(memory: Iterable[dict[str, float]]) -> dict[str, float]:
    """The worker with the highest peak."""
    return max(memory, key=lambda worker: worker["peak"])


def warm(part: pd.DataFrame, model: str) -> None:
    predict(part, model)
    _timing.forget_peak()
    os.environ["MEGABYTES_BEFORE"] = str(_timing.megabytes_of("VmRSS"))


def measure_dask(folder: str, n_workers: str) -> None:
    """Print the figures of a cluster of this machine."""
    import dask.dataframe as dd
    from dask.distributed import Client, LocalCluster

    table = pd.read_parquet(Path(folder, "rows.parquet"))
    model = str(Path(folder, "pipe.joblib"))
    n_parts = math.ceil(len(table) / ROWS_PER_PART)
    with (
        LocalCluster(
            n_workers=int(n_workers), threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(warm, table.head(64), model)
        frame = dd.from_pandas(table, npartitions=n_parts)
        named = frame.map_partitions(predict, model, meta={"label": str})
        taken = _timing.seconds(lambda: named.compute())
        memory = client.run(memory_of_worker)
    print(json.dumps({"seconds": taken, **largest(memory.values())}))


# Shards


def write_samples(folder: Path, share: float) -> int:
    """Files of cyz2json, of which the first trains a model; their number."""
    X, y = make_particles(PER_SAMPLE, n_species=5, random_state=SEED, return_X_y=True)
    n_samples = max(2, int(N_SAMPLES * share))
    for sample in range(n_samples):
        write_cyz_json(X, folder / "season" / f"s{sample:03}.json")
    ids = [f"s000_{particle}" for particle in range(PER_SAMPLE)]
    labels = pd.DataFrame({"object_id": ids, "label": y})
    labels.to_csv(folder / "labels.csv", index=False)
    quietly(
        *("fit", folder / "season" / "s000.json", "--labels", folder / "labels.csv"),
        *("--output", folder / "model.skops", "--max-epochs", 2, "--quiet"),
    )
    return n_samples


def quietly(*arguments: object) -> None:
    """Run a command, which must succeed."""
    with contextlib.redirect_stdout(io.StringIO()):
        code = command_line([str(argument) for argument in arguments])
    if code != 0:
        raise RuntimeError(f"exit code {code}: {arguments}")


def measure_shard(folder: str, output: str, shard: str) -> None:
    """Classify one shard as soon as all are warm; print the figures."""
    base = [Path(folder, "model.skops"), "--quiet", "--output"]
    first = Path(folder, "season", "s000.json")
    index = shard.partition("/")[0]
    quietly("classify", base[0], first, *base[1:], Path(output, f"warm{index}"))
    _timing.forget_peak()
    os.environ["MEGABYTES_BEFORE"] = str(_timing.megabytes_of("VmRSS"))
    Path(output, f"ready{index}").touch()
    while not Path(output, "go").exists():
        time.sleep(0.01)
    start = time.time()
    season = Path(folder, "season")
    quietly(
        "classify", base[0], season, *base[1:], Path(output, "names"), "--shard", shard
    )
    print(json.dumps({"start": start, "end": time.time(), **memory_of_worker()}))


def run_shards(folder: Path, n_workers: int) -> dict[str, float]:
    """Figures of shards that run at the same time, one each."""
    output = folder / f"output{n_workers}"
    output.mkdir()
    command = [sys.executable, __file__, "--measure", "shard", str(folder)]
    running = [
        subprocess.Popen(
            [*command, str(output), f"{i}/{n_workers}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(n_workers)
    ]
    while len(list(output.glob("ready*"))) < n_workers:
        if any(process.poll() is not None for process in running):
            raise RuntimeError("a shard ended before it began")
        time.sleep(0.01)
    (output / "go").touch()
    printed = [process.communicate()[0].splitlines()[-1] for process in running]
    shards = [json.loads(line) for line in printed]
    quietly("merge", output / "names")
    return {
        "seconds": max(s["end"] for s in shards) - min(s["start"] for s in shards),
        **{name: largest(shards)[name] for name in ("peak", "above")},
    }


# Growth


def measure_paths(n_rows: str) -> None:
    """Print the needs of a table of different paths, and of what precedes decoding."""
    X, _ = make_particles(64, random_state=SEED, return_X_y=True)
    fitted = embedder().fit(X)
    _timing.forget_peak()
    before = _timing.megabytes_of("VmRSS")
    rows = range(int(n_rows))
    table = pd.DataFrame(
        {
            "image": [f"/data/season/images/sample_{i:09}.png" for i in rows],
            "profile": [f"/data/season/profiles/sample_{i:09}.csv" for i in rows],
        }
    ).astype(object)
    itself = _timing.megabytes_of("VmRSS") - before
    _timing.forget_peak()
    before = _timing.megabytes_of("VmRSS")
    taken = min(
        _timing.seconds(lambda: fitted._check_X(table, reset=False))
        for _ in range(3)  # too short for one
    )
    figures = {
        "table": {"megabytes": itself},
        "before decoding": {
            "seconds": taken,
            "megabytes": max(0.1, _timing.megabytes_of("VmHWM") - before),
        },
    }
    print(json.dumps(figures))


def measure_merge(folder: str, n_samples: str) -> None:
    """Print the time to merge copies of one classified sample."""
    with TemporaryDirectory(dir=folder) as place:
        output, n = Path(place, "names"), int(n_samples)
        names = [f"c{i:05}" for i in range(n)]
        for shard in range(N_SHARDS):
            copy_shard(Path(folder), output, shard, names)
        figures = {"merge": {"seconds": _timing.seconds(lambda: merge(output))}}
    print(json.dumps(figures))


def copy_shard(folder: Path, output: Path, shard: int, names: list[str]) -> None:
    """A shard's folder with copies of the sample s000."""
    whole = folder / "output1" / "names"
    target = output / "progress" / "shards" / f"{shard}-of-{N_SHARDS}"
    done = target / "progress" / "done"
    done.mkdir(parents=True)
    source = whole / "progress"
    record = json.loads((source / "done" / "s000.json").read_bytes())
    report = json.loads((source / "shards" / "0-of-1" / "merged.json").read_bytes())
    (target / "shard.json").write_text(json.dumps({**report, "samples": names}))
    for name in names[shard::N_SHARDS]:
        shutil.copy(whole / "s000.csv", target / f"{name}.csv")
        sample = {**record["sample"], "sample_id": name}
        (done / f"{name}.json").write_text(json.dumps({**record, "sample": sample}))


def merge(output: Path) -> None:
    quietly("merge", output)


def growth_rows(
    what: str, measure: str, unit: str, sizes: list[int], values: list[float]
) -> dict:
    """A row of scale_growth.csv, with the slope from the first size to the last."""
    slope = float(np.log(values[-1] / values[0]) / np.log(sizes[-1] / sizes[0]))
    return {
        "what": what,
        "measure": measure,
        "sizes": ", ".join(f"{n:,}" for n in sizes),
        "values": ", ".join(f"{value:.3g} {unit}" for value in values),
        "per million": f"{values[-1] / sizes[-1] * 10**6:.3g} {unit}",
        "slope": f"{slope:.2f}",
    }


# Tables


def forecast(rates: dict[str, float], memory: dict, per_merge: float) -> list[dict]:
    """10⁸ particles, from what two workers of a machine do."""
    records = []
    for way, rate in rates.items():
        for machines in MACHINES:
            seconds = N_FORECAST / rate / machines
            n_samples = N_FORECAST / FORECAST_PER_SAMPLE
            merging = per_merge * n_samples if way == "shards" else 0.0
            records.append(
                {
                    "particles": f"{N_FORECAST:,}",
                    "way": way,
                    "machines": machines,
                    "workers": machines * WORKERS[-1],
                    "time": hours(seconds + merging),
                    "of it merge": hours(merging) if merging else "",
                    "memory of a machine": f"{memory[way] * WORKERS[-1]:.0f} MB",
                }
            )
    return records


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        kinds = {
            "dask": measure_dask,
            "shard": measure_shard,
            "paths": measure_paths,
            "merge": measure_merge,
        }
        kinds[sys.argv[2]](*sys.argv[3:])
        return
    parser = _timing.parser(__doc__)
    parser.add_argument(
        "--share", type=float, default=1.0, help="of all sizes, to try the script"
    )
    share = parser.parse_args().share
    records, rates, memory = [], {}, {}

    def add(way: str, n_workers: int, n: int, figures: dict[str, float]) -> None:
        rates[way], memory[way] = n / figures["seconds"], figures["peak"]
        single = next((r["per second"] for r in records if r["way"] == way), None)
        records.append(
            {
                "way": way,
                "workers": n_workers,
                "particles": n,
                "seconds": round(figures["seconds"], 2),
                "per second": round(rates[way], 1),
                "against one": f"{rates[way] / single:.2f}" if single else "",
                "peak of a worker": f"{figures['peak']:.0f} MB",
                "above its start": f"{figures['above']:.0f} MB",
            }
        )
        print(" | ".join(map(str, records[-1].values())), flush=True)

    def measured(*arguments: object) -> dict:
        return json.loads(_timing.in_a_process(__file__, "--measure", *arguments))

    with TemporaryDirectory() as place:
        folder = Path(place)
        write_dask_input(folder, share)
        n_samples = write_samples(folder, share)
        for n_workers in WORKERS:
            figures = measured("dask", folder, n_workers)
            add("Dask", n_workers, int(N_ROWS * share), figures)
        for n_workers in WORKERS:
            figures = run_shards(folder, n_workers)
            add("shards", n_workers, n_samples * PER_SAMPLE, figures)
        sizes = [max(1000, int(n * share)) for n in PATHS]
        paths = [measured("paths", n) for n in sizes]
        merged = [max(N_SHARDS, int(n * share)) for n in MERGED]
        merges = [measured("merge", folder, n)["merge"]["seconds"] for n in merged]
    growth = [
        growth_rows(
            "table of two paths a row",
            "memory",
            "MB",
            sizes,
            [figures["table"]["megabytes"] for figures in paths],
        ),
        *(
            growth_rows(
                "transform, before decoding",
                name,
                unit,
                sizes,
                [figures["before decoding"][key] for figures in paths],
            )
            for name, key, unit in (
                ("time", "seconds", "s"),
                ("peak memory", "megabytes", "MB"),
            )
        ),
        growth_rows(f"merge of {N_SHARDS} shards", "time", "s", merged, merges),
    ]
    _timing.write_table(__file__, records)
    _timing.write_table(__file__, growth, "scale_growth")
    per_merge = merges[-1] / merged[-1]
    _timing.write_table(__file__, forecast(rates, memory, per_merge), "scale_forecast")
    print(pd.DataFrame(growth).to_string())


if __name__ == "__main__":
    main()
