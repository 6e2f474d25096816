"""The page on large data: every snippet runs, with a cluster of two local workers.

The program of the page runs in a process of its own, since a cluster starts others, and
has a time limit. Command lines are expanded by bash; in place of Python and of SLURM's
sbatch are scripts, so that they run here.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

pytest.importorskip("distributed")

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "user_guide" / "large_data.rst"
TIME_LIMIT = 600  # seconds, of a busy machine; it takes some 20

# Runs the snippets of a folder, in order, and then what the test wants to know.
PROGRAM = """
import json, os, sys
from pathlib import Path

def main():
    os.environ["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "60s"
    from skplankton import _cli
    names = {"__name__": "__main__"}
    for snippet in sorted(Path("snippets").iterdir()):
        text = snippet.read_text(encoding="utf-8")
        print(snippet, flush=True)
        if snippet.suffix == ".json":
            for arguments in json.loads(text):
                assert _cli.main(arguments) == 0, arguments
        else:
            if "cluster.close()" in text:
                exec(Path("questions.py").read_text(), names)
            exec(compile(text, snippet.name, "exec"), names)

if __name__ == "__main__":
    main()
"""
QUESTIONS = """
import json
import numpy as np

def prefixes(dask_scheduler):
    return sorted(dask_scheduler.task_prefixes)

here = pipe.fit(known, species[:40]).predict(season[["image", "profile"]])
there = dd.read_parquet("predicted").compute().set_index("object_id").loc[ids, "label"]
alone = GridSearchCV(pipe, search.param_grid, cv=2).fit(particles, species)
answers = {
    "addresses": [client.scheduler.address, *client.scheduler_info()["workers"]],
    "dashboard": cluster.scheduler.http_server is not None and bool(
        [s for s in cluster.scheduler.services]
    ),
    "tasks": client.run_on_scheduler(prefixes),
    "same labels": bool((there == here).all()),
    "counts": {str(k): int(v) for k, v in counts.items()},
    "expected": {str(k): int((here == k).sum()) for k in set(here)},
    "scores": search.cv_results_["mean_test_score"].tolist(),
    "scores alone": alone.cv_results_["mean_test_score"].tolist(),
}
with open("answers.json", "w") as file:
    json.dump(answers, file)
"""


def snippets():
    """Language and text of each block of code on the page."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(
        r"^( *)\.\. code-block:: (\w+)\n\n((?:\1   .*\n|\n)+)", page, flags=re.M
    )
    return [(language, textwrap.dedent(text)) for _, language, text in blocks]


def test_no_snippet_escapes():
    page = PAGE.read_text(encoding="utf-8")
    found = snippets()
    assert {language for language, _ in found} == {"python", "console", "bash"}
    n_blocks = sum(page.count(mark) for mark in ("code-block::", "code::", ">>>"))
    assert len(found) == n_blocks == 10
    assert not re.search(r"^(?! *\.\. ).*::$", page, re.M)  # blocks without a language
    commands = sum(text.count("python -m skplankton") for _, text in found)
    assert commands == 7


@pytest.fixture
def shell(tmp_path):
    """A function that runs text in bash, and returns the commands of skplankton."""
    programs = tmp_path / "bin"
    programs.mkdir()
    calls = tmp_path / "calls"
    python, sbatch = programs / "python", programs / "sbatch"
    python.write_text(f'#!/bin/bash\nprintf "%s\\0" "$@" end >> {calls}\n')
    # As SLURM does: the script for each task of its array; or the command of --wrap.
    sbatch.write_text(
        f"#!{sys.executable}\n"
        + textwrap.dedent(
            """
            import os, re, subprocess, sys
            *options, last = sys.argv[1:]
            if last.startswith("--wrap="):
                assert options == ["--dependency=afterany:1234"], options
                sys.exit(subprocess.call(["bash", "-c", last[len("--wrap="):]]))
            assert options[0] == "--parsable", options
            text = open(last).read()
            array = re.search(r"^#SBATCH --array=(\\d+)-(\\d+)$", text, re.M)
            first, last_one = map(int, array.groups())
            for option in options[1:]:  # in place of that of the script
                first = last_one = int(option.removeprefix("--array="))
            (cpus,) = re.findall(r"^#SBATCH --cpus-per-task=(\\d+)$", text, re.M)
            os.environ["SLURM_CPUS_PER_TASK"] = cpus
            for task in range(first, last_one + 1):
                os.environ["SLURM_ARRAY_TASK_ID"] = str(task)
                subprocess.check_call(["bash", last])
            print(1234)
            """
        )
    )
    for program in (python, sbatch):
        program.chmod(0o755)

    def run(text):
        calls.write_bytes(b"")
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            ["bash", "-euc", text],
            env={**os.environ, "PATH": path},
            cwd=tmp_path,
            check=True,
            timeout=60,
        )
        found = [call.split("\0") for call in calls.read_text().split("end\0") if call]
        assert all(words[:2] == ["-m", "skplankton"] for words in found)
        return [words[2:-1] for words in found]

    return run


@pytest.mark.skipif(os.name == "nt", reason="bash")
def test_every_snippet_runs(shell, tmp_path):
    (tmp_path / "snippets").mkdir()
    for number, (language, text) in enumerate(snippets()):
        path = tmp_path / "snippets" / f"{number:02}"
        if language == "bash":
            (tmp_path / "classify.sbatch").write_text(text, encoding="utf-8")
        elif language == "console":
            lines = text.strip().splitlines()
            assert all(line.startswith("$ ") for line in lines)
            commands = shell("\n".join(line[2:] for line in lines))
            path.with_suffix(".json").write_text(json.dumps(commands))
        else:
            path.with_suffix(".py").write_text(text, encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "questions.py").write_text(QUESTIONS)
    submitted = json.loads((tmp_path / "snippets" / "04.json").read_text())
    shards = [words[words.index("--shard") + 1] for words in submitted[:-1]]
    assert shards == [f"{i}/10" for i in range(10)]
    assert submitted[-1] == ["merge", "results"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=TIME_LIMIT,
    )
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert all(a.startswith("tcp://127.0.0.1:") for a in answers["addresses"])
    assert len(answers["addresses"]) == 3
    # The search was there, and nothing that skplankton does by itself.
    assert any("fit_and_score" in task for task in answers["tasks"])
    assert not any("decode" in task for task in answers["tasks"])
    assert answers["same labels"]
    assert answers["counts"] == answers["expected"]
    assert answers["scores"] == pytest.approx(answers["scores alone"], abs=0.1)
    few, names = (
        {f.name: f.read_bytes() for f in (tmp_path / name).iterdir() if f.is_file()}
        for name in ("few", "results")
    )
    assert few == names
    assert {"species.csv", "day0.csv", "day3.csv", "abundance.csv"} <= set(names)


def test_help_and_page_count_alike():
    """The page says that shards count from 0, and so does the command."""
    from skplankton._cli._arguments import parse_arguments

    text = shlex.split("classify m s --output o --shard 0/10")
    assert str(parse_arguments(text).shard) == "0/10"
    assert "counted\nfrom 0" in PAGE.read_text(encoding="utf-8")
