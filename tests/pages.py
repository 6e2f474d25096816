"""The code blocks of the README and of the documentation's pages, in their order."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
# Written by sphinx from docstrings, examples and the changelog, which have their tests.
GENERATED = ("_build", "auto_examples", "generated", "_templates")

# A comment directly before a block: ".. not run: it needs a GPU", or in Markdown
# "<!-- not run: it needs a GPU -->".
MARKERS = ("not run", "file", "test command")
_MARKER = re.compile(rf"({'|'.join(MARKERS)})(?::\s*(.*))?", re.S)
_DIRECTIVE = re.compile(
    r"( *)\.\. (?:code-block|code|sourcecode|parsed-literal|prompt|doctest|testcode)::"
    r" *(\S*)"
)
_FENCE = re.compile(r"( *)```+ *([\w-]*)")


@dataclass
class Block:
    """A block of code: its language, its text and the comment before it."""

    page: str
    line: int  # of its first line, from 1
    kind: str
    text: str
    marker: str = ""
    argument: str = ""

    def __str__(self):
        return f"{self.page}, line {self.line}"


def pages():
    """Every page that a person has written, but those with a test of their own."""
    docs = ROOT / "docs"
    found = [
        path
        for path in sorted(docs.rglob("*.rst"))
        if not set(path.relative_to(docs).parts) & set(GENERATED)
        and path.name != "large_data.rst"  # test_large_data_page.py: it has workers
    ]
    return [ROOT / "README.md", *found]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def blocks(path):
    """The blocks of a page.

    Raises ValueError where there is code in a form that would not be found here.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    read = _markdown if path.suffix == ".md" else _restructured_text
    return list(read(name_of(path), lines))


def _markdown(page, lines):
    start = None
    for i, line in enumerate(lines):
        fence = _FENCE.match(line)
        if not fence:
            continue
        if start is None:
            start, indent, kind = i + 1, len(fence[1]), fence[2]
        else:
            text = "\n".join(content[indent:] for content in lines[start:i])
            comment = re.fullmatch(r"<!-- (.*) -->", lines[start - 2].strip(), re.S)
            yield Block(
                page, start + 1, kind, text, *_marker(comment[1] if comment else "")
            )
            start = None


def _restructured_text(page, lines):
    i = 0
    while i < len(lines):
        directive = _DIRECTIVE.match(lines[i])
        if not directive:
            _refuse_hidden_code(page, i + 1, lines[i])
            i += 1
            continue
        indent, kind, comment = len(directive[1]), directive[2], _comment(lines[:i])
        i += 1
        while i < len(lines) and re.match(r" +:[\w-]+:", lines[i]):
            i += 1
        start = i
        while i < len(lines) and (not lines[i].strip() or _indent(lines[i]) > indent):
            i += 1
        content = lines[start:i]
        while content and not content[0].strip():
            content, start = content[1:], start + 1
        while content and not content[-1].strip():
            content = content[:-1]
        margin = min(_indent(line) for line in content if line.strip())
        text = "\n".join(line[margin:] for line in content)
        yield Block(page, start + 1, kind, text, *_marker(comment))


def _refuse_hidden_code(page, number, line):
    stripped = line.strip()
    if stripped.startswith(">>>") or (
        stripped.endswith("::") and not stripped.startswith("..")
    ):
        raise ValueError(
            f"{page}, line {number}: code in no code-block, so that no test would run "
            f"it. Expected '.. code-block:: pycon' or another language before it, got "
            f"{stripped!r}."
        )


def _indent(line):
    return len(line) - len(line.lstrip(" "))


def _comment(before):
    """The paragraph that ends `before`, if it is a comment: its text."""
    paragraph = []
    for line in reversed(before):
        if line.strip():
            paragraph.insert(0, line.strip())
        elif paragraph:
            break
    text = "\n".join(paragraph)
    return text[3:] if text.startswith(".. ") else ""


def _marker(comment):
    found = _MARKER.fullmatch(comment.strip())
    return (found[1], " ".join((found[2] or "").split())) if found else ("", "")


# Figures in the text


@dataclass
class Figure:
    """A figure in the text, and the expression that derives it from results."""

    line: int
    figure: str
    expression: str
    text: str  # before it, since the last such comment


def measured(path):
    """The figures of each comment ".. measured:" of a page.

    The comment follows the paragraphs whose figures it derives:

        A second pass gains 11.0 points.

        .. measured:
           11.0 = cell("orientation", "gain", labels=1)
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    since = 0
    for i, line in enumerate(lines):
        if line.strip() != ".. measured:":
            continue
        text = "\n".join(lines[since:i])
        i += 1
        while i < len(lines) and lines[i].strip():
            figure, _, expression = lines[i].strip().partition(" = ")
            yield Figure(i + 1, figure, expression, text)
            i += 1
        since = i


def table(name):
    """A table of results, benchmarks/results/<name>.csv."""
    return pd.read_csv(RESULTS / f"{name}.csv")


def column(name, values, **where):
    """A column of a table of results, of the rows in which others have these values."""
    found = table(name)
    for key, value in where.items():
        found = found[found[key] == value]
    if found.empty:
        raise ValueError(f"{name}.csv has no row with {where}")
    return found[values]


def cell(name, values, **where):
    """The only value of such a column."""
    found = column(name, values, **where)
    if len(found) != 1:
        raise ValueError(f"{name}.csv has {len(found)} rows with {where}")
    return found.iloc[0]
