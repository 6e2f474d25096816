"""The file of options, shell completion and the installed command."""

import shutil
import subprocess
import sys

import pytest

from skplankton._cli._arguments import parse_arguments

pytestmark = pytest.mark.once

FIT = ["fit", "season/", "--output=m.joblib"]


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "station.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_options_of_the_file_are_those_of_the_command_line(config):
    path = config(
        """
        [fit]
        max-epochs = 60
        temperature = 0.2
        channels = "FWS,red=FL Red"
        quiet = true
        strict = false

        [classify]
        ecotaxa = true
        """
    )
    found = parse_arguments([*FIT, "--config", path])
    line = ["--max-epochs=60", "--temperature=0.2", "--channels=FWS,red=FL Red"]
    expected = parse_arguments([*FIT, *line, "--quiet"])
    assert vars(found) == vars(expected) | {"config": path}


def test_the_command_line_replaces_the_file(config):
    path = config("[fit]\nmax-epochs = 60\noutput = 'other.joblib'\n")
    options = parse_arguments([*FIT, "--max-epochs=5", f"--config={path}"])
    assert options.max_epochs == 5
    assert options.output.name == "m.joblib"


def test_required_options_may_be_in_the_file(config):
    path = config("[fit]\noutput = 'other.joblib'\n")
    options = parse_arguments(["fit", "season/", "--config", path])
    assert options.output.name == "other.joblib"
    assert options.samples == ["season/"]


def test_other_commands_have_their_own_table(config):
    path = config("[classify]\necotaxa = true\n")
    assert parse_arguments([*FIT, "--config", path]).max_epochs == 30


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fit]\nmax_epochs = 60", "fit has no option 'max_epochs'. Expected one of"),
        ("[fit]\nconfig = 'x'", "fit has no option 'config'"),
        ("[fit]\nmax-epochs = 'many'", "--max-epochs: expected a whole number"),
        ("[fit]\nmax-epochs = true", "max-epochs: expected a number or a text in"),
        ("[fit]\nchannels = ['FWS']", "channels: expected a number or a text in quo"),
        ("[fit]\nquiet = 1", "fit, quiet: expected true or false, got 1"),
        ("fit = 3", "'fit' is 3; expected a table, [fit]"),
        ("max-epochs = 60", "'max-epochs' is the name of no command. Expected opt"),
        ("[Fit]\nmax-epochs = 60", "'Fit' is the name of no command"),
        ("max-epochs: 60", "is not a TOML file"),
    ],
)
def test_mistakes_in_the_file(config, text, words, capsys):
    with pytest.raises(SystemExit) as end:
        parse_arguments([*FIT, "--config", config(text)])
    assert end.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_missing_file(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse_arguments([*FIT, "--config", tmp_path / "none.toml"])
    assert "none.toml cannot be read: No such file" in capsys.readouterr().err


def test_config_without_a_file(capsys):
    with pytest.raises(SystemExit):
        parse_arguments([*FIT, "--config"])
    assert "--config: expected one argument" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_completion(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--print-completion", "bash"])
    script = tmp_path / "completion.sh"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    complete = (
        f"source {script}; COMP_WORDS=(skplankton cl); COMP_CWORD=1; "
        "$(complete -p skplankton | sed 's/.*-F //; s/ .*//'); echo ${COMPREPLY[@]}"
    )
    run = subprocess.run(
        ["bash", "-c", complete], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["classify"]


def test_completion_without_shtab(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit):
        parse_arguments(["--print-completion", "bash"])
    assert "pip install 'skplankton[completion]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/usr/bin/skplankton", "skplankton"),
        ("C:/skplankton.exe", "skplankton"),
        ("/lib/skplankton/__main__.py", "python -m skplankton"),
    ],
)
def test_name_in_the_help(monkeypatch, capsys, program, name):
    monkeypatch.setattr(sys, "argv", [program])
    with pytest.raises(SystemExit):
        parse_arguments(["fit", "--help"])
    assert f"usage: {name} fit" in capsys.readouterr().out
