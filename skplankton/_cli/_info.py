"""``info``: what a model file contains."""

from __future__ import annotations

from argparse import Namespace

from skplankton._cli._arguments import DONE
from skplankton._cli._model import open_model, read_model_file
from skplankton._cli._pages import model_card
from skplankton._cli._reports import print_result


def run(options: Namespace) -> int:
    """Print the facts about the model, and the labeled particles of each species."""
    content = read_model_file(options.model)
    model = open_model(content, options.model)
    card = model_card(model, content, options.model)
    width = max(map(len, [*dict(card.facts), *card.gallery])) + 2
    for name, value in card.facts:
        print_result(f"{name:<{width}}{value}")
    print_result("\nLabeled particles of each species")
    for species, n_labels in card.gallery.items():
        print_result(f"{species:<{width}}{n_labels}")
    return DONE
