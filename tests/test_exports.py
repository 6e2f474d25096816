"""CSV files for spreadsheets, and Darwin Core for OBIS."""

import csv
import io
import logging
import zipfile
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from skplankton import __version__
from skplankton.exports import (
    DarwinCore,
    read_csv,
    to_darwin_core,
    write_csv,
    write_darwin_core,
)

# https://manual.obis.org/checklist.html, for an event core and for imaging data.
REQUIRED = {
    "events": {"eventID", "eventDate", "decimalLatitude", "decimalLongitude"},
    "occurrences": {
        *("eventID", "occurrenceID", "occurrenceStatus", "basisOfRecord"),
        *("scientificName", "scientificNameID", "identifiedBy"),
        *("identificationReferences", "identificationVerificationStatus"),
    },
    "measurements": {"eventID", "occurrenceID"},
}
LABELS = ["Dinophysis", "Öre=", "detritus", "unknown", "without a readable view"]


def abundance(sample_ids=("a", "b"), labels=LABELS, **columns):
    """The table of abundance, with all its columns."""
    n = len(labels)
    count = np.arange(n, dtype=float)[::-1] + 1
    tables = [
        pd.DataFrame(
            {
                "sample_id": sample_id,
                "label": labels,
                "count": count,
                "count_low": count / 2,
                "count_high": count * 2,
                "share": count / count.sum(),
                "concentration": count / 4,
                "concentration_low": count / 8,
                "concentration_high": count / 2,
                "count_predicted": count.astype(int),
                "count_imaged": count.astype(int),
                "count_profile_only": 0,
                "volume_ml": 4.0,
                "is_partial": False,
                "note": "",
            }
        )
        for sample_id in sample_ids
    ]
    return pd.concat(tables, ignore_index=True).assign(**columns)


def samples(sample_ids=("a", "b"), **columns):
    """The table of samples, with all its columns and a position."""
    n = len(sample_ids)
    table = pd.DataFrame(
        {
            "sample_id": list(sample_ids),
            "instrument": "CytoSense CS-2015-71",
            "start": pd.to_datetime(["2024-05-01 23:59:30"] * n),
            "duration_s": 90.0,
            "analyzed_volume_ml": 4.0,
            "pumped_volume_ml": 5.0,
            "n_particles": 1000,
            "n_images": 300,
            "n_read": 1000,
            "is_partial": False,
            "volume_problem": None,
            "latitude": 59.84,
            "longitude": 23.25,
            "depth_min": 0.0,
            "depth_max": 3.0,
        }
    )
    return table.assign(**columns)


TAXA = pd.DataFrame(
    {
        "label": ["Dinophysis", "Öre=", "detritus"],
        "AphiaID": [109462, 1080, np.nan],
        "scientificName": ["Dinophysis", "Copepoda", ""],
    }
)


# --- Darwin Core ----------------------------------------------------------------------


def test_events():
    tables = to_darwin_core(abundance(), samples(), taxa=TAXA, id_prefix="here:")
    assert tables.events["eventID"].tolist() == ["here:a", "here:b"]
    first = tables.events.iloc[0]
    assert first["eventDate"] == "2024-05-01T23:59:30Z/2024-05-02T00:01:00Z"
    assert first["decimalLatitude"] == 59.84
    assert first["decimalLongitude"] == 23.25
    assert first["minimumDepthInMeters"] == 0
    assert first["maximumDepthInMeters"] == 3
    assert first["eventRemarks"] == ""


def test_occurrences_are_the_taxa_that_were_found():
    table = abundance()
    table.loc[table.index[5], "count"] = 0.0  # Dinophysis in the sample b
    tables = to_darwin_core(table, samples(), taxa=TAXA, identified_by="A. Person")
    found = tables.occurrences
    assert found["occurrenceID"].tolist() == ["a:Dinophysis", "a:Öre=", "b:Öre="]
    assert found["scientificName"].tolist() == ["Dinophysis", "Copepoda", "Copepoda"]
    assert found["scientificNameID"][1] == "urn:lsid:marinespecies.org:taxname:1080"
    assert found["verbatimIdentification"].tolist() == ["Dinophysis", "Öre=", "Öre="]
    same = {
        "occurrenceStatus": "present",
        "basisOfRecord": "MachineObservation",
        "identifiedBy": "A. Person",
        "identificationReferences": f"skplankton {__version__}",
        "identificationVerificationStatus": "PredictedByMachine",
    }
    for column, value in same.items():
        assert set(found[column]) == {value}
    verified = to_darwin_core(table, samples(), taxa=TAXA, verified=True).occurrences
    assert set(verified["identificationVerificationStatus"]) == {"ValidatedByHuman"}


