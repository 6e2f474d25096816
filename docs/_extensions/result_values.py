"""Values in the text of the pages, computed from the results of the benchmarks.

Pages write |name| for one of them: an unknown name, and a result that is not there,
fail the build.
"""

import inspect
from pathlib import Path

import pandas as pd

from skplankton import CrossModalEmbedder

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
SIMULATED, FLOWCAM = "simulator", "FlowCam"
MANY = 100_000  # particles of the question that the page on speed begins with
CLEARLY = 5  # % by which times differ from run to run
GPU_TRAINING, GPU_EMBEDDING = "training, defaults", "embedding, defaults"


def read(name, **options):
    """One of the tables of the benchmarks."""
    return pd.read_csv(RESULTS / f"{name}.csv", **options)


def accuracies():
    """Accuracy in %: a row per data set, split, view and size; a column per method."""
    keys = ["data", "seed", "view", "gallery_size"]
    wide = read("accuracy").pivot_table(index=keys, columns="method", values="accuracy")
    return 100 * wide


def seconds(text):
    """The number of a duration such as "6.12 s"."""
    number, unit = text.split()
    if unit != "s":
        raise ValueError(f"{text!r} is not in seconds")
    return float(number)


def row_of(name, begins_with):
    """The one row of a table whose first cell begins like this."""
    table = read(name)
    found = table[table.iloc[:, 0].str.startswith(begins_with)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows of {name}.csv begin with {begins_with!r}")
    return found.iloc[0]


def between(values, digits=0):
    """ "78 to 87", of the smallest and the largest value."""
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def duration(value):
    """A duration in seconds as text, in a suitable unit, to two digits."""
    for unit, length in (("h", 3600), ("min", 60)):
        if value >= 1.5 * length:
            return f"{value / length:.2g} {unit}"
    return f"{value:.2g} s"


def labels_values():
    """Labels chosen against labels at random."""
    table = read("labels")
    means = table[table["data"] == "mean"]
    first = means[means["budget"] == means["budget"].min()]
    by_method = first.set_index("method")["use_unlabeled"]
    names = pd.Series([n for n in table["data"].unique() if n != "mean"])
    numbers = {
        "sets": len(names),
        "simulated": names.str.startswith(SIMULATED).sum(),
        "plankton": names.str.startswith(FLOWCAM).sum(),
    }
    numbers["other"] = len(names) - numbers["simulated"] - numbers["plankton"]
    return {
        "labels-chosen": f"{by_method['select_to_label']:.0f}",
        "labels-random": f"{by_method['random']:.0f}",
        **{f"labels-{kind}": str(number) for kind, number in numbers.items()},
    }


def accuracy_values():
    """What to expect, and where another method is ahead."""
    wide = accuracies()
    values = {"accuracy-splits": str(wide.index.unique("seed").size)}
    means = wide.groupby(["data", "view", "gallery_size"]).mean()
    both = means.xs("both", level="view")["ours"]
    for size in (1, 4, 16):
        at_size = both.xs(size, level="gallery_size")
        for name in (SIMULATED, FLOWCAM):
            of_kind = at_size[at_size.index.str.startswith(name)]
            values[f"accuracy-{name.lower()}-{size}"] = between(of_kind)

    def ahead(method, view, data, size=slice(None)):
        found = means.sort_index().loc[(data, view, size), :]
        return found[method] - found["ours"]

    pixels = "numerals, pixels and Zernike"
    flowcam = [name for name in means.index.unique("data") if name.startswith(FLOWCAM)]
    paper = pd.concat([ahead("paper, scaled", "both", name) for name in flowcam])
    cancer = ahead("DINO", "image", "breast cancer", [1])
    return values | {
        "behind-breast-cancer": between(cancer, 1),
        "behind-dino": between(ahead("DINO", "image", pixels), 1),
        "behind-pca": between(ahead("PCA", "both", pixels, [16]), 1),
        "behind-paper": between(paper, 1),
    }


def per_particle():
    """Seconds for a particle: training it in one epoch, and embedding it from files."""
    epochs = row_of("training_loop", "default encoders, epochs: ")
    words = epochs["row"].replace(",", "").split()
    n_pairs = int(words[words.index("pairs") - 1])
    n_epochs = int(words[words.index("epochs") - 1])
    embedding = row_of("transform", "from paths, ")
    n_rows = int(embedding["row"].split()[2])
    return (
        seconds(epochs["ours"]) / n_pairs / n_epochs,
        seconds(embedding["ours"]) / n_rows,
    )


def n_epochs():
    """How long an embedder trains by default."""
    return inspect.signature(CrossModalEmbedder).parameters["max_epochs"].default


def seconds_of_many():
    """Seconds for `MANY` particles: of each step, on a CPU and on a GPU.

    Extrapolated in proportion, but for the classification, which was run.
    """
    training, embedding = per_particle()
    gpu = read("gpu").set_index("row")["ours, pairs/s"]
    classifying = seconds(row_of("gallery_speed", f"{MANY:,} queries, ")["ours"])
    return {
        "train": (MANY * n_epochs() * training, MANY * n_epochs() / gpu[GPU_TRAINING]),
        "embed": (MANY * embedding, MANY / gpu[GPU_EMBEDDING]),
        "classify": (classifying, None),
    }


def speed_values():
    """What takes how long."""
    many = seconds_of_many()
    inputs = read("input_files").set_index("row")
    whole = inputs[inputs.index.str.match(r"files to trained network, \d")]
    longest = whole.iloc[-1]
    share = seconds(inputs.iloc[-1]["ours"]) / seconds(longest["ours"])
    loop = read("training_loop")
    epochs, all_of_fit = (seconds(text) for text in loop["ours"].iloc[:2])
    n_run = int(loop["row"].iloc[0].split()[-2])
    once = all_of_fit - epochs
    one = row_of("transform", "predict of 1 row ")
    n_calls = int(one["row"].split()[-2])
    more = (seconds(one["ours"]) - seconds(one["plain"])) / n_calls
    growth = read("growth")
    is_time = (growth["what"] == "time") & growth["step"].isin(["fit", "transform"])
    return {
        "many": f"{MANY:,}",
        "clearly": str(CLEARLY),
        "many-train": duration(many["train"][0]),
        "many-embed": duration(many["embed"][0]),
        "many-classify": duration(many["classify"][0]),
        "many-train-gpu": duration(many["train"][1]),
        "epochs": str(n_epochs()),
        "growth-slope": between(growth["slope"][is_time], 2),
        "input-gain": between(ratios(whole), 1),
        "input-share": f"{100 * share:.0f}",
        "fit-once": f"{100 * once / (epochs / n_run * n_epochs() + once):.0f}",
        "predict-one": f"{ratios(one.to_frame().T)[0]:.1f}",
        "predict-one-more": f"{1000 * more:.0f} ms",
        "gpu-device": str(read("gpu")["device"].unique().item()),
    }


def ratios(table):
    """The numbers of a column such as "1.78 (plain / ours)"."""
    return [float(text.split()[0]) for text in table["ratio"]]


def values():
    """All of them, by name."""
    return labels_values() | accuracy_values() | speed_values()
