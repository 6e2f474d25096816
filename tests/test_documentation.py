"""Every command and snippet of the README and the documentation's pages runs.

The blocks of a page run in their order, in one folder and one namespace: ``pycon`` as
doctests, with "..." for what may differ, ``python`` as it is, and ``bash`` and
``console`` as the commands of skplankton that they are, on the files of
field_files.py. What a page shows as output has to be what is printed.

A block that cannot run here has a comment directly before it, ``.. not run: why`` (in
Markdown ``<!-- not run: why -->``); the content of a file, such as a TOML block, has
``.. file: its-name`` and is written. Any other block fails.

Figures in the text are derived in comments ``.. measured:`` from the tables in
benchmarks/results, see pages.py.
"""

import contextlib
import doctest
import io
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

from skplankton import _cli
from tests.field_files import write_field_files
from tests.pages import Block, blocks, cell, column, measured, name_of, pages

pytestmark = pytest.mark.once

PAGES = pages()
PROGRAMS = (["skplankton"], ["python", "-m", "skplankton"])
PROMPT = "$ "


@pytest.fixture(scope="session")
def field(tmp_path_factory):
    folder = tmp_path_factory.mktemp("field")
    return folder, write_field_files(folder)


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    return Kept(tmp_path_factory.mktemp("kept"))


class Reader:
    """Someone who types a page's blocks, one after the other."""

    def __init__(self, truth, kept):
        self.truth = truth  # labels, for who looks at the particles
        self.kept = kept  # what commands have done before, on this or another page
        self.names = {"__name__": "__main__"}
        self.done = set()
        self.results = set()  # folders with results of a model

    def follow(self, block):
        if block.marker in ("not run", "test command"):
            return
        if block.marker == "file":
            Path(block.argument).parent.mkdir(parents=True, exist_ok=True)
            Path(block.argument).write_text(block.text + "\n", encoding="utf-8")
            return
        follow = {
            "pycon": self.follow_doctest,
            "python": self.follow_script,
            "bash": self.follow_commands,
            "console": self.follow_commands,
        }.get(block.kind)
        assert follow, (
            f"{block}: a block of kind {block.kind!r} is not run. Put "
            "'.. not run: why' or '.. file: its-name' before it, or write it in "
            "another language."
        )
        follow(block)

    def follow_doctest(self, block):
        assert "+SKIP" not in block.text, f"{block}: say '.. not run: why' before it"
        test = doctest.DocTestParser().get_doctest(
            block.text + "\n", self.names, str(block), block.page, block.line - 1
        )
        assert test.examples, f"{block}: no line begins with >>>"
        printed = []
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
        failed = runner.run(test, out=printed.append, clear_globs=False).failed
        self.names = test.globs
        assert not failed, "".join(printed)

    def follow_script(self, block):
        code = "\n" * (block.line - 1) + block.text  # for the lines of a traceback
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, block.page, "exec"), self.names)

    def follow_commands(self, block):
        for command, expected in commands(block):
            words = shlex.split(command, comments=True)
            if not words or (command in self.done and not expected):
                continue
            self.done.add(command)
            program = next((p for p in PROGRAMS if words[: len(p)] == p), None)
            assert program, (
                f"{block}: {command!r} is not a command of skplankton. Put "
                "'.. not run: why' before the block."
            )
            printed = self.run(words[len(program) :], block)
            if expected:
                checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
                assert checker.check_output(expected, printed, flags), (
                    f"{block}: {command!r} shows\n{expected}\nbut prints\n{printed}"
                )

    def run(self, arguments, block):
        output = None
        if "--output" in arguments:
            output = Path(arguments[arguments.index("--output") + 1])
        if arguments[0] in ("fit", "suggest"):
            # A page has several ways to the same file. Each begins anew, and so do the
            # folders of results, which belong to one model.
            for former in {output, *self.results} - {None}:
                remove(former)
            self.results.clear()
        printed = self.kept.run(arguments, block)
        if arguments[0] == "classify":
            self.results.add(output)
        if arguments[0] == "suggest":
            self.write_labels(output / "labels.csv")
        return printed

    def write_labels(self, path):
        """What a person does between `suggest` and `fit`."""
        rows = pd.read_csv(path)
        known = rows["object_id"].map(self.truth)
        rows.assign(label=known).to_csv(path, index=False)


