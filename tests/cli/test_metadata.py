"""``classify --metadata``: volumes, times and places of samples."""

import json

import pandas as pd
import pytest

from skplankton._cli import _model
from skplankton.datasets import load_cyz_json, read_samples, write_particles
from skplankton.ecotaxa import read_ecotaxa

from .station import PER_SAMPLE, classify, copied, measured, results


def stations(tmp_path, text):
    path = tmp_path / "stations.csv"
    path.write_text(text, encoding="utf-8")
    return path


def table_of_samples(out):
    return pd.read_csv(out / "samples.csv", index_col="sample_id")


def test_samples_are_described(station, tmp_path, X, y):
    sample = measured(station.season / "bay.json", tmp_path, n_particles=25)
    write_particles(X[:6], y[:6], tmp_path / "LAB")
    out = tmp_path / "out"
    samples = [sample, station.season / "cape.json", tmp_path / "LAB"]
    assert classify(station, out, samples=samples) == 0
    table = table_of_samples(out)
    assert table.index.tolist() == ["LAB", "bay", "cape"]
    bay = table.loc["bay"].dropna().to_dict()
    assert bay == {
        "instrument": "CytoSense CS-1",
        "start": "2025-07-01T09:30:15+00:00",
        "analyzed_volume_ml": 1.125,
        "n_particles": 25,
        "n_images": 20,
        "n_read": 24,
        "is_partial": True,
    }
    assert table["volume_problem"].fillna("").tolist() == [
        *("no volume is given", "", "analysedVolume is missing"),
    ]
    assert table["n_read"].tolist() == [6, 24, 24]
    assert table["is_partial"].tolist() == [False, True, False]
    # It can be read again, as the table that the readers return.
    again = read_samples(out / "samples.csv").set_index("sample_id").loc[["bay"]]
    _, expected = load_cyz_json(sample, return_samples=True)
    pd.testing.assert_frame_equal(again, expected.set_index("sample_id"))


def test_partial_samples_are_marked(station, tmp_path, capsys):
    samples = copied(station, tmp_path, "bay", "cape")
    content = samples[0].read_text(encoding="utf-8-sig")
    samples[0].write_text(content[:-20_000], encoding="utf-8")  # some images are left
    out = tmp_path / "out"
    for _ in range(2):
        assert classify(station, out, "--ecotaxa", samples=samples) == 3
        printed = capsys.readouterr()
        words = "1 sample read in part only, so that counts may be too low: bay. See"
        assert words in printed.err
    counts = pd.read_csv(out / "species.csv", index_col="sample")
    assert counts["(partial)"].to_dict() == {"bay": True, "cape": False}
    assert table_of_samples(out)["is_partial"].to_dict() == {"bay": True, "cape": False}
    record = json.loads((out / "progress" / "done" / "bay.json").read_bytes())
    assert record["sample"]["is_partial"] == "True"
    assert record["sample"]["n_read"] == str(record["particles"])
    for name, is_partial in (("bay", "True"), ("cape", "False")):
        objects = read_ecotaxa(out / f"ecotaxa_{name}.zip", cache=tmp_path / "zip")
        assert set(objects["acq_is_partial"]) == {is_partial}
    strict = classify(station, tmp_path / "strict", "--strict", samples=samples)
    assert strict == 1


def test_metadata_for_ecotaxa(station, tmp_path):
    sample = measured(station.season / "bay.json", tmp_path)
    metadata = stations(
        tmp_path,
        "sample_id,volume_ml,latitude,longitude,depth,sample_ship,process_by\n"
        "bay,2.5,48.5,-4.75,3,Neomysis,me\n",
    )
    out = tmp_path / "out"
    options = ("--ecotaxa", "--metadata", metadata)
    assert classify(station, out, *options, samples=[sample]) == 0
    table = pd.read_csv(out / "bay.csv").set_index("object_id")
    objects = read_ecotaxa(out / "ecotaxa_bay.zip", status=None, cache=tmp_path)
    constant = {
        "object_date": "20250701",
        "object_time": "093015",
        "object_lat": 48.5,
        "object_lon": -4.75,
        "object_depth_min": 3,
        "object_depth_max": 3,
        "sample_id": "bay",
        "sample_ship": "Neomysis",
        "acq_id": "bay",
        "acq_instrument": "CytoSense CS-1",
        "acq_analyzed_volume_ml": 2.5,
        "acq_n_particles": 24,
        "acq_n_images": 20,
        "acq_is_partial": "False",
        "process_id": "bay",
        "process_by": "me",
    }
    for name, value in constant.items():
        assert set(objects[name]) == {value}, name
    described = table_of_samples(out).loc["bay"]
    assert described["analyzed_volume_ml"] == 2.5
    assert described["latitude"] == 48.5
    assert described["sample_ship"] == "Neomysis"
    # The similarity to the nearest labeled particle; the most doubtful come first.
    expected = table.loc[objects["object_id"]]
    assert objects["object_similarity"].tolist() == expected["similarity_1"].tolist()
    assert objects["object_familiarity"].tolist() == expected["familiarity"].tolist()
    assert objects["object_familiarity"].is_monotonic_increasing
    assert len(objects) == PER_SAMPLE - 4


