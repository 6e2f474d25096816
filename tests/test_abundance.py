"""Counts from predicted labels: what the table promises, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm

from skplankton import GalleryKNNClassifier
from skplankton.abundance import _quantification as quantification
from skplankton.abundance import abundance_table, gallery_calibration
from skplankton.abundance._quantification import (
    METHODS,
    Calibration,
    Group,
    most_likely_counts,
)

COLUMNS = [
    "sample_id",
    "label",
    "count",
    "count_low",
    "count_high",
    "share",
    "concentration",
    "concentration_low",
    "concentration_high",
    "count_predicted",
    "count_imaged",
    "count_profile_only",
    "volume_ml",
    "is_partial",
    "note",
]
WITHOUT_VIEW = "without a readable view"


def particles(sample_id="Monday", **numbers):
    """A table of so many particles of each predicted label."""
    labels = [label for label, number in numbers.items() for _ in range(number)]
    return pd.DataFrame({"sample_id": sample_id, "predicted_label": labels})


def with_shares(table, sure=0.9):
    """Shares of two classes: so sure of the predicted one."""
    is_diatom = table["predicted_label"] == "diatom"
    return table.assign(
        share_ciliate=np.where(is_diatom, 1 - sure, sure),
        share_diatom=np.where(is_diatom, sure, 1 - sure),
    )


def samples(volume=2.0, **columns):
    return pd.DataFrame(
        {"sample_id": ["Monday"], "analyzed_volume_ml": volume} | columns
    )


def calibration(confusion):
    """Particles by true and predicted label, {(true, predicted): number}."""
    pairs = [pair for pair, number in confusion.items() for _ in range(number)]
    return pd.DataFrame(pairs, columns=["label", "predicted_label"])


ONE_IN_TEN = calibration(
    {
        ("diatom", "diatom"): 90,
        ("diatom", "ciliate"): 10,
        ("ciliate", "ciliate"): 100,
    }
)


def by_label(*args, **kwargs):
    table = abundance_table(*args, random_state=0, **kwargs)
    assert table["label"].is_unique
    return table.set_index("label")


# What the table contains


def test_columns_and_rows():
    table = abundance_table(particles(diatom=3, ciliate=1), samples())
    assert table.columns.tolist() == COLUMNS
    labels = ["ciliate", "diatom", "unknown", WITHOUT_VIEW]
    assert table["label"].tolist() == labels
    assert table["count_predicted"].tolist() == [1, 3, 0, 0]
    assert table["count_predicted"].dtype == "int64"
    assert table["share"].tolist() == [0.25, 0.75, 0, 0]
    assert table["concentration"].tolist() == [0.5, 1.5, 0, 0]
    for end in ("_low", "_high"):
        counts, per_ml = table[f"count{end}"], table[f"concentration{end}"]
        np.testing.assert_allclose(per_ml, counts / 2)
    assert table["count_imaged"].isna().all()
    assert (table["note"] == "").all()
    assert (table["volume_ml"] == 2).all()


def test_unknown_particles_and_those_without_a_view():
    table = particles(diatom=5, unknown=2)
    nothing = pd.DataFrame({"sample_id": "Monday", "predicted_label": ["", None]})
    table = pd.concat([table, nothing], ignore_index=True)
    found = by_label(table.assign(has_image=[True] * 4 + [False] * 3 + [True, False]))
    assert found.loc[["diatom", "unknown", WITHOUT_VIEW], "count"].tolist() == [5, 2, 2]
    assert found["count_imaged"].tolist() == [4, 0, 0]
    assert found["count_profile_only"].tolist() == [1, 2, 0]
    assert found["share"].sum() == pytest.approx(1)


def test_labels_are_compared_as_strings():
    table = pd.DataFrame({"sample_id": 7, "predicted_label": [1, 1, 0]})
    known = pd.DataFrame({"label": [1, 0], "predicted_label": [1, 0]})
    found = by_label(table, calibration=known, method="acc")
    assert found.loc[["0", "1"], "count"].tolist() == pytest.approx([1, 2])
    assert (found["sample_id"] == 7).all()


def test_samples_are_in_their_order_and_do_not_mix():
    tables = [particles("b", diatom=3), particles("a", ciliate=2)]
    both = pd.concat(tables, ignore_index=True)
    volumes = pd.DataFrame({"sample_id": ["a", "b"], "analyzed_volume_ml": [1.0, 3.0]})
    found = abundance_table(both, volumes).set_index(["sample_id", "label"])
    assert found.index.unique("sample_id").tolist() == ["a", "b"]
    assert found.loc[("a", "ciliate"), "concentration"] == 2
    assert found.loc[("b", "diatom"), "concentration"] == 1
    assert found.loc[("a", "diatom"), "count_predicted"] == 0
    assert abundance_table(both)["sample_id"].unique().tolist() == ["b", "a"]


def test_sample_ids_that_are_numbers():
    """As a reader of CSV files makes them of one table, and not of the other."""
    given = samples().assign(sample_id=[7])
    found = by_label(particles("7", diatom=3), given)
    assert found.loc["diatom", "concentration"] == 1.5


def test_index_of_particles_does_not_matter():
    table = particles(diatom=6, ciliate=4)
    expected = abundance_table(table, calibration=ONE_IN_TEN, random_state=0)
    table.index = [9] * 10
    found = abundance_table(table, calibration=ONE_IN_TEN, random_state=0)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("method", METHODS)
def test_deterministic_and_leaves_the_global_state(method):
    table, known = with_shares(particles(diatom=20, ciliate=9)), with_shares(ONE_IN_TEN)
    arguments = {"calibration": known, "method": method}
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = abundance_table(table, random_state=3, **arguments)
    pd.testing.assert_frame_equal(
        first, abundance_table(table, random_state=3, **arguments)
    )
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert (first["count_low"] <= first["count"]).all()
    assert (first["count"] <= first["count_high"]).all()
    assert first["count"].sum() == pytest.approx(29, rel=1e-4)


# Volumes


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "no concentration: samples not given"),
        (samples(np.nan), "no concentration: analyzed_volume_ml is missing"),
        (samples(0.0), "no concentration: analyzed_volume_ml is 0"),
        (
            samples(np.nan, volume_problem="no pump speed"),
            "no concentration: no pump speed",
        ),
    ],
)
def test_without_a_volume_the_counts_remain(given, reason):
    found = by_label(particles(diatom=3), given)
    assert found.loc["diatom", "count"] == 3
    assert (
        found[["concentration", "concentration_low", "concentration_high"]]
        .isna()
        .all(axis=None)
    )
    assert (found["note"] == reason).all()


def test_what_samples_knows_is_passed_on():
    given = samples(is_partial=True, volume_problem="pump stopped", n_particles=10)
    found = by_label(particles(diatom=3), given)
    assert found["is_partial"].all()
    note = (
        "volume: pump stopped; the sample has 10 particles, of which 3 are counted here"
    )
    assert (found["note"] == note).all()
    assert found.loc["diatom", "concentration"] == 1.5


def test_sample_without_particles():
    given = pd.concat([samples(), samples(n_particles=0).assign(sample_id="Tuesday")])
    found = abundance_table(
        particles(diatom=3), given, calibration=calibration({("diatom", "diatom"): 9})
    )
    empty = found[found["sample_id"] == "Tuesday"]
    assert empty["label"].tolist() == ["diatom", "unknown", WITHOUT_VIEW]
    assert (empty["count"] == 0).all()
    assert empty["share"].isna().all()
    np.testing.assert_allclose(empty["count_high"], -np.log(0.025), rtol=1e-6)
    nobody = abundance_table(particles(), samples())
    assert nobody["label"].tolist() == ["unknown", WITHOUT_VIEW]
    assert len(abundance_table(particles())) == 0
    assert abundance_table(particles()).columns.tolist() == COLUMNS


# Intervals


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("number", [1, 7, 400])
def test_counting_error_alone(number, level):
    """Jeffreys' interval of a Poisson rate."""
    found = by_label(particles(diatom=number), confidence_level=level)
    ends = [(1 - level) / 2, (1 + level) / 2]
    expected = chi2.ppf(ends, 2 * number + 1) / 2
    found = found.loc["diatom", ["count_low", "count_high"]].to_numpy(float)
    assert found[0] == pytest.approx(expected[0], rel=1e-3)
    upper = max(expected[1], -np.log(ends[0]))
    assert found[1] == pytest.approx(upper, rel=1e-3)


