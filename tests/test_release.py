"""What .ci/release.py checks before it builds, and of what it has built."""

import importlib.util
import re
from pathlib import Path

import pytest

import skplankton

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(release)


def test_the_version_is_the_packages():
    assert release.declared_version() == skplankton.__version__


def test_the_change_log_is_that_of_the_version():
    release.check_changelog(skplankton.__version__)


@pytest.mark.parametrize(
    ("version", "heading", "is_right"),
    [
        ("0.1.0.dev0", "[Unreleased]", True),
        ("0.1.0", "[0.1.0] - 2026-12-31", True),
        ("0.1.0", "[Unreleased]", False),
        ("0.1.0", "[0.1.0]", False),
        ("0.1.1", "[0.1.0] - 2026-12-31", False),
        ("0.2.0.dev0", "[0.1.0] - 2026-12-31", False),
    ],
)
def test_the_heading_of_the_change_log(
    tmp_path, monkeypatch, version, heading, is_right
):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    text = f"# Changelog\n\n## {heading}\n\n## [0.0.1] - 2026-01-01\n"
    (tmp_path / "CHANGELOG.md").write_text(text, encoding="utf-8")
    if is_right:
        release.check_changelog(version)
    else:
        with pytest.raises(SystemExit, match=re.escape(heading)):
            release.check_changelog(version)


def test_a_tag_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr("sys.argv", ["release.py", "--tag", "v99.0"])
    with pytest.raises(SystemExit, match=r"the tag is v99\.0"):
        release.main()


def test_contents_must_be_equal(capsys):
    release.compare("a.whl", {"a", "b"}, {"a", "b"})
    assert capsys.readouterr().out == "a.whl: 2 files\n"
    with pytest.raises(SystemExit, match=r"missing \['b'\], too many \['c'\]"):
        release.compare("a.whl", {"a", "c"}, {"a", "b"})


def test_its_tests_and_its_quick_start_exist():
    assert not [test for test in release.TESTS if not (ROOT / test).is_file()]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = re.search(r"\.venv/bin/python (examples/\S+)", readme)[1]
    assert (ROOT / script).is_file()
