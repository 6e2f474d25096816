"""docs/installation.rst and README.md say what pyproject.toml declares."""

import re
import sys
from pathlib import Path

import pytest
from docutils.core import publish_doctree
from docutils.nodes import row

pytestmark = pytest.mark.once

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
EXTRAS = {
    name: requirements
    for name, requirements in PROJECT["optional-dependencies"].items()
    if name not in ("test", "docs")
}


def page():
    return (ROOT / "docs" / "installation.rst").read_text(encoding="utf-8")


def parts(requirement):
    """Name, lowest version, and what else it says: ``tomli>=2.0; python_version…``"""
    return re.fullmatch(
        r"([\w-]+)(?:\[.*\])?>=([\d.]+)(?:; (.+))?", requirement
    ).groups()


def test_lowest_versions():
    expected = [["Python", PROJECT["requires-python"].removeprefix(">="), ""]]
    for requirement in PROJECT["dependencies"]:
        name, version, marker = parts(requirement)
        before = (
            re.fullmatch(r"python_version < '3\.(\d+)'", marker) if marker else None
        )
        needed_for = f"Python 3.{int(before[1]) - 1}" if before else ""
        expected.append([name, version, needed_for])
    for extra, requirements in EXTRAS.items():
        for requirement in requirements:
            name, version, _ = parts(requirement)
            expected.append([name, version, f"the extra {extra}"])

    section = page().partition("Lowest versions\n")[2]
    table = section[section.index(".. list-table::") :]
    rows = [
        [cell.astext() for cell in line] for line in publish_doctree(table).findall(row)
    ]
    assert rows[0] == ["Package", "Lowest", "Needed for"]
    assert rows[1:] == expected


def test_each_extra_has_its_command():
    commands = re.findall(r'^   \* - ``pip install "\.\[(\w+)\]"``$', page(), re.M)
    assert sorted(commands) == sorted(EXTRAS)


def test_the_readme_and_the_page_start_in_the_same_way():
    command = 'pip install ".[plot]"'
    assert command in page()
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_of_the_readme_are_relative_and_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    inside = [target for target in targets if "://" not in target]
    assert len(inside) >= 5
    missing = [target for target in inside if not (ROOT / target).is_file()]
    assert not missing
