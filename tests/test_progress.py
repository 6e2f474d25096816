"""Progress in a log file, on a terminal and in a notebook."""

import sys

import pytest

from skplankton._utils import progress as progress_module

pytestmark = pytest.mark.once


def work(n_steps=3):
    with progress_module.progress(
        total=n_steps, desc="training", unit="steps", disable=False
    ) as bar:
        for step in range(n_steps):
            bar.set_postfix({"loss": step / 2}, refresh=False)
            bar.update()


def test_a_log_file_gets_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "SECONDS_PER_LINE", 0)
    work()
    text = capsys.readouterr().err
    lines = text.splitlines()
    assert len(lines) == 4
    assert lines[0] == "training: 0%, 0 of 3 steps, 00:00 gone, ? left"
    assert lines[1].startswith("training: 33%, 1 of 3 steps, ")
    assert lines[3].startswith("training: 100%, 3 of 3 steps, ")
    assert lines[3].endswith(" left, loss=1")
    assert "\r" not in text


def test_the_last_line_is_the_end(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "SECONDS_PER_LINE", 0)
    with progress_module.progress(
        total=10, desc="training", unit="steps", disable=False
    ) as bar:
        bar.mininterval = 1000
        bar.update(10)
    assert capsys.readouterr().err.splitlines()[-1].startswith("training: 100%, 10 of")


def test_short_work_leaves_no_line_in_a_log_file(capsys):
    work()
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    work()
    text = capsys.readouterr().err
    assert "training: 100%" in text
    assert "\r" in text


@pytest.mark.parametrize("is_notebook", [True, False])
def test_a_notebook_gets_a_bar_in_its_output(monkeypatch, is_notebook):
    class Base(progress_module.notebook_or_terminal_bar):
        pass

    Base.__module__ = "tqdm.notebook" if is_notebook else "tqdm.std"

    class Bar(Base):
        pass

    monkeypatch.setattr(progress_module, "notebook_or_terminal_bar", Bar)
    bar = progress_module.progress(total=1, desc="", unit="", disable=True)
    assert isinstance(bar, Bar) == is_notebook


def test_nothing_if_disabled(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "SECONDS_PER_LINE", 0)
    with progress_module.progress(total=1, desc="", unit="", disable=True) as bar:
        bar.update()
    assert capsys.readouterr().err == ""
