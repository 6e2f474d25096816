"""Accuracy and time of training and embedding, compared with another commit.

The other commit's package is taken from git. For each data set and seed, both versions
train on the same rows, each in a separate process, embed all rows, and classify the
test rows by galleries of 1, 4 and 16 labels per species, as `accuracy.py` does. Times
are of the processor, with one thread, so that other programs on the machine disturb
them little; a share is the median over the seeds.

    OMP_NUM_THREADS=1 python benchmarks/commits.py --before 872be19
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import _timing
import numpy as np
import pandas as pd

ROOT = Path(__file__).parent.parent
DATA_NAMES = ("simulator, 600", "digits")
STEPS = ("fit", "transform")


def measure(name: str, seed: int) -> dict[str, float]:
    """Processor seconds of fit and transform, and the mean accuracy in %."""
    from _sets import DATA, TEST_SHARE, take
    from accuracy import accuracies
    from sklearn.model_selection import train_test_split

    import skplankton
    from skplankton import CrossModalEmbedder

    if Path(skplankton.__file__).parents[1] != Path(os.environ["PYTHONPATH"]):
        raise RuntimeError(f"Another version was imported: {skplankton.__file__}")
    X, y, shapes = DATA[name](seed)
    train, test = train_test_split(
        np.arange(len(y)), test_size=TEST_SHARE, stratify=y, random_state=seed
    )
    few = take(X, train[:8])
    CrossModalEmbedder(max_epochs=1, **shapes).fit(few).transform(few)  # loads torch
    embedder = CrossModalEmbedder(random_state=seed, **shapes)
    X_train = take(X, train)
    clock = [time.process_time()]
    embedder.fit(X_train)
    clock.append(time.process_time())
    embedded = embedder.transform(X)
    clock.append(time.process_time())
    found = accuracies({"both": embedded}, y, train, test, seed)
    scores = {f"accuracy {size}": 100 * float(score) for _, size, score in found}
    return dict(zip(STEPS, np.diff(clock), strict=True)) | scores


def package_of(commit: str, folder: Path) -> Path:
    """The package of a commit, in `folder`."""
    content = subprocess.run(
        ["git", "-C", ROOT, "archive", commit, "skplankton"],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run(package: Path, name: str, seed: int) -> dict[str, float]:
    """`measure` in a process that imports the package from a folder."""
    process = subprocess.run(
        [sys.executable, __file__, "--measure", name, str(seed)],
        env={**os.environ, "PYTHONPATH": str(package)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(process.stdout.splitlines()[-1])
    print(package.name, name, seed, found, flush=True)
    return found


def row(name: str, before: list[dict], now: list[dict]) -> dict:
    """One data set: medians of the times, means of the accuracies."""
    record: dict = {"data": name, "seeds": len(now)}
    for step in STEPS:
        old, new = (np.array([each[step] for each in runs]) for runs in (before, now))
        record[f"{step}, before"] = f"{np.median(old):.3g} s"
        record[f"{step}, now"] = f"{np.median(new):.3g} s"
        record[f"{step}, share"] = f"{np.median(new / old):.2f}"
    for key in now[0]:
        if key not in STEPS:
            old, new = (np.mean([each[key] for each in runs]) for runs in (before, now))
            record[f"{key}, before"] = f"{old:.1f}"
            record[f"{key}, now"] = f"{new:.1f}"
    return record


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        name, seed = sys.argv[2:]
        print(json.dumps(measure(name, int(seed))))
        return
    options = _timing.parser(__doc__)
    options.add_argument("--before", default="HEAD", help="a commit of git")
    options.add_argument("--data", nargs="+", default=DATA_NAMES)
    options.add_argument("--n-jobs", type=int, default=1)
    options.set_defaults(n_runs=2)  # seeds
    options = options.parse_args()
    versions = ("before", "now")
    with TemporaryDirectory() as folder, ThreadPoolExecutor(options.n_jobs) as pool:
        packages = package_of(options.before, Path(folder)), ROOT
        runs = {
            (name, version): [
                pool.submit(run, package, name, seed) for seed in range(options.n_runs)
            ]
            for name in options.data
            for version, package in zip(versions, packages, strict=True)
        }
        found = {
            key: [each.result() for each in of_key] for key, of_key in runs.items()
        }
    records = [
        row(name, *(found[name, version] for version in versions))
        for name in options.data
    ]
    print(pd.DataFrame(records).T.to_string())
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
