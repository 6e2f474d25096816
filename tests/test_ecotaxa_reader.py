import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skplankton import GalleryKNNClassifier
from skplankton.ecotaxa import _archive, _export_table, read_ecotaxa


def text_of(rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def write_table(path, rows, *, encoding="utf-8", images=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text_of(rows).encode(encoding))
    for name in images:
        image = path.parent / name
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(image)
    return path


# As a user would write it for import, with a type row.
IMPORT = [
    [
        "img_file_name",
        "img_rank",
        "object_id",
        "object_annotation_category",
        "object_annotation_status",
        "object_area",
        "sample_id",
    ],
    ["[t]", "[f]", "[t]", "[t]", "[t]", "[f]", "[t]"],
    ["a.png", "0", "a", "Copepoda", "validated", "1.5", "007"],
    ["b.png", "0", "b", "detritus", "predicted", "", "007"],
    ["c.png", "0", "c", "Dinobryon", "dubious", "NaN", "008"],
    ["d.png", "0", "d", "", "", "4", "008"],
]
IMAGES = ["a.png", "b.png", "c.png", "d.png"]
# As EcoTaxa exports "general TSV", without images.
EXPORT = [
    [
        "object_id",
        "object_annotation_status",
        "object_annotation_category",
        "object_annotation_hierarchy",
    ],
    ["a", "validated", "Copepoda", "living>Copepoda"],
    ["b", "predicted", "detritus", "not-living>detritus"],
]


def changed(rows, line, column, entry):
    """The rows, with one entry of a line (1-based) another one."""
    rows = [list(row) for row in rows]
    rows[line - 1][rows[0].index(column)] = entry
    return rows


@pytest.fixture
def import_table(tmp_path):
    return write_table(tmp_path / "ecotaxa_a.tsv", IMPORT, images=IMAGES)


def test_import_table(import_table):
    objects = read_ecotaxa(import_table)
    assert objects.columns.tolist() == [
        "object_id",
        "label",
        "status",
        "image",
        "img_file_name",
        "img_rank",
        "object_annotation_category",
        "object_area",
        "sample_id",
    ]
    assert objects["object_id"].tolist() == list("abcd")
    assert objects["label"].tolist() == ["Copepoda", None, None, None]
    assert objects["status"].tolist() == ["validated", "predicted", "dubious", None]
    folder = os.path.realpath(import_table.parent)
    assert objects["image"].tolist() == [os.path.join(folder, n) for n in IMAGES]
    np.testing.assert_array_equal(objects["object_area"], [1.5, np.nan, np.nan, 4])
    assert objects["sample_id"].tolist() == ["007", "007", "008", "008"]


@pytest.mark.parametrize(
    ("status", "labels"),
    [
        ("predicted", [None, "detritus", None, None]),
        (["validated", "dubious"], ["Copepoda", None, "Dinobryon", None]),
        (None, ["Copepoda", "detritus", "Dinobryon", None]),
    ],
)
def test_status_selects_what_becomes_a_label(import_table, status, labels):
    assert read_ecotaxa(import_table, status=status)["label"].tolist() == labels


@pytest.mark.parametrize("status", ["sure", [], ["validated", "V"]])
def test_unknown_status_wanted(import_table, status):
    with pytest.raises(ValueError, match=r"expected one or more of validated, predict"):
        read_ecotaxa(import_table, status=status)


def test_unknown_errors(import_table):
    with pytest.raises(ValueError, match=r"errors='ignore'; expected one of"):
        read_ecotaxa(import_table, errors="ignore")


def test_merges_with_particles_and_goes_into_a_classifier(import_table):
    particles = pd.DataFrame({"object_id": ["d", "x", "a", "b"]})
    labels = read_ecotaxa(import_table)[["object_id", "label"]]
    merged = particles.merge(labels, on="object_id", how="left")
    assert merged["object_id"].tolist() == ["d", "x", "a", "b"]
    assert merged["label"].isna().tolist() == [True, True, False, True]
    embeddings = np.eye(4)
    embeddings[3] = embeddings[2]
    y = merged["label"].tolist()
    y[1] = "detritus"
    gallery = GalleryKNNClassifier(n_neighbors=1).fit(embeddings, y)
    assert gallery.predict(embeddings[3:]).tolist() == ["Copepoda"]
    assert len(gallery.gallery_) == 2


def test_general_export(tmp_path):
    """Latin-1, decimal comma and nice dates are choices of the export page."""
    rows = [
        [*EXPORT[0], "object_area", "object_lot", "object_date", "object_note"],
        [*EXPORT[1], "1,5", "007", "2024-05-01", "Østersjø 5 µm"],
        [*EXPORT[2], "", "008", "2024-05-01", ""],
    ]
    path = write_table(tmp_path / "any_name.tsv", rows, encoding="latin-1")
    objects = read_ecotaxa(path)
    assert objects["label"].tolist() == ["Copepoda", None]
    assert objects["image"].tolist() == [None, None]
    np.testing.assert_array_equal(objects["object_area"], [1.5, np.nan])
    assert objects["object_lot"].tolist() == ["007", "008"]
    assert objects["object_date"].tolist() == ["2024-05-01"] * 2
    assert objects["object_note"].tolist() == ["Østersjø 5 µm", None]


def test_doi_export(tmp_path):
    """No row of types and no hierarchy: identified by its column objid."""
    name = "images/Copepoda__25828/9007199254740993_0.png"
    rows = [
        ["img_file_name", "img_rank", "object_id", "object_annotation_status"],
        [name, "0", "a", "validated"],
    ]
    rows[0] += ["object_annotation_category", "object_annotation_category_id", "objid"]
    rows[1] += ["Copepoda", "25828", "9007199254740993"]
    path = write_table(tmp_path / "ecotaxa_export_1.tsv", rows, images=[name])
    (row,) = read_ecotaxa(path).to_dict("records")
    assert row["label"] == "Copepoda"
    assert row["image"].endswith(name)
    assert row["objid"] == "9007199254740993"  # too large for a float


def test_category_id_if_there_is_no_category_name(tmp_path):
    rows = [list(row) for row in EXPORT]
    rows[0][2] = "object_annotation_category_id"
    rows[1][2], rows[2][2] = "25828", "84963"
    assert read_ecotaxa(write_table(tmp_path / "e.tsv", rows))["label"][0] == "25828"


def backup(folder):
    """As EcoTaxa's backup: one folder per sample, in UTF-8 with a byte-order mark."""
    for sample, ids in {"s1": ["a", "b"], "s2": ["c", "d"]}.items():
        rows = [row for row in IMPORT if row[2] in ("object_id", "[t]", *ids)]
        write_table(
            folder / sample / f"ecotaxa_{sample}.tsv",
            [[f'"{entry}"' for entry in row] for row in rows],
            encoding="utf-8-sig",
            images=[f"{i}.png" for i in ids],
        )
    (folder / "job_1.log").write_text("not a table")
    return folder


def test_folder_with_subfolders(tmp_path):
    objects = read_ecotaxa(backup(tmp_path))
    assert objects["object_id"].tolist() == list("abcd")
    assert objects["label"].tolist() == ["Copepoda", None, None, None]
    assert all(os.path.isfile(image) for image in objects["image"])


def test_txt_and_upper_case_names_are_tables_too(tmp_path):
    write_table(tmp_path / "EcoTaxa_1.TXT", EXPORT)
    write_table(tmp_path / "other.tsv", [["object_id"], ["z"]])
    assert read_ecotaxa(tmp_path)["object_id"].tolist() == ["a", "b"]


def test_tables_with_other_columns_are_joined(tmp_path):
    write_table(tmp_path / "ecotaxa_1.tsv", EXPORT)
    rows = [["object_id", "object_area", "objid"], ["c", "3", "12"]]
    write_table(tmp_path / "ecotaxa_2.tsv", rows)
    objects = read_ecotaxa(tmp_path)
    assert objects["label"].tolist() == ["Copepoda", None, None]
    np.testing.assert_array_equal(objects["object_area"], [np.nan, np.nan, 3])
    assert objects["objid"].tolist() == [None, None, "12"]


def test_image_of_lowest_rank(tmp_path):
    rows = [*IMPORT[:2]]
    for name, rank in (("mask.png", "2"), ("raw.png", "1"), ("late.png", "10")):
        rows.append([name, rank, "a", "Copepoda", "validated", rank, "s"])
    names = ["mask.png", "raw.png", "late.png"]
    path = write_table(tmp_path / "ecotaxa.tsv", rows, images=names)
    (row,) = read_ecotaxa(path).to_dict("records")
    assert row["image"].endswith("raw.png")
    assert row["object_area"] == 1
    assert row["label"] == "Copepoda"


def test_annotation_on_one_row_of_an_object_is_enough(tmp_path):
    rows = [*IMPORT[:2], ["a.png", "0", "a", "", "", "", ""]]
    rows.append(["b.png", "1", "a", "Copepoda", "validated", "", ""])
    path = write_table(tmp_path / "ecotaxa.tsv", rows, images=IMAGES)
    (row,) = read_ecotaxa(path).to_dict("records")
    assert (row["label"], row["image"][-5:]) == ("Copepoda", "a.png")


def test_letters_and_blanks_as_in_the_database(tmp_path):
    rows = changed(EXPORT, 2, "object_annotation_status", " V ")
    rows = changed(rows, 1, "object_id", " Object_ID ")
    objects = read_ecotaxa(write_table(tmp_path / "e.tsv", rows))
    assert objects["status"].tolist() == ["validated", "predicted"]


def test_table_of_images_without_annotations(tmp_path):
    rows = [["img_file_name", "object_id"], ["[t]", "[t]"], ["sub\\a.png", "a"]]
    path = write_table(tmp_path / "e.tsv", rows, images=["sub/a.png"])
    objects = read_ecotaxa(path)
    assert objects["label"].tolist() == [None]
    assert os.path.isfile(objects["image"][0])


def test_text_in_quotes(tmp_path):
    content = 'object_id\tobjid\tobject_note\r\na\t1\t"tab\t""q"" line\r\nbreak"\r\n'
    path = tmp_path / "e.tsv"
    path.write_bytes(content.encode())
    assert read_ecotaxa(path)["object_note"][0] == 'tab\t"q" line\r\nbreak'


MISTAKES = {
    "without type row": (
        [IMPORT[0], *IMPORT[2:]],
        (
            r"line 2: expected the row of types, \[t\] \(text\) or \[f\] "
            r"\(number\) for each column, got \['a.png', '0'"
        ),
        "columns that contain only numbers are taken as numbers",
    ),
    "wrong type": (
        changed(IMPORT, 2, "object_area", "[n]"),
        (
            r"line 2, column 'object_area': expected the type \[t\] \(text\) or \[f\] "
            r"\(number\), got '\[n\]'"
        ),
        "taken as numbers",
    ),
    "types without brackets": (
        [IMPORT[0], ["t", "f", "t", "t", "t", "f", "t"], *IMPORT[2:]],
        r"line 2, column 'img_file_name': expected the type .* got 't'",
        "taken as numbers",
    ),
    "too few types": (
        [IMPORT[0], IMPORT[1][:-1], *IMPORT[2:]],
        "line 2: expected 7 types, one for each column, got 6",
        "taken as numbers",
    ),
    "no image column": (
        [row[1:] for row in IMPORT],
        "is an import table without a column 'img_file_name'",
        "get no image",
    ),
    "row too short": (
        [*IMPORT[:3], IMPORT[3][:-1], *IMPORT[4:]],
        "line 4: expected 7 values, as in the first row, got 6",
        "the row is left out",
    ),
    "row too long": (
        [*IMPORT, [*IMPORT[2], "x"]],
        "line 7: expected 7 values, as in the first row, got 8",
        "the row is left out",
    ),
    "no object id": (
        changed(IMPORT, 5, "object_id", " "),
        "line 5, column 'object_id': the value is missing",
        "the row is left out",
    ),
    "text in a column of numbers": (
        changed(IMPORT, 4, "object_area", "big"),
        "line 4, column 'object_area': expected a number, got 'big'",
        "the value is taken as missing",
    ),
    "number of Python": (
        changed(IMPORT, 4, "object_area", "1_000"),
        "line 4, column 'object_area': expected a number, got '1_000'",
        "the value is taken as missing",
    ),
    "decimal comma": (
        changed(IMPORT, 4, "object_area", "1,5"),
        r"expected a number, got '1,5'. .* \(decimals with a point\)",
        "the value is taken as missing",
    ),
    "unknown status": (
        changed(IMPORT, 3, "object_annotation_status", "checked"),
        (
            "line 3, column 'object_annotation_status': expected validated, predicted, "
            "dubious, discarded or no value, got 'checked'"
        ),
        "without a status",
    ),
    "status without category": (
        changed(IMPORT, 3, "object_annotation_category", ""),
        (
            "line 3, column 'object_annotation_status': the object is validated but "
            "has no category"
        ),
        "without a status",
    ),
    "two labels": (
        [*IMPORT, ["b.png", "1", "a", "Acartia", "validated", "1", "007"]],
        (
            "line 7, column 'object_annotation_category': the object 'a' has 'Acartia' "
            "here, but 'Copepoda' in .*line 3"
        ),
        "taken as unlabeled",
    ),
    "two samples": (
        [*IMPORT, ["b.png", "1", "a", "Copepoda", "validated", "1", "9"]],
        "column 'sample_id': the object 'a' has '9' here, but '007' in .*line 3",
        "taken as unlabeled",
    ),
    "no image file": (
        changed(IMPORT, 3, "img_file_name", "nowhere.png"),
        (
            "line 3, column 'img_file_name': no such image file, looked for as .*"
            r"1 of 4 objects lack theirs: 'nowhere.png'\. "
        ),
        "taken as missing",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_raise(tmp_path, mistake):
    rows, words, consequence = MISTAKES[mistake]
    path = write_table(tmp_path / "ecotaxa.tsv", rows, images=IMAGES)
    error = FileNotFoundError if mistake == "no image file" else ValueError
    with pytest.raises(error, match=rf"ecotaxa\.tsv.*{words}.*{consequence}"):
        read_ecotaxa(path)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_warn_once(tmp_path, mistake):
    rows, _words, consequence = MISTAKES[mistake]
    path = write_table(tmp_path / "ecotaxa.tsv", rows, images=IMAGES)
    with pytest.warns(UserWarning, match="was read with problems") as warned:
        objects = read_ecotaxa(path, errors="warn")
    assert len(warned) == 1
    assert warned[0].filename == __file__
    report = str(warned[0].message)
    assert consequence in report
    pd.testing.assert_frame_equal(
        objects, read_ecotaxa(path, errors="coerce"), check_exact=True
    )
    assert objects["object_id"].is_unique


def test_mistakes_are_logged(tmp_path, caplog):
    rows = changed(IMPORT, 4, "object_area", "big")
    rows = changed(rows, 3, "img_file_name", "nowhere.png")
    path = write_table(tmp_path / "ecotaxa.tsv", rows, images=IMAGES)
    with caplog.at_level(logging.WARNING, logger="skplankton"):
        objects = read_ecotaxa(path, errors="coerce")
    (record,) = caplog.records
    assert record.name == "skplankton"
    assert "- once, the value is taken as missing:" in record.getMessage()
    assert "'nowhere.png'" in record.getMessage()
    assert objects["image"][0] is None
    assert np.isnan(objects["object_area"][1])


def test_valid_table_gives_no_warning(import_table, caplog):
    read_ecotaxa(import_table, errors="warn")  # a warning would be an error here
    read_ecotaxa(import_table, errors="coerce")
    assert not caplog.records


def test_results_of_coercing_mistakes(tmp_path):
    def read(mistake):
        rows, *_ = MISTAKES[mistake]
        path = write_table(tmp_path / "ecotaxa.tsv", rows, images=IMAGES)
        return read_ecotaxa(path, errors="coerce").set_index("object_id")

    assert read("without type row")["object_area"]["d"] == 4
    assert read("without type row")["sample_id"]["a"] == "007"
    assert read("wrong type")["object_area"]["a"] == 1.5
    assert read("row too short").index.tolist() == ["a", "c", "d"]
    assert read("two labels")["label"]["a"] is None
    assert read("two labels")["status"]["a"] is None
    assert read("unknown status")["label"]["a"] is None
    assert read("no image column")["image"]["a"] is None


def test_many_missing_images_are_counted_and_the_first_listed(tmp_path):
    path = write_table(tmp_path / "ecotaxa.tsv", IMPORT, images=["a.png"])
    words = r"3 of 4 objects lack theirs: 'b.png', 'c.png', 'd.png'\. Put"
    with pytest.raises(FileNotFoundError, match=words):
        read_ecotaxa(path)
    with pytest.warns(UserWarning, match="- 3 times, the image is taken as missing"):
        objects = read_ecotaxa(path, errors="warn")
    assert objects["image"].notna().tolist() == [True, False, False, False]
    assert objects["label"].tolist() == ["Copepoda", None, None, None]


def test_labels_without_images(tmp_path):
    path = write_table(tmp_path / "ecotaxa.tsv", IMPORT)
    with pytest.warns(UserWarning, match=r"None of the 4 .* without images") as warned:
        objects = read_ecotaxa(path)
    assert warned[0].filename == __file__
    assert objects["image"].tolist() == [None] * 4
    assert objects["label"].tolist() == ["Copepoda", None, None, None]


def test_long_reports_are_cut(tmp_path):
    rows = [
        *IMPORT[:2],
        *([f"{i}.png", "0", str(i), "", "", "x", ""] for i in range(9)),
    ]
    path = write_table(tmp_path / "e.tsv", rows, images=[f"{i}.png" for i in range(9)])
    with pytest.warns(UserWarning, match=r"- 9 times, .*(?s:.*)… and 6 more$"):
        read_ecotaxa(path, errors="warn")


@pytest.mark.parametrize("errors", ["raise", "coerce"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; expected a first row with the names of the columns"),
        (b"a\tb\n1\t2\n", r"line 1: no column 'object_id', only \['a', 'b'\]"),
        (b"object_id\t\n1\t2\n", "line 1: column 2 has no name"),
        (b"object_id\tobjid\tobjid\n", "line 1: the column 'objid' occurs twice"),
        (b"object_id\tlabel\n", "line 1: a column named 'label', like a column that"),
        (b"object_id\tobjid\n", r"no row with an object, in 1 table\(s\)"),
        ("object_id\tobjid\n".encode("utf-16"), "is in UTF-16; expected UTF-8 or Lat"),
        (
            b'object_id\tobjid\na\t1\nb\t"2\nc\t3\n',
            "line 3: the quotes do not match up",
        ),
        (
            b"object_id\tobjid\timg_file_name\na\t1\tsub/../../a.png\n",
            r"line 2, column 'img_file_name': 'sub/\.\./\.\./a.png' leads out of the",
        ),
        (b"object_id\tobjid\timg_file_name\na\t1\t/etc/x.png\n", "leads out of the"),
        (b"object_id\tobjid\timg_file_name\na\t1\tC:\\x.png\n", "leads out of the"),
        (b"object_id\tobjid\timg_file_name\na\t1\t..\\x.png\n", "leads out of the"),
        (
            b"object_id\tobject_annotation_category\tobjid\na\tx\t1\n",
            "has a column 'object_annotation_category' but no 'object_annotation_stat",
        ),
    ],
)
def test_what_is_never_coerced(tmp_path, content, words, errors):
    path = tmp_path / "ecotaxa.tsv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"ecotaxa\.tsv.*{words}"):
        read_ecotaxa(path, errors=errors)


def test_name_that_begins_with_dots_is_within(tmp_path):
    rows = [["object_id", "objid", "img_file_name"], ["a", "1", "..a.png"]]
    path = write_table(tmp_path / "e.tsv", rows, images=["..a.png"])
    assert read_ecotaxa(path)["image"][0].endswith("/..a.png")


def test_line_numbers_after_a_text_of_many_lines(tmp_path):
    rows = [*IMPORT[:2], [*IMPORT[2][:-1], '"one\ntwo\nthree"'], *IMPORT[3:]]
    rows = changed(rows, 4, "object_area", "big")
    path = write_table(tmp_path / "e.tsv", rows, images=IMAGES)
    with pytest.raises(ValueError, match=r"line 6, column 'object_area'"):
        read_ecotaxa(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("block", [3, 4, 7])
def test_encoding_is_that_of_the_whole_file(tmp_path, monkeypatch, encoding, block):
    monkeypatch.setattr(_export_table, "_BLOCK", block)
    rows = [["object_id", "objid"], ["a", "é" * 9], ["é", "ø"]]
    path = write_table(tmp_path / "e.tsv", rows, encoding=encoding)
    objects = read_ecotaxa(path)
    assert objects["object_id"].tolist() == ["a", "é"]
    assert objects["objid"].tolist() == ["é" * 9, "ø"]


def test_missing_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; expected an"):
        read_ecotaxa(tmp_path / "nowhere")
    (tmp_path / "labels.csv").touch()
    words = r"contains no table whose name begins with 'ecotaxa'.*only \['labels.csv'\]"
    with pytest.raises(FileNotFoundError, match=words):
        read_ecotaxa(tmp_path)


@pytest.fixture
def archive(tmp_path):
    folder = backup(tmp_path / "backup")
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as content:
        for file in sorted(folder.rglob("*")):
            content.write(file, file.relative_to(folder))
    return path


def test_archive_reads_like_its_folder(archive, tmp_path):
    objects = read_ecotaxa(archive, cache=tmp_path / "cache")
    expected = read_ecotaxa(tmp_path / "backup")
    pd.testing.assert_frame_equal(
        objects.drop(columns="image"), expected.drop(columns="image")
    )
    for image, other in zip(objects["image"], expected["image"], strict=True):
        assert image.startswith(os.path.realpath(tmp_path / "cache"))
        assert Path(image).read_bytes() == Path(other).read_bytes()


def test_archive_is_unpacked_once(archive, tmp_path):
    cache = tmp_path / "cache"
    (first, *_) = read_ecotaxa(archive, cache=cache)["image"]
    unpacked_at = os.stat(first).st_mtime_ns
    (again, *_) = read_ecotaxa(archive, cache=cache)["image"]
    assert (again, os.stat(again).st_mtime_ns) == (first, unpacked_at)
    assert len(list(cache.iterdir())) == 1
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr("more.txt", "")
    (changed_archive, *_) = read_ecotaxa(archive, cache=cache)["image"]
    assert changed_archive != first


def test_problems_in_an_archive_refer_to_it(archive, tmp_path):
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr("s3/ecotaxa_s3.tsv", "object_id\tobjid\n\t1\n")
    with pytest.raises(ValueError, match=r"export\.zip/s3/ecotaxa_s3\.tsv, line 2"):
        read_ecotaxa(archive, cache=tmp_path / "cache")


READ_AND_FORK = """
import atexit, os, sys
from skplankton.ecotaxa import read_ecotaxa
image = read_ecotaxa(sys.argv[1])["image"][0]
child = os.fork()
if child == 0:
    atexit._run_exitfuncs()
    os._exit(0)
os.waitpid(child, 0)
assert os.path.isfile(image), "the child removed it"
print(image, end="")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_temporary_folder_is_removed_with_its_process(archive):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ_AND_FORK, archive],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("s1/a.png")
    assert not Path(run.stdout).parent.parent.exists()


def archive_with(path, name, *, mode=None):
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("ecotaxa.tsv", text_of(EXPORT))
        member = zipfile.ZipInfo(name)
        if mode is not None:
            member.external_attr = mode << 16
        content.writestr(member, "target")
    return path


@pytest.mark.parametrize(
    "name", ["../up.png", "a/../../up.png", "/etc/up.png", "C:/up.png", "..\\up.png"]
)
@pytest.mark.parametrize("errors", ["raise", "coerce"])
def test_members_outside_the_folder(tmp_path, name, errors):
    path = archive_with(tmp_path / "a.zip", name)
    words = rf"its member {name!r}".replace("\\", "\\\\").replace(".", r"\.")
    with pytest.raises(ValueError, match=f"{words} would be written outside"):
        read_ecotaxa(path, cache=tmp_path / "cache", errors=errors)
    assert not list(tmp_path.rglob("up.png"))
    assert not list((tmp_path / "cache").rglob("*.tsv"))


def test_links_in_an_archive(tmp_path):
    path = archive_with(tmp_path / "a.zip", "link.png", mode=0o120777)
    with pytest.raises(ValueError, match=r"member 'link\.png' is a link or a special"):
        read_ecotaxa(path, cache=tmp_path)


def test_archive_that_would_unpack_to_far_too_much(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("ecotaxa.tsv", text_of(EXPORT) + "\n" * 2**20)
    assert len(read_ecotaxa(path, cache=tmp_path / "1")) == 2  # small: harmless
    monkeypatch.setattr(_archive, "RATIO_COUNTS_FROM_BYTES", 2**19)
    with pytest.raises(
        ValueError, match=r"would unpack to 0\.0 GiB, \d+ times its siz"
    ):
        read_ecotaxa(path, cache=tmp_path / "2")
    monkeypatch.setattr(_archive, "MAX_RATIO", 10**6)
    read_ecotaxa(path, cache=tmp_path / "3")
    monkeypatch.setattr(_archive, "MAX_UNPACKED_BYTES", 2**19)
    with pytest.raises(ValueError, match="unpack it yourself and pass the folder"):
        read_ecotaxa(path, cache=tmp_path / "4")
    assert not (tmp_path / "4").is_dir() or not list((tmp_path / "4").iterdir())


def test_member_with_a_wrong_size(tmp_path):
    """The size that is checked is all that is unpacked."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("ecotaxa.tsv", b"x" * 2**20)
    stated = (2**20).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(stated, (10).to_bytes(4, "little")))
    with pytest.raises(ValueError, match=r"'ecotaxa\.tsv' cannot be unpacked"):
        read_ecotaxa(path, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_broken_archives(archive, tmp_path):
    content = bytearray(archive.read_bytes())
    at = content.index(b"Copepoda")  # stored, not packed
    content[at : at + 3] = b"XXX"
    archive.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"member '.*tsv' cannot be unpacked \(Bad CRC"
    ):
        read_ecotaxa(archive, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    archive.write_bytes(content[:100])
    with pytest.raises(ValueError, match="is not a readable zip archive"):
        read_ecotaxa(archive)


def test_archive_that_points_to_where_no_file_can_be(archive, tmp_path):
    content = archive.read_bytes()
    end = content[-22:]
    archive.write_bytes(content[:-22] + end[:16] + b"\xff" * 4 + end[20:])
    words = r"export\.zip: its member '.*' cannot be unpacked \(.* Copy or download"
    with pytest.raises(ValueError, match=words):
        read_ecotaxa(archive, cache=tmp_path / "cache")


@pytest.mark.parametrize("cut", [2, 20, 40])
def test_archive_with_a_truncated_directory(archive, tmp_path, cut):
    """zipfile raises errors of many types."""
    content = archive.read_bytes()
    start = content.index(b"PK\1\2")
    archive.write_bytes(content[: start + 46 - cut] + content[-22:])
    with pytest.raises(ValueError, match=r"export\.zip is not a readable zip archive"):
        read_ecotaxa(archive, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["b.png", "./b.png"], r"'\./b\.png' occurs twice"),
        (["b", "b/c.png"], "'b' is both a file and a folder"),
        (["x" * 300], r"'x+' cannot be unpacked \(.*File name too long"),
    ],
)
def test_members_that_cannot_be_files(tmp_path, names, words):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("ecotaxa.tsv", text_of(EXPORT))
        for name in names:
            content.writestr(zipfile.ZipInfo(name), "x")
    with pytest.raises((ValueError, OSError), match=rf"a\.zip: its member {words}"):
        read_ecotaxa(path, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


def test_an_error_leaves_no_temporary_folder(archive, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr("s3/ecotaxa_s3.tsv", "object_id\tobjid\n\t1\n")
    with pytest.raises(ValueError, match="ecotaxa_s3"):
        read_ecotaxa(archive)
    assert not list((tmp_path / "temporary").iterdir())