def test_zero_has_the_exact_upper_end():
    """exp(-3.69) = 0.025: with more expected, none would be seen less often."""
    row = by_label(particles(diatom=4)).loc["unknown"]
    assert (row["count"], row["count_low"]) == (0, 0)
    assert np.exp(-row["count_high"]) == pytest.approx(0.025)


def coverage(true_rates, n_calibration, expected, method, n_repeats=60, seed=0):
    """Share of intervals with the truth, when all assumptions hold."""
    rng = np.random.default_rng(seed)
    names = np.array(["ciliate", "diatom", "flagellate"])
    held = []
    for repeat in range(n_repeats):
        known = [
            pd.DataFrame(
                {
                    "label": name,
                    "predicted_label": rng.choice(names, n_calibration, p=rates),
                }
            )
            for name, rates in zip(names, true_rates, strict=True)
        ]
        predicted = np.concatenate(
            [
                rng.choice(names, rng.poisson(number), p=rates)
                for number, rates in zip(expected, true_rates, strict=True)
            ]
        )
        table = pd.DataFrame({"sample_id": 0, "predicted_label": predicted})
        found = abundance_table(
            table, calibration=pd.concat(known), method=method, random_state=repeat
        ).set_index("label")
        found = found.loc[names]
        held.append(
            (found["count_low"] <= expected) & (found["count_high"] >= expected)
        )
    return np.mean(held)


