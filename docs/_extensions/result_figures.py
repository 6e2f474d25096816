"""Figures of the pages, from the results of the benchmarks, for either color scheme."""

from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.figure import Figure
from result_tables import METHODS, SIZES, in_order
from result_values import accuracies, read

SCHEMES = {  # the colors of skplankton.css
    "light": {"text": "#222832", "ours": "#0b6e70", "paper": "#b3541e"},
    "dark": {"text": "#ced6dd", "ours": "#5fc9ca", "paper": "#f0a374"},
}
GRAY = "#7a828e"
MARKERS = dict(zip(METHODS, "x+1Dso", strict=True))
COLORED = {"ours": "ours", "paper, scaled": "paper"}


@contextmanager
def style(colors):
    """Text and axes in the page's color, without a background."""
    texts = ("text.", "axes.label", "axes.edge", "xtick.", "ytick.")
    settings = {
        "svg.hashsalt": "skplankton",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "legend.frameon": False,
    }
    settings |= {f"{name}color": colors["text"] for name in texts}
    with rc_context(settings):
        yield


def labels(colors):
    """Accuracy by number of labels: chosen, and at random."""
    table = read("labels").query("data == 'mean'")
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for method, name, color in (
        ("select_to_label", "chosen by skplankton", colors["ours"]),
        ("random", "at random", GRAY),
    ):
        rows = table[table["method"] == method]
        axes.errorbar(
            rows["budget"],
            rows["use_unlabeled"],
            rows["error"],
            color=color,
            marker="o",
            linewidth=2.5,
            capsize=3,
        )
        for budget, value in zip(rows["budget"], rows["use_unlabeled"], strict=True):
            above = method == "select_to_label"
            axes.annotate(
                f"{value:.0f} %",
                (budget, value),
                (0, 12 if above else -20),
                textcoords="offset points",
                ha="center",
                color=color,
                fontweight="bold",
            )
        last = rows.iloc[-1]
        axes.annotate(
            name,
            (last["budget"], last["use_unlabeled"]),
            (14, 4 if above else -8),
            textcoords="offset points",
            color=color,
        )
    axes.set_xscale("log", base=2)
    budgets = table["budget"].unique()
    axes.set_xticks(budgets, budgets)
    axes.set_xlim(0.85, 8)
    axes.set_ylim(55, 100)
    axes.set_xlabel("labels per class, on average")
    axes.set_ylabel("classified correctly, %")
    return figure


def accuracy(colors):
    """Accuracy of each method with both modalities, on each data set."""
    means = accuracies().groupby(["data", "view", "gallery_size"]).mean()
    both = means.xs("both", level="view")
    names = in_order(both)[::-1]
    figure = Figure(figsize=(9, 5), layout="constrained")
    panels = figure.subplots(1, len(SIZES), sharex=True, sharey=True)
    for size, axes in zip(SIZES, panels, strict=True):
        at_size = both.xs(size, level="gallery_size").loc[names]
        for method in METHODS:
            if method not in at_size or at_size[method].isna().all():
                continue
            axes.plot(
                at_size[method],
                range(len(names)),
                MARKERS[method],
                color=colors.get(COLORED.get(method), GRAY),
                markersize=9 if method == "ours" else 6,
                label=method,
            )
        axes.set_yticks(range(len(names)), names)
        axes.grid(axis="y", color=GRAY, alpha=0.25)
        axes.set_title(f"{size} label{'s' * (size > 1)} per class", fontsize=11)
        axes.tick_params(length=0, axis="y")
    panels[1].set_xlabel("classified correctly, %")
    handles, text = panels[0].get_legend_handles_labels()
    figure.legend(handles, text, loc="outside upper center", ncols=len(METHODS))
    return figure


def cost(colors):
    """Gain of each choice over the default, with its time, from quick to slow."""
    table = read("accuracy_cost").sort_values("seconds", ascending=False)
    table = table[~table["choice"].str.endswith("digits")]
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    places = range(len(table))
    axes.errorbar(
        table["gain"],
        places,
        xerr=table["error"],
        fmt="o",
        color=colors["ours"],
        capsize=3,
    )
    axes.axvline(0, color=colors["paper"], zorder=0)
    axes.set_yticks(places, table["choice"])
    axes.grid(axis="y", color=GRAY, alpha=0.25)
    axes.tick_params(length=0, axis="y")
    axes.set_xlabel("gain over the default, points of accuracy")
    times = axes.secondary_yaxis("right")
    times.set_yticks(places, [f"{value:.2f}" for value in table["seconds"]])
    times.tick_params(length=0)
    times.set_ylabel("training time, default = 1")
    return figure


FIGURES = {"labels": labels, "accuracy": accuracy, "cost": cost}


def draw(name, scheme, path):
    """Write a figure as an SVG file, the same for the same results."""
    with style(SCHEMES[scheme]):
        figure = FIGURES[name](SCHEMES[scheme])
        figure.savefig(path, format="svg", metadata={"Date": None})
