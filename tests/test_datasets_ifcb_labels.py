"""Labels and class scores of IFCB particles, in the forms of other programs."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.io import savemat

from skplankton.datasets import read_ifcb_labels, write_ifcb_class_scores

NAME, OTHER = "D20220522T003051_IFCB134", "IFCB5_2012_028_081515"
CLASSES = ["unclassified", "Mesodinium_rubrum", "Dinobryon spp"]


def write_manual(path, rows, classes=CLASSES):
    """As MATLAB writes them: numbers of the particle, its class, that of a program."""
    classlist = np.array(rows, dtype=float)
    savemat(path, {"classlist": classlist, "class2use_manual": cells(classes)})
    return path


def cells(texts):
    """A cell array of MATLAB."""
    array = np.empty((1, len(texts)), dtype=object)
    array[0] = texts
    return array


def labels_of(path):
    table = read_ifcb_labels(path)
    assert table.columns.tolist() == ["object_id", "label"]
    return dict(zip(table["object_id"], table["label"], strict=True))


@pytest.fixture
def folder(tmp_path):
    """Folders as the field has them: images, manual labels and much else."""
    for name, label in (
        (f"{NAME}_00003.png", "Mesodinium"),
        (f"{OTHER}_00010.png", "x"),
    ):
        (tmp_path / "png" / label).mkdir(parents=True)
        (tmp_path / "png" / label / name).touch()
    (tmp_path / "png" / "Mesodinium" / "Thumbs.png").touch()
    (tmp_path / "manual").mkdir()
    write_manual(tmp_path / "manual" / f"{NAME}.mat", [[1, 1, np.nan], [2, 3, np.nan]])
    (tmp_path / "config").mkdir()
    savemat(tmp_path / "config" / "class2use.mat", {"class2use": CLASSES})
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / f"{NAME}_fea_v2.csv").write_text("roi_number\n1\n")
    return tmp_path


def test_images_in_folders_of_classes(folder):
    expected = {f"{NAME}_00003": "Mesodinium", f"{OTHER}_00010": "x"}
    assert labels_of(folder / "png") == expected
    assert labels_of(folder / "png" / "x" / f"{OTHER}_00010.png") == {
        f"{OTHER}_00010": "x"
    }


def test_an_image_in_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder / "png" / "x")
    assert labels_of(f"{OTHER}_00010.png") == {f"{OTHER}_00010": "x"}


def test_manual_labels(tmp_path):
    """A class by a program is no label of a person."""
    rows = [[1, np.nan, 2], [2, 2, np.nan], [3, 3, 2], [4, 1, np.nan]]
    path = write_manual(tmp_path / f"{NAME}.mat", rows)
    assert labels_of(path) == {
        f"{NAME}_00001": None,
        f"{NAME}_00002": "Mesodinium_rubrum",
        f"{NAME}_00003": "Dinobryon spp",
        f"{NAME}_00004": None,
    }


def test_a_table_of_classes(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text(
        '"file_name","class_name","class_name_auto","score"\n'
        f'"{NAME}_00002.png","unclassified","Dinobryon spp",0.31\n'
        f'"{NAME}_00003.png","Mesodinium_rubrum","Mesodinium_rubrum",0.69\n'
    )
    expected = {f"{NAME}_00002": None, f"{NAME}_00003": "Mesodinium_rubrum"}
    assert labels_of(path) == expected


def test_a_folder_of_everything(folder):
    assert labels_of(folder) == {
        f"{NAME}_00001": None,
        f"{NAME}_00002": "Dinobryon spp",
        f"{NAME}_00003": "Mesodinium",
        f"{OTHER}_00010": "x",
    }


def test_two_labels_of_one_particle(folder):
    """None is no label, whichever comes first."""
    write_manual(folder / f"{NAME}.mat", [[1, 2, np.nan], [3, np.nan, np.nan]])
    labels = labels_of(folder)
    assert labels[f"{NAME}_00001"] == "Mesodinium_rubrum"
    assert labels[f"{NAME}_00003"] == "Mesodinium"
    write_manual(folder / f"{NAME}.mat", [[3, 2, np.nan]])
    words = rf"particle {NAME}_00003 is labeled 'Mesodinium' and|'Mesodinium', and"
    with pytest.raises(ValueError, match=words):
        read_ifcb_labels(folder)


def test_images_beside_the_folders_of_classes(tmp_path):
    for place in ("Dinobryon ", "."):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / f"{NAME}_0000{len(place)}.png").touch()
    words = f"1 images, such as {NAME}_00001.png, are in no folder of a class"
    with pytest.raises(ValueError, match=words):
        read_ifcb_labels(tmp_path)
    assert set(labels_of(tmp_path / "Dinobryon ").values()) == {"Dinobryon"}


def test_labels_are_joined_by_id(folder):
    particles = pd.DataFrame({"object_id": [f"{NAME}_00003", f"{NAME}_00009"]})
    joined = particles.merge(read_ifcb_labels(folder), on="object_id", how="left")
    assert joined["label"][0] == "Mesodinium"
    assert pd.isna(joined["label"][1])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xlsx", b"", "no labels that can be read"),
        ("a.png", b"", "'a' is not the id of a particle"),
        ("a.mat", b"", "must have the name of its bin"),
        (f"{NAME}.mat", b"MATLAB 5.0", "is not a .mat file that can be read"),
        ("a.csv", b"file_name,class\n", "line 1: the column class_name is missing"),
        ("a.csv", b"file_name,class_name\na\n", "line 2: expected 2 values"),
        ("a.csv", b"file_name,class_name\na,b\n", "line 2: 'a' is not the id"),
        ("a.csv", b"\xff", "not UTF-8"),
    ],
)
def test_files_without_labels(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words) as raised:
        read_ifcb_labels(tmp_path / name)
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"classlist": None}, "no variable 'classlist'"),
        ({"class2use_manual": None}, "no variable 'class2use_manual'"),
        ({"classlist": [[1, 9, 0]]}, "row 1: the class is 9; expected a number from 1"),
        ({"classlist": [[1, 0, 0]]}, "the class is 0"),
        ({"classlist": [[1, 1.5, 0]]}, "the class is 1.5"),
        ({"classlist": [[0, 1, 0]]}, "the number of the particle is 0"),
        ({"classlist": [["a", "b"]]}, "classlist has the shape"),
        ({"classlist": [[1], [2]]}, r"classlist has the shape \(2, 1\)"),
        ({"class2use_manual": [1, 2]}, "class2use_manual has"),
    ],
)
def test_manual_files_of_another_kind(variables, words, tmp_path):
    path = tmp_path / f"{NAME}.mat"
    variables = {"classlist": [[1, 2]], "class2use_manual": cells(CLASSES)} | variables
    savemat(path, {name: v for name, v in variables.items() if v is not None})
    with pytest.raises(ValueError, match=words) as raised:
        read_ifcb_labels(path)
    assert str(path) in str(raised.value)


def test_places_without_labels(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist\. Expected"):
        read_ifcb_labels(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"contain no labels, only \[\]"):
        read_ifcb_labels(tmp_path)


# Class scores

IDS = [f"{NAME}_00010", f"{OTHER}_00001", f"{NAME}_00002", f"{NAME}_00003"]
SCORES = np.array([[0.1, 0.6, 0.3], [1, 0, 0], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
LABELS = ["Ceratium", "Dinobryon", "Näktergal"]


def read_class_scores(path):
    """A reader by the description of the format alone: class scores, version 3."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path) as file:
        contents = {}
        for name in file:
            data = file[name]
            text = h5py.check_string_dtype(data.dtype)
            if text is not None:
                assert text.encoding == "utf-8"
                assert text.length is None  # variable
                contents[name] = [value.decode("utf-8") for value in data[()]]
            else:
                contents[name] = data[()]
    n, n_classes = contents["output_scores"].shape
    assert contents["output_scores"].dtype == np.float64
    assert contents["roi_numbers"].dtype == np.int32
    assert contents["roi_numbers"].shape == (n,)
    assert contents["thresholds"].shape == (n_classes,)
    assert contents["thresholds"].dtype == np.float64
    assert len(contents["class_labels"]) == n_classes
    assert len(contents["class_name"]) == len(contents["class_name_auto"]) == n
    assert len(contents["classifier_name"]) == 1
    return contents


