"""The command line → options; and the meaning of the exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from skplankton import __version__
from skplankton._cli._config import arguments_from
from skplankton._cli._values import (
    channel_names,
    contamination,
    n_jobs,
    pixel_size,
    positive_int,
    seed,
    shard,
    temperature,
    whole_number,
)

# Exit codes of the commands.
DONE = 0
FAILED = 1
USAGE = 2  # argparse's own
PROBLEMS = 3
INTERRUPTED = 130  # as shells have it: 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM

MEANINGS = {
    DONE: "all done",
    FAILED: "an error: the message gives the cause and what to do",
    USAGE: "invalid command line",
    PROBLEMS: "done, but something in the files could not be read; see the report",
    INTERRUPTED: "interrupted with Ctrl-C",
    TERMINATED: "stopped by SIGTERM, as sent by batch systems and kill",
}

TRAINING_DEFAULTS = {
    "max_epochs": 30,
    "temperature": 0.5,
    "crop_top": 0,
    "crop_bottom": 0,
}
FIT_DEFAULTS = {
    "gallery_size": None,
    "n_neighbors": 3,
    "contamination": 0.05,
    **TRAINING_DEFAULTS,
}
CHUNK_SIZE = 4096
CARD_TEXTS = {
    "description": "what the model is for, or where its particles come from",
    "authors": "who made it",
    "license": "terms under which others may use it, such as CC-BY-4.0",
}

_SAMPLES = """\
A SAMPLE is one of
  a .json file           of cyz2json: one CytoSense measurement
  a folder of them       all of its .json files
  a CytoProcess project  the folder that contains converted/ or work/: all its samples
  an IFCB bin            its .adc file (.hdr and .roi beside it), or its path without
                         suffix; or a folder of bins, also in subfolders
  an export of EcoTaxa   with images: a .zip, a folder or its ecotaxa_export.tsv. Its
                         samples, and their validated labels; needs --channels
  a LAB folder           annotations.csv, images/ and profiles/, as in the published
                         data sets; or another .csv file with the columns image and
                         profile
"""
_EXIT_CODES = "exit codes:\n" + "\n".join(
    f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items()
)
_TRUST = """\
A .skops file runs no code when it is opened, whoever wrote it. A .joblib file, however,
can run any program: use only those that you trust."""
_DESCRIPTION = """\
Classify plankton from images and optical profiles.

