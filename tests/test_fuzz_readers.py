"""Damaged files of each kind: a table, or an error that names the file."""

import copy
import io
import json
import math
import shutil
import tempfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from skplankton._views.entries import image_pixels
from skplankton.datasets import (
    load_cytoprocess,
    load_cyz_json,
    load_ifcb,
    load_measurements,
    load_particles,
    make_particles,
    read_ifcb_labels,
    read_samples,
    write_cyz_json,
    write_ifcb,
    write_ifcb_class_scores,
    write_particles,
)
from skplankton.ecotaxa import read_ecotaxa, write_ecotaxa

from .fuzzing import examples, mutated

pytestmark = pytest.mark.once

PARTICLES, LABELS = make_particles(3, n_species=2, random_state=0, return_X_y=True)
PARTICLES["profile"] = [profile[:6] for profile in PARTICLES["profile"]]
PARTICLES["image"] = [image[:6, :9] for image in PARTICLES["image"]]
TABLE = PARTICLES.assign(
    object_id=["a", "b", "c"], object_area=[1.0, 2.5, 3.0], sample_id="s"
)
MEASURED = pd.DataFrame(
    {
        "sample_id": ["s"],
        "start": ["2025-07-01T09:30:15.1234567+02:00"],
        "duration_s": [300.0],
        "analyzed_volume_ml": [1.125],
        "n_particles": [4],
    }
)
STATIONS = """sample_id,volume_ml,date,time,start,latitude,depth,n_read,is_partial,acq_x
s,1.5,2025-07-01,09:30,2025-07-01T09:30Z,48.5,3,4,True,1
"t",,20250701,093000,,-90,,,,x
"""
CYZ_COLUMNS = [
    "image",
    "profile",
    "object_id",
    "sample_id",
    "particle_id",
    "instrument",
    "has_image",
]
POLICIES = st.sampled_from(["raise", "coerce"])


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """Valid files of each kind."""
    folder = tmp_path_factory.mktemp("valid")
    write_particles(PARTICLES, LABELS, folder / "lab")
    path = folder / "cyto" / "converted" / "s.json"
    write_cyz_json(PARTICLES, path, samples=MEASURED)
    shutil.copytree(folder / "lab" / "images", folder / "cyto" / "images" / "s")
    write_ecotaxa(folder / "import", TABLE, LABELS)
    write_ecotaxa(folder / "import.zip", TABLE, LABELS)
    vectors = [profile[:2, :5].ravel() for profile in PARTICLES["profile"]]
    write_ifcb(PARTICLES.assign(profile=vectors), folder / "ifcb" / BIN)
    write_labels_of_ifcb(folder / "labels")
    return folder


BIN = "D20220522T003051_IFCB134"


def write_labels_of_ifcb(folder):
    classes = np.empty((1, 2), dtype=object)
    classes[0] = ["unclassified", "Dinobryon"]
    ids, scores = [f"{BIN}_00001", f"{BIN}_00002"], [[0.0, 1.0], [0.5, 0.5]]
    write_ifcb_class_scores(ids, scores, classes[0], folder, file_format="csv")
    rows = np.array([[1, 2, np.nan], [2, np.nan, np.nan]])
    savemat(folder / f"{BIN}.mat", {"classlist": rows, "class2use_manual": classes})


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for unpacked files, which an error must leave empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def check(read, path, columns, temporary):
    """Read: a table, or an error that names the file and leaves nothing unfinished.

    A warning is an error of the test, as everywhere here.
    """
    try:
        table = read()
    except (ValueError, TypeError, OSError) as error:
        is_named = path.name in str(error)
        if not is_named:  # with the traceback of the reader
            raise
        left = [file for file in temporary.rglob("*") if file.suffix != ".npz"]
        assert all(file.with_suffix(".index.npz").exists() for file in left)
    else:
        assert isinstance(table, pd.DataFrame)
        assert set(columns) <= set(table.columns)
    for file in temporary.iterdir():
        shutil.rmtree(file) if file.is_dir() else file.unlink()


@examples(150)
@given(data=st.data(), errors=POLICIES)
def test_annotations(valid, temporary, data, errors):
    path = valid / "lab" / "fuzzed.csv"
    content = (valid / "lab" / "annotations.csv").read_bytes()
    path.write_bytes(data.draw(mutated(content)))
    check(
        lambda: load_particles(path, errors=errors).data,
        path,
        ["image", "profile"],
        temporary,
    )


