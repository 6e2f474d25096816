"""What a user of Jupyter sees: two notebooks are run in a kernel of their own.

One is an example, the other shows what examples do not: estimators, progress and long
tables as the last value of a cell.
"""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
CELLS = [
    """\
from sklearn.pipeline import make_pipeline

from skplankton import CrossModalEmbedder, GalleryKNNClassifier
from skplankton.datasets import make_particles

X, y = make_particles(80, n_species=2, random_state=0, return_X_y=True)
X[["image", "profile"]]""",
    """\
embedder = CrossModalEmbedder(image_size=16, max_epochs=1, random_state=0, verbose=1)
pipe = make_pipeline(embedder, GalleryKNNClassifier())
pipe""",
    "pipe.fit(X, y)",
    """\
from skplankton.evaluation import EmbeddingDisplay

EmbeddingDisplay.from_embeddings(embedder.transform(X), y)""",
]


def cells_of(script):
    """The cells of an example: a title, then texts with code, each after a "# %%"."""
    text = script.read_text(encoding="utf-8")
    _, title, code = text.split('"""', 2)
    cells = [nbformat.v4.new_markdown_cell(title)]
    for part in code.split("\n# %%\n")[1:]:
        lines = part.splitlines()
        n_words = next((i for i, line in enumerate(lines) if line[:1] != "#"), None)
        words = "\n".join(line.removeprefix("#") for line in lines[:n_words])
        cells.append(nbformat.v4.new_markdown_cell(words))
        cells.append(nbformat.v4.new_code_cell("\n".join(lines[n_words:]).strip()))
    return cells


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The outputs of the code cells, run in order in a new kernel."""
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel chooses its own
    # Settings and history of whoever runs the tests are not read.
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))

    def run(cells):
        notebook = nbformat.v4.new_notebook(cells=cells)
        resources = {"metadata": {"path": str(ROOT)}}
        client = NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources=resources
        )
        client.execute()
        nbformat.validate(notebook)
        return [cell.outputs for cell in cells if cell.cell_type == "code"]

    return run


def written(outputs, stream):
    """All that is printed; on stderr, that is warnings and whatever else is in red."""
    return "".join(
        output.text
        for cell in outputs
        for output in cell
        if output.output_type == "stream" and output.name == stream
    )


def shown(outputs, kind):
    """What a cell shows in one format."""
    found = [output.data for output in outputs if "data" in output]
    return [data[kind] for data in found if kind in data]


def test_an_example(run):
    outputs = run(cells_of(ROOT / "examples" / "plot_missing_views.py"))
    assert written(outputs, "stderr") == ""
    figures = [figure for cell in outputs for figure in shown(cell, "image/png")]
    assert figures
    text = "".join(
        o.text for cell in outputs for o in cell if o.output_type == "stream"
    )
    assert "image only" in text  # the table that it prints


def test_estimators_tables_and_displays(run):
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    table, unfitted, fitted, figure = outputs = run(cells)
    assert written(outputs, "stderr") == ""

    # pandas cuts a table of 80 rows and the arrays in it.
    (html,) = shown(table, "text/html")
    assert "80 rows × 2 columns" in html
    assert len(html) < 20_000

    for output, state in ((unfitted, "Not fitted"), (fitted, "Fitted")):
        (html,) = shown(output, "text/html")
        assert state in html
        assert "CrossModalEmbedder" in html
        assert "GalleryKNNClassifier" in html
        # Links lead to scikit-learn's pages about its own estimators alone.
        links = re.findall(r'href="([^"]+)"', html)
        assert not [link for link in links if "skplankton" in link]
        (text,) = shown(output, "text/plain")
        assert "max_epochs=1" in text

    bars = shown(fitted, "application/vnd.jupyter.widget-view+json")
    assert bool(bars) == (importlib.util.find_spec("ipywidgets") is not None)

    assert len(shown(figure, "image/png")) == 1
