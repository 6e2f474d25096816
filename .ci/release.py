#!/usr/bin/env python3
"""Build the wheel and the source archive, and use both as a stranger would.

python .ci/release.py                          with the Python that runs this
python .ci/release.py python3.10 python3.14    with each of these, the lowest and newest
python .ci/release.py --tag v0.1.0             the version must be that of the tag

Each is installed in an environment of its own, outside the checkout: there the quick
start runs, and tests of what an installation can lack. What passes lies in dist/.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "plot,report,size"
TESTS = [  # names, versions, templates of reports, saved models
    "tests/test_public_api.py",
    "tests/test_show_versions.py",
    "tests/test_report.py",
    "tests/test_persistence.py",
    "tests/test_gallery.py",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pythons", nargs="*", default=[sys.executable])
    parser.add_argument("--tag", help="of the release, such as v0.1.0")
    options = parser.parse_args()
    version = declared_version()
    check_changelog(version)
    if options.tag not in (None, f"v{version}"):
        sys.exit(f"the tag is {options.tag}, and skplankton/__init__.py says {version}")
    with tempfile.TemporaryDirectory() as folder:
        wheel, sdist = built = build(Path(folder))
        check_contents(wheel, sdist, version)
        for python in options.pythons:
            for number, archive in enumerate(built):
                print(f"\n== {archive.name} on {python}", flush=True)
                work = Path(folder, f"use-{number}")
                use(archive, sdist, version, python, work)
                shutil.rmtree(work)
        shutil.rmtree(ROOT / "dist", ignore_errors=True)
        shutil.copytree(wheel.parent, ROOT / "dist")
    print(f"\nready in dist: {wheel.name}, {sdist.name}")
    return 0


def declared_version() -> str:
    """The version; its only place is the package."""
    text = (ROOT / "skplankton" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.M)[1]


def check_changelog(version: str) -> None:
    """A release has its date in the change log, and all else is unreleased."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (.+)$", text, re.M)[1]
    is_release = re.fullmatch(r"[0-9.]+", version) is not None
    expected = (
        rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d"
        if is_release
        else r"\[Unreleased\]"
    )
    if not re.fullmatch(expected, newest):
        wanted = f"[{version}] - and its date" if is_release else "[Unreleased]"
        sys.exit(f"CHANGELOG.md begins with {newest}; of version {version}: {wanted}")


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel and the source archive, which twine finds fit to be published."""
    python = environment(sys.executable, folder / "tools", "build", "twine")
    dist = folder / "dist"
    run(python, "-m", "build", "--outdir", dist, ROOT)
    wheel, sdist = next(dist.glob("*.whl")), next(dist.glob("*.tar.gz"))
    run(python, "-m", "twine", "check", "--strict", wheel, sdist)
    return wheel, sdist


def check_contents(wheel: Path, sdist: Path, version: str) -> None:
    """The source archive is what git tracks, the wheel is its package."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    tracked = {name for name in listed.stdout.split("\0") if name}
    with tarfile.open(sdist) as archive:
        names = [each.name for each in archive.getmembers() if each.isfile()]
    in_sdist = {name.partition("/")[2] for name in names}
    compare(sdist.name, in_sdist, tracked | {"PKG-INFO"})

    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    info = f"skplankton-{version}.dist-info"
    files = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    package = {name for name in tracked if name.startswith("skplankton/")}
    compare(wheel.name, in_wheel, package | {f"{info}/{file}" for file in files})


def compare(name: str, found: set[str], expected: set[str]) -> None:
    print(f"{name}: {len(found)} files", flush=True)
    if found != expected:
        missing, extra = sorted(expected - found), sorted(found - expected)
        sys.exit(f"{name}: missing {missing or 'nothing'}, too many {extra or 'none'}")


def use(archive: Path, sdist: Path, version: str, python: str, work: Path) -> None:
    """Install an archive and do with it what the README says, and some tests."""
    installed = environment(python, work / "venv", f"{archive}[{EXTRAS}]", "pytest")
    # The examples and the tests, without the package beside them.
    with tarfile.open(sdist) as content:
        content.extractall(work, filter="data")
    source = work / sdist.name.removesuffix(".tar.gz")
    shutil.rmtree(source / "skplankton")

    command = installed.with_name("skplankton")
    printed = run(command, "--version", cwd=source, capture_output=True).stdout.strip()
    if printed != f"skplankton {version}":
        sys.exit(f"skplankton --version printed {printed!r}, expected {version}")
    readme = (source / "README.md").read_text(encoding="utf-8")
    quick_start = re.search(r"\.venv/bin/python (examples/.+)", readme)[1].split()
    run(installed, *quick_start, cwd=source)
    run(installed, "-c", "from skplankton import show_versions as s; s()", cwd=source)
    run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, cwd=source)


def environment(python: str, folder: Path, *packages: str) -> Path:
    """A new virtual environment with these packages; its Python."""
    run(python, "-m", "venv", folder)
    made = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(made, "-m", "pip", "install", "--quiet", *packages)
    return made


def run(*command: object, cwd: Path = ROOT, **options) -> subprocess.CompletedProcess:
    """Run a command, and end if it fails."""
    words = list(map(str, command))
    if not options:
        print("+", " ".join(words), flush=True)
    hidden = {"PYTHONPATH", "PYTHONHOME"}
    variables = {key: value for key, value in os.environ.items() if key not in hidden}
    variables["MPLBACKEND"] = "Agg"
    done = subprocess.run(
        words, cwd=cwd, env=variables, text=True, check=False, **options
    )
    if done.returncode:
        sys.exit(f"failed: {' '.join(words)}\n{done.stderr or ''}")
    return done


if __name__ == "__main__":
    sys.exit(main())
