"""The words on the command line → options; and what the exit codes mean."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from skplankton import __version__

# What the commands return to the shell.
DONE = 0
FAILED = 1
USAGE = 2  # argparse's own
PROBLEMS = 3
INTERRUPTED = 130  # as shells have it: 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM

MEANINGS = {
    DONE: "all done",
    FAILED: "an error: a message says what is wrong and what to do",
    USAGE: "the command line was not understood",
    PROBLEMS: "done, but something in the files could not be read; a report says what",
    INTERRUPTED: "interrupted with Ctrl-C",
    TERMINATED: "stopped by SIGTERM, as batch systems and kill send it",
}

FIT_DEFAULTS = {
    "gallery_size": None,
    "n_neighbors": 3,
    "max_epochs": 30,
    "temperature": 0.5,
    "crop_top": 0,
}
CHUNK_SIZE = 4096

_SAMPLES = """\
A SAMPLE is one of
  a .json file           of cyz2json: one CytoSense measurement
  a folder of them       all of its .json files
  a CytoProcess project  the folder that holds converted/ or work/: all its samples
  a LAB folder           annotations.csv, images/ and profiles/, as the published data
                         sets have them; or another .csv file with the columns image
                         and profile
"""
_EXIT_CODES = "exit codes:\n" + "\n".join(
    f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items()
)
_TRUST = """\
A model file can run any program when it is opened, as all joblib files can: use only
models that you trust."""
_DESCRIPTION = """\
Name plankton from images and optical profiles.