RATES = np.array([[0.9, 0.1, 0.0], [0.05, 0.9, 0.05], [0.0, 0.15, 0.85]])


@pytest.mark.once
def test_intervals_of_the_default_cover():
    expected = np.array([20.0, 300.0, 60.0])
    found = coverage(RATES, 8, expected, "auto")
    # The three intervals of a sample depend on each other: two standard errors.
    assert found > 0.95 - 2 * np.sqrt(0.95 * 0.05 / 60)
    assert coverage(RATES, 8, expected, "cc") < found - 0.2


def test_more_calibration_gives_narrower_intervals():
    widths = []
    for times in (1, 10):
        known = pd.concat([ONE_IN_TEN[::10]] * times)
        row = by_label(particles(diatom=900, ciliate=300), calibration=known)
        widths.append((row["count_high"] - row["count_low"])["ciliate"])
    assert widths[1] < 0.7 * widths[0]


# Corrections


@pytest.mark.parametrize("method", ["acc", "bayes"])
def test_bias_is_corrected(method):
    """900 of 1,000 diatoms are recognized, and 100 are called ciliates."""
    table = particles(diatom=900, ciliate=150)
    found = by_label(table, calibration=ONE_IN_TEN, method=method)
    assert found.loc["diatom", "count"] == pytest.approx(1000, rel=0.03)
    assert found.loc["ciliate", "count"] == pytest.approx(50, rel=0.6)
    assert found.loc["ciliate", "count_low"] < 50 < found.loc["ciliate", "count_high"]
    raw = by_label(table)
    assert raw.loc["ciliate", "count_low"] > 50


def test_auto():
    table = particles(diatom=90, ciliate=15)
    pd.testing.assert_frame_equal(by_label(table), by_label(table, method="cc"))
    pd.testing.assert_frame_equal(
        by_label(table, calibration=ONE_IN_TEN),
        by_label(table, calibration=ONE_IN_TEN, method="bayes"),
    )
    pd.testing.assert_frame_equal(
        by_label(table, calibration=ONE_IN_TEN, method="cc"), by_label(table)
    )


