"""What a bug report says about the machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skplankton
from skplankton import _show_versions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


@pytest.fixture
def printed(capsys):
    """The section and value of each name that is printed."""

    def sections():
        skplankton.show_versions()
        found, section = {}, None
        for line in capsys.readouterr().out.splitlines():
            if line.startswith("    "):
                name, _, value = line.strip().partition(": ")
                section.append((name, value))
            elif line:
                section = found[line] = []
        return found

    return sections


def test_what_is_printed_is_what_is_installed(printed):
    import numpy
    import sklearn
    import torch

    sections = printed()
    assert dict(sections["System"])["Python"].startswith(sys.version.split()[0])
    versions = dict(sections["Versions"])
    assert versions["skplankton"] == skplankton.__version__
    assert versions["numpy"] == numpy.__version__
    assert versions["scikit-learn"] == sklearn.__version__
    assert versions["torch"] == torch.__version__
    assert "not installed" not in versions.values()
    assert dict(sections["PyTorch"])["threads"] == str(torch.get_num_threads())
    device = dict(sections["PyTorch"])["device"]
    assert torch.device(device.split()[0]).type == device.split()[0]


def test_each_thread_pool_is_printed(printed):
    """Each, since numpy and scipy may bring two of one kind."""
    from threadpoolctl import threadpool_info

    pools = printed()["Thread pools"]
    assert len(pools) == len(threadpool_info()) > 0
    assert all(re.match(r"\d+ threads", value) for _, value in pools)


def test_the_packages_are_those_of_pyproject():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]

    def names(requirements):
        return [re.match(r"[\w-]+", requirement)[0] for requirement in requirements]

    # tomli is there on Python 3.10 alone, and has no effect on results.
    needed = [name for name in names(project["dependencies"]) if name != "tomli"]
    assert sorted(_show_versions.DEPENDENCIES) == sorted(needed)
    extras = {
        extra: names(requirements)
        for extra, requirements in project["optional-dependencies"].items()
        if extra not in ("test", "docs")
    }
    assert {extra: [name] for extra, name in _show_versions.EXTRAS.items()} == extras


def test_a_package_that_is_not_there(printed, monkeypatch):
    monkeypatch.setitem(_show_versions.EXTRAS, "krill", "no-such-package")
    assert dict(printed()["Extras"])["krill (no-such-package)"] == "not installed"


def test_torch_that_cannot_be_imported_is_reported(printed, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    sections = printed()
    assert dict(sections["Versions"])["torch"].startswith("cannot be imported (")
    assert len(sections["Thread pools"]) > 0


def test_nothing_private_is_printed(tmp_path):
    """Neither where Python is nor who runs it: reports of bugs are public."""
    run = subprocess.run(
        [sys.executable, "-c", "import skplankton; skplankton.show_versions()"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "System" in run.stdout
    assert str(tmp_path) not in run.stdout
    assert sys.prefix not in run.stdout
    assert str(ROOT) not in run.stdout
    assert run.stderr == ""
