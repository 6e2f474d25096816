"""The protocol of Kareinen et al. 2026 (arXiv:2603.16427), from folders to tables.

    python examples/reproduce_paper.py --data DIR --output OUT
    python examples/reproduce_paper.py --output OUT       a small simulated rehearsal

DIR holds the published folders LAB, SEA and UTO (doi
10.23729/fd-470acabc-afb8-39cb-a86e-0f81872e7443), each with its annotations.csv. Models
are trained on LAB, in stratified folds, and on UTO without labels. They classify LAB
particles by a gallery of their training fold, and SEA particles by a gallery of SEA:
LAB→LAB, LAB→SEA, UTO→LAB, UTO→SEA, each in the nine combinations of modalities.

OUT gets models/, results/, table.md, table.tex and accuracy.png. Every trained model
and every result is a file there. An interrupted run resumes: finished steps are loaded,
the unfinished one starts again.
"""

import argparse
import json
import os
from pathlib import Path

import joblib
import pandas as pd
from sklearn.base import clone

from skplankton.datasets import load_particles, make_particles, write_particles
from skplankton.evaluation import (
    GallerySizeDisplay,
    benchmark_table,
    cross_modal_benchmark,
)
from skplankton.model_selection import TrainValidationTestFolds
from skplankton.recipes import IMAGE_ENCODERS, PROFILE_ENCODERS, kareinen2026