A cold start, without any label:
  1. python -m skplankton suggest SEASON/*.json --output to_label
  2. look at to_label/contact_sheet_1.png, and write species into to_label/labels.csv
  3. python -m skplankton fit SEASON/*.json --labels to_label/labels.csv \\
         --output model.skops

A station's day:
  1. python -m skplankton fit SEASON/*.json --labels ecotaxa_export.zip \\
         --output model.skops
  2. python -m skplankton classify model.skops today.json --output results --ecotaxa \\
         --report
  3. look at results/report.html; import results/ecotaxa_today.zip into EcoTaxa,
     validate some of the predicted labels there, and export them
  4. python -m skplankton evaluate model.skops today.json --labels new_export.zip

'python -m skplankton COMMAND --help' explains each command. Any command may be
interrupted: run the same command again, and it resumes. 'skplankton' is short for
'python -m skplankton'.
"""
_SUGGEST = f"""\
Choose the particles whose labels help the most, to begin with or to go on. Without
--model, this trains on all particles of the samples, which needs no labels.

{_SAMPLES}
DIR/labels.csv             the chosen particles, the most useful first. Write species
                           into the column label, of some or all, in any spreadsheet
                           program; then pass the file to fit as --labels
DIR/contact_sheet.png      their images and profiles, numbered by rank; with more than
                           30 particles contact_sheet_1.png, contact_sheet_2.png, ...
DIR/ecotaxa_to_label.zip   with --ecotaxa: the same particles to import into EcoTaxa, if
                           you prefer to label them there

Only particles with an image are chosen, if there are images at all. Those labeled
already are not chosen again: the particles of --labels or, without it, those with a
class in LAB folders; with --model, also those of its gallery.
"""
_FIT = f"""\
Train a model on all particles of the samples. Those that are labeled become the
gallery, with which new particles are compared.

{_SAMPLES}
Without --labels, the column class of LAB folders is used, or the validated objects of
an export of EcoTaxa.
"""
_CLASSIFY = f"""\
Classify every particle of the samples.

{_SAMPLES}
DIR/<sample>.csv           one row per particle, the most doubtful first: its predicted
                           label (column name; "unknown" if it probably belongs to none
                           of the labeled species, empty if neither image nor profile
                           could be read), score (share of the votes, 0 to 1),
                           familiarity, and the nearest labeled particles with their
                           similarity (1: identical)
DIR/species.csv            number of particles of each predicted label in each sample,
                           uncorrected
DIR/abundance.csv          counts corrected for the mistakes of the model, and
                           concentrations per mL, with intervals
DIR/<sample>_sizes.csv     with --pixel-size: diameter, biovolume and so on of each
                           particle, empty if it could not be measured in its image
DIR/biovolume.csv          with --pixel-size: their means by species, and the biovolume
                           per mL
DIR/samples.csv            volume, time, instrument and so on of each sample, and
                           whether it was read in part only
DIR/ecotaxa_<sample>.zip   with --ecotaxa: predicted labels and images to import into
                           EcoTaxa, unknown ones without a category; particles
                           without an image are in its file without_image.csv
DIR/report.html            with --report: the samples of this command, to look at in a
                           browser; one file that needs no network
DIR/<bin>_class.h5         with --ifcb: the class scores of an IFCB bin
DIR/<sample>_problems.txt  what could not be read, if anything
DIR/progress/              what the command needs to resume after an interruption

Finished samples are left as they are when the command is run again, with the same or
more samples; a sample whose file has changed is classified again. A folder contains the
results of one model only. If a sample cannot be classified, the others still are.

The file of --metadata has a column sample_id and others such as volume_ml, date, time,
latitude, longitude, depth_min, depth_max, and further ones for EcoTaxa that begin with
sample_, acq_, process_ or object_. A sample whose row has changed is classified again.
"""
_MERGE = """\
Join what many processes or machines have classified: with the same command, but
for --shard 0/10, --shard 1/10 and so on to --shard 9/10. Each shard takes its share of
the samples, and writes into a folder of its own, in DIR/progress/shards.

The results in DIR are then those of a single classify without --shard, byte for byte
(but for the time in archives for EcoTaxa), and so is the exit code. Tables of all
samples, and report.html if the shards were run with --report, are written by merge
alone. Run it again after an interruption, or after some shards were run again.

An error lists the shards that are missing or not done, and those that were run with
another model, other options or other samples. Nothing is moved then.
"""
_INFO = """\
Print what a model was trained on, how well its labeled particles recognize one another,
the number of them of each species, and the versions of the libraries.
"""
_EVALUATE = f"""\
Compare the predicted labels with those validated in EcoTaxa. Particles of the model's
gallery are left out: the model has seen their labels.

{_SAMPLES}
Without --labels, the column class of LAB folders is used, or the validated objects of
an export of EcoTaxa. With --output, the table is also written to DIR/evaluation.csv,
and each particle to DIR/evaluation_particles.csv; with --report as well,
DIR/evaluation.html shows the mistakes.
"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; exits with 0 after --help and with 2 if they are invalid."""
    arguments = sys.argv[1:] if arguments is None else list(map(str, arguments))
    parser, commands = _parser()
    command = commands.choices.get(arguments[0]) if arguments else None
    path = _config_file(arguments)
    if command is not None and path is not None:
        try:
            added = arguments_from(path, arguments[0], commands.choices)
        except argparse.ArgumentTypeError as error:
            command.error(str(error))
        # Before those of the command line, which replace them.
        arguments = [arguments[0], *added, *arguments[1:]]
    options = parser.parse_args(arguments)
    if options.command == "evaluate" and options.report and options.output is None:
        parser.error("evaluate --report needs --output DIR, to write the report to")
    return options


def _config_file(arguments: Sequence[str]) -> Path | None:
    """The value of --config, if it has one."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--config", type=Path)
    with suppress(argparse.ArgumentError):  # the command's parser reports it
        return parser.parse_known_args(arguments)[0].config
    return None


def _parser() -> tuple[argparse.ArgumentParser, argparse._SubParsersAction]:
    is_installed_command = Path(sys.argv[0]).stem == "skplankton"
    parser = argparse.ArgumentParser(
        prog="skplankton" if is_installed_command else "python -m skplankton",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"skplankton {__version__}"
    )
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=("bash", "zsh", "tcsh"),
        help="print a script that completes commands and options in this shell; needs "
        "shtab: pip install 'skplankton[completion]'",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_suggest(commands)
    _add_fit(commands)
    _add_classify(commands)
    _add_merge(commands)
    _add_evaluate(commands)
    _add_info(commands)
    return parser, commands


class _PrintCompletion(argparse.Action):
    """Print the completion script of a shell, and exit."""

    def __call__(self, parser, namespace, shell, option_string=None):
        try:
            import shtab
        except ImportError:
            parser.error(
                "--print-completion needs shtab: pip install 'skplankton[completion]'"
            )
        parser.prog = "skplankton"  # a module's name cannot be completed
        print(shtab.complete(parser, shell))
        parser.exit(DONE)


def _add_suggest(commands) -> None:
    parser = _command(
        commands, "suggest", "choose which particles to label", _SUGGEST, _TRUST
    )
    _add_samples(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the output folder"
    )
    parser.add_argument(
        "--n",
        type=positive_int,
        metavar="N",
        default=50,
        help="number of particles to choose (default: %(default)s)",
    )
    parser.add_argument(
        "--ecotaxa",
        action="store_true",
        help="also write the particles for import into EcoTaxa",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an existing DIR/labels.csv, with all labels written into it",
    )
    _add_labels(parser)
    parser.add_argument(
        "--model",
        type=Path,
        metavar="MODEL",
        help="a model file written by fit, which compares the particles instead of a "
        "new training",
    )
    _add_training(parser.add_argument_group("training, without --model"))
    _add_common(parser, channels="the six standard ones, or those of --model")


def _add_fit(commands) -> None:
    parser = _command(commands, "fit", "train a model on labeled samples", _FIT)
    _add_samples(parser)
    _add_labels(parser)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="MODEL.skops",
        help="the model file to write, which runs no code when it is opened; a name "
        "that ends in .joblib makes a joblib file, which can run any program. Until it "
        "is written, data read from the samples is kept beside it, in the folder "
        "MODEL.skops.work",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an existing model"
    )
    parser.add_argument(
        "--gallery-size",
        type=positive_int,
        metavar="N",
        default=FIT_DEFAULTS["gallery_size"],
        help="keep at most N labeled particles of each species (default: all); the "
        "others can be used to evaluate the model",
    )
    parser.add_argument(
        "--n-neighbors",
        type=positive_int,
        metavar="N",
        default=FIT_DEFAULTS["n_neighbors"],
        help="number of labeled particles that are reported for each prediction, and "
        "that vote where no unlabeled particles help (default: %(default)s)",
    )
    parser.add_argument(
        "--contamination",
        type=contamination,
        metavar="SHARE",
        default=FIT_DEFAULTS["contamination"],
        help="share of the particles of known species that may be predicted as "
        "'unknown', 0 to 0.5; with 0, every particle gets the label of a species "
        "(default: %(default)s)",
    )
    _add_training(parser)
    group = parser.add_argument_group("texts of the model card, which info shows")
    for name, meaning in CARD_TEXTS.items():
        group.add_argument(f"--{name}", metavar="TEXT", help=meaning)
    _add_common(parser, channels="the six standard ones")


def _add_classify(commands) -> None:
    parser = _command(
        commands, "classify", "classify the particles of samples", _CLASSIFY, _TRUST
    )
    _add_model(parser)
    _add_samples(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the output folder"
    )
    parser.add_argument(
        "--ecotaxa",
        action="store_true",
        help="also write predicted labels and images for import into EcoTaxa",
    )
    parser.add_argument(
        "--metadata",
        type=Path,
        metavar="FILE.csv",
        help="volumes, times and places of the samples, one row each; its values come "
        "before those of the instrument",
    )
    parser.add_argument(
        "--pixel-size",
        type=pixel_size,
        metavar="UM",
        help="size of a pixel in µm: also measure sizes and biovolumes in the images",
    )
    parser.add_argument(
        "--imaged-only",
        action="store_true",
        help="count the particles with an image only, and scale the counts to all: "
        "more exact if particles are photographed whatever their species",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="also write DIR/report.html: counts, typical and doubtful particles, and "
        "the unknown ones by likeness",
    )
    parser.add_argument(
        "--ifcb",
        action="store_true",
        help="also write the class scores of IFCB bins, <bin>_class.h5, for the IFCB "
        "Dashboard and other programs",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="if DIR contains results of another model or other channels, remove "
        "them and start again",
    )
    parser.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="classify every N-th sample only, beginning with the I-th: one of N "
        "processes that share the samples. I counts from 0 to N - 1. When all N are "
        "done, run merge DIR",
    )
    parser.add_argument(
        "--chunk-size",
        type=positive_int,
        metavar="N",
        default=CHUNK_SIZE,
        help="number of particles after which results are saved; an interruption loses "
        "no more (default: %(default)s)",
    )
    _add_common(parser, channels="those of the model")


def _add_merge(commands) -> None:
    parser = _command(commands, "merge", "join the results of classify --shard", _MERGE)
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="the output folder, the same for all shards",
    )
    parser.set_defaults(cache=None, device="auto", strict=False)
    _add_debug(parser)


def _add_evaluate(commands) -> None:
    parser = _command(
        commands, "evaluate", "compare predictions with labels", _EVALUATE, _TRUST
    )
    _add_model(parser)
    _add_samples(parser)
    _add_labels(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="a folder for the tables"
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="also write DIR/evaluation.html, with the confusions and their particles; "
        "needs --output",
    )
    _add_common(parser, channels="those of the model")


def _add_info(commands) -> None:
    parser = _command(commands, "info", "what a model file contains", _INFO, _TRUST)
    _add_model(parser)
    parser.set_defaults(cache=None, device="auto", strict=False)
    _add_debug(parser)


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
        "samples", nargs="+", metavar="SAMPLE", help="the particles' files or folders"
    )


def _add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="PATH",
        help="an export of EcoTaxa, a .tsv table, folder or .zip, of which only "
        "validated labels are used; or a .csv file with the columns object_id and "
        "label, as written by suggest; or labels of IFCB particles, a folder of .png "
        "files in folders of classes, or of .mat or .csv files with names of bins",
    )


def _add_training(parser) -> None:
    parser.add_argument(
        "--max-epochs",
        type=positive_int,
        metavar="N",
        default=TRAINING_DEFAULTS["max_epochs"],
        help="number of training epochs (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        type=temperature,
        metavar="T",
        default=TRAINING_DEFAULTS["temperature"],
        help="temperature of the contrastive loss; worth tuning, see the user guide "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--crop-top",
        type=whole_number,
        metavar="ROWS",
        default=TRAINING_DEFAULTS["crop_top"],
        help="rows to cut off the top of images, where a scale bar is burned in; 25 in "
        "the published data sets (default: %(default)s)",
    )
    parser.add_argument(
        "--crop-bottom",
        type=whole_number,
        metavar="ROWS",
        default=TRAINING_DEFAULTS["crop_bottom"],
        help="the same at the bottom, as in images of CytoProcess "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--random-state",
        type=seed,
        metavar="SEED",
        default=0,
        help="the same number gives the same model on the same machine "
        "(default: %(default)s)",
    )


def _add_common(parser: argparse.ArgumentParser, channels: str) -> None:
    parser.add_argument(
        "--channels",
        type=channel_names,
        metavar="NAMES",
        help="channels of the profiles in .json files, or measurements in IFCB bins "
        "and exports of EcoTaxa, in order, separated by commas; NAME=OTHER takes the "
        "channel that is called OTHER in the file, as in 'FWS,SWS,FL Red=FL Red HS' "
        f"(default: {channels})",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first thing that cannot be read; by default it is left out, "
        "and reported at the end",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep images and profiles extracted from .json files here, for the next "
        "command; needs up to as much space as the files, and is never emptied",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="cpu, cuda, cuda:1, mps or auto, the fastest available (default: auto)",
    )
    parser.add_argument(
        "--n-jobs",
        type=n_jobs,
        metavar="N",
        help="processes that read images and profiles; -1: one per core (default: 1)",
    )
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="no progress: neither bars nor, in log files, a line every half minute",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="a TOML file with options, in a table named by the command, such as [fit] "
        "with max-epochs = 60; those of the command line replace them",
    )
    _add_debug(parser)


def _add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )
