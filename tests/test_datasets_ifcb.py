"""Bins of an Imaging FlowCytobot: real layouts of the files, and damaged ones."""

import logging
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from skplankton._views.entries import image_pixels
from skplankton.datasets import load_ifcb, write_ifcb
from skplankton.datasets._ifcb import dialects
from skplankton.datasets._ifcb.names import object_id, parse_bin, parse_object_id

NAME = "D20220522T003051_IFCB134"
OLD_NAME = "IFCB5_2012_028_081515"
COLUMNS = [
    "trigger#, ADCtime, PMTA, PMTB, PMTC, PMTD, PeakA, PeakB, PeakC, PeakD",
    "TimeOfFlight, GrabTimeStart, GrabTimeEnd, RoiX, RoiY, RoiWidth, RoiHeight",
    "StartByte, ComparatorOut, StartPoint, SignalLength, Status, RunTime, InhibitTime",
]
SIZES = [(4, 6), (0, 0), (5, 3), (7, 2)]  # height, width; rows 3 and 4: one trigger
PIXELS = [(np.arange(h * w).reshape(h, w) * 7 % 251).astype(np.uint8) for h, w in SIZES]


def new_row(trigger, size, start, time):
    """24 values, as later instruments write them: column k of row r is 100·r + k."""
    values = [f"{100 * trigger + k}.25" for k in range(24)]
    values[0], values[1] = str(trigger), f"{time}"
    values[10] = "-999.00000"
    values[13:18] = ["820", "943", str(size[1]), str(size[0]), str(start)]
    values[22], values[23] = f"{time}", f"{time / 10}"
    return ",".join(values)


def old_row(trigger, size, start, time):
    """15 values and a comma, as the first instruments write them."""
    values = [f"-{100 * trigger + k}.5" for k in range(15)]
    values[0] = str(trigger)
    values[7], values[8] = f"{time - 0.25}", f"{time}"
    values[9:14] = ["202", "673", str(size[1]), str(size[0]), str(start)]
    return ",".join(values) + ","


def write_bin(folder, name=NAME, row=new_row, header=None, sizes=SIZES):
    """The bytes of a real bin, written without the library."""
    folder.mkdir(parents=True, exist_ok=True)
    content = b"".join(p.tobytes() for p in PIXELS[: len(sizes)])
    rows, start = [], 0
    for i, size in enumerate(sizes):
        rows.append(row(min(i + 1, 3), size, start, 10.0 * (i + 1)))
        start += size[0] * size[1]
    (folder / f"{name}.roi").write_bytes(content)
    (folder / f"{name}.adc").write_text("\r\n".join(rows) + "\r\n", newline="")
    if header is None:
        header = [
            "softwareVersion: Imaging FlowCytobot, \xb5m",
            "triggerCount: 3\t",
            "roiCount: 3\t",
            "runTime: 60.0\t",
            "inhibitTime: 12.0\t",
            f"ADCFileFormat: {', '.join(COLUMNS)}",
        ]
    (folder / f"{name}.hdr").write_text("\n".join(header), encoding="latin-1")
    return folder / name


@pytest.fixture
def path(tmp_path):
    """A bin of three triggers, the second without an image, the third with two."""
    return write_bin(tmp_path / "bin")


@pytest.fixture
def adc(path):
    return path.with_suffix(".adc")


# Particles


def test_columns(path):
    table = load_ifcb(path)
    assert table.columns.tolist() == [
        *("image", "profile", "object_id", "sample_id"),
        *("particle_id", "instrument", "has_image"),
    ]
    assert table["object_id"].tolist() == [f"{NAME}_0000{i}" for i in (1, 3, 4)]
    assert table["particle_id"].tolist() == [1, 3, 4]
    assert table["particle_id"].dtype == "int64"
    assert set(table["sample_id"]) == {NAME}
    assert set(table["instrument"]) == {"IFCB134"}
    assert table["has_image"].tolist() == [True] * 3


def test_images_are_read_by_their_place(path):
    for row, image in zip((0, 2, 3), load_ifcb(path)["image"], strict=True):
        assert_array_equal(image_pixels(image), PIXELS[row])
        assert str(image) == f"{NAME}_0000{row + 1}"
        assert pickle.loads(pickle.dumps(image)) == image


def test_images_do_not_depend_on_the_current_folder(path, monkeypatch, tmp_path):
    monkeypatch.chdir(path.parent)
    image = load_ifcb(NAME)["image"][0]
    monkeypatch.chdir(tmp_path)
    assert_array_equal(image_pixels(image), PIXELS[0])


def test_profiles_are_vectors_without_the_geometry(path):
    table = load_ifcb(path)
    names = table.attrs["measurements"]
    assert names == [
        *("PMTA", "PMTB", "PMTC", "PMTD", "PeakA", "PeakB", "PeakC", "PeakD"),
        *("TimeOfFlight", "SignalLength"),
    ]
    for trigger, profile in zip((1, 3, 3), table["profile"], strict=True):
        expected = [100 * trigger + k + 0.25 for k in (*range(2, 11), 20)]
        expected[8] = np.nan  # -999
        assert profile.dtype == np.float32
        assert_array_equal(profile, np.float32(expected))


@pytest.mark.parametrize("dialect", [dialects.NEW, dialects.OLD])
def test_no_measurement_tells_the_size_or_place_of_the_image(dialect):
    geometry = {"RoiX", "RoiY", "RoiWidth", "RoiHeight", "StartByte"}
    assert geometry <= set(dialect.columns)
    assert not geometry & set(dialect.measurements)


def test_old_dialect(tmp_path):
    path = write_bin(tmp_path, OLD_NAME, old_row, header=['"SyringeStatus =  0"'])
    table = load_ifcb(path)
    assert table.attrs["measurements"] == [
        *("FluorescenceLow", "FluorescenceHigh", "ScatteringLow", "ScatteringHigh")
    ]
    assert_array_equal(
        table["profile"][0], np.float32([-102.5, -103.5, -104.5, -105.5])
    )
    assert_array_equal(image_pixels(table["image"][2]), PIXELS[3])
    assert set(table["instrument"]) == {"IFCB5"}


@pytest.mark.parametrize("names", [["peak b", "PMTA"], ["PEAKB", "PMTA"]])
def test_measurements_by_name(path, names):
    table = load_ifcb(path, measurements=names)
    assert table.attrs["measurements"] == ["PeakB", "PMTA"]
    assert_array_equal(table["profile"][0], np.float32([107.25, 102.25]))


@pytest.mark.parametrize(
    ("measurements", "error", "words"),
    [
        ("PMTA", ValueError, r"expected 'auto' or a list .*measurements=\['PMTA'\]"),
        (["PMTA", "pmt a"], ValueError, "has a measurement twice"),
        ([], ValueError, "is empty"),
        ([1], TypeError, "expected 'auto' or a list of names"),
        (["RoiWidth"], ValueError, "no measurement 'RoiWidth', only.*sizes of images"),
        (["FluorescenceLow"], ValueError, "IFCB134: there is no measurement"),
    ],
)
def test_invalid_measurements(path, measurements, error, words):
    with pytest.raises(error, match=words):
        load_ifcb(path, measurements=measurements)


def test_triggers_without_image_on_request(path):
    table = load_ifcb(path, require_image=False)
    assert table["particle_id"].tolist() == [1, 2, 3, 4]
    assert table["has_image"].tolist() == [True, False, True, True]
    assert table["image"][1] is None
    assert table["profile"].notna().all()


def test_ids_have_five_digits_or_more():
    assert object_id(NAME, 3) == f"{NAME}_00003"
    assert parse_object_id(f"{NAME}_123456") == (NAME, 123456)


@pytest.mark.parametrize("text", [NAME, f"{NAME}_3", "a_00003", f"{NAME}_00000"])
def test_other_ids(text):
    with pytest.raises(ValueError, match="is not the id of a particle"):
        parse_object_id(text)


# Paths


@pytest.mark.parametrize("suffix", ["", ".adc", ".hdr", ".roi"])
def test_any_file_is_the_bin(path, suffix):
    expected = load_ifcb(path)
    pd.testing.assert_frame_equal(load_ifcb(f"{path}{suffix}"), expected)