def test_measurements_have_the_values_of_the_table():
    tables = to_darwin_core(abundance(["a"]), samples(["a"]), taxa=TAXA)
    rows = tables.measurements
    of_taxon = rows[rows["occurrenceID"] == "a:Dinophysis"]
    count, concentration = (of_taxon.iloc[i] for i in range(2))
    assert count["measurementValue"] == "5"
    assert count["measurementAccuracy"] == "2.5 to 10"
    assert count["measurementTypeID"].endswith("P01/current/OCOUNT01/")
    # 1.25 per mL is 1.25 million per m³.
    assert concentration["measurementValue"] == "1250000"
    assert concentration["measurementAccuracy"] == "625000 to 2500000"
    assert concentration["measurementUnit"] == "Number per cubic metre"
    assert concentration["measurementUnitID"].endswith("P06/current/UPMM/")
    of_sample = rows[rows["occurrenceID"] == ""].set_index("measurementType")
    values = of_sample["measurementValue"].to_dict()
    assert values == {
        "Imaging instrument name": "CytoSense CS-2015-71",
        "Volume sampled of the water body": "4e-06",
        "Count of particles labeled 'detritus'": "3",
        "Count of particles labeled 'unknown'": "2",
        "Count of particles labeled 'without a readable view'": "1",
    }


def test_no_particle_gets_lost():
    """Every count is in the measurements, of a taxon or of the sample."""
    table = abundance()
    rows = to_darwin_core(table, samples(), taxa=TAXA).measurements
    counts = rows[rows["measurementType"].str.startswith("Count")]
    assert counts["measurementValue"].astype(float).sum() == table["count"].sum()


def test_tables_have_what_obis_requires_and_belong_together():
    tables = to_darwin_core(abundance(), samples(), taxa=TAXA)
    for name, table in tables._asdict().items():
        assert REQUIRED[name] <= set(table.columns)
    for name in ("events", "occurrences"):
        table = getattr(tables, name)
        for column in REQUIRED[name] - {"identifiedBy"}:
            assert table[column].notna().all()
            assert (table[column] != "").all()
    assert tables.events["eventID"].is_unique
    assert tables.occurrences["occurrenceID"].is_unique
    ids = {"", *tables.occurrences["occurrenceID"]}
    assert set(tables.measurements["occurrenceID"]) == ids
    assert set(tables.measurements["eventID"]) == set(tables.events["eventID"])


def test_without_taxa_each_label_is_a_name():
    found = to_darwin_core(abundance(["a"]), samples(["a"])).occurrences
    assert found["scientificName"].tolist() == LABELS[:3]
    assert (found["scientificNameID"] == "").all()


def test_a_sample_without_particles_is_an_event():
    tables = to_darwin_core(abundance(["a"]), samples(["a", "empty"]), taxa=TAXA)
    assert tables.events["eventID"].tolist() == ["a", "empty"]
    assert set(tables.occurrences["eventID"]) == {"a"}


def test_missing_volume_and_duration():
    table = abundance(["a"])
    columns = [name for name in table if name.startswith("concentration")]
    table[columns] = np.nan
    unknown = {"analyzed_volume_ml": np.nan, "duration_s": None, "instrument": None}
    problem = {"is_partial": True, "volume_problem": "no pump speed"}
    tables = to_darwin_core(table, samples(["a"], **unknown, **problem), taxa=TAXA)
    assert tables.events["eventDate"][0] == "2024-05-01T23:59:30Z"
    assert tables.events["eventRemarks"][0] == (
        "Only a part of the sample was read. Volume: no pump speed"
    )
    types = set(tables.measurements["measurementType"])
    assert all(name.startswith("Count") for name in types)


def test_time_zones_become_utc():
    start = pd.to_datetime(["2024-05-01 02:00+03:00"])
    tables = to_darwin_core(
        abundance(["a"]), samples(["a"], start=start, duration_s=0.4), taxa=TAXA
    )
    expected = "2024-04-30T23:00:00Z/2024-04-30T23:00:00Z"
    assert tables.events["eventDate"][0] == expected