def test_class_scores(tmp_path):
    files = write_ifcb_class_scores(
        IDS,
        SCORES,
        LABELS,
        tmp_path / "class2022",
        thresholds=[0.5, 0.5, 0.7],
        is_unknown=[True, False, False, False],
        classifier_name="bay, 2022",
    )
    assert [file.name for file in files] == [f"{NAME}_class.h5", f"{OTHER}_class.h5"]
    contents = read_class_scores(files[0])
    assert_array_equal(contents["roi_numbers"], [2, 3, 10])  # in the order of the bin
    assert_array_equal(contents["output_scores"], SCORES[[2, 3, 0]])
    assert contents["class_labels"] == LABELS
    assert contents["class_name_auto"] == ["Ceratium", "Näktergal", "Dinobryon"]
    assert contents["class_name"] == ["Ceratium", "unclassified", "unclassified"]
    assert_array_equal(contents["thresholds"], [0.5, 0.5, 0.7])
    assert contents["classifier_name"] == ["bay, 2022"]
    assert read_class_scores(files[1])["class_name"] == ["Ceratium"]


def test_class_scores_as_csv(tmp_path):
    options = {"file_format": "csv", "thresholds": 0.6}
    files = write_ifcb_class_scores(IDS, SCORES, LABELS, tmp_path, **options)
    assert [file.name for file in files] == [f"{NAME}.csv", f"{OTHER}.csv"]
    assert files[0].read_text(encoding="utf-8").splitlines() == [
        "file_name,class_name,class_name_auto,score",
        f"{NAME}_00002.png,unclassified,Ceratium,0.5",
        f"{NAME}_00003.png,Näktergal,Näktergal,0.6",
        f"{NAME}_00010.png,Dinobryon,Dinobryon,0.6",
    ]
    assert labels_of(tmp_path) == {
        f"{NAME}_00002": None,
        f"{NAME}_00003": "Näktergal",
        f"{NAME}_00010": "Dinobryon",
        f"{OTHER}_00001": "Ceratium",
    }