def test_metadata_day_after_day(station, tmp_path, capsys, monkeypatch):
    """Samples whose rows are new or have changed are classified again, no others."""
    samples = copied(station, tmp_path, "bay", "cape")
    out, classified = tmp_path / "out", []
    original = _model.classify_particles

    def spy(model, particles):
        classified.append(particles["sample_id"].iloc[0])
        return original(model, particles)

    monkeypatch.setattr("skplankton._cli._classify.classify_particles", spy)
    assert classify(station, out, samples=samples) == 0
    header = "sample_id,volume_ml,object_note\n"
    metadata = stations(tmp_path, f"{header}bay,1.5,a\nnorth,2,b\n")
    options = ("--metadata", metadata)
    assert classify(station, out, *options, samples=samples) == 0
    assert classified == ["bay", "cape", "bay"]
    printed = capsys.readouterr().err
    assert f"warning: 1 row in {metadata} for samples that are not pass" in printed
    assert f"warning: no row in {metadata} for 1 sample: cape" in printed
    # Without the option, what was given remains.
    for again in (options, ()):
        assert classify(station, out, *again, samples=samples) == 0
        assert table_of_samples(out)["analyzed_volume_ml"]["bay"] == 1.5
    assert classified == ["bay", "cape", "bay"]
    stations(tmp_path, f"{header}bay,1.75,a\ncape,2,\nnorth,2,b\n")
    assert classify(station, out, *options, samples=samples[:1]) == 0
    assert classified == ["bay", "cape", "bay", "bay"]
    table = table_of_samples(out)
    assert table["analyzed_volume_ml"]["bay"] == 1.75
    assert table["object_note"].fillna("").to_dict() == {"bay": "a", "cape": ""}
    # Unless the sample has to be classified again.
    capsys.readouterr()
    samples[0].write_text(samples[0].read_text("utf-8-sig") + "\n", encoding="utf-8")
    assert classify(station, out, samples=samples) == 0
    printed = capsys.readouterr().err
    assert "warning: bay is classified again, without the values that --met" in printed
    assert "cape is classified" not in printed
    assert table_of_samples(out)["analyzed_volume_ml"].isna().all()


def test_more_rows_than_are_shown(station, tmp_path, capsys):
    rows = "".join(f"s{i},1\n" for i in range(7))
    metadata = stations(tmp_path, f"sample_id,volume_ml\nbay,1\n{rows}")
    sample = [station.season / "bay.json"]
    options = ("--metadata", metadata)
    assert classify(station, tmp_path / "out", *options, samples=sample) == 0
    printed = capsys.readouterr().err
    assert "7 rows in" in printed
    assert "s0, s1, s2, s3, s4, … and 2 more" in printed
    assert "no row in" not in printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "stations.csv is not a file. Expected a CSV file with a column sample_"),
        (
            "sample_id,volume_ml\nbay,0\n",
            "line 2, column 'volume_ml': the value is zero",
        ),
        ("sample_id,volume_ml\nbay,1\nbay,2\n", "line 3: the sample 'bay' has a row"),
        ("sample_id,volumes\nbay,1\n", "the column 'volumes' is unknown"),
    ],
)
def test_metadata_with_mistakes(text, words, station, tmp_path, capsys, monkeypatch):
    def load(*_, **__):
        raise AssertionError("found out after reading")

    monkeypatch.setattr("skplankton._cli._samples.CyzSample.load_with_samples", load)
    if text is not None:
        stations(tmp_path, text)
    options = ("--metadata", tmp_path / "stations.csv")
    assert classify(station, tmp_path / "out", *options) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_metadata_that_would_be_replaced(station, tmp_path, capsys):
    out, sample = tmp_path / "out", [station.season / "bay.json"]
    assert classify(station, out, samples=sample) == 0
    before = results(out)
    options = ("--metadata", out / "samples.csv")
    assert classify(station, out, *options, samples=sample) == 1
    assert "is written by this command, and would be replaced" in (
        capsys.readouterr().err
    )
    assert results(out) == before
    (out / "samples.csv").rename(tmp_path / "samples.csv")
    options = ("--metadata", tmp_path / "samples.csv")
    assert classify(station, out, *options, samples=sample) == 0
    assert results(out) == before
