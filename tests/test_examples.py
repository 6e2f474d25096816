"""The examples are whole scripts, and the quick start runs from the command line.

The documentation's build runs every gallery example at full size and fails on an error.
Only what it cannot see is tested here: the command-line use of the quick start and of
the paper's protocol, on little data, and that every example is a gallery page.
"""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

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


def run_script(name, *arguments, folder):
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_quickstart_from_the_command_line(tmp_path):
    run = run_script(
        "plot_quickstart.py",
        *("--n-particles", "80", "--epochs", "1", "--output", "result"),
        folder=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert "accuracy with 4 labels a species" in run.stdout
    nine = pd.read_csv(tmp_path / "result" / "nine_setups.csv", index_col=0)
    assert nine.shape == (3, 3)
    assert nine.to_numpy().min() >= 0
    assert nine.to_numpy().max() <= 1
    for name in ("species.csv", "quickstart.png", "LAB/annotations.csv"):
        assert (tmp_path / "result" / name).is_file()


def test_the_papers_protocol_goes_on_where_it_stopped(tmp_path):
    arguments = ("--output", "result", "--epochs", "1")
    first = run_script("reproduce_paper.py", *arguments, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    out = tmp_path / "result"
    results = pd.read_csv(out / "results.csv")
    assert set(results["task"]) == {"LAB→LAB", "UTO→LAB", "LAB→SEA", "UTO→SEA"}
    assert len(results.groupby(["gallery", "query"])) == 9
    for name in ("table.md", "table.tex", "accuracy.png"):
        assert (out / name).stat().st_size > 0

    # As if it had been stopped while the last model was trained.
    (out / "models" / "convnext_femto+cnn+clip_LAB_1.joblib").unlink()
    for stale in (out / "results").glob("*LAB_*_1.joblib"):
        stale.unlink()
    again = run_script("reproduce_paper.py", *arguments, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("training ") == 1
    pd.testing.assert_frame_equal(pd.read_csv(out / "results.csv"), results)

    other = run_script(
        "reproduce_paper.py", "--output", "result", "--epochs", "2", folder=tmp_path
    )
    assert other.returncode != 0
    assert "was begun with another --epochs" in other.stderr
