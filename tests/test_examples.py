"""The examples are whole scripts, and the quick start runs from the command line.

The documentation's build runs every example at full size and fails on an error, so only
what it cannot see is tested here: the quick start's command-line use, on little data,
and that every example is a gallery page that compiles.
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


def test_quickstart_from_the_command_line(tmp_path):
    pytest.importorskip("matplotlib")
    command = [sys.executable, str(EXAMPLES / "plot_quickstart.py")]
    command += ["--n-particles", "80", "--epochs", "1", "--output", "result"]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "accuracy with 4 labels a species" in run.stdout
    nine = pd.read_csv(tmp_path / "result" / "nine_setups.csv", index_col=0)
    assert nine.shape == (3, 3)
    assert nine.to_numpy().min() >= 0
    assert nine.to_numpy().max() <= 1
    for name in ("species.csv", "quickstart.png", "LAB/annotations.csv"):
        assert (tmp_path / "result" / name).is_file()