def test_bloom_of_a_species_that_is_mistaken():
    """No calibration particle shows the mistake; the interval has to allow for it."""
    known = calibration({("diatom", "diatom"): 10, ("ciliate", "ciliate"): 10})
    found = by_label(particles(diatom=1000, ciliate=10), calibration=known)
    assert found.loc["ciliate", "count_low"] < 2
    assert found.loc["ciliate", "count_high"] > 10


def test_posterior_equals_a_grid():
    """Two labels, one calibrated: the posterior by numerical integration."""
    counts, n_known, n_right = np.array([12, 5, 0]), 6, 5
    confusion = np.zeros((3, 3))
    confusion[0, :2] = n_right, n_known - n_right
    known = Calibration(confusion, np.zeros(3))
    group = Group(counts, None)
    prior = quantification._rate_prior(known)[0]
    # Predictions of the first label: Poisson(a r0), of the second: Poisson(a r1 + b).
    grid = (np.arange(100) + 0.5) * 0.4
    rate = (np.arange(50) + 0.5) / 50
    a, b, r0, other = np.meshgrid(
        grid, grid[:60], rate, rate[::3], indexing="ij", sparse=True
    )
    r1 = (1 - r0) * (1 - other)
    last = (1 - r0) * other
    log = (
        -0.5 * np.log(a)
        - 0.5 * np.log(b)
        - a
        - b
        + 12 * np.log(a * r0)
        + 5 * np.log(a * r1 + b)
        + (prior[0] + n_right - 1) * np.log(r0)
        + (prior[1] + n_known - n_right - 1) * np.log(r1)
        + (prior[2] - 1) * np.log(last)
        + np.log(1 - r0)
    )
    weight = np.exp(log - log.max())
    first = weight.sum(axis=(1, 2, 3))
    cumulative = np.cumsum(first) / first.sum()
    expected = np.interp([0.025, 0.5, 0.975], cumulative, grid + 0.2)
    draws = [
        METHODS["bayes"](group, known, 0.5, np.random.default_rng(seed))[1][:, 0]
        for seed in range(8)
    ]
    found = np.quantile(draws, [0.025, 0.5, 0.975])
    np.testing.assert_allclose(found, expected, rtol=0.05)


def test_chains_have_forgotten_their_start(monkeypatch):
    """Ten times as many steps give the same intervals, also of many particles."""
    confusion = np.zeros((4, 4))
    confusion[:3, :3] = [[9, 1, 0], [2, 8, 0], [0, 0, 10]]
    known = Calibration(confusion, np.zeros(4))
    group = Group(np.array([20_000, 900, 300, 40]), None)
    ends = []
    for n_burn_in in (60, 600):
        monkeypatch.setattr(quantification, "_N_BURN_IN", n_burn_in)
        _, draws = METHODS["bayes"](group, known, 0.5, np.random.default_rng(1))
        ends.append(np.quantile(draws, [0.025, 0.975], axis=0))
    scale = ends[0][1] - ends[0][0]
    assert (np.abs(ends[0] - ends[1]) < 0.15 * scale).all()


def test_most_likely_counts_solve_the_equations():
    """With as many predictions of each label as the true counts make, those."""
    expected = np.array([20.0, 300.0, 60.0])
    found = most_likely_counts(RATES.T, (expected @ RATES)[None])
    np.testing.assert_allclose(found[0], expected, rtol=0.02)
    many = most_likely_counts(np.stack([RATES.T] * 2), np.stack([expected @ RATES] * 2))
    np.testing.assert_allclose(many, np.repeat(found, 2, axis=0))


def test_most_likely_counts_are_a_maximum():
    rng = np.random.default_rng(0)
    likelihoods = rng.random((50, 3))
    best = most_likely_counts(likelihoods, np.ones((1, 50)))[0]

    def log_likelihood(counts):
        return np.log(likelihoods @ counts).sum() - counts.sum()

    assert best.sum() == pytest.approx(50)
    for _ in range(200):
        other = np.abs(best + rng.normal(scale=2, size=3))
        assert log_likelihood(other) <= log_likelihood(best) + 1e-3


