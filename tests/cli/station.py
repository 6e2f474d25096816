"""What the tests of several commands call: the commands, and their files."""

import json
import shutil

import pandas as pd

from skplankton import _cli
from skplankton.datasets import load_cyz_json, write_cyz_json

SPECIES = 3
PER_SAMPLE = 24
SAMPLES = ("bay", "cape", "delta")


def write_labels(path, labels, status="validated"):
    rows = pd.DataFrame(
        {
            "object_id": labels.index,
            "object_annotation_category": labels.to_numpy(),
            "object_annotation_status": status,
            "object_annotation_hierarchy": labels.to_numpy(),
        }
    )
    rows.to_csv(path, sep="\t", index=False)


def run(*arguments):
    return _cli.main([str(argument) for argument in arguments])


def fit(station, *arguments, samples=None, labels=True):
    samples = samples or [station.season]
    chosen = ("--labels", station.export) if labels else ()
    quick = ("--max-epochs", 1, "--gallery-size", 4)
    return run("fit", *samples, *chosen, *quick, *arguments)


def classify(station, output, *arguments, samples=None, model=None):
    samples = samples or [station.season]
    return run(
        "classify", model or station.model, *samples, "--output", output, *arguments
    )


def results(folder):
    """Content of the result files, by name; without progress/ and archives."""
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.is_file() and file.suffix != ".zip"
    }


def copied(station, tmp_path, *names):
    """Paths of the samples in a folder of their own."""
    for name in names:
        shutil.copy2(station.season / f"{name}.json", tmp_path / f"{name}.json")
    return [tmp_path / f"{name}.json" for name in names]


def break_an_image(path, particle):
    """Truncate a stored image after its header, which loading does not check."""
    measurement = json.loads(path.read_text(encoding="utf-8-sig"))
    image = next(i for i in measurement["images"] if i["particleId"] == particle)
    image["base64"] = image["base64"][:100]
    path.write_text(json.dumps(measurement), encoding="utf-8")


def measured(sample, tmp_path, **columns):
    """A copy of a sample with what an instrument knows of it."""
    X = load_cyz_json(sample, cache=tmp_path / "cache")
    known = {
        "sample_id": sample.stem,
        "instrument": "CytoSense CS-1",
        "start": "2025-07-01T09:30:15Z",
        "analyzed_volume_ml": 1.125,
    }
    return write_cyz_json(
        X, tmp_path / sample.name, samples=pd.DataFrame([known | columns])
    )


def suggest(station, output, *arguments, samples=None):
    samples = samples or [station.season]
    quick = ("--max-epochs", 1)
    return run("suggest", *samples, "--output", output, *quick, *arguments)


def chosen_by(folder):
    return pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
