"""An export of EcoTaxa on the command line: validated labels in, an update out."""

import shutil
import zipfile
from types import SimpleNamespace

import pandas as pd
import pytest

from skplankton.ecotaxa import read_ecotaxa
from tests.field_files import write_ecotaxa_project

from .station import content_of, run

CHANNELS = ["object_area", "object_mean"]
SAMPLES = ["Kiel Förde 2024-05", "Kiel Förde 2024-06"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """An export, and a model of it."""
    folder = tmp_path_factory.mktemp("project")
    made = SimpleNamespace(
        folder=folder,
        export=folder / "export_12.zip",
        model=folder / "model.skops",
        rows=write_ecotaxa_project(folder / "export_12.zip"),
    )
    arguments = ("--channels", ",".join(CHANNELS), "--max-epochs", 1)
    assert run("fit", made.export, "--output", made.model, *arguments) == 0
    return made


def test_validated_objects_are_the_labels(project):
    model = content_of(project.model)
    validated = project.rows["object_annotation_status"] == "validated"
    assert set(model["gallery_ids"]) == set(project.rows["object_id"][validated])
    assert model["channels"] == CHANNELS
    assert model["training"]["samples"] == SAMPLES


def test_update_leaves_out_what_a_person_has_judged(project, tmp_path, capsys):
    arguments = ("--output", tmp_path / "out", "--ecotaxa")
    assert run("classify", project.model, project.export, *arguments) == 0
    judged = project.rows["object_annotation_status"] != "predicted"
    others = set(project.rows["object_id"][~judged])
    n_written = 0
    for sample in SAMPLES:
        table = pd.read_csv(tmp_path / "out" / f"{sample}.csv")
        assert len(table) == 30
        named = set(table["object_id"][table["name"] != "unknown"])
        archive = tmp_path / "out" / f"ecotaxa_{sample}.zip"
        written = read_ecotaxa(archive, status="predicted")
        assert set(written["object_id"]) == others & named & set(table["object_id"])
        assert written["label"].notna().all()
        assert set(written["sample_id"]) == set(written["acq_id"]) == {sample}
        assert not {"acq_is_partial", "acq_n_read"} & set(written)
        n_written += len(written)
    assert n_written > 0
    assert "of 30 objects to update in EcoTaxa" in capsys.readouterr().out


def test_export_after_an_update(project, tmp_path):
    """It has the free columns of the former predictions, which are replaced."""
    folder = tmp_path / "export"
    with zipfile.ZipFile(project.export) as archive:
        archive.extractall(folder)
    table = folder / "ecotaxa_export.tsv"
    rows = project.rows.assign(object_familiarity=-7.0, object_similarity=-7.0)
    rows.to_csv(table, sep="\t", index=False)
    for i, source in enumerate((folder, table)):
        out = tmp_path / str(i)
        arguments = (source, "--output", out, "--ecotaxa")
        assert run("classify", project.model, *arguments) == 0
        written = read_ecotaxa(out / f"ecotaxa_{SAMPLES[0]}.zip")
        assert (written["object_familiarity"] > -7).all()


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([], "are needed, in --channels"),
        (
            ["--channels", "object_area,object_men"],
            "object_men, of --channels",
        ),
        (["--channels", "a=object_area"], "cannot have other names"),
    ],
)
def test_channels_are_named(project, tmp_path, capsys, channels, message):
    arguments = ("--output", tmp_path / "model.skops", *channels)
    assert run("fit", project.export, *arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "object_area, object_mean, object_skew." in error


def test_an_export_without_images(project, tmp_path, capsys):
    project.rows.to_csv(tmp_path / "ecotaxa_export.tsv", sep="\t", index=False)
    arguments = ("--output", tmp_path / "model.skops", "--channels", "object_area")
    assert run("fit", tmp_path, *arguments) == 1
    assert "0 have an image, and 60 a profile" in capsys.readouterr().err


def test_a_sample_that_cannot_be_a_file_name(tmp_path, capsys):
    path = tmp_path / "ecotaxa_export.tsv"
    rows = write_ecotaxa_project(tmp_path / "export.zip").drop(columns="img_file_name")
    rows.assign(sample_id="a/b").to_csv(path, sep="\t", index=False)
    assert run("fit", path, "--output", tmp_path / "model.skops") == 1
    assert "'a/b'" in capsys.readouterr().err


def test_missing_image_is_reported_once(project, tmp_path, capsys):
    folder = tmp_path / "export"
    with zipfile.ZipFile(project.export) as archive:
        archive.extractall(folder)
    (folder / "images" / "3.png").unlink()
    arguments = (folder, "--output", tmp_path / "out")
    assert run("classify", project.model, *arguments) == 3
    assert len(list((tmp_path / "out").glob("*_problems.txt"))) == 1
    shutil.rmtree(tmp_path / "out")
    capsys.readouterr()
    assert run("classify", project.model, *arguments, "--strict") == 1
    assert "3.png" in capsys.readouterr().err
