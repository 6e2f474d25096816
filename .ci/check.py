"""Run every check of the project with the Python that runs this; all run, any may fail.

python .ci/check.py            all of them, tests last
python .ci/check.py lint docs  some of them
python .ci/check.py coverage   the tests again, which take half as long again: by hand
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "imports": ["importlinter.cli", "lint-imports"],
    "types": ["mypy", "skplankton"],
    "docs": ["sphinx", "-W", "--keep-going", "-q", "-j", "2", "docs", "{build}/html"],
    "tests": ["pytest", "-n", "auto", "--durations=20"],
    "coverage": ["pytest", "-n", "auto", "--cov", "--cov-report=term"],
}
# The tests share the processors by running beside one another, not by torch's threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def run(name: str, build: str) -> bool:
    module, *arguments = CHECKS[name]
    command = [sys.executable, "-m", module, *arguments]
    if name == "imports":  # import-linter has a console script only
        call = "from importlinter.cli import lint_imports; exit(lint_imports())"
        command = [sys.executable, "-c", call]
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    arguments = [argument.format(build=build) for argument in command]
    passed = subprocess.run(arguments, cwd=ROOT, check=False).returncode == 0
    print(f"== {name} {'passed' if passed else 'FAILED'}", end="")
    print(f" in {time.monotonic() - start:.0f} s", flush=True)
    return passed


def main() -> int:
    names = sys.argv[1:] or [name for name in CHECKS if name != "coverage"]
    unknown = set(names) - set(CHECKS)
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(CHECKS)}")
        return 2
    with tempfile.TemporaryDirectory() as build:
        failed = [name for name in names if not run(name, build)]
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
