"""Tables of the pages, from the results of the benchmarks: rows of cells as text.

Of methods that are compared, the best is bold; "±" is the standard error over the
splits of a data set, or over data sets and splits.
"""

import numpy as np
import pandas as pd
from result_values import (
    CLEARLY,
    MANY,
    accuracies,
    duration,
    n_epochs,
    ratios,
    read,
    seconds_of_many,
)

METHODS = ("raw", "PCA", "CCA", "DINO", "paper, scaled", "ours")
SIZES = (1, 4, 16)


def with_error(mean, error):
    return f"{mean:.1f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{error:.1f}"


def bold(text):
    return f"**{text}**"


def in_one_line(text):
    """A value and its unit."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def expected():
    """Accuracy of both modalities with the defaults: a row per data set."""
    both = accuracies().xs("both", level="view")["ours"]
    yield "data", *(f"{size} label{'s' * (size > 1)} per class" for size in SIZES)
    for name in in_order(both):
        of_set = both.xs(name, level="data")
        runs = [of_set.xs(size, level="gallery_size") for size in SIZES]
        yield name, *(with_error(run.mean(), run.sem()) for run in runs)


def in_order(table):
    """The data sets, in the order in which they are first in accuracy.csv."""
    there = set(table.index.unique("data"))
    return [name for name in read("accuracy")["data"].unique() if name in there]


def compared(view):
    """Accuracy of the methods by one view: a row per data set and gallery size."""
    wide = accuracies().xs(view, level="view")
    methods = [m for m in METHODS if wide[m].notna().any()]
    wide = wide[methods]
    leads = read("accuracy_leads").set_index(["data", "view", "labels"])
    yield "data", "labels", *methods, "lead"
    for name in in_order(wide):
        for size in SIZES:
            runs = wide.xs(name, level="data").xs(size, level="gallery_size")
            means, errors = runs.mean(), runs.sem()
            cells = [
                "" if np.isnan(mean) else with_error(mean, errors[method])
                for method, mean in means.items()
            ]
            is_best = means.round(1) == means.round(1).max()
            for best in np.flatnonzero(is_best):
                cells[best] = bold(cells[best])
            lead = leads.loc[(name, view, size)]
            cells.append(with_error(lead["lead"], lead["error"]))
            yield name if size == SIZES[0] else "", size, *cells


def gains(name, first, last):
    """Gains of choices over the default; bold if they are more than twice the error."""
    table = read(name)
    sizes = [f"gain, labels: {size}" for size in SIZES]
    labels = [f"{size} label{'s' * (size > 1)}" for size in SIZES]
    yield *first, *labels, "mean", *last.values()
    for _, row in table.iterrows():
        mean = with_error(row["gain"], row["error"])
        if abs(row["gain"]) > 2 * row["error"]:
            mean = bold(mean)
        ends = [f"{row[column]:g}" for column in last]
        yield *row[list(first)], *(f"{row[size]:.1f}" for size in sizes), mean, *ends


def how_long():
    """Time for many particles: a row per step."""
    gpu = read("gpu")["device"].iloc[0]
    threads = read("machines").set_index("table").loc["training_loop", "threads"]
    cpu = "one CPU thread" if str(threads) == "1" else f"{threads} CPU threads"
    steps = {
        "train": f"train on all {MANY:,}, {n_epochs()} epochs",
        "embed": "read the files and embed",
        "classify": "classify",
    }
    yield "step", cpu, gpu
    for step, (on_cpu, on_gpu) in seconds_of_many().items():
        yield steps[step], duration(on_cpu), duration(on_gpu) if on_gpu else ""


def speed(name):
    """A comparison with the plain implementation; the clearly better one is bold."""
    table = read(name)
    yield "what", "plain", "ours", "ours / plain"
    for (_, row), ratio in zip(table.iterrows(), ratios(table), strict=True):
        plain, ours = map(in_one_line, row[["plain", "ours"]].fillna(""))
        _, _, kind = row["ratio"].partition(" ")
        if kind == "(plain / ours)":
            ratio = 1 / ratio
        elif kind != "(ours / plain)":  # neither, but a difference
            yield row["row"], plain, ours, row["ratio"]
            continue
        if ratio < 1 - CLEARLY / 100:
            ours = bold(ours)
        elif ratio > 1 + CLEARLY / 100:
            plain = bold(plain)
        text = f"{ratio:.2f}" if ratio >= 0.01 else "below 0.01"
        yield row["row"], plain, ours, text


def gpu(name):
    """Pairs per second on a GPU, without the columns that are alike in all rows."""
    table = read(name).drop(columns=["number format", "device"], errors="ignore")
    names = {"row": "what", "ours / plain": "time, ours / plain"}
    yield [names.get(column, column) for column in table]
    for row in table.itertuples(index=False):
        yield [number(value) for value in row]


def number(value):
    """A cell: text as it is, large numbers with commas, none as nothing."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"


def growth():
    """Time and memory by number of particles."""
    table = read("growth").drop(columns=["target", "met"])
    yield list(table)
    yield from table.itertuples(index=False)


def machines():
    """Where each table is from: the command, the processor, and the versions."""
    table = read("machines", dtype=str)
    yield "command", "processor", "threads", "versions"
    versions = list(table)[list(table).index("threads") + 1 :]
    for _, row in table.drop_duplicates("command").iterrows():
        processor = f"{row['processor']}, {row['cores']} cores"
        found = ", ".join(f"{name} {row[name]}" for name in versions)
        yield f"``{row['command']}``", processor, row["threads"], found


def tables():
    """All of them, by name."""
    last = {"data × splits": "data × splits"}
    speeds = (
        "training_loop",
        "input_files",
        "large_batches",
        "transform",
        "gallery_speed",
        "evaluation_speed",
        "search",
        "import_time",
    )
    return {
        "accuracy_expected": expected(),
        **{f"accuracy_{v}": compared(v) for v in ("both", "image", "profile")},
        "accuracy_cost": gains(
            "accuracy_cost", ["choice"], {**last, "seconds": "time"}
        ),
        "accuracy_choices": gains("accuracy_choices", ["choice"], last),
        "accuracy_temperatures": gains(
            "accuracy_temperatures", ["choice", "data"], {"splits": "splits"}
        ),
        "how_long": how_long(),
        **{name: speed(name) for name in speeds},
        **{name: gpu(name) for name in ("gpu", "gpu_before", "gpu_compiled")},
        "growth": growth(),
        "machines": machines(),
    }