@pytest.mark.parametrize("column", ["latitude", "longitude", "start"])
def test_missing_position_or_time_names_the_samples(column, caplog):
    table = samples(["a", "b", "c"])
    table.loc[[0, 2], column] = None
    given = abundance(["a", "b", "c"]), table
    with pytest.raises(ValueError, match=f"2 of 3 samples have no {column}: 'a', 'c'"):
        to_darwin_core(*given, taxa=TAXA)
    with pytest.warns(UserWarning, match=f"no {column}: 'a', 'c'"):
        tables = to_darwin_core(*given, taxa=TAXA, errors="warn")
    name = {"start": "eventDate"}.get(column, f"decimal{column.title()}")
    empty = tables.events[name].isna() | (tables.events[name] == "")
    assert empty.tolist() == [True, False, True]
    with caplog.at_level(logging.WARNING, "skplankton"):
        to_darwin_core(*given, taxa=TAXA, errors="coerce")
    assert f"no {column}: 'a', 'c'" in caplog.text


def test_no_positions_at_all():
    table = samples().drop(columns=["latitude", "longitude", "depth_min", "depth_max"])
    both = r"no latitude: 'a', 'b'\. 2 of 2 samples have no longitude: 'a', 'b'"
    with pytest.raises(ValueError, match=both):
        to_darwin_core(abundance(), table, taxa=TAXA)


def test_missing_count_of_a_nullable_type():
    table = abundance(["a"])
    table.loc[2, "count"] = np.nan
    expected, tables = (
        to_darwin_core(each, samples(["a"]), taxa=TAXA, errors="coerce")
        for each in (table, table.astype({"count": "Int64"}))
    )
    for one, other in zip(tables, expected, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_missing_count():
    table = abundance(["a"])
    table.loc[0, "count"] = np.nan
    with pytest.raises(
        ValueError, match=r"1 of 5 rows of abundance .*first the label 'Din"
    ):
        to_darwin_core(table, samples(["a"]), taxa=TAXA)
    with pytest.warns(UserWarning, match="a label without a count is left out"):
        tables = to_darwin_core(table, samples(["a"]), taxa=TAXA, errors="warn")
    assert tables.occurrences["verbatimIdentification"].tolist() == ["Öre="]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"latitude": 95.0}, r"row 0 \('a'\): .* from -90 to 90 as latitude, got 95.0"),
        ({"longitude": 200}, "number from -180 to 180 as longitude, got 200"),
        ({"latitude": "59 N"}, "as latitude, got '59 N'"),
        ({"depth_min": np.inf}, "expected a number as depth_min, got inf"),
        ({"depth_min": 5.0}, "depth_min=5 is more than depth_max=3"),
        ({"start": "1/5/2024"}, "expected a time as start, got '1/5/2024'"),
        ({"duration_s": -1.0}, "expected a number from 0 as duration_s, got -1.0"),
        ({"duration_s": "90 s"}, "from 0 as duration_s, got '90 s'"),
        ({"analyzed_volume_ml": -4.0}, "from 0 as analyzed_volume_ml, got -4.0"),
        ({"sample_id": ["a", "a"]}, "row 1: sample_id 'a' occurs in a row before"),
        ({"sample_id": ["a", None]}, "samples, row 1: the sample_id is missing"),
        (
            {"sample_id": ["a", "z"]},
            "samples has no row for 1 sample ids of abundance: 'b'",
        ),
    ],
)
def test_invalid_samples(columns, message):
    with pytest.raises(ValueError, match=message):
        to_darwin_core(abundance(), samples(**columns), taxa=TAXA)


def test_invalid_abundance():
    with pytest.raises(ValueError, match="abundance has no column 'count_low'"):
        to_darwin_core(abundance().drop(columns="count_low"), samples())
    with pytest.raises(ValueError, match="samples has no column 'start'"):
        to_darwin_core(abundance(), samples().drop(columns="start"))
    twice = abundance(labels=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"row 2: sample_id 'a', label 'a' occurs"):
        to_darwin_core(twice, samples())
    with pytest.raises(
        ValueError, match=r"row 0 \('a'\): expected a number from 0 as count"
    ):
        to_darwin_core(abundance(count=-1.0), samples())
    with pytest.raises(ValueError, match=r"as concentration_low, got '4,0'"):
        to_darwin_core(abundance(concentration_low="4,0"), samples())
    with pytest.raises(TypeError, match="id_prefix=None; expected a text"):
        to_darwin_core(abundance(), samples(), id_prefix=None)
    with pytest.raises(TypeError, match="verified='no'; expected True or False"):
        to_darwin_core(abundance(), samples(), verified="no")
    with pytest.raises(TypeError, match="abundance: expected a DataFrame, got list"):
        to_darwin_core([], samples())
    with pytest.raises(ValueError, match="errors='ignore'"):
        to_darwin_core(abundance(), samples(), errors="ignore")


