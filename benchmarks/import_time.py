"""Time of `import skplankton` and of `import sklearn`, each in a new Python process.

Also of importing the classifier alone, which does not load torch, as a test checks. The
time of an empty Python process is subtracted.

    python benchmarks/import_time.py
"""

import subprocess
import sys

import _timing


def fresh(code: str) -> float:
    """Seconds of a new Python process that runs the code."""
    return _timing.seconds(lambda: subprocess.run([sys.executable, "-c", code]))


def main() -> None:
    options = _timing.parser(__doc__)
    options.set_defaults(n_runs=15)
    options = options.parse_args()
    records = []
    for row, plain, ours in (
        ("import", "import sklearn", "import skplankton"),
        (
            "import of the classifier, and of KNeighborsClassifier",
            "from sklearn.neighbors import KNeighborsClassifier",
            "from skplankton import GalleryKNNClassifier",
        ),
    ):
        ways = {"empty": "", "plain": plain, "ours": ours}
        figures = _timing.take_turns(
            {name: lambda code=code: fresh(code) for name, code in ways.items()},
            options.n_runs,
        )
        empty = figures.pop("empty")
        figures = {
            name: [max(1e-4, s - e) for s, e in zip(runs, empty, strict=True)]
            for name, runs in figures.items()
        }
        records.append(
            _timing.compare(row, figures, target="<= 1.2", ours_over_plain=True)
        )
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()