def test_a_tree_of_a_year(tmp_path):
    names = [NAME, "D20220523T003051_IFCB134", "D20220101T000000_IFCB999"]
    for name in names:
        write_bin(tmp_path / "2022" / name[:9], name)
    (tmp_path / "2022" / "D20220523" / f"._{NAME}.adc").touch()  # of macOS
    (tmp_path / "2022" / "scene.hdr").touch()  # of another program
    table, samples = load_ifcb(tmp_path, return_samples=True)
    assert samples["sample_id"].tolist() == sorted(names)
    assert table["sample_id"].unique().tolist() == sorted(names)
    chosen = [tmp_path / "2022" / "D20220523", tmp_path / "2022" / "D20220522" / NAME]
    assert load_ifcb(chosen)["sample_id"].unique().tolist() == names[:2]


@pytest.mark.parametrize(
    ("name", "instrument", "start"),
    [
        (NAME, "IFCB134", "2022-05-22T00:30:51"),
        (OLD_NAME, "IFCB5", "2012-01-28T08:15:15"),
    ],
)
def test_names(name, instrument, start):
    parsed = parse_bin(name)
    assert parsed.instrument == instrument
    assert parsed.start.isoformat() == f"{start}+00:00"


@pytest.mark.parametrize(
    "name", ["D20221322T003051_IFCB134", "D99990101T003051_IFCB1", "a", f"{NAME}_x", ""]
)
def test_other_names(name):
    with pytest.raises(ValueError, match="is not the name of an IFCB bin"):
        parse_bin(name)


def test_paths_without_bins(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; expected an"):
        load_ifcb(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"D2.*\.adc does not exist"):
        load_ifcb(tmp_path / f"{NAME}.adc")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="contain no IFCB bin, only \\[\\]"):
        load_ifcb(tmp_path / "empty")
    with pytest.raises(ValueError, match="empty list"):
        load_ifcb([])
    with pytest.raises(TypeError, match="path is int"):
        load_ifcb(3)
    path.with_suffix(".adc").rename(path.parent / "renamed.adc")
    with pytest.raises(ValueError, match=r"renamed.adc: 'renamed' is not the name"):
        load_ifcb(path.parent)


def test_a_bin_that_is_passed_twice(path):
    with pytest.raises(ValueError, match=r"occurs twice.*pass it once"):
        load_ifcb([path, path.parent])


def test_dialects_are_not_mixed(path):
    write_bin(path.parent / "old", OLD_NAME, old_row, header=[])
    words = f"{OLD_NAME} is a bin of the first instruments, and .*{NAME} is not"
    with pytest.raises(ValueError, match=words):
        load_ifcb(path.parent)


# Samples


def test_samples(path):
    _, samples = load_ifcb(path, return_samples=True)
    assert samples.columns.tolist() == [
        *("sample_id", "instrument", "start", "duration_s", "analyzed_volume_ml"),
        *("pumped_volume_ml", "n_particles", "n_images", "n_read", "is_partial"),
        "volume_problem",
    ]
    assert samples["start"].dtype == "datetime64[ns, UTC]"
    row = samples.iloc[0]
    assert row["start"] == pd.Timestamp("2022-05-22 00:30:51", tz="UTC")
    assert (row["n_particles"], row["n_images"], row["n_read"]) == (3, 3, 3)
    assert row["duration_s"] == 60
    # 0.25 mL a minute for 60 s, in 12 of which the instrument was blind.
    assert row["pumped_volume_ml"] == 0.25
    assert_allclose(row["analyzed_volume_ml"], 0.25 * 48 / 60)
    assert not row["is_partial"]
    assert row["volume_problem"] == ""


@pytest.mark.parametrize("header", [[], ["runTime: 0", "inhibitTime: x"], None])
def test_volume_from_the_rows(path, header):
    """The last row has run and inhibit time, 40 and 4 s."""
    hdr = path.with_suffix(".hdr")
    hdr.unlink() if header is None else hdr.write_text("\n".join(header))
    _, samples = load_ifcb(path, return_samples=True)
    assert_allclose(samples["analyzed_volume_ml"], 0.25 * 36 / 60)
    assert (samples["n_particles"][0], samples["n_images"][0]) == (3, 3)


@pytest.mark.parametrize("n_columns", [22, 23])  # as in the earliest files; cut short
def test_unknown_volume(path, n_columns):
    rows = path.with_suffix(".adc").read_text().splitlines()
    rows = [",".join(row.split(",")[:n_columns]) for row in rows]
    path.with_suffix(".adc").write_text("\n".join(rows))
    path.with_suffix(".hdr").unlink()
    table, samples = load_ifcb(path, return_samples=True)
    assert len(table) == 3
    assert samples[["analyzed_volume_ml", "duration_s"]].isna().all(axis=None)
    assert NAME in samples["volume_problem"][0]
    assert "neither the header nor the .adc file" in samples["volume_problem"][0]