class Kept:
    """What commands have written and printed, so that none trains the same twice.

    A command on the same files writes the same, on whichever page it stands.
    """

    def __init__(self, folder):
        self.folder = folder
        self.printed = {}

    def run(self, arguments, block):
        before = files_here()
        given = [path for path in before if any(under(path, a) for a in arguments)]
        key = (*arguments, *((path, Path(path).read_bytes()) for path in given))
        copies = self.folder / str([*self.printed, key].index(key))
        if key not in self.printed:
            printed = call(arguments, block)
            copies.mkdir(parents=True)
            for path, state in files_here().items():
                if before.get(path) != state:
                    copy(path, copies / path)
            self.printed[key] = printed
        else:
            shutil.copytree(copies, Path.cwd(), dirs_exist_ok=True)
        return self.printed[key]


def under(path, argument):
    """Whether an argument is a file, or a folder that it is in."""
    return f"{path}/".startswith(f"{argument.rstrip('/')}/")


def files_here():
    """Size and time of change of each file, by its path from here."""
    found = {}
    for path in sorted(Path().rglob("*")):
        if path.is_file():
            found[path.as_posix()] = path.stat().st_size, path.stat().st_mtime_ns
    return found


def copy(path, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def call(arguments, block):
    """Run a command of skplankton, and return what it prints."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = _cli.main(arguments)
        except SystemExit as end:
            status = end.code
    assert not status, f"{block}: {arguments} ends with {status}\n{err.getvalue()}"
    return out.getvalue()


def commands(block):
    """(Command, the output that is shown) of a block; lines that go on are joined."""
    text = re.sub(r"\\\n\s*", "", block.text)
    if block.kind == "bash":
        return [(line, "") for line in text.splitlines()]
    found = []
    for line in text.splitlines():
        if line.startswith(PROMPT):
            found.append([line.removeprefix(PROMPT), ""])
        else:
            assert found, f"{block}: output before the first command: {line!r}"
            found[-1][1] += line + "\n"
    return found


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem
)
def test_blocks_of_a_page(page, field, kept, tmp_path, monkeypatch):
    folder, truth = field
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as it is for a script or notebook there
    monkeypatch.setenv("MPLBACKEND", "Agg")
    reader = Reader(truth, kept)
    for block in blocks(page):
        reader.follow(block)


def test_blocks_that_are_not_run():
    """They are listed by pytest -s, and each has its reason."""
    left_out = [b for page in PAGES for b in blocks(page) if b.marker == "not run"]
    print("\nnot run:", *(f"{b}: {b.argument}" for b in left_out), sep="\n  ")
    assert all(len(block.argument.split()) > 2 for block in left_out)


@pytest.mark.parametrize(
    ("page", "found"),
    [
        pytest.param(page, found, id=f"{page.stem}-{found.line}")
        for page in PAGES
        for found in measured(page)
    ],
)
def test_figures_in_the_text(page, found):
    assert is_in_the_text(found), (
        f"{name_of(page)}, line {found.line}: {found.figure} is not in the text before"
    )
    assert value_of(found) == found.figure


def is_in_the_text(found):
    figure = re.escape(found.figure)
    return re.search(rf"(?<![\d.,]){figure}(?![\d]|[.,]\d)", found.text) is not None


def value_of(found):
    """The value of the expression with as many decimals as the figure has."""
    value = eval(found.expression, {"cell": cell, "column": column})
    return f"{value:,.{len(found.figure.partition('.')[2])}f}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_in_the_text(page, options_of):
    """Options of skplankton in a sentence, such as ``classify --report``, exist."""
    for literal in re.findall(r"``(.+?)``", page.read_text(encoding="utf-8"), re.S):
        words = literal.split()
        program = next((p for p in PROGRAMS if words[: len(p)] == p), [])
        name, *arguments = words[len(program) :] or [""]
        options = {word.partition("=")[0] for word in arguments if word[:2] == "--"}
        if name in options_of:
            unknown = options - options_of[name]
            assert not unknown, f"{name_of(page)}: ``{literal}``"


@pytest.fixture(scope="session")
def options_of():
    """The options of each command."""
    commands = re.search(r"{([\w,]+)}", help_of())[1].split(",")
    return {
        command: set(re.findall(r"--[a-z][\w-]*", help_of(command)))
        for command in commands
    }


def help_of(*command):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        _cli.main([*command, "--help"])
    return out.getvalue()


# The test itself


def make_block(text, kind="pycon", **marker):
    return Block("page.rst", 1, kind, text, **marker)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Reader({}, Kept(tmp_path / "kept"))


def write_page(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path, monkeypatch, text, suffix=".rst"):
    monkeypatch.setattr("tests.pages.ROOT", tmp_path)
    return blocks(write_page(tmp_path / f"page{suffix}", text))


def test_blocks_and_their_comments_are_found(tmp_path, monkeypatch):
    text = """
Title
=====

.. code-block:: pycon
   :caption: x

   >>> 1
   1

- .. not run: it needs
     two GPUs

  .. code-block:: bash

     torchrun x

.. file: station.toml

.. code-block:: toml

   [fit]
"""
    found = read(tmp_path, monkeypatch, text)
    assert [block.kind for block in found] == ["pycon", "bash", "toml"]
    assert [block.text for block in found] == [">>> 1\n1", "torchrun x", "[fit]"]
    assert found[0].line == 8
    assert (found[2].marker, found[2].argument) == ("file", "station.toml")


def test_blocks_of_markdown_are_found(tmp_path, monkeypatch):
    text = "a\n\n<!-- not run: a clone is needed -->\n```bash\npip install .\n```\n"
    (found,) = read(tmp_path, monkeypatch, text, ".md")
    assert (found.line, found.kind, found.text) == (5, "bash", "pip install .")
    assert (found.marker, found.argument) == ("not run", "a clone is needed")


@pytest.mark.parametrize("text", ["See::\n\n   x = 1\n", ">>> 1\n1\n"])
def test_code_in_another_form_is_an_error(text, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"page.rst, line 1: code in no code-block"):
        read(tmp_path, monkeypatch, text)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (make_block(">>> 1\n2"), "Got:\n      1"),
        (make_block("x = 1"), "no line begins with >>>"),
        (make_block(">>> 1  # doctest: +SKIP"), "not run: why"),
        (make_block("[fit]", "toml"), "kind 'toml' is not run"),
        (make_block("conda install x", "bash"), "not a command of skplankton"),
        (make_block("skplankton info none.joblib", "bash"), "ends with 1"),
        (make_block("$ skplankton --version\nskplankton 0\n", "console"), "but prints"),
    ],
)
def test_what_fails(block, words, reader):
    with pytest.raises(AssertionError, match=re.escape(words)):
        reader.follow(block)


def test_blocks_share_their_names_and_files(reader):
    reader.follow(make_block(">>> import pathlib\n>>> a = 1"))
    reader.follow(make_block("b = a + 1", "python"))
    reader.follow(make_block("x: 3", "yaml", marker="file", argument="sub/x.yaml"))
    reader.follow(make_block(">>> text = pathlib.Path('sub/x.yaml').read_text()"))
    reader.follow(make_block(">>> b, text\n(2, 'x: 3\\n')"))


FIGURES = """
A second pass gains 11.0 points, and all pairs are 4,915.

.. measured:
   11.0 = 22 / 2
   1.0 = 1
   4,915 = 4915.2
   4,914 = cell("gpu", "ours, pairs/s", row="training, defaults")
"""


def test_figures_are_found_and_derived(tmp_path):
    page = tmp_path / "page.rst"
    page.write_text(FIGURES, encoding="utf-8")
    found = list(measured(page))
    assert [is_in_the_text(each) for each in found] == [True, False, True, False]
    assert [value_of(each) for each in found] == ["11.0", "1.0", "4,915", "4,915"]


@pytest.mark.parametrize(
    ("where", "words"),
    [({"choice": "T=9"}, "no row with"), ({}, "rows with {}")],
)
def test_figures_of_no_or_of_several_rows_are_errors(where, words):
    with pytest.raises(ValueError, match=words):
        cell("accuracy_choices", "gain", **where)