# --- taxa -----------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_taxa_from_a_file(tmp_path, delimiter):
    path = tmp_path / "taxa.csv"
    lines = ["label,AphiaID,comment", "Dinophysis,109462,", "Öre=, 1080 ,x"]
    lines += ["detritus,,", ",,"]
    text = "\n".join(lines).replace(",", delimiter)
    path.write_text(text, encoding="utf-8-sig")
    found = to_darwin_core(abundance(["a"]), samples(["a"]), taxa=path).occurrences
    assert found["scientificName"].tolist() == ["Dinophysis", "Öre="]
    assert found["scientificNameID"].str.rpartition(":")[2].tolist() == [
        "109462",
        "1080",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,AphiaID\nx,1\ny,2\nx,3\n", r"line 4: the label 'x' occurs in line 2"),
        ("label,AphiaID\nx,many\n", r"line 2, column 'AphiaID': .*got 'many'"),
        ("label,AphiaID\nx,1.5\n", "a whole number above 0, .*got '1.5'"),
        ("label,AphiaID\nx,-3\n", "a whole number above 0, .*got '-3'"),
        ("label,AphiaID\nx,1_0\n", "a whole number above 0, .*got '1_0'"),
        ("label,AphiaID\nx,nan\n", "a whole number above 0, .*got 'nan'"),
        ("label,AphiaID\n,1\n", "line 2: the label is missing"),
        ("label,AphiaID\nx,1,2\n", "line 2: expected 2 values, .*got 3"),
        ("label,id\nx,1\n", "line 1: expected one column 'AphiaID', got"),
        ("", "line 1: expected one column 'label'"),
        ("label,AphiaID\nx,1\n", "taxa has no row for 3 labels: 'Dinophysis', 'Öre='"),
    ],
)
def test_invalid_taxa(tmp_path, text, message):
    path = tmp_path / "taxa.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        to_darwin_core(abundance(), samples(), taxa=path)


def test_taxa_of_another_kind(tmp_path):
    with pytest.raises(TypeError, match="taxa: expected a DataFrame or the path"):
        to_darwin_core(abundance(), samples(), taxa={"Dinophysis": 109462})
    with pytest.raises(FileNotFoundError):
        to_darwin_core(abundance(), samples(), taxa=tmp_path / "none.csv")
    twice = pd.concat([TAXA, TAXA])
    with pytest.raises(ValueError, match="taxa, row 3: the label 'Dinophysis' occurs"):
        to_darwin_core(abundance(), samples(), taxa=twice)


# --- the archive ----------------------------------------------------------------------


def test_archive_is_what_its_description_says(tmp_path):
    tables = to_darwin_core(abundance(), samples(), taxa=TAXA)
    tables.events["locality"] = 'A "quoted"\tplace\nof two lines'
    tables.events["license"] = "CC0"
    path = write_darwin_core(tmp_path / "archive.zip", tables)
    with zipfile.ZipFile(path) as archive:
        namespace = {"": "http://rs.tdwg.org/dwc/text/"}
        root = ET.fromstring(archive.read("meta.xml"))
        elements = [*root.findall("core", namespace)]
        elements += root.findall("extension", namespace)
        assert len(elements) == 3
        for element, table in zip(elements, tables, strict=True):
            location = element.find("files/location", namespace).text
            text = archive.read(location).decode("utf-8")
            assert not text.startswith("\ufeff")
            rows = list(csv.reader(io.StringIO(text), "excel-tab", quoting=3))
            assert rows[0] == list(table.columns)
            assert len(rows) == len(table) + 1
            assert {len(row) for row in rows} == {len(table.columns)}
            terms = [f.get("term") for f in element.findall("field", namespace)]
            assert [t.rpartition("/")[2] for t in terms] == rows[0]
            key = element.find("id", namespace)
            key = element.find("coreid", namespace) if key is None else key
            assert rows[0][int(key.get("index"))] == "eventID"
            if location == "event.txt":
                assert rows[1][-2:] == ['A "quoted" place of two lines', "CC0"]
                assert terms[-2:] == [
                    "http://rs.tdwg.org/dwc/terms/locality",
                    "http://purl.org/dc/terms/license",
                ]


