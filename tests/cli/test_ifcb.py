"""Bins of an Imaging FlowCytobot on the command line, from labels to class scores."""

import io
import shutil
import sys
import zipfile
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from skplankton import _cli
from skplankton._cli import _arguments, _classify
from skplankton.datasets import (
    load_ifcb,
    make_particles,
    write_cyz_json,
    write_ifcb,
    write_ifcb_class_scores,
    write_particles,
)
from skplankton.ecotaxa import read_ecotaxa

BINS = ("D20220522T003051_IFCB134", "D20220523T003051_IFCB134")
OLD_BIN = "IFCB5_2012_028_081515"
PER_BIN = 24
MINUTES = 10
ML_PER_MINUTE = 0.25  # the flow of the instrument


def run(*arguments):
    return _cli.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    """Two bins in the tree of a year, the labels of the first, and a model of both.

    One particle of each has no image, and some lack the time of flight.
    """
    folder = tmp_path_factory.mktemp("ifcb")
    X, y = make_particles(
        2 * PER_BIN,
        n_species=3,
        profile="measurements",
        random_state=0,
        return_X_y=True,
    )
    X = X.astype(object)
    vectors = np.stack(X["profile"])[:, :10].astype(float)
    vectors[::5, 8] = np.nan
    X["profile"] = list(vectors)
    X.loc[[3, PER_BIN + 3], "image"] = None
    for i, name in enumerate(BINS):
        rows = slice(i * PER_BIN, (i + 1) * PER_BIN)
        write_ifcb(
            X[rows],
            folder / "data" / "2022" / name[:9] / name,
            run_time=60.0 * MINUTES + 30,
            inhibit_time=30.0,
        )
    ids = [f"{BINS[0]}_{row:05d}" for row in range(1, PER_BIN + 1)]
    labels = pd.Series(y[:PER_BIN], index=ids)
    for particle, label in labels.items():
        image = folder / "labels" / label / f"{particle}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
    made = SimpleNamespace(
        folder=folder,
        data=folder / "data",
        first=folder / "data" / "2022" / BINS[0][:9] / BINS[0],
        labels=labels,
        images=folder / "labels",
        model=folder / "model.joblib",
    )
    assert fit(made, made.images, made.model) == 0
    return made


def fit(season, labels, output):
    words = ("--labels", labels, "--output", output, "--max-epochs", 1)
    return run("fit", season.data, *words)


def classify(season, output, *arguments, samples=None):
    samples = samples or [season.data]
    return run("classify", season.model, *samples, "--output", output, *arguments)


EVERYTHING = ("--ifcb", "--ecotaxa", "--report", "--chunk-size", "10")


@pytest.fixture(scope="module")
def results(season):
    pytest.importorskip("h5py")
    output = season.folder / "expected"
    assert classify(season, output, *EVERYTHING) == 0
    return output


def pipeline_of(season):
    model = joblib.load(season.model)
    return model["pipeline"]


def test_labels_in_each_form_give_the_same_model(season, tmp_path):
    species = sorted(set(season.labels))
    codes = np.searchsorted(species, season.labels)
    numbers = np.arange(1, PER_BIN + 1)
    (tmp_path / "mat").mkdir()
    savemat(
        tmp_path / "mat" / f"{BINS[0]}.mat",
        {
            "classlist": np.column_stack([numbers, codes + 2]),
            "class2use_manual": np.array(["unclassified", *species], dtype=object),
        },
    )
    ids = season.labels.index
    scores = np.eye(len(species))[codes]
    write_ifcb_class_scores(ids, scores, species, tmp_path / "csv", file_format="csv")
    table = pd.DataFrame({"object_id": ids, "label": season.labels})
    table.to_csv(tmp_path / "labels.csv", index=False)
    expected = joblib.load(season.model)
    for form in ("mat", "csv", "labels.csv"):
        assert fit(season, tmp_path / form, tmp_path / f"{form}.joblib") == 0
        model = joblib.load(tmp_path / f"{form}.joblib")
        assert model["gallery_ids"] == expected["gallery_ids"]
        gallery, other = (m["pipeline"]["gallery"] for m in (model, expected))
        assert gallery.gallery_labels_.tolist() == other.gallery_labels_.tolist()
        np.testing.assert_array_equal(gallery.gallery_, other.gallery_)


def test_class_scores_are_those_of_the_pipeline(season, results):
    h5py = pytest.importorskip("h5py")
    pipe = pipeline_of(season)
    for name in BINS:
        particles = load_ifcb(season.data / "2022" / name[:9] / name)
        assert len(particles) == PER_BIN - 1
        predicted, proba = pipe.predict(particles), pipe.predict_proba(particles)
        with h5py.File(results / f"{name}_class.h5") as file:
            contents = {key: data[()] for key, data in file.items()}
        assert contents["roi_numbers"].tolist() == particles["particle_id"].tolist()
        classes = [text.decode() for text in contents["class_labels"]]
        assert classes == pipe.classes_.tolist()
        np.testing.assert_allclose(contents["output_scores"], proba, atol=1e-5)
        named = [text.decode() for text in contents["class_name"]]
        is_known = predicted != "unknown"
        assert named == np.where(is_known, predicted, "unclassified").tolist()
        auto = [text.decode() for text in contents["class_name_auto"]]
        assert auto == pipe.classes_[proba.argmax(axis=1)].tolist()
        assert contents["classifier_name"][0] == b"model"


