"""The table of samples: from files of cyz2json, from CSV files, and from both."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from skplankton.datasets import (
    load_cytoprocess,
    load_cyz_json,
    make_particles,
    read_samples,
    write_cyz_json,
)
from skplankton.datasets._cyz import extraction
from skplankton.datasets._samples.table import COLUMNS
from skplankton.datasets._simulator.particles import CONCENTRATION, _volume_ml

NAMES = [
    "sample_id",
    "instrument",
    "start",
    "duration_s",
    "analyzed_volume_ml",
    "pumped_volume_ml",
    "n_particles",
    "n_images",
    "n_read",
    "is_partial",
    "volume_problem",
]
# As cyz2json writes them; a .NET time has seven decimals.
RESULTS = {
    "start": "2016-04-19T15:08:08.1234567+02:00",
    "duration": 300.0,
    "particleCount": 32610,
    "particlesInFileCount": 3,
    "pictureCount": 2,
    "pumpedVolume": 1512.0,
    "analysedVolume": 1145.718,
}
START = pd.Timestamp("2016-04-19 13:08:08.1234567", tz="UTC")


@pytest.fixture(scope="module")
def X():
    X = make_particles(3, n_species=2, random_state=0, return_X_y=True)[0]
    X = X.astype(object)
    X.loc[1, "image"] = None
    return X


@pytest.fixture
def path(X, tmp_path):
    return write_cyz_json(X, tmp_path / "bay.json")


def with_results(path, results):
    """The file with other results of the measurement."""
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    content["instrument"]["measurementResults"] = results
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    return path


def samples_of(path, **params):
    return load_cyz_json(path, return_samples=True, **params)[1]


# From files of cyz2json.


def test_what_the_instrument_says(path):
    with_results(path, RESULTS)
    particles, samples = load_cyz_json(path, return_samples=True)
    assert samples.columns.tolist() == list(COLUMNS) == NAMES
    assert samples["start"].dtype == "datetime64[ns, UTC]"
    assert samples["is_partial"].dtype == bool
    assert samples.loc[0].to_dict() == {
        "sample_id": "bay",
        "instrument": "CytoSense",
        "start": START,
        "duration_s": 300,
        "analyzed_volume_ml": 1.145718,
        "pumped_volume_ml": 1.512,
        "n_particles": 3,
        "n_images": 2,
        "n_read": 3,
        "is_partial": False,
        "volume_problem": "",
    }
    assert particles.merge(samples, on="sample_id")["n_read"].tolist() == [3] * 3
    assert_frame_equal(load_cyz_json(path), particles)  # the default


def test_particles_without_image_were_read(path):
    particles, samples = load_cyz_json(path, require_image=True, return_samples=True)
    assert len(particles) == 2
    assert samples["n_read"].tolist() == [3]


@pytest.mark.parametrize(
    ("volume", "problem"),
    [
        (None, "is missing"),
        (0, "is zero"),
        (-1.5, "is negative, -1.5"),
        ("1145.7", "is '1145.7', not a number"),
        ("NaN", "is 'NaN', not a number"),  # as cyz2json writes what is 0 / 0
        (np.nan, "is nan, not a number"),
        (np.inf, "is inf, not a number"),
        (True, "is True, not a number"),
        ([1], r"is \[1\], not a number"),
        (10**400, r"is 1000+\.\.\.0+, not a number"),
    ],
)
def test_volumes_that_are_none(path, volume, problem):
    with_results(path, RESULTS | {"analysedVolume": volume})
    samples = samples_of(path)
    assert np.isnan(samples["analyzed_volume_ml"][0])
    assert re.fullmatch(f"analysedVolume {problem}", samples["volume_problem"][0])
    assert samples["pumped_volume_ml"][0] == 1.512


@pytest.mark.parametrize("instrument", [None, "CytoSense", {}, {"name": "a"}])
def test_files_without_results(path, instrument):
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    content["instrument"] = instrument
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    samples = samples_of(path)
    assert samples["volume_problem"].tolist() == ["analysedVolume is missing"]
    unknown = ["start", "duration_s", "pumped_volume_ml", "n_particles", "n_images"]
    assert samples[unknown].isna().all(axis=None)
    assert samples["n_read"].tolist() == [3]
    assert not samples["is_partial"][0]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2016-04-19T15:08:08", "2016-04-19T15:08:08Z"),
        ("2016-04-19T15:08:08Z", "2016-04-19T15:08:08Z"),
        ("0001-01-01T00:00:00", None),  # .NET's time that was never set
        ("yesterday", None),
        ("now", None),
        ("19/04/2016 15:08:08", None),
        ("2016-02-31T00:00:00", None),
        (1461071288, None),
        ({}, None),
    ],
)
def test_starts(path, start, expected):
    (found,) = samples_of(with_results(path, {"start": start}))["start"]
    assert found is pd.NaT if expected is None else found == pd.Timestamp(expected)


@pytest.mark.parametrize(
    ("results", "n_particles", "is_partial"),
    [
        ({"particleCount": 9, "particlesInFileCount": 3}, 3, False),  # dead time
        ({"particleCount": 9, "particlesInFileCount": 4}, 4, True),
        ({"particleCount": 9}, 9, True),
        ({"particleCount": 2}, 2, False),
        ({"particleCount": -1}, np.nan, False),
        ({"particleCount": "9", "particlesInFileCount": 3.5}, np.nan, False),
        ({"particleCount": 10**400}, np.nan, False),
        ({}, np.nan, False),
    ],
)
def test_fewer_particles_than_announced(path, results, n_particles, is_partial):
    samples = samples_of(with_results(path, results | {"pictureCount": -1}))
    np.testing.assert_equal(samples["n_particles"][0], n_particles)
    assert samples["is_partial"].tolist() == [is_partial]
    assert np.isnan(samples["n_images"][0])


@pytest.mark.parametrize("fraction", [0.5, 0.999])
def test_truncated_files_are_partial(path, fraction, tmp_path):
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(text[: int(fraction * len(text))], encoding="utf-8")
    with pytest.raises(ValueError, match="the file ends too early"):
        samples_of(path)
    for _ in range(2):  # from the file, and from the cache
        with pytest.warns(UserWarning, match="truncated or damaged file"):
            particles, samples = load_cyz_json(
                path, errors="warn", cache=tmp_path / "cache", return_samples=True
            )
        assert samples["is_partial"].tolist() == [True]
        assert samples["n_read"].tolist() == [len(particles)]


def test_particles_that_are_left_out_make_a_sample_partial(path):
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    del content["particles"][1]["particleId"]
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    with pytest.warns(UserWarning, match="particle without particleId"):
        samples = samples_of(path, errors="warn")
    assert samples[["n_particles", "n_read"]].to_numpy().tolist() == [[3, 2]]
    assert samples["is_partial"].tolist() == [True]


def test_samples_are_read_once_and_kept(path, tmp_path, monkeypatch):
    with_results(path, RESULTS)
    cache = tmp_path / "cache"
    load_cyz_json(path, cache=cache)

    def read(*_):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(extraction._Extraction, "read", read)
        kept = samples_of(path, cache=cache)
    assert_frame_equal(kept, samples_of(path))


def test_the_order_of_the_members_does_not_matter(path):
    with_results(path, RESULTS)
    expected = samples_of(path)
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    path.write_text(json.dumps(dict(reversed(content.items()))), encoding="utf-8")
    assert_frame_equal(samples_of(path), expected)


def test_several_files(X, tmp_path):
    paths = [write_cyz_json(X[:n], tmp_path / f"{n}.json") for n in (2, 0, 3)]
    particles, samples = load_cyz_json(paths, n_jobs=2, return_samples=True)
    assert samples["sample_id"].tolist() == ["2", "0", "3"]
    assert samples["n_read"].tolist() == [2, 0, 3]
    assert set(particles["sample_id"]) == {"2", "3"}


@pytest.mark.parametrize("layout", ["converted", "work"])
def test_cytoprocess(X, tmp_path, layout):
    for sample in "ab":
        name = {"converted": f"{sample}.json", "work": f"{sample}/converted_data.json"}
        path = write_cyz_json(X.assign(image=None), tmp_path / layout / name[layout])
        with_results(path, RESULTS)
    particles, samples = load_cytoprocess(
        tmp_path, samples=["b", "a"], return_samples=True
    )
    assert samples["sample_id"].tolist() == ["b", "a"]
    assert samples["analyzed_volume_ml"].tolist() == [1.145718] * 2
    assert set(particles["sample_id"]) == {"a", "b"}
    assert_frame_equal(load_cytoprocess(tmp_path, samples=["b", "a"]), particles)


# Writing.


def test_what_is_written_is_read_back(X, path, tmp_path):
    with_results(path, RESULTS | {"particlesInFileCount": 7})
    samples = samples_of(path)
    again = write_cyz_json(X, tmp_path / "again" / "bay.json", samples=samples)
    assert_frame_equal(samples_of(again), samples)


def test_without_samples_the_particles_are_counted(path):
    samples = samples_of(path)
    counts = samples[["n_particles", "n_images", "n_read"]].to_numpy()
    assert counts.tolist() == [[3, 2, 3]]


def test_the_row_of_the_file_is_written(X, tmp_path):
    samples = pd.DataFrame({"sample_id": ["a", "b"], "duration_s": [1, 2]})
    path = write_cyz_json(X, tmp_path / "b.json", samples=samples)
    assert samples_of(path)["duration_s"].tolist() == [2]


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (
            {"sample_id": ["cape"]},
            ValueError,
            "0 rows with the sample_id 'bay', the ",
        ),
        ({"sample_id": ["bay", "bay"]}, ValueError, "2 rows with the sample_id 'bay'"),
        ({"sample": ["bay"]}, TypeError, "a DataFrame with a column 'sample_id'"),
        (
            {"sample_id": ["bay"], "analyzed_volume_ml": ["a cup"]},
            ValueError,
            "column 'analyzed_volume_ml': could not convert",
        ),
        (
            {"sample_id": ["bay"], "start": ["noon"]},
            ValueError,
            "column 'start': expected a time such as .* got 'noon'",
        ),
    ],
)
def test_samples_that_cannot_be_written(X, tmp_path, samples, error, message):
    with pytest.raises(error, match=message):
        write_cyz_json(X, tmp_path / "bay.json", samples=pd.DataFrame(samples))
    assert not list(tmp_path.iterdir())


def test_simulated_volume():
    """Of a Poisson process: the first particles lie in the first volume."""
    few, many = (make_particles(n, n_species=2, random_state=0) for n in (2, 4))
    assert few.samples["analyzed_volume_ml"][0] > 0
    assert few.samples["analyzed_volume_ml"][0] < many.samples["analyzed_volume_ml"][0]
    assert many.samples.columns.tolist() == NAMES
    assert many.samples["n_particles"].tolist() == [4]
    volumes = np.array([_volume_ml(5, seed) for seed in range(4000)])
    expected = 5 / CONCENTRATION
    assert volumes.mean() == pytest.approx(expected, rel=0.03)
    assert volumes.std() == pytest.approx(expected / np.sqrt(5), rel=0.05)


# From CSV files.


def saved(folder, text, encoding="utf-8"):
    path = folder / "stations.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_a_table_of_stations(tmp_path):
    text = (
        "sample_id,volume_ml,date,time,latitude,longitude,depth,sample_ship,acq_id,"
        "object_note,object_salinity\n"
        "bay,2.5,2025-07-01,09:30,48.5,-4.75,3,Neomysis,007,,35\n"
        "\n"
        "cape,,20250702,,,,,,,windy,\n"
        "delta,,,,,,,,,,\n"
        ",,,,,,,,,,\n"
    )
    samples = read_samples(saved(tmp_path, text))
    assert samples.columns.tolist() == [
        *NAMES,
        *("object_date", "object_time", "latitude", "longitude"),
        *("depth_min", "depth_max", "sample_ship", "acq_id"),
        *("object_note", "object_salinity"),
    ]
    assert samples["sample_id"].tolist() == ["bay", "cape", "delta"]
    bay, cape, delta = samples.to_dict("records")
    assert bay["start"] == pd.Timestamp("2025-07-01T09:30Z")
    assert bay["analyzed_volume_ml"] == 2.5
    assert (bay["object_date"], bay["object_time"]) == ("20250701", "093000")
    assert (bay["latitude"], bay["longitude"]) == (48.5, -4.75)
    assert bay["depth_min"] == bay["depth_max"] == 3
    assert (bay["acq_id"], bay["sample_ship"]) == ("007", "Neomysis")
    assert bay["object_salinity"] == 35
    assert cape["start"] == pd.Timestamp("2025-07-02T00:00Z")
    assert pd.isna(cape["object_time"])
    assert delta["start"] is pd.NaT
    assert [s["volume_problem"] for s in (bay, cape, delta)] == [
        *("", "no volume is given", "no volume is given"),
    ]
    assert samples["n_read"].isna().all()
    assert not samples["is_partial"].any()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Sample_ID;Latitude\r\nb\u00e9;48.5\r\n;\r\n", "utf-8-sig"),
        ("sample_id\tobject_lat\nb\u00e9\t48.5\n", "utf-8"),
        ("sep=;\nsample_id;latitude\nb\u00e9;48.5\n", "utf-8-sig"),
        ("\nsample_id;latitude\nb\u00e9;48.5\n", "utf-8"),
        ('"sample_id","object_lat"\n"b\u00e9","48.5"\n', "utf-8"),
    ],
)
def test_saved_by_spreadsheet_programs(text, encoding, tmp_path):
    samples = read_samples(saved(tmp_path, text, encoding))
    assert samples["sample_id"].tolist() == ["b\u00e9"]
    assert samples["latitude"].tolist() == [48.5]


def test_the_table_of_cytoprocess(tmp_path):
    """As `cytoprocess list` makes it, not filled in yet."""
    fields = "object_lon,object_lat,object_date,object_time,object_depth_min"
    fields += ",object_depth_max,object_lon_end,object_lat_end"
    samples = read_samples(saved(tmp_path, f"sample_id,{fields}\nVilaine 3,,,,,,,,\n"))
    assert samples["sample_id"].tolist() == ["Vilaine 3"]
    given = ["object_date", "object_time", "object_lon_end", "object_lat_end"]
    given += ["latitude", "longitude", "depth_min", "depth_max", "start"]
    assert samples[given].isna().all(axis=None)
    # pandas makes floats of dates and times among missing ones.
    row = "Vilaine 3,-2.5,47.5,20250701.0,93000.0,1.0,1.0,,"
    samples = read_samples(
        saved(tmp_path, f"sample_id,{fields}\n{row}\nLoire,,,,,,,,\n")
    )
    assert samples["start"].tolist() == [pd.Timestamp("2025-07-01T09:30Z"), pd.NaT]
    assert samples[["latitude", "depth_max"]].dtypes.tolist() == ["float64"] * 2
    assert samples["latitude"][0] == 47.5


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("9:05", "090500"),
        ("09:05:07", "090507"),
        ("090507", "090507"),
        ("90507", "090507"),
        ("90507.0", "090507"),
    ],
)
def test_times(text, time, tmp_path):
    samples = read_samples(saved(tmp_path, f"sample_id,date,time\na,2025-7-1,{text}\n"))
    assert samples["object_time"].tolist() == [time]
    assert samples["object_date"].tolist() == ["20250701"]
    assert samples["start"].dt.strftime("%H%M%S").tolist() == [time]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no column 'sample_id', only \\[\\]"),
        ("id,volume_ml\na,1\n", "line 1: the column 'id' is unknown. Expected some of"),
        ("sample_id,volume\na,1\n", "the column 'volume' is unknown.*Rename or remove"),
        ("sample_id,latitud\na,1\n", "the column 'latitud' is unknown"),
        ("volume_ml\n1\n", "line 1: no column 'sample_id', only \\['volume_ml'\\]"),
        ("sample_id\n", "has no row below the column names"),
        (
            "sample_id,volume_ml\na,1\nb\n",
            "line 3: expected 2 values, as in the",
        ),
        ("sample_id,volume_ml\n,1\n", "line 2: the sample_id is missing"),
        (
            "sample_id,volume_ml\nbay,1\ncape,2\nbay,3\n",
            "line 4: the sample 'bay' has a row already, in line 2. Keep one",
        ),
        (
            "sample_id,depth,depth_max\na,1,2\n",
            r"the columns \['depth', 'depth_max'\] are the same",
        ),
        (
            "sample_id,latitude,object_lat\na,1,2\n",
            r"the columns \['latitude', 'object_lat'\] are the same",
        ),
        ("sample_id,object_id\na,1\n", "'object_id' describes particles; expected one"),
        (
            "sample_id,object_annotation_category\na,1\n",
            "'object_annotation_category' describes particles",
        ),
        (
            "sample_id,volume_ml\na,0\n",
            "line 2, column 'volume_ml': the value is zero; expected a number above 0",
        ),
        ("sample_id,volume_ml\na,-2\n", "'volume_ml': the value is negative, -2.0"),
        ("sample_id,volume_ml\na,2 mL\n", "'volume_ml': expected a number, got '2 mL'"),
        ("sample_id,volume_ml\na,nan\n", "'volume_ml': expected a number, got 'nan'"),
        (
            'sample_id,volume_ml\na,"2,5"\n',
            "'volume_ml': expected a number with a decimal point, got '2,5'",
        ),
        (
            "sample_id;volume_ml\na;1.234,5\n",
            "'volume_ml': expected a number .*, got '1.234,5'",
        ),
        (
            "sample_id,latitude\nx,1\na,91\n",
            "line 3, column 'latitude': expected a number from -90 to 90, got '91'",
        ),
        ("sample_id,longitude\na,-181\n", "a number from -180 to 180, got '-181'"),
        ("sample_id,depth_min,depth_max\na,5,2\n", "line 2: depth_min is 5, more than"),
        ("sample_id,depth\na,deep\n", "column 'depth': expected a number, got 'deep'"),
        (
            "sample_id,date\na,01/07/2025\n",
            "'date': expected a date such as .*yyyy-mm-dd.*, got '01/07/2025'",
        ),
        ("sample_id,date\na,07.13.2025\n", "expected a date .*, got '07.13.2025'"),
        ("sample_id,date\na,2025-02-30\n", "expected a date .*, got '2025-02-30'"),
        ("sample_id,date\na,2025715\n", "expected a date .*, got '2025715'"),
        (
            "sample_id,date,time\na,2025-07-01,0930\n",
            "'time': expected a time such as .*, got '0930'",
        ),
        ("sample_id,date,time\na,2025-07-01,25:00\n", "a time such as .*, got '25:00'"),
        ("sample_id,date,time\na,,09:30\n", "line 2: a time without a date"),
        ("sample_id,start\na,noon\n", "'start': expected a time such as .* got 'noon'"),
        ("sample_id,n_particles\na,1.5\n", "'n_particles': expected a whole number"),
        (f"sample_id,n_read\na,1{400 * '0'}\n", "'n_read': expected a whole number"),
        ("sample_id,date\na,1500-01-01\n", "line 2, the date 15000101: .* from 1678"),
        ("sample_id,start\na,1500-01-01\n", "column 'start': .* from 1678 to 22"),
        ("sample_id,is_partial\na,maybe\n", "'is_partial': expected True or False"),
        ('sample_id\n"a\n', "line 2: the quotes do not match up"),
    ],
)
def test_tables_with_mistakes(text, message, tmp_path):
    path = saved(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        read_samples(path)
    assert str(path) in str(error.value)


def test_decimal_commas_and_dates_of_a_continental_spreadsheet(tmp_path):
    text = (
        "sample_id;volume_ml;date;latitude;depth;object_salinity;sample_note\r\n"
        "a 1,5;0,45;10.6.2025;47,5;0,5;35,1;1,5\r\n"
        "b;2;2025-06-11;47.25;-1;;\r\n;;;;;;\r\n"
    )
    table = read_samples(saved(tmp_path, text, "utf-8-sig"))
    assert table["sample_id"].tolist() == ["a 1,5", "b"]
    assert table["analyzed_volume_ml"].tolist() == [0.45, 2]
    assert table["object_date"].tolist() == ["20250610", "20250611"]
    assert table["latitude"].tolist() == [47.5, 47.25]
    assert table["depth_max"].tolist() == [0.5, -1]
    assert table["object_salinity"][0] == 35.1
    assert table["sample_note"][0] == "1,5"  # a text


def test_files_that_do_not_exist_or_are_not_text(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.csv is not a file\. Expected"):
        read_samples(tmp_path / "none.csv")
    path = saved(tmp_path, "sample_id\n\u00e9\n", "latin-1")
    with pytest.raises(ValueError, match="line 2: the text is not UTF-8"):
        read_samples(path)


def test_values_are_added_to_those_of_the_instrument(path, tmp_path):
    with_results(path, RESULTS | {"analysedVolume": 0, "pumpedVolume": "?"})
    samples = samples_of(path)
    assert samples["volume_problem"].tolist() == ["analysedVolume is zero"]
    stations = saved(
        tmp_path,
        "sample_id,volume_ml,duration_s,instrument,latitude,date,n_read,is_partial\n"
        "other,9,9,,9,,,\n"
        "bay,1.25,,,48.5,2016-04-20,99,True\n",
    )
    joined = read_samples(stations, samples=samples)
    row = joined.loc[0]
    assert len(joined) == 1
    assert (row["analyzed_volume_ml"], row["volume_problem"]) == (1.25, "")
    assert (row["duration_s"], row["instrument"]) == (300, "CytoSense")
    assert row["latitude"] == 48.5
    assert row["start"] == START  # a date alone is less than the instrument knows
    assert row["object_date"] == "20160420"
    # Nobody knows better what was read.
    assert (row["n_read"], row["is_partial"]) == (3, False)
    assert samples["analyzed_volume_ml"].isna().all()  # not changed


def test_a_time_of_day_replaces_the_start(path, tmp_path):
    samples = samples_of(with_results(path, RESULTS))
    text = "sample_id,date,time\nbay,2016-04-20,00:00\n"
    joined = read_samples(saved(tmp_path, text), samples=samples)
    assert joined["start"].tolist() == [pd.Timestamp("2016-04-20", tz="UTC")]
    # Without a start of the instrument, the date is all that is known.
    text = "sample_id,date\nbay,2016-04-20\n"
    unknown = samples.assign(start=pd.Series([None], dtype=samples["start"].dtype))
    joined = read_samples(saved(tmp_path, text), samples=unknown)
    assert joined["start"].tolist() == [pd.Timestamp("2016-04-20", tz="UTC")]


def test_metadata_of_other_samples_only(path, tmp_path):
    stations = saved(tmp_path, "sample_id,volume_ml\nBay,1\n")
    with pytest.raises(
        ValueError,
        match=r"none of its 1 rows .* it has \['Bay'\], the samples are \[",
    ):
        read_samples(stations, samples=samples_of(path))
    for other in (["Bay"], pd.DataFrame({"sample_id": ["Bay"]})):
        with pytest.raises(TypeError, match="samples: expected the table of samples"):
            read_samples(stations, samples=other)
