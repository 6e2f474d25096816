"""``info``: what a model file contains."""

from __future__ import annotations

from argparse import Namespace

from skplankton._cli._arguments import DONE
from skplankton._cli._model import open_model, read_model_file
from skplankton._cli._pages import card_of, model_facts
from skplankton._cli._reports import print_result
from skplankton._sharing.archive import ModelArchive, is_archive
from skplankton._sharing.card import printable


def run(options: Namespace) -> int:
    """Print the facts about the model, and the labeled particles of each species."""
    content = read_model_file(options.model)
    if is_archive(content):  # its card is read without opening the model
        card = ModelArchive(content, options.model).card
    else:
        card = card_of(open_model(content, options.model))
    try:
        facts = model_facts(card, content, options.model)
        species = card.get("gallery", {}).get("species", [])
        gallery = {printable(row["label"]): int(row["n_labels"]) for row in species}
    except Exception as error:  # of a file that anybody may have written
        raise ValueError(
            f"The card of {options.model} is damaged ({type(error).__name__}: {error})."
        ) from error
    width = max(map(len, [*dict(facts), *gallery])) + 2
    for name, value in facts:
        print_result(f"{name:<{width}}{value}")
    if gallery:
        print_result("\nLabeled particles of each species")
    for name in sorted(gallery, key=lambda name: -gallery[name]):
        print_result(f"{name:<{width}}{gallery[name]}")
    return DONE
