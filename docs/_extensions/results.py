"""What the pages show of benchmarks/results, computed at the beginning of each build.

In docs/generated/results/, for the pages to include: values.inc has the values that the
text has as |name|; the others are tables, and figures for either color scheme.
"""

import csv
import io
from pathlib import Path

from result_figures import FIGURES, SCHEMES, draw
from result_tables import tables
from result_values import values


def write(app):
    folder = Path(app.srcdir) / "generated" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f".. |{name}| replace:: {value}\n" for name, value in values().items()]
    write_if_new(folder / "values.inc", "".join(lines).encode())
    for name, rows in tables().items():
        write_if_new(folder / f"{name}.inc", table(rows).encode())
    for name in FIGURES:
        for scheme in SCHEMES:
            drawn = io.BytesIO()
            draw(name, scheme, drawn)
            write_if_new(folder / f"{name}-{scheme}.svg", drawn.getvalue())


def table(rows):
    """Rows of cells as a table of reStructuredText."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    options = ".. csv-table::\n   :header-rows: 1\n   :class: wide-table\n\n"
    return options + "".join(f"   {line}\n" for line in text.getvalue().splitlines())


def write_if_new(path, content):
    """Sphinx reads a page again if a file that it includes is written."""
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