def test_archive_is_the_same_for_the_same_tables(tmp_path):
    tables = to_darwin_core(abundance(), samples(), taxa=TAXA)
    once, again = (write_darwin_core(tmp_path / f"{i}.zip", tables) for i in range(2))
    assert once.read_bytes() == again.read_bytes()


def test_invalid_archives(tmp_path):
    tables = to_darwin_core(abundance(), samples(), taxa=TAXA)
    path = tmp_path / "archive.zip"
    with pytest.raises(TypeError, match="tables: expected a DarwinCore, got tuple"):
        write_darwin_core(path, tuple(tables))
    with pytest.raises(ValueError, match="events has no column 'eventDate'"):
        write_darwin_core(
            path, tables._replace(events=tables.events.drop(columns="eventDate"))
        )
    with pytest.raises(ValueError, match="occurrences: the event 'b' is not in events"):
        write_darwin_core(path, tables._replace(events=tables.events[:1]))
    assert not list(tmp_path.iterdir())
    write_darwin_core(path, tables)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_darwin_core(path, tables)
    assert write_darwin_core(path, tables, overwrite=True) == path
    with pytest.raises(FileExistsError, match="is a folder"):
        write_darwin_core(tmp_path, tables, overwrite=True)
    assert isinstance(tables, DarwinCore)


# --- CSV ------------------------------------------------------------------------------

DANGEROUS = ["=1+1", "+1", "-1", "@A1", "\tx", "\rx", "\nx", "'quoted'", "''", "plain"]


def test_formulas_are_made_safe_and_come_back(tmp_path):
    table = pd.DataFrame({"label": DANGEROUS, "=difference": -np.arange(10.0)})
    path = write_csv(tmp_path / "a.csv", table)
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    for row in rows:
        assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert rows[0] == ["label", "'=difference"]
    assert [row[0] for row in rows[1:]] == [f"'{x}" for x in DANGEROUS[:-1]] + ["plain"]
    assert [row[1] for row in rows[2:4]] == ["-1.0", "-2.0"]  # numbers as they are
    again = read_csv(path)
    assert again["label"].tolist() == DANGEROUS
    assert again["=difference"].tolist() == table["=difference"].tolist()


def test_csv_of_all_kinds_of_columns(tmp_path):
    table = samples(start=[pd.Timestamp("2024-05-01"), pd.NaT])
    table["mixed"] = pd.Series([-1, "-1"], dtype=object)
    path = write_csv(tmp_path / "samples.csv", table, overwrite=True)
    rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    assert rows[0] == list(table.columns)
    first, second = (dict(zip(rows[0], row, strict=True)) for row in rows[1:])
    assert first["start"] == "2024-05-01T00:00:00"
    assert second["start"] == first["volume_problem"] == ""
    assert (first["mixed"], second["mixed"]) == ("-1", "'-1")
    assert first["is_partial"] == "False"


def test_ids_of_digits_are_text(tmp_path):
    path = write_csv(tmp_path / "a.csv", abundance(["007"]))
    assert set(read_csv(path)["sample_id"]) == {"007"}
    numbers = pd.read_csv(path, encoding="utf-8-sig")
    for table, given in ((read_csv(path), "007"), (numbers, "7")):
        assert len(to_darwin_core(table, samples([given]), taxa=TAXA).occurrences) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.csv is empty"),
        (b"label;count\nx;1,5\n", "line 1: the values are separated by ';'"),
        (b"label,count\nx,1,2\n", "line 2: expected 2 values, .*got 3"),
        (b"label\n\xd6\n", "line 2: the text is not UTF-8"),
    ],
)
def test_other_files_than_those_of_write_csv(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_csv(tmp_path / "a.csv")


def test_numbers_keep_all_digits(tmp_path):
    values = np.random.default_rng(0).standard_normal(100) * 1e-7
    path = write_csv(tmp_path / "a.csv", pd.DataFrame({"x": values}))
    lines = path.read_text("utf-8-sig").split()[1:]
    np.testing.assert_array_equal([float(line) for line in lines], values)


def test_csv_is_not_replaced_by_accident(tmp_path):
    table = pd.DataFrame({"x": [1]})
    path = write_csv(tmp_path / "new" / "a.csv", table)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_csv(path, table)
    with pytest.raises(FileExistsError, match="is a folder"):
        write_csv(tmp_path, table, overwrite=True)
    with pytest.raises(TypeError, match="table: expected a DataFrame, got dict"):
        write_csv(tmp_path / "b.csv", {"x": [1]})
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.csv"]