# Replacements for a node of a JSON document. Some are inserted as text, as Python's
# own writer cannot write them.
AS_TEXT = {
    '"@long"': "1" + 5000 * "0",
    '"@deep"': 100 * "[" + 100 * "]",
    '"@deeper"': 10**5 * "[" + 10**5 * "]",
    '"@huge"': "1e999",
}
JUNK = st.sampled_from(
    [
        *(key.strip('"') for key in AS_TEXT),
        *(None, True, False, 0, -1, 2.5, 2**63, 10**400, 1e39, math.nan, -math.inf),
        *("", "x", "\ud800", "\0", "2", [], {}, [[1]], [None], {"x": []}),
    ]
)


@st.composite
def changed(draw, document):
    """A JSON document, some of its nodes replaced, left out or duplicated, as text."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        node, key = draw(st.sampled_from(_places(document)))
        change = draw(st.sampled_from(["replace", "replace", "delete", "copy"]))
        if change == "delete":
            del node[key]
        elif change == "copy":
            other, other_key = draw(st.sampled_from(_places(document)))
            node[key] = copy.deepcopy(other[other_key])
        else:
            node[key] = copy.deepcopy(draw(JUNK))
    text = json.dumps(document, indent=draw(st.sampled_from([None, 1])))
    for key, value in AS_TEXT.items():
        text = text.replace(key, value)
    return text.encode()


def _places(document):
    """Each node, as its parent and its key; of lists of numbers, the ends."""
    places, parents = [(document, key) for key in document], list(document.values())
    while parents:
        parent = parents.pop()
        if isinstance(parent, dict):
            keys = list(parent)
        elif isinstance(parent, list):
            keys = sorted({*range(len(parent))[:3], *range(len(parent))[-1:]})
        else:
            continue
        places += [(parent, key) for key in keys]
        parents += [parent[key] for key in keys]
    return places or [({"": None}, "")]


def damaged_json(path):
    content = path.read_bytes()
    document = json.loads(content.decode("utf-8-sig"))
    # Most of the file is indentation, so most damage would be to blanks.
    short = json.dumps(document).encode()
    return changed(document) | mutated(short) | mutated(content)


@examples(400)
@given(data=st.data(), errors=POLICIES)
def test_cyz_json(valid, temporary, data, errors):
    path = valid / "fuzzed.json"
    sample = valid / "cyto" / "converted" / "s.json"
    path.write_bytes(data.draw(damaged_json(sample)))
    check(
        lambda: load_cyz_json(path, cache=temporary, errors=errors),
        path,
        CYZ_COLUMNS,
        temporary,
    )


@examples(150)
@given(data=st.data(), errors=POLICIES)
def test_cytoprocess(valid, temporary, data, errors):
    """Names of images are damaged as well."""
    project = valid / "fuzzed"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(valid / "cyto", project)
    path = project / "converted" / "s.json"
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged_json(path)))
    images = project / "images" / "s"
    for _ in range(data.draw(st.integers(0, 2))):
        name = data.draw(FILE_NAMES)
        if not (images / name).exists():
            (images / name).touch()
    check(
        lambda: load_cytoprocess(project, cache=temporary, errors=errors),
        project,
        CYZ_COLUMNS,
        temporary,
    )


@examples(200)
@given(data=st.data())
def test_table_of_samples(valid, temporary, data):
    path = valid / "fuzzed_samples.csv"
    path.write_bytes(data.draw(mutated(STATIONS.encode())))
    columns = MEASURED.columns.tolist()
    check(lambda: read_samples(path), path, columns, temporary)


FILE_NAMES = st.from_regex(
    r"(0*[0-9]{1,3}|[0-9]{200}|[٣²x -]{1,3})\.(png|jpg|PNG|bmp|json)", fullmatch=True
)


@examples(200)
@given(data=st.data(), errors=POLICIES, with_types=st.booleans())
def test_ecotaxa_table(valid, temporary, data, errors, with_types):
    content = (valid / "import" / "ecotaxa_import.tsv").read_bytes()
    if not with_types:  # as an export
        header, _, *rows = content.splitlines(keepends=True)
        content = b"".join([header.replace(b"object_area", b"objid"), *rows])
    path = valid / "import" / "fuzzed.tsv"
    path.write_bytes(data.draw(mutated(content)))
    check(
        lambda: read_ecotaxa(path, errors=errors),
        path,
        ECOTAXA_COLUMNS,
        temporary,
    )


ECOTAXA_COLUMNS = ["object_id", "label", "status", "image"]


@st.composite
def archives(draw, content):
    """An archive, damaged as a file or with members of other names and content."""
    if draw(st.booleans()):
        return draw(mutated(content))
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    new = io.BytesIO()
    with zipfile.ZipFile(new, "w") as zipped:
        for name, written in members.items():
            is_damaged = draw(st.booleans())
            zipped.writestr(name, draw(mutated(written)) if is_damaged else written)
        for name in draw(st.lists(MEMBERS, max_size=2)):
            zipped.writestr(zipfile.ZipInfo(name), b"object_id\tobjid\nz\t1\n")
    return new.getvalue()


MEMBERS = st.sampled_from(["a/", "a", "a/b", "a//b", "./a", ".", "", "..", "/", "\\"])
MEMBERS |= st.sampled_from(["x" * 300, "ecotaxa_é.tsv", "ecotaxa.tsv", "ecotaxa.tsv/a"])
MEMBERS |= st.text(min_size=1, max_size=5).filter(lambda t: t.isprintable())


@examples(300)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # of zipfile, writing
@given(data=st.data(), errors=POLICIES)
def test_ecotaxa_archive(valid, temporary, data, errors):
    path = valid / "fuzzed.zip"
    path.write_bytes(data.draw(archives((valid / "import.zip").read_bytes())))
    check(
        lambda: read_ecotaxa(path, errors=errors),
        path,
        ECOTAXA_COLUMNS,
        temporary,
    )


@examples(300)
@given(data=st.data(), errors=POLICIES, with_imageless=st.booleans())
def test_ifcb_bin(valid, temporary, data, errors, with_imageless):
    """Each of the three files may be damaged, and the images are read."""
    folder = valid / "fuzzed_bin"
    folder.mkdir(exist_ok=True)
    damaged = data.draw(st.sets(st.sampled_from([".adc", ".hdr", ".roi"]), min_size=1))
    for suffix in (".adc", ".hdr", ".roi"):
        content = (valid / "ifcb" / f"{BIN}{suffix}").read_bytes()
        content = data.draw(mutated(content)) if suffix in damaged else content
        (folder / f"{BIN}{suffix}").write_bytes(content)

    def read():
        table, samples = load_ifcb(
            folder,
            require_image=not with_imageless,
            return_samples=True,
            errors=errors,
        )
        assert len(samples) == 1
        for image in table["image"].dropna():
            image_pixels(image)
        volumes = samples[["analyzed_volume_ml", "pumped_volume_ml", "duration_s"]]
        is_known = samples["volume_problem"][0] == ""
        assert volumes.notna().all(axis=None) == is_known
        return table

    check(read, folder / BIN, CYZ_COLUMNS, temporary)


@examples(150)
@given(data=st.data())
def test_ifcb_labels(valid, temporary, data):
    path = valid / "fuzzed_labels" / f"{BIN}.csv"
    path.parent.mkdir(exist_ok=True)
    content = (valid / "labels" / path.name).read_bytes()
    path.write_bytes(data.draw(mutated(content)))
    check(lambda: read_ifcb_labels(path), path, ["object_id", "label"], temporary)


@examples(150)
@given(data=st.data())
def test_manual_labels_of_ifcb(valid, temporary, data):
    """Cut short only: of other damaged files, SciPy's reader may end the process."""
    path = valid / "fuzzed_labels" / f"{BIN}.mat"
    path.parent.mkdir(exist_ok=True)
    content = (valid / "labels" / path.name).read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    check(lambda: read_ifcb_labels(path), path, ["object_id", "label"], temporary)


@examples(150)
@given(data=st.data(), errors=POLICIES, is_collage=st.booleans())
def test_measurements(valid, temporary, data, errors, is_collage):
    path = valid / "lab" / "fuzzed_measurements.csv"
    content = b"id,img_file_name,a,b,x,y,w,h\n"
    content += b"1,images/000000.png,1.5,,0,0,3,2\n2,images/000001.png,-1,2,4,3,5,3\n"
    path.write_bytes(data.draw(mutated(content)))
    options = {"crop_columns": ["x", "y", "w", "h"]} if is_collage else {}
    check(
        lambda: load_measurements(
            path, columns=["a", "b"], id_column="id", errors=errors, **options
        ),
        path,
        CYZ_COLUMNS,
        temporary,
    )
