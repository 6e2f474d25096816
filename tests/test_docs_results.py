"""What the pages say of the benchmarks is what benchmarks/results contains."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
PAGES = ("index", "accuracy", "performance")


@pytest.fixture(scope="module")
def modules():
    """The modules that make values and tables for the pages."""
    sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
    try:
        import result_tables
        import result_values
    finally:
        sys.path.pop(0)
    return result_values, result_tables


@pytest.fixture(scope="module")
def accuracy():
    """Mean accuracy in % by data, view and gallery size; a column for each method."""
    table = pd.read_csv(ROOT / "benchmarks" / "results" / "accuracy.csv")
    keys = ["data", "view", "gallery_size"]
    wide = table.pivot_table(index=keys, columns="method", values="accuracy")
    return 100 * wide


def text_of(page):
    return (ROOT / "docs" / f"{page}.rst").read_text(encoding="utf-8")


def test_values_on_the_pages_are_the_computed_ones(modules):
    pages = "".join(map(text_of, PAGES))
    used = set(re.findall(r"\|([\w-]+)\|", pages))
    assert used - {"release"} == set(modules[0].values())


@pytest.mark.parametrize("page", PAGES)
def test_no_result_is_written_by_hand(page):
    """No percentage, no points and no ratio: they would not follow the results."""
    assert not re.findall(r"[\d.]+ (?:%|points|times)", text_of(page))


def test_tables_on_the_pages_are_there(modules):
    pages = "".join(map(text_of, PAGES))
    included = set(re.findall(r"generated/results/(\w+)\.inc", pages))
    assert included - {"values"} == set(modules[1].tables())


def test_rows_of_tables_are_as_long_as_the_header(modules):
    for name, rows in modules[1].tables().items():
        header, *others = map(list, rows)
        assert others, name
        assert {len(row) for row in others} == {len(header)}, name


def test_the_best_is_bold(modules, accuracy):
    header, *rows = modules[1].compared("image")
    name = None
    for first, size, *cells in rows:
        name = first or name
        means = accuracy.loc[(name, "image", size), list(header[2:-1])].round(1)
        is_bold = [cell.startswith("**") for cell in cells[:-1]]
        assert is_bold == (means == means.max()).tolist()


def test_spread_is_the_error_over_splits(modules):
    table = pd.read_csv(ROOT / "benchmarks" / "results" / "accuracy.csv")
    runs = table.query(
        "data == 'digits' and method == 'ours' and view == 'both' and gallery_size == 4"
    )
    mean = 100 * np.mean(runs["accuracy"])
    error = 100 * np.std(runs["accuracy"], ddof=1) / np.sqrt(len(runs))
    (cell,) = [row[2] for row in modules[1].expected() if row[0] == "digits"]
    assert cell == f"{mean:.1f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{error:.1f}"


# What the pages say in words.
IS_SIMULATED = "data.str.startswith('simulator')"
IS_FLOWCAM = "data.str.startswith('FlowCam')"


def test_ours_is_ahead_of_dino_on_simulated_images(accuracy):
    images = accuracy.query(f"{IS_SIMULATED} and view == 'image'").dropna(subset="DINO")
    assert len(images) == 2 * 3
    assert (images["ours"] > images["DINO"]).all()


def test_the_papers_training_is_behind_on_the_simulator_with_both(accuracy):
    both = accuracy.query(f"{IS_SIMULATED} and view == 'both'")
    assert (both["paper, scaled"] < both["ours"]).all()


def test_the_papers_training_is_ahead_on_the_flowcam(accuracy):
    both = accuracy.query(f"{IS_FLOWCAM} and view == 'both'")
    assert (both["paper, scaled"] > both["ours"]).all()


def test_dino_is_ahead_on_the_pixels(accuracy):
    pixels = accuracy.loc[("numerals, pixels and Zernike", "image")]
    assert (pixels["DINO"] > pixels["ours"]).all()


def test_chosen_labels_are_ahead_of_random_ones():
    table = pd.read_csv(ROOT / "benchmarks" / "results" / "labels.csv")
    means = table[table["data"] == "mean"].pivot(
        index="budget", columns="method", values="use_unlabeled"
    )
    assert list(means.index) == [1, 2, 4]
    assert (means["select_to_label"] > means["random"]).all()


def test_nothing_is_clearly_better_than_the_default():
    """What the caption of the figure of costs says."""
    cost = pd.read_csv(ROOT / "benchmarks" / "results" / "accuracy_cost.csv")
    choices = cost[~cost["choice"].str.endswith("digits")]
    assert (choices["gain"] <= choices["error"]).all()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.78, "0.78 s"), (89, "89 s"), (153, "2.5 min"), (9000, "2.5 h")],
)
def test_durations(modules, seconds, text):
    assert modules[0].duration(seconds) == text


def test_what_is_no_duration_or_row_is_an_error(modules):
    with pytest.raises(ValueError, match="'3 MB' is not in seconds"):
        modules[0].seconds("3 MB")
    with pytest.raises(ValueError, match=r"0 rows of transform.csv begin with 'krill'"):
        modules[0].row_of("transform", "krill")