def test_probabilistic_count():
    table = with_shares(particles(diatom=30, ciliate=10, unknown=4), sure=0.8)
    found = by_label(table, method="pcc")
    counts = found.loc[["diatom", "ciliate", "unknown"], "count"]
    np.testing.assert_allclose(counts, [30 * 0.8 + 10 * 0.2, 30 * 0.2 + 8, 4])
    # Independent shares: the variance is the sum of their squares.
    sd = np.sqrt(30 * 0.8**2 + 10 * 0.2**2)
    width = found.loc["diatom", "count_high"] - found.loc["diatom", "count_low"]
    assert width == pytest.approx(2 * norm.ppf(0.975) * sd, rel=0.05)


def test_expectation_maximization_recovers_shares_of_calibrated_probabilities():
    rng = np.random.default_rng(0)
    is_diatom = rng.random(3000) < 0.9
    x = rng.normal(np.where(is_diatom, 1.0, -1.0))
    p = 1 / (1 + np.exp(-2 * x))  # as many of both
    labels = np.where(p > 0.5, "diatom", "ciliate")
    table = pd.DataFrame(
        {
            "sample_id": 0,
            "predicted_label": labels,
            "share_ciliate": 1 - p,
            "share_diatom": p,
        }
    )
    known = table.assign(label=np.where(is_diatom, "diatom", "ciliate"))
    found = by_label(table, calibration=known, method="emq")
    assert found.loc["diatom", "share"] == pytest.approx(is_diatom.mean(), abs=0.02)
    assert by_label(table).loc["diatom", "share"] < 0.83


# Images


def test_imaged_only_scales_to_all_particles():
    table = particles(diatom=30, ciliate=70)
    table["has_image"] = (table["predicted_label"] == "diatom") & (table.index % 2 == 0)
    table.loc[95:, "has_image"] = True  # 15 diatoms and 5 ciliates
    found = by_label(table, imaged_only=True)
    assert found.loc[["diatom", "ciliate"], "count"].tolist() == [75, 25]
    assert found.loc["diatom", "count_predicted"] == 30
    assert found["note"].iloc[0].startswith("no concentration")
    note = "scaled from 20 of 100 particles, those with an image"
    assert note in found.loc["diatom", "note"]
    width = (found["count_high"] - found["count_low"])["diatom"]
    # Binomial error of the share, and Poisson error of the 100.
    sd = np.sqrt(100**2 * 0.75 * 0.25 / 20 + 0.75**2 * 100)
    assert width == pytest.approx(2 * norm.ppf(0.975) * sd, rel=0.1)
    assert found.loc["unknown", "count_high"] == pytest.approx(5 * -np.log(0.025))


def test_imaged_only_without_any_image():
    table = particles(diatom=3).assign(has_image=False)
    found = by_label(table, imaged_only=True)
    assert found.loc["diatom", ["count", "count_low", "count_high"]].isna().all()
    assert found["share"].isna().all()
    assert "scaled from 0 of 3 particles" in found.loc["diatom", "note"]


@pytest.mark.parametrize("method", METHODS)
def test_imaged_only_with_one_image(method):
    table = with_shares(particles(diatom=30)).assign(has_image=False)
    table.loc[4, "has_image"] = True
    known = with_shares(ONE_IN_TEN)
    found = by_label(table, calibration=known, method=method, imaged_only=True)
    assert found["count"].sum() == pytest.approx(30)
    assert found["count_high"].notna().all()
    assert found.loc["diatom", "count_high"] > 30


