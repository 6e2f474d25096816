"""The table of a benchmark: averages, selection of results, and formats."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skplankton.evaluation import benchmark_table, cross_modal_benchmark


def results(n_repeats=2, sizes=(16, 1), **extra):
    """Scores whose means all differ."""
    rows = itertools.product(("profile", "image"), ("image", "both"), sizes, [3])
    frame = pd.DataFrame(
        [(*row, repeat) for row in rows for repeat in range(n_repeats)],
        columns=["gallery", "query", "gallery_size", "n_neighbors", "repeat"],
    ).assign(**extra)
    scores = np.linspace(0, 1, len(frame))
    return frame.assign(accuracy=scores, precision=1.0, recall=0.25, f1=0.4)


def test_mean_and_deviation_by_hand():
    frame = results()
    table = benchmark_table(frame, format="frame")
    assert table.index.names == ["gallery", "query"]
    assert table.columns.tolist() == [1, 16]  # ascending
    assert table.index.tolist() == [  # in the order of the results
        ("profile", "image"),
        ("profile", "both"),
        ("image", "image"),
        ("image", "both"),
    ]
    for (gallery, query), size in itertools.product(table.index, table.columns):
        part = frame[
            (frame["gallery"] == gallery)
            & (frame["query"] == query)
            & (frame["gallery_size"] == size)
        ]
        percent = [100 * score for score in part["accuracy"]]
        mean = sum(percent) / 2
        deviation = abs(percent[0] - percent[1]) / 2
        expected = f"{mean:.1f} ± {deviation:.1f}"
        assert table.loc[(gallery, query), size] == expected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_one_entry(scores):
    frame = pd.DataFrame(
        {
            "gallery": "image",
            "query": "both",
            "gallery_size": 4,
            "n_neighbors": 3,
            "f1": scores,
        }
    )
    entry = benchmark_table(frame, metric="f1", format="frame").iloc[0, 0]
    mean, deviation = map(float, entry.split(" ± "))
    assert abs(mean - 100 * np.mean(scores)) < 0.051
    assert abs(deviation - 100 * np.std(scores)) < 0.051


@pytest.mark.parametrize(
    ("metric", "entry"),
    [("precision", "100.0 ± 0.0"), ("recall", "25.0 ± 0.0"), ("f1", "40.0 ± 0.0")],
)
def test_metric(metric, entry):
    table = benchmark_table(results(), metric=metric, format="frame")
    assert table.eq(entry).all(axis=None)


def test_folds_are_averaged_and_models_are_not():
    frames = [
        results(fold=fold, model=model).assign(
            accuracy=0.1 * fold + 0.5 * (model == "b")
        )
        for fold in range(3)
        for model in "ba"
    ]
    table = benchmark_table(pd.concat(frames), format="frame")
    assert table.index.names == ["model", "gallery", "query"]
    assert table.loc["a"].eq("10.0 ± 8.2").all(axis=None)
    assert table.loc["b"].eq("60.0 ± 8.2").all(axis=None)
    assert table.index[0][0] == "b"
    one = benchmark_table(frames[0], format="frame")
    assert one.index.names == ["gallery", "query"]
    by = benchmark_table(pd.concat(frames), by=("query", "model"), format="frame")
    assert by.index.names == ["query", "model"]


def test_gallery_sizes_are_chosen():
    frame = results(sizes=(1, 2, 4))
    whole = benchmark_table(frame, format="frame")
    for chosen, columns in ((4, [4]), ((4, 1), [1, 4]), (np.array([2]), [2])):
        table = benchmark_table(frame, gallery_size=chosen, format="frame")
        pd.testing.assert_frame_equal(table, whole[columns])


def test_numbers_of_neighbors_are_not_mixed():
    frame = pd.concat([results(), results().assign(n_neighbors=5, accuracy=0.5)])
    with pytest.raises(
        ValueError, match=r"n_neighbors \[3, 5\], which a mean would mix"
    ):
        benchmark_table(frame)
    table = benchmark_table(frame, n_neighbors=5, format="frame")
    assert table.eq("50.0 ± 0.0").all(axis=None)
    by = ["gallery", "query", "n_neighbors"]
    table = benchmark_table(frame, by=by, format="frame")
    assert table.index.names == by
    assert len(table) == 8


def test_missing_scores_are_dashes():
    frame = results()
    frame.loc[0, "accuracy"] = np.nan  # one repeat of the first set-up
    frame = frame.drop(index=frame.index[-2:])  # the last has no result
    table = benchmark_table(frame, format="frame")
    assert table.loc[("profile", "image"), 16] == "–"
    assert table.loc[("image", "both"), 1] == "–"
    assert table.eq("–").to_numpy().sum() == 2
    assert "--" in benchmark_table(frame, format="latex")


def test_markdown():
    frame = results(n_repeats=1, sizes=(1, 16)).iloc[:4]
    assert benchmark_table(frame).splitlines() == [
        "| gallery | query |          1 |         16 |",
        "| :------ | :---- | ---------: | ---------: |",
        "| profile | image |  0.0 ± 0.0 | 14.3 ± 0.0 |",
        "| profile | both  | 28.6 ± 0.0 | 42.9 ± 0.0 |",
    ]
    piped = benchmark_table(frame.assign(model="a|b"), by=["model"])
    assert r"a\|b" in piped


def test_latex():
    frame = results(n_repeats=1, sizes=(1,)).iloc[:2]
    assert benchmark_table(frame, format="latex").splitlines() == [
        r"\begin{tabular}{llr}",
        r"\toprule",
        r"gallery & query & 1 \\",
        r"\midrule",
        r"profile & image & 0.0 $\pm$ 0.0 \\",
        r"profile & both & 33.3 $\pm$ 0.0 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    text = benchmark_table(
        frame.assign(my_model="50%\\^"), by="my_model", format="latex"
    )
    assert r"my\_model & 1 \\" in text
    assert r"50\%\textbackslash{}\textasciicircum{} & " in text


def test_of_a_benchmark():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 6)), np.repeat(["a", "b"], 20)
    frame = cross_modal_benchmark(X, y, gallery_sizes=(1, 4), random_state=0)
    before = frame.copy()
    table = benchmark_table(frame, format="frame")
    assert table.shape == (9, 2)
    both = frame.query("gallery == 'both' and query == 'both' and gallery_size == 4")
    percent = 100 * both["accuracy"].to_numpy()
    assert (
        table.loc[("both", "both"), 4] == f"{percent.mean():.1f} ± {percent.std():.1f}"
    )
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"metric": "auc"}, "metric='auc'; expected one of 'accuracy', 'precision'"),
        ({"format": "html"}, "format='html'; expected one of 'markdown', 'latex'"),
        ({"gallery_size": 2}, r"no results with gallery_size \[2\]; .* \[1, 16\]"),
        ({"gallery_size": []}, r"no results with gallery_size \[\]; .* \[1, 16\]"),
        ({"n_neighbors": 5}, r"no results with n_neighbors \[5\]; .* \[3\]"),
        ({"by": ["fold"]}, "results has no column 'fold'; it has"),
        ({"by": []}, r"by=\[\]; expected at least one column"),
        ({"by": ["gallery_size"]}, "'gallery_size', which defines its columns"),
    ],
)
def test_parameters(params, words):
    with pytest.raises(ValueError, match=words):
        benchmark_table(results(), **params)


def test_results_without_the_columns():
    with pytest.raises(ValueError, match="no column 'gallery', 'query'"):
        benchmark_table(pd.DataFrame({"accuracy": [1.0]}))
