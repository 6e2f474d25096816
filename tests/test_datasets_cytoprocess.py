import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skplankton.datasets import load_cytoprocess, make_particles, write_cyz_json

SAMPLES = ["Vilaine 3", "Loire"]


@pytest.fixture(scope="module")
def X():
    X = make_particles(5, n_species=2, random_state=0, return_X_y=True)[0].astype(
        object
    )
    X.loc[[1, 3], "image"] = None
    return X


@pytest.fixture
def project(X, tmp_path):
    """A project of two samples, as the first versions of CytoProcess leave it."""
    folder = tmp_path / "cruise"
    for sample in SAMPLES:
        write_cyz_json(X, folder / "converted" / f"{sample}.json")
        images = folder / "images" / sample
        images.mkdir(parents=True)
        for particle, image in X["image"].dropna().items():
            Image.fromarray(image).save(images / f"{particle}.png")
    (folder / "config.yaml").touch()
    return folder


@pytest.fixture
def newer_project(project):
    """The same, as later versions leave it."""
    for sample in SAMPLES:
        work = project / "work" / sample
        work.mkdir(parents=True)
        shutil.move(
            project / "converted" / f"{sample}.json", work / "converted_data.json"
        )
        shutil.move(project / "images" / sample, work / "images")
    (project / "converted").rmdir()
    return project


def assert_same_particles(table, X):
    for sample, rows in table.groupby("sample_id"):
        assert rows["object_id"].tolist() == [f"{sample}_{i}" for i in range(len(X))]
        assert rows["has_image"].tolist() == X["image"].notna().tolist()
        for entry, wanted in zip(rows["profile"], X["profile"], strict=True):
            np.testing.assert_array_equal(entry.read(), wanted)
        for entry, wanted in zip(rows["image"], X["image"], strict=True):
            assert (entry is None) == (wanted is None)
            if entry is not None:
                image = Image.open(entry) if isinstance(entry, str) else entry.open()
                np.testing.assert_array_equal(np.asarray(image), wanted)


def test_extracted_images_are_paths(project, X):
    table = load_cytoprocess(project)
    assert table["sample_id"].unique().tolist() == sorted(SAMPLES)
    assert table["image"][0] == str(project / "images" / "Loire" / "0.png")
    assert table.index.equals(pd.RangeIndex(10))
    assert_same_particles(table, X)


def test_images_of_the_json_file_are_not_read(project, X):
    """Reading stops before them, so damaged ones are not an error."""
    path = project / "converted" / "Loire.json"
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(text[: text.index('"images"') + 20], encoding="utf-8")
    assert_same_particles(load_cytoprocess(project, samples=["Loire"]), X)


def test_newer_projects_have_a_scale_bar_in_the_extracted_images(newer_project, X):
    """So that images are taken from the JSON files."""
    for path in newer_project.glob("work/*/images/*.png"):
        path.unlink()
    table = load_cytoprocess(newer_project)
    assert str(table["image"][0]) == "Loire/converted_data.json, particle 0"
    assert table["sample_id"].unique().tolist() == sorted(SAMPLES)
    assert_same_particles(table, X)


def test_jpeg_files_are_taken_too(project, X):
    images = project / "images" / "Loire"
    (images / "0.png").rename(images / "0.jpg")
    (images / "0.gif").touch()  # a mask
    (images / "notes.png").touch()
    assert_same_particles(load_cytoprocess(project), X)


def test_samples_are_chosen_in_order(project):
    table = load_cytoprocess(project, samples=SAMPLES)
    assert table["sample_id"].unique().tolist() == SAMPLES
    assert table["image"][0] == str(project / "images" / "Vilaine 3" / "0.png")


def test_particles_without_image_may_be_left_out(project):
    table = load_cytoprocess(project, require_image=True)
    assert table["particle_id"].tolist() == [0, 2, 4] * 2
    assert table.index.equals(pd.RangeIndex(6))


def test_channels_and_cache_are_those_of_the_json_files(project, tmp_path):
    table = load_cytoprocess(project, channels=["FL Red"], cache=tmp_path / "cache")
    assert table["profile"][0].channels == ("FL Red",)
    assert len(list((tmp_path / "cache").iterdir())) == 4
    again = load_cytoprocess(project, channels=["FL Red"], cache=tmp_path / "cache")
    assert again.equals(table)


def test_sample_without_particles(project, X):
    write_cyz_json(X[:0], project / "converted" / "A blank.json")
    table = load_cytoprocess(project)
    assert table["sample_id"].unique().tolist() == sorted(SAMPLES)
    assert_same_particles(table, X)


def test_images_that_were_not_extracted(project, X):
    shutil.rmtree(project / "images" / "Loire")
    message = (
        r"images/Loire does not exist, and 3 particles of 'Loire' have an image\. Run: "
        "cytoprocess extract_images"
    )
    with pytest.raises(FileNotFoundError, match=message):
        load_cytoprocess(project)
    X = X.assign(image=None)
    write_cyz_json(X, project / "converted" / "Loire.json", overwrite=True)
    assert_same_particles(load_cytoprocess(project, samples=["Loire"]), X)


def test_image_without_a_particle(project, X):
    (project / "images" / "Loire" / "77.png").touch()
    message = r"Loire/77.png: the JSON file has no particle of this number"
    with pytest.raises(ValueError, match=rf'{message}.* Pass errors="warn" to skip'):
        load_cytoprocess(project)
    with pytest.warns(
        UserWarning, match=rf"once, image file without a particle:\n.*{message}"
    ):
        table = load_cytoprocess(project, errors="warn")
    assert_same_particles(table, X)


def test_two_images_of_one_particle(project, X):
    images = project / "images" / "Loire"
    shutil.copy(images / "0.png", images / "00.jpg")
    message = r"00\.jpg|/0\.png: a second image of the same particle as .*Loire/0"
    with pytest.raises(ValueError, match=message):
        load_cytoprocess(project)
    with pytest.warns(UserWarning, match="once, second image of one particle"):
        table = load_cytoprocess(project, errors="warn")
    assert table["image"].notna().sum() == 6


def test_faults_of_the_json_files_are_reported(project):
    path = project / "converted" / "Loire.json"
    tree = json.loads(path.read_text(encoding="utf-8-sig"))
    tree["particles"][2]["pulseShapes"][0]["values"].pop()
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=r"Loire.json, particle 2: channels have"):
        load_cytoprocess(project)
    with pytest.warns(
        UserWarning, match="once, channels of different lengths"
    ) as caught:
        table = load_cytoprocess(project, errors="warn")
    assert caught[0].filename == __file__
    assert table["profile"].isna().sum() == 1


def test_other_folders_are_refused(project, tmp_path):
    with pytest.raises(
        FileNotFoundError, match="nowhere is not a folder; expected a Cyto"
    ):
        load_cytoprocess(tmp_path / "nowhere")
    shutil.rmtree(project / "converted")
    message = r"only \['config.yaml', 'images'\]\. .* run: cytoprocess convert"
    with pytest.raises(FileNotFoundError, match=message):
        load_cytoprocess(project)


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (["Seine"], FileNotFoundError, r"'Seine', only \['Loire', 'Vilaine 3'\]"),
        ("Loire", TypeError, "samples='Loire'; expected a list of names"),
        ([], ValueError, "expected each sample once, and at least one"),
        (["Loire", "Loire"], ValueError, "expected each sample once"),
    ],
)
def test_other_samples_are_refused(project, samples, error, message):
    with pytest.raises(error, match=message):
        load_cytoprocess(project, samples=samples)
