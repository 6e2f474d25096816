"""Abundances and sizes that ``classify`` writes."""

import numpy as np
import pandas as pd
import pytest

from skplankton import CrossModalEmbedder
from skplankton._cli import _model
from skplankton.abundance import abundance_table, gallery_calibration
from skplankton.datasets import load_cyz_json, read_samples
from skplankton.exports import read_csv
from skplankton.size import measure_particles

from .station import PER_SAMPLE, SAMPLES, classify, fit


@pytest.fixture(scope="module")
def counted(station, tmp_path_factory):
    """The folder of a run, and its table of abundances."""
    out = tmp_path_factory.mktemp("counted")
    metadata = out / "volumes.csv"
    metadata.write_text("sample_id,analyzed_volume_ml\nbay,2\ncape,\n")
    assert classify(station, out / "names", "--metadata", metadata) == 0
    return out / "names", read_csv(out / "names" / "abundance.csv")


def test_abundances_are_those_of_the_predicted_labels(station, counted):
    out, table = counted
    model = _model.open_model(station.model.read_bytes(), station.model)
    calibration = pd.DataFrame(model.training["calibration"])
    mistakes = ["label", "predicted_label"]
    of_gallery = gallery_calibration(model.pipeline["gallery"])
    assert calibration[mistakes].equals(of_gallery[mistakes])
    assert calibration["has_image"].mean() == pytest.approx(5 / 6, abs=0.17)
    samples = read_samples(out / "samples.csv")
    for name in SAMPLES:
        predicted = pd.read_csv(out / f"{name}.csv", keep_default_na=False)
        read = load_cyz_json(station.season / f"{name}.json").set_index("object_id")
        particles = pd.DataFrame(
            {
                "sample_id": name,
                "predicted_label": predicted["name"],
                "has_image": read["has_image"][predicted["object_id"]].array,
            }
        )
        expected = abundance_table(
            particles,
            samples[samples["sample_id"] == name],
            calibration=calibration,
            random_state=0,
        )
        got = table[table["sample_id"] == name].reset_index(drop=True)
        assert got["label"].tolist() == expected["label"].tolist()
        for column in ("count", "count_low", "count_high", "concentration"):
            np.testing.assert_allclose(got[column], expected[column], rtol=1e-9)
        assert got["count_predicted"].sum() == len(predicted)
        assert got["count_imaged"].sum() == particles["has_image"].sum()


def test_concentrations_need_a_volume(counted):
    table = counted[1].set_index("sample_id")
    bay = table.loc["bay"]
    np.testing.assert_allclose(bay["concentration"], bay["count"] / 2)
    assert table.loc["cape", "concentration"].isna().all()
    assert table.loc["cape", "note"].str.contains("analysedVolume is missing").all()


def test_counting_those_with_an_image_does_not_classify_again(
    station, counted, monkeypatch, capsys
):
    out, table = counted

    def classified_again(*_):
        raise AssertionError

    monkeypatch.setattr(CrossModalEmbedder, "transform", classified_again)
    assert classify(station, out, "--imaged-only") == 0
    assert "counted by the profile" not in capsys.readouterr().out
    imaged = read_csv(out / "abundance.csv")
    assert not np.allclose(imaged["count"], table["count"])
    assert imaged["count_predicted"].tolist() == table["count_predicted"].tolist()
    totals = imaged.groupby("sample_id")["count"].sum()
    np.testing.assert_allclose(totals, PER_SAMPLE, rtol=0.05)
    assert classify(station, out) == 0
    assert "counted by the profile" in capsys.readouterr().out
    assert read_csv(out / "abundance.csv").equals(table)


def test_a_model_of_one_label_per_species_has_nothing_to_correct_by(station, tmp_path):
    model = tmp_path / "one.joblib"
    assert fit(station, "--gallery-size", 1, "--output", model) == 0
    assert classify(station, tmp_path / "names", model=model) == 0
    table = read_csv(tmp_path / "names" / "abundance.csv")
    assert (table["count"] == table["count_predicted"]).all()


def test_sizes(station, counted, tmp_path):
    out = tmp_path / "names"
    words = ("--metadata", counted[0].parent / "volumes.csv", "--pixel-size", "0.7")
    assert classify(station, out, *words) == 0
    totals = read_csv(out / "biovolume.csv").set_index(["sample_id", "label"])
    concentrations = read_csv(out / "abundance.csv").set_index(["sample_id", "label"])
    for name in SAMPLES:
        X = load_cyz_json(station.season / f"{name}.json", cache=tmp_path / "cache")
        sizes = read_csv(out / f"{name}_sizes.csv")
        expected = measure_particles(X, pixel_size=0.7)
        assert sizes["object_id"].tolist() == X["object_id"].tolist()
        np.testing.assert_allclose(sizes["biovolume_um3"], expected["biovolume_um3"])
        assert (sizes["note"] == "no image").sum() == X["image"].isna().sum()
        predicted = pd.read_csv(out / f"{name}.csv", index_col="object_id")["name"]
        assert sizes["name"].tolist() == predicted[sizes["object_id"]].tolist()
        measured = sizes[sizes["biovolume_um3"].notna()]
        for label, group in measured.groupby("name"):
            row = totals.loc[name, label]
            assert row["n_measured"] == len(group)
            mean = group["biovolume_um3"].mean()
            assert row["biovolume_um3"] == pytest.approx(mean)
            per_ml = mean * concentrations.loc[(name, label), "concentration"]
            assert row["biovolume_um3_per_ml"] == pytest.approx(per_ml, nan_ok=True)
    assert totals.loc["bay", "biovolume_um3_per_ml"].notna().all()

    # Another pixel size is another measurement; without one, the former stays.
    before = (out / "bay_sizes.csv").read_bytes()
    assert classify(station, out) == 0
    assert (out / "bay_sizes.csv").read_bytes() == before
    assert classify(station, out, "--pixel-size", "1.4") == 0
    doubled = read_csv(out / "bay_sizes.csv")
    bay = load_cyz_json(station.season / "bay.json", cache=tmp_path / "cache")
    twice = 2 * measure_particles(bay, pixel_size=0.7)["equivalent_diameter_um"]
    np.testing.assert_allclose(doubled["equivalent_diameter_um"], twice)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "small"])
def test_impossible_pixel_sizes(station, tmp_path, size, capsys):
    with pytest.raises(SystemExit):
        classify(station, tmp_path, f"--pixel-size={size}")
    assert "expected a number of µm above 0" in capsys.readouterr().err