def test_a_particle_that_could_not_be_read(tmp_path):
    scores = SCORES.copy()
    scores[3] = np.nan
    (file, _) = write_ifcb_class_scores(IDS, scores, LABELS, tmp_path)
    contents = read_class_scores(file)
    assert np.isnan(contents["output_scores"][1]).all()
    assert contents["class_name"][1] == contents["class_name_auto"][1] == "unclassified"
    (file, _) = write_ifcb_class_scores(
        IDS, scores, LABELS, tmp_path, file_format="csv"
    )
    line = f"{NAME}_00003.png,unclassified,unclassified,"
    assert line in file.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file_format": "mat"}, r"file_format='mat'; expected one of \['h5', 'csv'\]"),
        ({"object_ids": ["a", *IDS[1:]]}, "object_ids, row 0: 'a' is not the id"),
        ({"object_ids": [IDS[1], *IDS[1:]]}, f"object_ids has '{IDS[1]}' twice"),
        ({"scores": SCORES[:3]}, r"shape \(3, 3\); expected 4 rows"),
        ({"classes": LABELS[:2]}, "and 2 columns"),
        ({"scores": np.where(SCORES == 1, np.nan, SCORES)}, "scores, row 1: .*NaN in"),
        ({"thresholds": [0.5]}, "or one for each of the 3 classes"),
        ({"thresholds": np.nan}, "expected a finite number"),
        ({"is_unknown": [0, 1, 0, 0]}, "expected 4 bools"),
    ],
)
def test_invalid_class_scores(changes, words, tmp_path):
    arguments = {"object_ids": IDS, "scores": SCORES, "classes": LABELS} | changes
    with pytest.raises(ValueError, match=words):
        write_ifcb_class_scores(path=tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_no_file_is_replaced_by_accident(tmp_path):
    (tmp_path / f"{OTHER}_class.h5").touch()
    with pytest.raises(FileExistsError, match=f"{OTHER}_class.h5 exists"):
        write_ifcb_class_scores(IDS, SCORES, LABELS, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    write_ifcb_class_scores(IDS, SCORES, LABELS, tmp_path, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 2


def test_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[ifcb\]'"):
        write_ifcb_class_scores(IDS, SCORES, LABELS, tmp_path / "new")
    assert not (tmp_path / "new").exists()
