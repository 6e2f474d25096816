"""The files that the repository's host reads: they parse, and name what exists."""

import importlib.util
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.once

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def parsed(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs_of(path):
    return parsed(path)["jobs"]


def steps():
    for path in WORKFLOWS:
        for name, job in jobs_of(path).items():
            for step in job["steps"]:
                yield f"{path.stem}.{name}", step


def commands():
    return [(where, step["run"]) for where, step in steps() if "run" in step]


def pythons(job):
    """The versions of Python that a job sets up."""
    for step in job["steps"]:
        version = step.get("with", {}).get("python-version", "")
        if "matrix" in version:
            yield from job["strategy"]["matrix"]["python-version"]
        else:
            yield from version.split()


def test_files_are_found():
    assert {path.stem for path in WORKFLOWS} == {"docs", "publish", "tests"}
    assert {path.stem for path in FORMS} == {"bug", "data_format", "feature"}
    assert len(commands()) >= 4


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_what_it_needs(path):
    content = parsed(path)
    assert content["name"]
    assert content[True]  # YAML 1.1 reads the key "on" so
    assert content["permissions"] == {"contents": "read"}
    for name, job in content["jobs"].items():
        assert job["runs-on"]
        assert set(job.get("needs", "").split()) <= set(content["jobs"])
        # A step either uses an action, of a chosen version, or runs a command.
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), name
            assert "uses" not in step or re.search(r"@[\w/]*v\d+$", step["uses"])
    assert "://" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("where", "command"), commands())
def test_a_command_names_what_exists(where, command):
    words = shlex.split(command)
    assert words[0] in ("bash", "python"), where
    if words[1] == "-m":
        assert words[2] == "pip" or importlib.util.find_spec(words[2])
        extras = re.findall(r"\.\[(.+)\]", command)
        for extra in ",".join(extras).split(",") if extras else []:
            assert extra in PROJECT["optional-dependencies"]
    else:
        assert (ROOT / words[1]).is_file()
    if words[0] == "python" and words[1].startswith(".ci/"):
        options = [word for word in words[2:] if word.startswith("--")]
        text = (ROOT / words[1]).read_text(encoding="utf-8")
        assert all(f'"{option}"' in text for option in options)
        # Any other Python that a command calls is one that its job has set up.
        stem, _, job = where.partition(".")
        path = ROOT / ".github" / "workflows" / f"{stem}.yml"
        called = {word.removeprefix("python") for word in words if "python3" in word}
        assert called <= set(pythons(jobs_of(path)[job]))


def test_the_scripts_may_be_run():
    for name in ("run", "lowest"):
        assert os.access(ROOT / ".ci" / name, os.X_OK)


@pytest.mark.parametrize("workflow", ["tests", "publish"])
def test_the_lowest_python_is_the_declared_one(workflow):
    path = ROOT / ".github" / "workflows" / f"{workflow}.yml"
    job = next(iter(jobs_of(path).values()))
    versions = sorted(pythons(job), key=lambda text: int(text.partition(".")[2]))
    assert f">={versions[0]}" == PROJECT["requires-python"]
    assert len(versions) == 2


def test_only_publishing_may_publish():
    """And it does only what it must, with what was built and tried before."""
    for path in WORKFLOWS:
        for name, job in jobs_of(path).items():
            is_publishing = (path.stem, name) == ("publish", "publish")
            permissions = {"id-token": "write"} if is_publishing else None
            assert job.get("permissions") == permissions
    content = parsed(ROOT / ".github" / "workflows" / "publish.yml")
    assert content[True] == {"release": {"types": ["published"]}}
    job = content["jobs"]["publish"]
    assert (job["needs"], job["environment"]) == ("build", "release")
    assert not any("run" in step for step in job["steps"])
    assert f"environment `{job['environment']}`" in contributing()


def test_no_text_from_outside_is_part_of_a_command():
    """A tag or a title between ${{ }} would be run by the shell."""
    assert not [command for _, command in commands() if "${{" in command]


def contributing():
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one(path):
    form = parsed(path)
    assert set(form) == {"name", "description", "labels", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"checkboxes", "input", "textarea"}
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in fields)


@pytest.mark.parametrize("name", ["bug", "data_format"])
def test_forms_ask_for_the_versions(name):
    import skplankton

    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text("utf-8")
    assert "skplankton.show_versions()" in text
    assert callable(skplankton.show_versions)


def test_the_example_of_the_bug_form_runs():
    form = parsed(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml")
    (code,) = [
        field["attributes"]["placeholder"]
        for field in form["body"]
        if field["attributes"].get("render") == "python"
    ]
    exec(code, {})