def test_ecotaxa_has_the_same(season, results, tmp_path):
    pipe = pipeline_of(season)
    for name in BINS:
        particles = load_ifcb(season.data / "2022" / name[:9] / name)
        proba = pipe.predict_proba(particles).max(axis=1)
        predicted = pipe.predict(particles)
        objects = read_ecotaxa(
            results / f"ecotaxa_{name}.zip", status="predicted", cache=tmp_path
        ).set_index("object_id")
        is_known = predicted != "unknown"
        assert set(objects.index) == set(particles["object_id"][is_known])
        found = objects.loc[particles["object_id"][is_known]]
        assert found["label"].tolist() == predicted[is_known].tolist()
        np.testing.assert_allclose(found["object_score"], proba[is_known], atol=1e-4)
        with zipfile.ZipFile(results / f"ecotaxa_{name}.zip") as archive:
            n_images = sum(file.endswith(".png") for file in archive.namelist())
        assert n_images == len(particles)


def test_concentrations_are_per_volume_of_the_header(season, results):
    counts = pd.read_csv(results / "abundance.csv")
    assert set(counts["sample_id"]) == set(BINS)
    np.testing.assert_allclose(counts["volume_ml"], ML_PER_MINUTE * MINUTES)
    np.testing.assert_allclose(
        counts["concentration"], counts["count"] / (ML_PER_MINUTE * MINUTES)
    )
    assert counts["count"].sum() > 0
    pipe = pipeline_of(season)
    for name, rows in counts.groupby("sample_id"):
        particles = load_ifcb(season.data / "2022" / name[:9] / name)
        expected = pd.Series(pipe.predict(particles)).value_counts()
        found = rows.set_index("label")["count_predicted"]
        assert found[found > 0].to_dict() == expected.to_dict()


def test_report_draws_measurements_as_bars(season, results):
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "Bars: the percentile of each measurement" in page
    assert "<bdi>PMTA</bdi>, <bdi>PMTB</bdi>" in page
    assert page.count('<svg class="spark"') > PER_BIN
    assert "no profile" not in page


def contents(output):
    """Of the results, apart from the dates in archives; and the identity of files."""
    found = {}
    for file in sorted(output.iterdir()):
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    data = archive.read(name)
                    if name.endswith(".tsv"):
                        table = pd.read_csv(io.BytesIO(data), sep="\t", dtype=str)
                        dates = "object_annotation_(date|time)"
                        is_date = table.columns.str.fullmatch(dates)
                        data = table.loc[:, ~is_date].to_csv()
                    found[file.name, name] = data
        elif file.is_file():
            found[file.name] = file.read_bytes()
    return found


class Killed(BaseException):
    """Like SIGKILL: no error handler catches it."""


@pytest.mark.parametrize(
    "step", ["_write_table", "_write_ecotaxa", "_write_class_scores"]
)
def test_interruptions_do_not_show(step, season, results, tmp_path):
    """Killed after a step of the second bin, then between two of its parts."""
    calls = []
    original = getattr(_classify.SampleJob, step)

    def killed(job, *arguments):
        result = original(job, *arguments)
        calls.append(step)
        if len(calls) == 2:
            raise Killed
        return result

    output = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_classify.SampleJob, step, killed)
        with pytest.raises(Killed):
            classify(season, output, *EVERYTHING)
    first, second = output / f"{BINS[0]}_class.h5", output / f"{BINS[1]}_class.h5"
    identity = first.stat().st_ino, first.stat().st_mtime_ns
    assert not second.exists()
    assert classify(season, output, *EVERYTHING) == 0
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == identity
    assert contents(output) == contents(results)


def test_killed_between_parts(season, results, tmp_path, monkeypatch):
    calls = []
    original = _classify.classify_particles

    def killed(model, particles):
        calls.append(len(particles))
        if len(calls) == 3:
            raise Killed
        return original(model, particles)

    output = tmp_path / "out"
    monkeypatch.setattr(_classify, "classify_particles", killed)
    with pytest.raises(Killed):
        classify(season, output, *EVERYTHING)
    assert not (output / f"{BINS[0]}_class.h5").exists()
    assert classify(season, output, *EVERYTHING) == 0
    # Parts of 10, 10 and 3: two were kept of the first bin.
    assert calls == [10, 10, 3, 3, 10, 10, 3]
    assert contents(output) == contents(results)