A station's day:
  1. python -m skplankton fit SEASON/*.json --labels ecotaxa_export.zip \\
         --output model.joblib
  2. python -m skplankton classify model.joblib today.json --output names --ecotaxa
  3. look at names/species.csv; import names/ecotaxa_today.zip into EcoTaxa, validate
     some of the names there, and export them
  4. python -m skplankton evaluate model.joblib today.json --labels new_export.zip

'python -m skplankton COMMAND --help' tells more. Any command may be interrupted: run it
again, as it was, and it goes on.
"""
_FIT = f"""\
Train a model on all particles of the samples, and keep those that were labelled in
EcoTaxa as the gallery that new particles are compared with.

{_SAMPLES}
Without --labels, those of the column class in LAB folders count.
"""
_CLASSIFY = f"""\
Name every particle of the samples.

{_SAMPLES}
DIR/<sample>.csv           a row a particle: its name (empty if no view of it could be
                           read), score (share of the votes, 0 to 1), and the labelled
                           particles nearest to it, with similarity (1: the same)
DIR/species.csv            how many of each species in each sample
DIR/ecotaxa_<sample>.zip   with --ecotaxa: names and images to import into EcoTaxa;
                           particles without an image are in without_image.csv in it
DIR/<sample>_problems.txt  what could not be read, if anything
DIR/progress/              what the command needs to go on after an interruption

Samples that are finished stay as they are when the command is run again, with more
samples or the same; one whose file has changed is named again. A folder holds the names
of one model only. Other samples go on when one cannot be named.
"""
_EVALUATE = f"""\
Compare the model's names with those given in EcoTaxa. Particles of the model's gallery
are left out: it would recognise them.

{_SAMPLES}
Without --labels, those of the column class in LAB folders count. With --output, the
table goes to DIR/evaluation.csv too, and each particle to DIR/evaluation_particles.csv.
"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; exits with 0 after --help and with 2 if they make no sense."""
    return _parser().parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skplankton",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_fit(commands)
    _add_classify(commands)
    _add_evaluate(commands)
    return parser


def _add_fit(commands) -> None:
    parser = _command(commands, "fit", "train a model on labelled samples", _FIT)
    _add_samples(parser)
    _add_labels(parser)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="MODEL.joblib",
        help="the model file to write. What is read meanwhile lies in a folder beside "
        "it, MODEL.joblib.work, until the model is written",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a model that is there"
    )
    parser.add_argument(
        "--gallery-size",
        type=_positive_int,
        metavar="N",
        default=FIT_DEFAULTS["gallery_size"],
        help="keep at most N labelled particles of each species (default: all); the "
        "others can be used to evaluate the model",
    )
    parser.add_argument(
        "--n-neighbors",
        type=_positive_int,
        metavar="N",
        default=FIT_DEFAULTS["n_neighbors"],
        help="labelled particles that vote on a name (default: %(default)s)",
    )
    parser.add_argument(
        "--max-epochs",
        type=_positive_int,
        metavar="N",
        default=FIT_DEFAULTS["max_epochs"],
        help="times the training sees each particle (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        type=_positive_float,
        metavar="T",
        default=FIT_DEFAULTS["temperature"],
        help="of the training; worth a search, see the user guide "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--crop-top",
        type=_whole_number,
        metavar="ROWS",
        default=FIT_DEFAULTS["crop_top"],
        help="rows to cut off the top of images, where a scale bar is burnt in; 25 in "
        "the published sets (default: %(default)s)",
    )
    parser.add_argument(
        "--random-state",
        type=_seed,
        metavar="SEED",
        default=0,
        help="the same number gives the same model on the same machine "
        "(default: %(default)s)",
    )
    _add_common(parser, channels="the usual six")


def _add_classify(commands) -> None:
    parser = _command(
        commands, "classify", "name the particles of samples", _CLASSIFY, _TRUST
    )
    _add_model(parser)
    _add_samples(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the results' folder"
    )
    parser.add_argument(
        "--ecotaxa",
        action="store_true",
        help="write names and images for EcoTaxa to import, too",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="if DIR holds names of another model, or with other channels, remove "
        "these and begin anew",
    )
    parser.add_argument(
        "--chunk-size",
        type=_positive_int,
        metavar="N",
        default=CHUNK_SIZE,
        help="particles named before they are saved; an interruption costs no more "
        "(default: %(default)s)",
    )
    _add_common(parser, channels="those of the model")


def _add_evaluate(commands) -> None:
    parser = _command(
        commands, "evaluate", "compare names with labels", _EVALUATE, _TRUST
    )
    _add_model(parser)
    _add_samples(parser)
    _add_labels(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="a folder for the tables"
    )
    _add_common(parser, channels="those of the model")


def _command(commands, name: str, summary: str, description: str, *notes: str):
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog="\n\n".join([*notes, _EXIT_CODES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="a model file written by fit"
    )


def _add_samples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "samples", nargs="+", metavar="SAMPLE", help="where the particles are"
    )


def _add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="ECOTAXA",
        help="an export of EcoTaxa: .tsv table, folder or .zip. Only validated names "
        "count",
    )


def _add_common(parser: argparse.ArgumentParser, channels: str) -> None:
    parser.add_argument(
        "--channels",
        type=_channels,
        metavar="NAMES",
        help="channels of the profiles in .json files, in order, with commas between "
        "them; NAME=OTHER takes the channel that the file calls OTHER, as in "
        f"'FWS,SWS,FL Red=FL Red HS' (default: {channels})",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first thing that cannot be read; else it is left out, and "
        "told at the end",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep images and profiles taken out of .json files here, for the next "
        "command; needs up to as much space as the files, and is never emptied",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="cpu, cuda, cuda:1, mps or auto, the fastest there is (default: auto)",
    )
    parser.add_argument(
        "--n-jobs",
        type=_n_jobs,
        metavar="N",
        help="processes that read images and profiles; -1 is one a core (default: 1)",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="no progress bars (nor are there in logs)"
    )
    parser.add_argument(
        "--debug", action="store_true", help="show where in the program an error arose"
    )


def _positive_int(text: str) -> int:
    return _number(int, text, "a whole number of 1 or more", 1)


def _whole_number(text: str) -> int:
    return _number(int, text, "a whole number of 0 or more", 0)


def _seed(text: str) -> int:
    largest = 2**32 - 1
    return _number(int, text, f"a whole number from 0 to {largest}", 0, largest)


def _n_jobs(text: str) -> int:
    value = _number(int, text, "a whole number, not 0")
    return value or _number(int, text, "a whole number, not 0", 1)


def _positive_float(text: str) -> float:
    return _number(float, text, "a number of 0.01 or more", 0.01)


def _number(kind, text: str, expected: str, least=-math.inf, most=math.inf):
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    # So written, NaN is refused as well.
    if not (least <= value <= most and abs(value) < math.inf):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return value


def _channels(text: str) -> list[str] | dict[str, str]:
    """``"FWS,FL Red=FL Red HS"`` → what load_cyz_json takes."""
    parts = [part.strip() for part in text.split(",")]
    pairs = [[side.strip() for side in part.partition("=")[::2]] for part in parts]
    named = ["=" in part for part in parts]
    if not all(
        name and (other or not has_other)
        for (name, other), has_other in zip(pairs, named, strict=True)
    ):
        raise argparse.ArgumentTypeError(
            f"expected names with commas between them, each NAME or NAME=OTHER, got "
            f"{text!r}"
        )
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected each name once, got {text!r}")
    if not any(named):
        return parts
    return {name: other or name for name, other in pairs}
