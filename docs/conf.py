"""Sphinx configuration: numpydoc, sphinx-gallery and the PyData theme, all offline."""

import os
import re
import sys
from importlib import metadata
from pathlib import Path

import matplotlib

import skplankton

os.environ["TQDM_DISABLE"] = "1"  # a progress bar on paper is a page of bars
# Figures as wide as the text: sphinx-gallery returns to these before each example.
matplotlib.rcParamsDefault["savefig.dpi"] = 180

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "skplankton"
author = "The skplankton developers"
project_copyright = author
version = release = skplankton.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "broken_links",
    "found_once",
    "mathml",
    "results",
]
# A build needs no network, and fails on what is wrong here only. With the option
# `-t online` names of other projects are links to their pages.
if tags.has("online"):  # noqa: F821  a name that Sphinx gives to this file
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
    }

templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "**/*.inc",
    "auto_examples/**/*.ipynb",
    "**/sg_execution_times.rst",
]
default_role = "literal"  # `name` in our docstrings is the name of a parameter
highlight_language = "python"

autosummary_generate = True
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings say it better, with shapes
numpydoc_show_class_members = False  # the class template does
numpydoc_class_members_toctree = False
copybutton_exclude = ".linenos, .gp, .go"  # prompts, and what is printed

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "learning_order.LearningOrder",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"^(?!.*plot_).*\.py$",  # helpers next to the examples
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skplankton",),
    "image_scrapers": ("matplotlib",),
    "download_all_examples": False,
    "min_reported_time": 10,
    # The figures are shown; their objects would be "<… object at 0x…>".
    "ignore_repr_types": r"matplotlib[.]|skplankton[.].*Display",
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "abort_on_example_error": False,
    "reset_modules": ("matplotlib",),
}


def links_of_the_project():
    """The repository's icon in the header, if pyproject.toml has its address."""
    urls = dict(
        line.split(", ", 1)
        for line in metadata.metadata("skplankton").get_all("Project-URL") or ()
    )
    address = urls.get("Repository")
    icon = {"name": "Repository", "icon": "fa-brands fa-git-alt", "url": address}
    return [icon] if address else []


html_theme = "pydata_sphinx_theme"
html_context = {"default_mode": "auto"}
html_title = "skplankton"
html_static_path = ["_static"]
html_css_files = ["skplankton.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {
        "text": "skplankton",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
        "alt_text": "skplankton, home",
    },
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "icon_links": links_of_the_project(),
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_favicon = "_static/logo.svg"
# Nothing to unfold beside pages that stand alone.
html_sidebars = {
    page: []
    for page in (
        *(page.stem for page in HERE.glob("*.rst") if page.stem != "api"),
        "genindex",
        "py-modindex",
        "search",
    )
}


def convert_changelog():
    """Write CHANGELOG.md as reStructuredText, for changelog.rst to include.

    It knows the Markdown that Keep a Changelog uses: headings, lists, code and links.
    """
    text = (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    text = text.partition("\n")[2]  # the page has its own title
    text = re.sub(r"`([^`\n]+)`", r"``\1``", text)
    text = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"`\1 <\2>`__", text)
    text = re.sub(r"^\[[^\]]+\]: .*$", "", text, flags=re.M)  # links of the versions
    for hashes, underline in (("##", "="), ("###", "-")):
        text = re.sub(
            rf"^{hashes} \[?([^\]\n]+)\]?(.*)$",
            lambda m, underline=underline: (
                f"{m[1]}{m[2]}\n{underline * len(m[1] + m[2])}"
            ),
            text,
            flags=re.M,
        )
    target = HERE / "generated" / "changelog.inc"
    target.parent.mkdir(exist_ok=True)
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("builder-inited", lambda app: convert_changelog())