def test_class_scores_of_bins_only(season, X, y, tmp_path, capsys):
    """With a damaged image, whose particle is classified by its measurements."""
    h5py = pytest.importorskip("h5py")
    bin, output = tmp_path / BINS[0], tmp_path / "out"
    for suffix in (".adc", ".hdr", ".roi"):
        shutil.copy(season.first.with_suffix(suffix), bin.with_suffix(suffix))
    roi = bin.with_suffix(".roi")
    roi.write_bytes(roi.read_bytes()[:-1])
    images = X[:3].assign(profile=None)
    samples = [bin, write_particles(images, y[:3], tmp_path / "LAB")]
    assert classify(season, output, "--ifcb", samples=samples) == _arguments.PROBLEMS
    assert [file.name for file in output.glob("*.h5")] == [f"{BINS[0]}_class.h5"]
    table = pd.read_csv(output / f"{BINS[0]}.csv").sort_values("object_id")
    with h5py.File(output / f"{BINS[0]}_class.h5") as file:
        scores = file["output_scores"][()]
        ids = [f"{BINS[0]}_{number:05d}" for number in file["roi_numbers"]]
    assert ids == table["object_id"].tolist()
    assert len(ids) == PER_BIN - 1
    np.testing.assert_allclose(scores.max(axis=1), table["score"], atol=1e-4)
    capsys.readouterr()
    assert classify(season, output, "--ifcb", samples=samples) == _arguments.PROBLEMS
    assert "2 samples classified before" in capsys.readouterr().out


def test_class_scores_after_a_run_without(season, results, tmp_path, monkeypatch):
    """What was saved before an interruption has no scores."""

    def no_table(*arguments):
        raise KeyboardInterrupt

    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(_classify.SampleJob, "_write_table", no_table)
        assert classify(season, output, *EVERYTHING[1:]) == 130
    assert classify(season, output, *EVERYTHING) == 0
    assert contents(output) == contents(results)


def test_class_scores_need_h5py(season, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert classify(season, tmp_path / "out", "--ifcb") == 1
    assert "pip install 'skplankton[ifcb]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# What cannot be mixed


@pytest.fixture(scope="module")
def other_data(season):
    """A bin of the first instruments, and a sample of a CytoSense."""
    folder = season.folder / "other"
    vectors = pd.DataFrame({"image": [np.ones((9, 7), np.uint8)] * 2})
    vectors["profile"] = [np.arange(4.0)] * 2
    write_ifcb(vectors, folder / "old" / OLD_BIN)
    pulses, _ = make_particles(12, n_species=3, random_state=0, return_X_y=True)
    return SimpleNamespace(
        old=folder / "old" / f"{OLD_BIN}.adc",
        pulses=write_cyz_json(pulses, folder / "bay.json"),
    )


OF_OLD = "the measurements FluorescenceLow, FluorescenceHigh, ScatteringLow"
OF_NEW = "the measurements PMTA, PMTB, PMTC"


@pytest.mark.parametrize(("which", "words"), [("old", OF_OLD), ("pulses", "pulses")])
def test_a_model_of_other_data(which, words, season, other_data, tmp_path, capsys):
    other, output = getattr(other_data, which), tmp_path / "out"
    assert classify(season, output, samples=[other, season.first]) == 1
    printed = capsys.readouterr().err
    source = str(other).removesuffix(".adc")
    assert f"{source} has {words}" in printed
    assert f"the model was trained on other data: {OF_NEW}" in printed
    assert (output / f"{BINS[0]}.csv").is_file()  # the others are classified
    for command in ("evaluate", "suggest"):
        model = (season.model,) if command == "evaluate" else ("--model", season.model)
        assert run(command, *model, other, "--output", tmp_path / command) == 1
        assert "the model was trained on other data" in capsys.readouterr().err


def test_a_model_of_pulses_on_a_bin(season, other_data, tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    rows = [f"bay_{i},{'ab'[i % 2]}" for i in range(12)]
    labels.write_text("\n".join(["object_id,label", *rows]))
    model = tmp_path / "pulses.joblib"
    words = ("--labels", labels, "--output", model, "--max-epochs", 1)
    assert run("fit", other_data.pulses, *words) == 0
    assert run("classify", model, season.first, "--output", tmp_path / "out") == 1
    printed = capsys.readouterr().err
    assert f"{season.first} has {OF_NEW}" in printed
    assert "the model was trained on other data: pulses" in printed


@pytest.mark.parametrize(("which", "words"), [("old", OF_OLD), ("pulses", "pulses")])
def test_fit_to_mixed_data(which, words, season, other_data, tmp_path, capsys):
    other, output = getattr(other_data, which), tmp_path / "m.joblib"
    labels = ("--labels", season.images, "--output", output)
    assert run("fit", season.first, other, *labels) == 1
    printed = capsys.readouterr().err
    assert f"{season.first} has {OF_NEW}" in printed
    assert f"{str(other).removesuffix('.adc')} has {words}" in printed
    assert not output.exists()


def test_the_model_knows_its_measurements(season, tmp_path, capsys):
    names = load_ifcb(season.first).attrs["measurements"]
    assert joblib.load(season.model)["channels"] == names
    assert run("info", season.model) == 0
    assert ", ".join(names) in capsys.readouterr().out
    few = tmp_path / "few.joblib"
    words = ("--labels", season.images, "--output", few, "--max-epochs", 1)
    assert run("fit", season.data, *words, "--channels", "PeakB,pmta") == 0
    assert joblib.load(few)["channels"] == ["PeakB", "PMTA"]
    assert run("classify", few, season.first, "--output", tmp_path / "out") == 0