N_NEIGHBORS = 3
N_REPEATS = 5
# A rehearsal's model: all parts of the paper's, small enough to train on a laptop.
SMALL = {
    "image_size": 32,
    "profile_length": 32,
    "n_components": 64,
    "batch_size": 128,
    "learning_rate": 0.05,
    "warmup_epochs": 1,
    "pretrained": False,
}
# Simulated data sets of a rehearsal; SEA is another site, with more noise.
SIMULATED = {
    "LAB": {"n_samples": 400, "random_state": 1},
    "SEA": {
        "n_samples": 250,
        "random_state": 2,
        "image_noise": 2,
        "profile_noise": 2,
    },
    "UTO": {"n_samples": 500, "random_state": 3},
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of LAB, SEA and UTO")
    parser.add_argument("--output", type=Path, default=Path("kareinen2026"))
    parser.add_argument(
        "--image-encoders",
        nargs="+",
        choices=IMAGE_ENCODERS,
        default=["convnext_femto"],
    )
    parser.add_argument(
        "--profile-encoders", nargs="+", choices=PROFILE_ENCODERS, default=["cnn"]
    )
    parser.add_argument(
        "--losses", nargs="+", choices=("clip", "siglip"), default=["clip"]
    )
    parser.add_argument("--folds", type=int, help="5, or 2 in a rehearsal")
    parser.add_argument("--epochs", type=int, help="100, or 3 in a rehearsal")
    parser.add_argument(
        "--not-pretrained", action="store_true", help="no ImageNet weights"
    )
    parser.add_argument("--jobs", type=int, help="processes that decode files")
    options = parser.parse_args()

    options.output.mkdir(parents=True, exist_ok=True)
    refuse_other_options(options, options.output / "options.json")
    is_rehearsal = options.data is None
    sets = load_sets(rehearsal_data(options.output) if is_rehearsal else options.data)
    overrides = {
        "max_epochs": options.epochs or (3 if is_rehearsal else 100),
        "n_jobs": options.jobs,
        "random_state": 0,
        "verbose": 1,
        **(SMALL if is_rehearsal else {"pretrained": not options.not_pretrained}),
    }
    folds = TrainValidationTestFolds(
        options.folds or (2 if is_rehearsal else 5), random_state=0
    )
    frames = []
    for image_encoder in options.image_encoders:
        for profile_encoder in options.profile_encoders:
            for loss in options.losses:
                name = f"{image_encoder}+{profile_encoder}+{loss}"
                embedder = kareinen2026(
                    image_encoder, profile_encoder, loss=loss, **overrides
                )
                frames += run_protocol(name, embedder, sets, folds, options.output)
    report(pd.concat(frames, ignore_index=True), options.output)


def refuse_other_options(options, path):
    """Exit if the output folder holds models and results of other options."""
    given = {name: str(value) for name, value in vars(options).items()}
    settings = {n: v for n, v in given.items() if n not in ("output", "jobs")}
    if not path.exists():
        path.write_text(json.dumps(settings, indent=1))
    before = json.loads(path.read_text())
    if before != settings:
        changed = [name for name in settings if settings[name] != before.get(name)]
        raise SystemExit(
            f"{path.parent} was started with another --{', --'.join(changed)}: use "
            "another --output, or the options in options.json."
        )


def rehearsal_data(output):
    """Simulated folders in the published layout."""
    folder = output / "simulated"
    for name, params in SIMULATED.items():
        X, y = make_particles(scale_bar=True, return_X_y=True, **params)
        write_particles(X, None if name == "UTO" else y, folder / name, overwrite=True)
    return folder


def load_sets(data):
    sets = {}
    for name in ("LAB", "SEA", "UTO"):
        sets[name] = load_particles(data / name, return_X_y=True)
        print(f"{name}: {len(sets[name][0])} particles")
    return sets


def run_protocol(name, embedder, sets, folds, output):
    """Train on each fold of LAB and on UTO; yield the results on LAB and SEA."""
    X, y = sets["LAB"]
    X_sea, y_sea = sets["SEA"]
    on_uto = Stored(output / "models" / f"{name}_UTO.joblib")
    uto = on_uto.get(lambda: fit(embedder, sets["UTO"][0], f"{name} on UTO"))
    splits = list(folds.split_with_validation(X, y))
    for fold, (train, validation, test) in enumerate(splits):
        # Early stopping splits off its own validation set: for LAB, 5 of 85 %.
        seen = [*train, *validation]
        share = len(validation) / len(seen)
        lab_embedder = clone(embedder).set_params(validation_fraction=share)
        title = f"{name} on LAB, fold {fold}"
        on_lab = Stored(output / "models" / f"{name}_LAB_{fold}.joblib")
        lab = on_lab.get(lambda e=lab_embedder, s=seen, t=title: fit(e, X.iloc[s], t))

        for trained_on, model in (("LAB", lab), ("UTO", uto)):
            yield scores(
                output,
                f"{name}_{trained_on}_LAB_{fold}",
                X.iloc[test],
                y[test],
                model,
                X.iloc[train],
                y[train],
            ).assign(model=name, task=f"{trained_on}→LAB", fold=fold)
        yield scores(output, f"{name}_LAB_SEA_{fold}", X_sea, y_sea, lab).assign(
            model=name, task="LAB→SEA", fold=fold
        )
    yield scores(output, f"{name}_UTO_SEA", X_sea, y_sea, uto).assign(
        model=name, task="UTO→SEA", fold=0
    )


class Stored:
    """A file that is made once: complete or missing."""

    def __init__(self, path):
        self.path = path

    def get(self, make):
        if self.path.exists():
            print(f"found {self.path}")
            return joblib.load(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = make()
        half = self.path.with_suffix(".part")
        joblib.dump(made, half)
        os.replace(half, self.path)
        return made


def fit(embedder, X, title):
    print(f"training {title}: {len(X)} particles")
    return embedder.fit(X)


def scores(output, name, X, y, model, X_gallery=None, y_gallery=None):
    """Results of the nine combinations; without a gallery, it is drawn from X."""
    stored = Stored(output / "results" / f"{name}.joblib")
    return stored.get(
        lambda: cross_modal_benchmark(
            X,
            y,
            embedder=model,
            X_gallery=X_gallery,
            y_gallery=y_gallery,
            n_neighbors=N_NEIGHBORS,
            n_repeats=N_REPEATS,
            random_state=0,
        )
    )


def report(results, output):
    results.to_csv(output / "results.csv", index=False)
    by = ["model", "task", "gallery", "query"]
    tables = {
        form: benchmark_table(results, by=by, format=form)
        for form in ("markdown", "latex")
    }
    (output / "table.md").write_text(tables["markdown"], encoding="utf-8")
    (output / "table.tex").write_text(tables["latex"], encoding="utf-8")
    print(tables["markdown"])
    same_views = results[results["gallery"] == results["query"]]
    first = same_views[same_views["model"] == same_views["model"].iloc[0]]
    home = first[first["task"] == "LAB→LAB"]
    GallerySizeDisplay.from_results(home).figure_.savefig(
        output / "accuracy.png", dpi=200, bbox_inches="tight"
    )
    print(f"\ntables and figure: {output.resolve()}")


if __name__ == "__main__":
    main()