def test_volume_of_the_first_instruments(tmp_path):
    """Worked by hand; and through midnight, after which times are negative."""
    # Opened at 9.75, 19.75, 29.75 s and grabbed at 10, 20, 30: the instrument is blind
    # from each image to the next trigger, and 0.073 s at the end.
    path = write_bin(tmp_path / "a", OLD_NAME, old_row, header=[])
    _, samples = load_ifcb(path, return_samples=True)
    assert samples["duration_s"].tolist() == [30]
    assert_allclose(samples["analyzed_volume_ml"], (30 - 2 * 9.75 - 0.073) * 0.25 / 60)
    assert samples["n_particles"].tolist() == [3]

    def after_midnight(trigger, size, start, time):
        return old_row(trigger, size, start, time if trigger < 2 else time - 86400)

    path = write_bin(tmp_path / "b", OLD_NAME, after_midnight, header=[])
    _, again = load_ifcb(path, return_samples=True)
    assert_allclose(again["analyzed_volume_ml"], samples["analyzed_volume_ml"])


# What cannot be read


def read(path, caplog):
    """The particles and samples with errors="coerce", and what is logged."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "skplankton"):
        table, samples = load_ifcb(path, return_samples=True, errors="coerce")
    return table, samples.iloc[0], caplog.text


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda row: row[:-3], "expected 24 values, got 21"),
        (lambda row: [*row, "1"], "expected 24 values, got 25"),
        (lambda row: ["x", *row[1:]], "a value is not a number"),
        (lambda row: ["1_0", *row[1:]], "a value is not a number"),
        (lambda row: [*row[:15], "2.5", *row[16:]], "RoiWidth is 2.5; expected"),
        (lambda row: [*row[:16], "-1", *row[17:]], "RoiHeight is -1; expected"),
        (lambda row: [*row[:17], "nan", *row[18:]], "StartByte is nan"),
        (lambda row: [*row[:15], "9999", "9998", *row[17:]], "9999 × 9998 pixels"),
        (lambda row: [*row[:2], "1e39", *row[3:]], "too large for float32"),
        (lambda row: [*row[:2], "-inf", *row[3:]], "a value is infinite"),
    ],
)
def test_a_row_that_cannot_be_read(path, adc, damage, words, caplog):
    rows = adc.read_text().splitlines()
    rows[2] = ",".join(damage(rows[2].split(",")))
    adc.write_text("\n".join(rows))
    with pytest.raises(ValueError, match=rf"{NAME}.adc, row 3: .*({words})"):
        load_ifcb(path)
    table, sample, logged = read(path, caplog)
    assert table["particle_id"].tolist() == [1, 4]  # the others keep their ids
    assert sample["is_partial"]
    assert f"{NAME}.adc, row 3" in logged
    with pytest.warns(UserWarning, match=r"once, a row of an \.adc file"):
        load_ifcb(path, errors="warn")


def test_a_missing_measurement(path, adc):
    adc.write_text(adc.read_text().replace("102.25", "nan"))
    assert np.isnan(load_ifcb(path)["profile"][0][0])


@pytest.mark.parametrize("n_rows", [0, 2])
def test_an_incomplete_adc_file(path, adc, n_rows, caplog):
    adc.write_text("".join(adc.read_text().splitlines(True)[:n_rows]))
    words = rf"{NAME}.adc has {n_rows} triggers, and the header has 3. It is incomplete"
    with pytest.raises(ValueError, match=words):
        load_ifcb(path)
    table, sample, logged = read(path, caplog)
    assert len(table) == min(n_rows, 1)  # the second trigger has no image
    assert (sample["n_particles"], sample["n_read"]) == (3, n_rows)
    assert sample["is_partial"]
    assert "incomplete" in logged


def test_an_empty_bin(path, adc):
    """The instrument saw nothing, and says so."""
    adc.write_text("")
    path.with_suffix(".roi").write_text("")
    path.with_suffix(".hdr").write_text("triggerCount: 0\nrunTime: 60\ninhibitTime: 0")
    table, samples = load_ifcb(path, return_samples=True)
    assert len(table) == 0
    assert samples["n_particles"].tolist() == [0]
    assert samples["analyzed_volume_ml"].tolist() == [0.25]
    assert not samples["is_partial"][0]
    path.with_suffix(".hdr").unlink()
    with pytest.raises(
        ValueError, match="has 0 triggers, and the header has no number"
    ):
        load_ifcb(path)


@pytest.mark.parametrize("n_bytes", [0, 30])
def test_a_short_roi_file(path, n_bytes, caplog):
    roi = path.with_suffix(".roi")
    roi.write_bytes(roi.read_bytes()[:n_bytes])
    row = 1 if n_bytes == 0 else 3
    words = rf"{NAME}.roi has {n_bytes} bytes, but the image of row {row}"
    with pytest.raises(ValueError, match=words):
        load_ifcb(path)
    table, sample, logged = read(path, caplog)
    # The particles are there, and have had an image.
    assert table["image"].notna().tolist() == [n_bytes > 0, False, False]
    assert table["has_image"].all()
    assert sample["is_partial"]
    assert "beyond the end" in logged


def test_a_bin_without_roi_file(path, caplog):
    path.with_suffix(".roi").unlink()
    words = rf"{NAME}.roi does not exist, which has the 3 images.*errors='warn'"
    with pytest.raises(FileNotFoundError, match=words):
        load_ifcb(path)
    table, sample, logged = read(path, caplog)
    assert len(table) == 3
    assert table["image"].isna().all()
    assert table["profile"].notna().all()
    assert (sample["n_images"], sample["is_partial"]) == (3, True)
    assert "without .roi file" in logged


def test_a_bin_without_adc_file(path, adc, caplog):
    adc.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{NAME}.adc does not exist"):
        load_ifcb(path)
    table, sample, logged = read(path, caplog)
    assert len(table) == 0
    assert (sample["n_particles"], sample["n_read"]) == (3, 0)
    assert "without .adc file" in logged


def test_one_broken_bin_does_not_keep_the_others(path, caplog):
    other = write_bin(path.parent, "D20220523T003051_IFCB134")
    other.with_suffix(".adc").write_text("")
    caplog.set_level(logging.WARNING, "skplankton")
    table, samples = load_ifcb(path.parent, return_samples=True, errors="coerce")
    assert len(table) == 3
    assert samples["is_partial"].tolist() == [False, True]


def test_columns_that_the_header_lists(path, caplog):
    hdr = path.with_suffix(".hdr")
    text = hdr.read_text(encoding="latin-1")
    # As other versions spell them, and with more columns at the end.
    other = "ADCFileFormat: trigger#, ADC_time, PMTA, PMTB, PMTC, PMTD, peakA, peakB, "
    other += "peakC, peakD, time of flight, grabtimestart, grabtimeend, ROIx, ROIy, "
    other += (
        "ROIwidth, ROIheight,start_byte, comparator_out, STartPoint, SignalLength, "
    )
    other += "status, runTime, inhibitTime, temperature, frequency"
    hdr.write_text(text.rpartition("ADCFileFormat")[0] + other)
    assert len(load_ifcb(path)) == 3
    hdr.write_text(text.replace("PMTA, PMTB", "PMTB, PMTA"), encoding="latin-1")
    with pytest.raises(
        ValueError, match=rf"{NAME}.hdr: ADCFileFormat is .*begins with"
    ):
        load_ifcb(path)
    table, _, logged = read(path, caplog)
    assert len(table) == 0
    assert "other columns" in logged


def test_a_file_that_is_gone(path):
    image = load_ifcb(path)["image"][0]
    path.with_suffix(".roi").unlink()
    with pytest.raises(FileNotFoundError, match=r"IFCB134\.roi' .*no longer exists"):
        image_pixels(image)


def test_unknown_policy(path):
    with pytest.raises(ValueError, match="errors='ignore'; expected one of"):
        load_ifcb(path, errors="ignore")


# Writing


@st.composite
def tables(draw, n_measurements):
    n = draw(st.integers(0, 4))
    shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))
    image = st.none() | hnp.arrays(np.uint8, shapes)
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    profile = hnp.arrays(np.float32, n_measurements, elements=numbers)
    X = pd.DataFrame({"image": pd.Series([None] * n, dtype=object), "profile": None})
    for i in range(n):
        X.at[i, "image"] = draw(image)
    X["profile"] = pd.Series([draw(profile) for _ in range(n)], dtype=object)
    return X


@pytest.mark.parametrize(("name", "n"), [(NAME, 10), (OLD_NAME, 4)])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read(tmp_path_factory, name, n, data):
    X = data.draw(tables(n))
    folder = tmp_path_factory.mktemp("written")
    path = write_ifcb(X, folder / name)
    assert path == folder / f"{name}.adc"
    errors = "raise" if len(X) or name == NAME else "coerce"
    table = load_ifcb(path, require_image=False, errors=errors)
    assert len(table) == len(X)
    for row in range(len(X)):
        profile = X["profile"][row].copy()
        if n == 10 and profile[8] == -999:
            profile[8] = np.nan
        assert_array_equal(table["profile"][row], profile)
        image = X["image"][row]
        assert table["has_image"][row] == (image is not None)
        if image is not None:
            assert_array_equal(image_pixels(table["image"][row]), image)
    # Read again from the files' own places.
    if len(X):
        again = write_ifcb(table, folder / "again" / name)
        assert again.read_bytes() == path.read_bytes()


def particles(**columns):
    image, profile = np.zeros((4, 5), np.uint8), np.arange(10.0)
    return pd.DataFrame({"image": [image] * 2, "profile": [profile] * 2} | columns)


NINE, COLOR = [np.zeros(9)] * 2, [np.zeros((4, 5, 3), np.uint8)] * 2


def test_written_header(tmp_path):
    X = particles(image=[None, np.zeros((4, 5), np.uint8)])
    write_ifcb(X, tmp_path / NAME, run_time=120, inhibit_time=30)
    _, samples = load_ifcb(tmp_path, return_samples=True)
    assert samples["duration_s"].tolist() == [120]
    assert_allclose(samples["analyzed_volume_ml"], 0.25 * 1.5)
    assert (samples["n_particles"][0], samples["n_images"][0]) == (2, 1)
    # The rows say the same as the header.
    (tmp_path / f"{NAME}.hdr").unlink()
    _, again = load_ifcb(tmp_path, return_samples=True)
    pd.testing.assert_frame_equal(again, samples)


def test_a_missing_time_of_flight_is_written(tmp_path):
    profile = np.arange(10.0)
    profile[8] = np.nan
    path = write_ifcb(particles(profile=[profile] * 2), tmp_path / NAME)
    assert path.read_text().split(",")[10] == "-999"
    assert np.isnan(load_ifcb(path)["profile"][0][8])


@pytest.mark.parametrize(
    ("X", "options", "error", "words"),
    [
        ([], {}, TypeError, "Expected a DataFrame"),
        (particles().drop(columns="image"), {}, ValueError, "no column 'image'"),
        (particles(profile=NINE), {}, ValueError, r"10 measurements.*\(9,\)"),
        (particles(profile=[np.zeros((4, 6))] * 2), {}, ValueError, r"\(4, 6\)"),
        (particles(profile=[None] * 2), {}, TypeError, r"row 0 .*expected numbers"),
        (particles(profile=[np.full(10, np.nan)] * 2), {}, ValueError, "PMTA is nan"),
        (particles(image=COLOR), {}, ValueError, "gray image"),
        (particles(image=[np.zeros((4, 5))] * 2), {}, ValueError, "8 bits"),
        (particles(image=[3] * 2), {}, TypeError, r"row 0.*expected an array"),
        (particles(), {"run_time": 0}, ValueError, "0 <= inhibit_time < run_time"),
    ],
)
def test_what_cannot_be_written(X, options, error, words, tmp_path):
    with pytest.raises(error, match=words):
        write_ifcb(X, tmp_path / "folder" / NAME, **options)
    folder = tmp_path / "folder"
    assert not folder.exists() or not list(folder.iterdir())


def test_no_file_is_replaced_by_accident(tmp_path):
    write_ifcb(particles(), tmp_path / NAME)
    with pytest.raises(FileExistsError, match=r"\.adc exists. Pass overwrite=True"):
        write_ifcb(particles(), tmp_path / NAME)
    write_ifcb(particles()[:1], tmp_path / NAME, overwrite=True)
    assert len(load_ifcb(tmp_path)) == 1
    with pytest.raises(ValueError, match="is not the name of an IFCB bin"):
        write_ifcb(particles(), tmp_path / "bay")