def test_images_and_profiles_are_calibrated_separately():
    """Images are always right; the profile takes half of the diatoms for ciliates."""
    by_image = calibration({("diatom", "diatom"): 100, ("ciliate", "ciliate"): 100})
    by_profile = calibration(
        {
            ("diatom", "diatom"): 50,
            ("diatom", "ciliate"): 50,
            ("ciliate", "ciliate"): 100,
        }
    )
    known = pd.concat(
        [by_image.assign(has_image=True), by_profile.assign(has_image=False)]
    )
    table = pd.concat(
        [
            particles(diatom=100, ciliate=100).assign(has_image=True),
            particles(diatom=100, ciliate=200).assign(has_image=False),
        ]
    )
    found = by_label(table, calibration=known, method="acc")
    assert found.loc["diatom", "count"] == pytest.approx(300, rel=0.01)
    assert found.loc["ciliate", "count"] == pytest.approx(200, rel=0.02)
    imaged = by_label(
        table, calibration=known[known["has_image"]], method="acc", imaged_only=True
    )
    assert imaged.loc["diatom", "count"] == pytest.approx(250, rel=0.01)
    alone = by_label(table, calibration=known[known["has_image"]], method="acc")
    assert "of this label without an image" in alone.loc["diatom", "note"]


# Mistakes


def test_label_without_a_calibration_particle():
    known = calibration({("diatom", "diatom"): 5})
    found = by_label(particles(diatom=5, ciliate=4), samples(), calibration=known)
    note = (
        "no calibration particle of this label: missed ones are not added, and the "
        "count is rather too low"
    )
    assert found["note"].to_dict() == {
        "ciliate": note,
        "diatom": "",
        "unknown": note,
        WITHOUT_VIEW: "",
    }
    assert found.loc["ciliate", "count"] < 4


def test_unknown_species_in_the_calibration():
    known = calibration(
        {
            ("diatom", "diatom"): 50,
            ("unknown", "unknown"): 25,
            ("unknown", "diatom"): 25,
        }
    )
    found = by_label(particles(diatom=100, unknown=20), calibration=known)
    assert found.loc["unknown", "count"] == pytest.approx(40, rel=0.25)


