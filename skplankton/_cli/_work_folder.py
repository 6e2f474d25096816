"""A folder for what is read from the samples, until the result is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skplankton._cli._files import locked, make_folder, remove_unfinished
from skplankton._cli._reports import print_message

VIEWS, LABELS, TRAINING = "views", "labels", "training"


@contextmanager
def work_folder(path: Path, busy: str) -> Iterator[None]:
    """Make the folder, for this process alone; remove it, or keep it after an error.

    After an error that came before anything was read there is nothing to keep.
    """
    make_folder(path, "--output")
    is_worth_keeping = True
    try:
        with locked(path / "lock", busy):
            remove_unfinished(path)
            try:
                yield
                is_worth_keeping = False
            except BaseException:
                is_worth_keeping = {file.name for file in path.iterdir()} != {"lock"}
                raise
    finally:
        if not is_worth_keeping:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def reported_if_kept(work: Path, lacking: str) -> Iterator[None]:
    """After an error, tell of data kept for the next run; `lacking` is the result."""
    try:
        yield
    except BaseException:
        if (work / VIEWS).is_dir():
            print_message(
                f"{lacking} was written. Data read from the samples is kept in {work} "
                "for the next run, and so are the finished epochs of a training; "
                "remove it if there will be none."
            )
        raise
