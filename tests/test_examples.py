"""The examples are whole scripts, and the quick start runs from the command line.

The documentation's build runs every gallery example at full size and fails on an error.
Only what the build does not cover is tested here: the command-line use of the quick
start and of the paper's protocol, on little data, and that every example is a gallery
page.
"""

import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("plot_*.py"))


def test_examples_are_found():
    assert EXAMPLES / "plot_quickstart.py" in SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_example_is_a_gallery_page(script):
    text = script.read_text(encoding="utf-8")
    compile(text, str(script), "exec")
    title, underline = text.splitlines()[1:3]
    assert underline == len(title) * "="
    assert "\n# %%\n" in text
    assert "\n# What to read next\n" in text
    assert "\nplt.show()\n" in text or ".savefig(" in text


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a script as the command line does, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")

    def run(name, *arguments, **constants):
        script = EXAMPLES / name
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        code = compile(script.read_text(encoding="utf-8"), str(script), "exec")
        names = {"__name__": "script", "__file__": str(script)}
        exec(code, names)
        if "main" in names:
            names.update(constants)
            names["main"]()

    return run


def test_quickstart_from_the_command_line(run, capsys):
    output = ("--output", "result")
    run("plot_quickstart.py", "--n-particles", "80", "--epochs", "1", *output)
    assert "accuracy with 4 labels per species" in capsys.readouterr().out
    table = pd.read_csv("result/scores.csv", index_col="species")
    assert table.index.tolist()[-2:] == ["macro avg", "weighted avg"]
    assert table["support"].iloc[:-2].sum() == 24  # the test particles
    assert table["recall"].between(0, 1).all()
    for name in ("scores.csv", "quickstart.png", "LAB/annotations.csv"):
        assert (Path("result") / name).is_file()


def test_the_papers_protocol_resumes_where_it_stopped(run, capsys):
    simulated = {
        name: {"n_samples": 80, "n_species": 4, "random_state": seed}
        for seed, name in enumerate(("LAB", "SEA", "UTO"))
    }

    def protocol(epochs):
        arguments = ("--output", "result", "--epochs", str(epochs))
        run("reproduce_paper.py", *arguments, SIMULATED=simulated)
        return pd.read_csv("result/results.csv")

    results = protocol(epochs=1)
    assert set(results["task"]) == {"LAB→LAB", "UTO→LAB", "LAB→SEA", "UTO→SEA"}
    assert len(results.groupby(["gallery", "query"])) == 9
    out = Path("result")
    for name in ("table.md", "table.tex", "accuracy.png"):
        assert (out / name).stat().st_size > 0

    # As if it had been stopped while the last model was trained.
    (out / "models" / "convnext_femto+cnn+clip_LAB_1.joblib").unlink()
    for stale in (out / "results").glob("*LAB_*_1.joblib"):
        stale.unlink()
    capsys.readouterr()
    pd.testing.assert_frame_equal(protocol(epochs=1), results)
    assert capsys.readouterr().out.count("training ") == 1

    with pytest.raises(SystemExit, match="was started with another --epochs"):
        protocol(epochs=2)
