"""Shared code of the speed benchmarks: alternating runs, and tables of their results.

A row of a table compares the plain implementation with ours. Their runs alternate, so
that a noisy machine slows both alike; the ratio is the median of the runs' ratios. Each
script writes its table to results/, and the machine, the versions and the command to
results/machines.csv.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"
N_RUNS = 5
PACKAGES = ("torch", "scikit-learn", "skorch", "numpy", "pandas", "pillow")


def seconds(way: Callable) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def processor_seconds(way: Callable) -> float:
    """Processor time of one call, of all threads of this process."""
    start = time.process_time()
    way()
    return time.process_time() - start


def take_turns(
    ways: dict[str, Callable[[], float]], n_runs: int = N_RUNS, warm_up: bool = True
) -> dict[str, list[float]]:
    """Figures of each way by run; every other run is in reverse order."""
    if warm_up:
        for way in ways.values():
            way()
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(n_runs):
        for name in list(ways)[:: -1 if run % 2 else 1]:
            figures[name].append(ways[name]())
    return figures


def compare(
    row: str,
    figures: dict[str, list[float]],
    *,
    target: str = "",
    ours_over_plain: bool = False,
    unit: str = "s",
) -> dict:
    """Print and return a table row from the figures of "plain" and "ours".

    `target` is a sign and a number, such as "<= 1.10", or empty. The ratio is plain
    over ours, or ours over plain with `ours_over_plain`.
    """
    plain, ours = (np.array(figures[name], dtype=float) for name in ("plain", "ours"))
    ratio = float(np.median(ours / plain if ours_over_plain else plain / ours))
    met = ""
    if target:
        sign, limit = target.split()
        reached = ratio <= float(limit) if sign == "<=" else ratio >= float(limit)
        met = "yes" if reached else "no"
    of = "ours / plain" if ours_over_plain else "plain / ours"
    record = {
        "row": row,
        "plain": f"{np.median(plain):.3g} {unit}",
        "ours": f"{np.median(ours):.3g} {unit}",
        "ratio": f"{ratio:.2f} ({of})",
        "target": target,
        "met": met,
        "runs": len(ours),
    }
    print(" | ".join(map(str, record.values())), flush=True)
    return record


def write_table(script: str, records: list[dict], name: str | None = None) -> None:
    """Write a script's table, and the machine and versions."""
    RESULTS.mkdir(exist_ok=True)
    name = name or Path(script).stem
    pd.DataFrame(records).to_csv(RESULTS / f"{name}.csv", index=False)
    machine = {
        "table": name,
        "command": command(script),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
    path = RESULTS / "machines.csv"
    table = pd.DataFrame([machine]).astype(str)
    if path.exists():
        others = pd.read_csv(path, dtype=str)
        table = pd.concat([others[others["table"] != name], table])
    table.sort_values("table").to_csv(path, index=False)


def command(script: str) -> str:
    """The command line, without folders."""
    arguments = " ".join(sys.argv[1:])
    threads = os.environ.get("OMP_NUM_THREADS")
    setting = f"OMP_NUM_THREADS={threads} " if threads else ""
    return f"{setting}python benchmarks/{Path(script).name} {arguments}".strip()


def processor() -> str:
    """The processor's model, if Linux or the platform reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def in_a_process(script: str, *arguments: object) -> str:
    """Run the script in a separate process; the last line that it prints."""
    run = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()[-1]


def megabytes_of(field: str) -> float:
    """This process's current (VmRSS) or peak (VmHWM) memory. Linux only.

    resource.getrusage gives a peak too, but on Linux it includes the parent process's,
    and it cannot be reset.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(field))
    return int(kilobytes) / 1024


def forget_peak() -> None:
    """Reset the peak to the current memory."""
    Path("/proc/self/clear_refs").write_text("5")


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the option --n-runs."""
    options = argparse.ArgumentParser(description=description.split("\n")[0])
    options.add_argument("--n-runs", type=int, default=N_RUNS)
    return options
