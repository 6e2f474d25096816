"""``--labels``: files of labels other than an export of EcoTaxa."""

import csv
from types import SimpleNamespace

import pytest

from skplankton._cli._labels import read_labels

from .station import chosen_by, fit, run


@pytest.mark.parametrize(
    "saved",
    [
        {"sep": ";", "encoding": "utf-8-sig"},
        {"sep": ";", "lineterminator": "\r\n"},
        {"sep": "\t"},
        {"quoting": csv.QUOTE_ALL},
    ],
)
def test_labels_saved_by_a_spreadsheet_program(saved, suggested, station, tmp_path):
    table = chosen_by(suggested).assign(note="")[::-1]
    table["label"] = " " + table["object_id"].map(station.labels) + " "
    table.loc[table.index >= 20, "label"] = ""
    table.to_csv(tmp_path / "labels.csv", index=False, **saved)
    with open(tmp_path / "labels.csv", "a", encoding="utf-8") as file:
        file.write(4 * saved.get("sep", ",") + "\n")
    made = SimpleNamespace(season=station.season, export=tmp_path / "labels.csv")
    labels = read_labels(made.export, False, None)
    expected = station.labels[table["object_id"][table["label"] != ""]]
    assert labels == expected.to_dict()
    assert len(labels) == 20
    assert run("evaluate", station.model, station.season, "--labels", made.export) == 0


def test_the_folder_of_suggest_instead_of_its_table(tmp_path):
    for name in ("labels.csv", "contact_sheet.png", "ecotaxa_to_label.zip"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match="is a folder; pass the table of labels") as e:
        read_labels(tmp_path, False, None)
    assert str(e.value).endswith(f"--labels {tmp_path / 'labels.csv'}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the column object_id is missing; the columns are []. Expected"),
        ("id,label\na,b\n", "the column object_id is missing; the columns are ['id'"),
        ("object_id,rank\na,1\n", "the column label is missing; the columns are"),
        ("object_id,label,label\na,b,b\n", "the column label occurs twice"),
        (
            "object_id,label\na,\nb, \n",
            "has no label yet: the column label is empty in",
        ),
        (
            "object_id,label\na,x\n\nb,y\na,z\n",
            "line 5: the particle 'a' is labeled 'z'",
        ),
        ("object_id,label\na,x\na,z\n", "and 'x' in line 2. Keep one of the two"),
        (
            "object_id,label\na,x,y\n",
            "line 2: expected 2 values, as in the header, got",
        ),
        ("object_id;label\na;x;y\n", "A text with a ';' must be in quotes"),
        ("object_id,label\n ,x\n", "line 2: the object_id is missing"),
        ('object_id,label\na,"x\n', "line 2: the quotes do not match up"),
        ("object_id,label\nelsewhere_1,x\n", "None of the 1 label in"),
    ],
)
def test_tables_of_labels_that_cannot_be_used(text, words, station, tmp_path, capsys):
    table = tmp_path / "labels.csv"
    table.write_text(text, encoding="utf-8")
    made = SimpleNamespace(season=station.season, export=table)
    assert fit(made, "--output", tmp_path / "m.joblib") == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert str(table) in printed


def test_other_files_of_labels(station, tmp_path, capsys):
    (tmp_path / "labels.csv").write_bytes("object_id,label\na,é\n".encode("latin-1"))
    (tmp_path / "labels.xlsx").touch()
    for name, words in {
        "labels.csv": "line 2: the text is not UTF-8",
        "labels.xlsx": "is a file of a spreadsheet program. Save the table as 'CSV",
        "none.csv": "none.csv does not exist",
    }.items():
        made = SimpleNamespace(season=station.season, export=tmp_path / name)
        assert fit(made, "--output", tmp_path / "m.joblib") == 1
        assert words in capsys.readouterr().err


def test_blanks_around_ids_and_another_suffix(tmp_path):
    table = tmp_path / "labels.tsv"
    table.write_text("object_id\tlabel\n a \tx\n", encoding="utf-8")
    assert read_labels(table, False, None) == {"a": "x"}


def test_a_label_written_twice(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("object_id,label\na,x\na,\na,x\nb,\n", encoding="utf-8")
    assert read_labels(table, False, None) == {"a": "x"}