GOOD = particles(diatom=2, ciliate=2)
MISTAKES = {
    "not a table": (
        ([1, 2],),
        {},
        TypeError,
        "particles is a list; expected a DataFrame with the columns sample_id, pred",
    ),
    "no column": (
        (GOOD.rename(columns={"predicted_label": "name"}),),
        {},
        ValueError,
        "particles has no column 'predicted_label'; it has 'sample_id', 'name'",
    ),
    "no sample_id": (
        (GOOD.assign(sample_id=["a", None, "a", "a"]),),
        {},
        ValueError,
        "particles has no sample_id in row 1",
    ),
    "has_image": (
        (GOOD.assign(has_image=[True, None, False, True]),),
        {},
        ValueError,
        "particles has None as has_image in row 1. Expected True or False",
    ),
    "two samples of one id": (
        (GOOD, pd.concat([samples()] * 2)),
        {},
        ValueError,
        "samples has several rows with the sample_id 'Monday'",
    ),
    "sample that is missing": (
        (GOOD, samples().assign(sample_id="Tuesday")),
        {},
        ValueError,
        "particles are of samples that are not in samples: 'Monday'. samples has 'Tue",
    ),
    "particles that are missing": (
        (GOOD, pd.concat([samples(), samples(n_particles=8).assign(sample_id="b")])),
        {},
        ValueError,
        "samples says that 'b' has 8 particles, and particles has none",
    ),
    "no volume column": (
        (GOOD, samples().drop(columns="analyzed_volume_ml")),
        {},
        ValueError,
        "samples has no column 'analyzed_volume_ml'",
    ),
    "negative volume": (
        (GOOD, samples(-1.0)),
        {},
        ValueError,
        "The analyzed_volume_ml of sample 'Monday' is -1. Expected a volume in mL",
    ),
    "volume as text": (
        (GOOD, samples().assign(analyzed_volume_ml="2,5")),
        {},
        ValueError,
        "samples has '2,5' as analyzed_volume_ml in row 0. Expected a number",
    ),
    "partial as text": (
        (GOOD, samples().assign(is_partial="no")),
        {},
        ValueError,
        "samples has 'no' as is_partial in row 0. Expected True or False",
    ),
    "sample without an id": (
        (GOOD, pd.concat([samples(), samples().assign(sample_id=None)])),
        {},
        ValueError,
        "samples has no sample_id in row 1",
    ),
    "shares as text": (
        (GOOD.assign(share_diatom="half", share_ciliate=0.5),),
        {"method": "pcc"},
        ValueError,
        "particles has 'half' as share_diatom in row 0",
    ),
    "no calibration": (
        (GOOD,),
        {"method": "bayes"},
        ValueError,
        "method='bayes' needs calibration, particles whose true label is known",
    ),
    "empty calibration": (
        (GOOD,),
        {"calibration": ONE_IN_TEN.assign(label=None)},
        ValueError,
        "None of the 200 rows of calibration has a label and a predicted_label",
    ),
    "another taxonomy": (
        (GOOD,),
        {"calibration": ONE_IN_TEN.replace({"label": {"diatom": "Bacillariophyta"}})},
        ValueError,
        "calibration has the label 'Bacillariophyta', which is never predicted; pred",
    ),
    "another classifier": (
        (GOOD,),
        {"calibration": calibration({("krill", "krill"): 4})},
        ValueError,
        "No predicted label of particles, 'ciliate', 'diatom', is a label of calibrat",
    ),
    "no shares": (
        (GOOD,),
        {"method": "pcc"},
        ValueError,
        "particles has no columns of shares, which this method needs",
    ),
    "no shares in the calibration": (
        (with_shares(GOOD),),
        {"method": "emq", "calibration": ONE_IN_TEN},
        ValueError,
        "calibration has no columns of shares",
    ),
    "shares that are no shares": (
        (with_shares(GOOD, sure=3.0),),
        {"method": "pcc"},
        ValueError,
        "The shares of particles in row 0 are",
    ),
    "no has_image": (
        (GOOD,),
        {"imaged_only": True},
        ValueError,
        "imaged_only=True needs the column has_image",
    ),
    "method": ((GOOD,), {"method": "hdy"}, ValueError, "'method' parameter"),
    "level": (
        (GOOD,),
        {"confidence_level": 95},
        ValueError,
        "'confidence_level' parameter",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake):
    args, kwargs, error, message = MISTAKES[mistake]
    with pytest.raises(error) as raised:
        abundance_table(*args, **kwargs)
    assert message in str(raised.value)


# Calibration from the gallery


def test_gallery_calibration():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(13, 4))
    y = ["a"] * 6 + ["b"] * 6 + ["alone"]
    gallery = GalleryKNNClassifier(n_neighbors=1).fit(X, y)
    table = gallery_calibration(gallery)
    labels, shares = gallery.leave_one_out()
    assert table["label"].tolist() == y[:12]
    assert table["predicted_label"].tolist() == labels[:12].tolist()
    names = [f"share_{name}" for name in gallery.classes_]
    np.testing.assert_array_equal(table[names], shares[:12])
    predicted = pd.DataFrame({"sample_id": 0, "predicted_label": gallery.predict(X)})
    found = by_label(predicted, calibration=table)
    assert "no calibration particle" in found.loc["alone", "note"]


def test_gallery_calibration_by_the_profile_alone():
    X = np.array([[0, 1, 1, 0], [0, 2, 2, 1], [3, 0, 0, 1], [2, 0, 1, 5.0]])
    X[0, 2:] = np.nan
    gallery = GalleryKNNClassifier(n_neighbors=1, n_modalities=2).fit(X, [0, 0, 1, 1])
    assert len(gallery_calibration(gallery)) == 4
    alone = gallery_calibration(gallery.set_params(query_modalities="profile"))
    assert alone["label"].tolist() == ["0", "1", "1"]


def test_gallery_of_single_rows():
    gallery = GalleryKNNClassifier().fit(np.eye(2), ["a", "b"])
    with pytest.raises(TypeError, match=r"gallery is a list; .*pipe\[-1\]"):
        gallery_calibration([])
    with pytest.raises(ValueError, match="No row of the gallery can be left out"):
        gallery_calibration(gallery)
