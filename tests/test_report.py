"""The pages of reports: what is on them, and that they stand alone.

What only a browser knows is checked by .ci/browser.py, on the same pages.
"""

import base64
import hashlib
import io
import re
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix

from skplankton._report import day, evaluation, excerpt, figures, selection
from skplankton._report.checks import sample_warnings
from skplankton._report.excerpt import add_pictures
from skplankton._report.groups import MOST_GROUPS, groups_of_alike, packed, unpacked
from skplankton._report.page import count, fixed, import_jinja, number, share
from skplankton._report.pictures import HEIGHT, WIDTH, bars, level, sparkline, thumbnail
from skplankton._utils.labels import UNKNOWN, WITHOUT_VIEW

from .report_pages import (
    ODD,
    OFFSET,
    card,
    cases,
    counts_frame,
    evaluation_of,
    mixed,
    page_of,
    sample,
    samples_frame,
)

pytestmark = pytest.mark.once

VOID = {"meta", "link", "img", "br", "wbr", "hr", "input"}
MB = 10**6


class Page(HTMLParser):
    """The elements of a page: name, attributes, and the text in each."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), (tag, names)
        element = {"tag": tag, "path": [e["tag"] for e in self.open], "text": ""}
        element |= dict(attributes)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):  # <path … />, in an SVG only
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            assert "svg" in self.elements[-1]["path"]
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1]["tag"] == tag, f"</{tag}> in <{self.open[-1]['tag']}>"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def text_of(self, identifier):
        """The text of the element with an id."""
        (found,) = [e for e in self.elements if e.get("id") == identifier]
        return " ".join(found["text"].split())


@pytest.fixture(scope="module")
def pages():
    return cases()


NAMES = [
    *("two_samples", "one_sample", "counts_only", "twelve_samples", "no_particles"),
    *(
        "one_volume",
        "one_particle",
        "one_unknown",
        "no_images",
        "unreadable",
        "many_species",
    ),
    *("evaluation", "evaluation_many", "evaluation_right"),
]


def test_every_case_is_tested(pages):
    assert sorted(pages) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_stands_alone(name, pages):
    page = Page(pages[name])
    ids = [e["id"] for e in page.elements if "id" in e]
    assert len(set(ids)) == len(ids)
    for element in page.elements:
        for attribute, value in element.items():
            assert not attribute.startswith("on"), element
            assert attribute != "style"
            if attribute in ("src", "href"):
                assert value.startswith(("data:", "#")), element
                if value.startswith("#"):
                    assert value[1:] in ids, element
            if attribute == "aria-labelledby":
                assert value in ids
    assert not {"iframe", "object", "embed", "form", "base"} & {
        e["tag"] for e in page.elements
    }
    assert "@import" not in pages[name]
    assert "url(" not in pages[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_browser_is_to_run_our_script_alone(name, pages):
    page = Page(pages[name])
    (script,), (style,) = page.all("script"), page.all("style")
    (policy,) = [m for m in page.all("meta") if "http-equiv" in m]
    for element in (script, style):
        digest = hashlib.sha256(element["text"].encode()).digest()
        allowed = f"'sha256-{base64.b64encode(digest).decode()}'"
        assert f"{element['tag']}-src {allowed}" in policy["content"]
    assert policy["content"].startswith("default-src 'none'")
    # What could load something, or run a text.
    for word in ("fetch", "XMLHttp", "import", "eval", "innerHTML", "write", "http"):
        assert word not in script["text"]


@pytest.mark.parametrize("name", NAMES)
def test_images_can_be_decoded(name, pages):
    images = Page(pages[name]).all("img")
    assert bool(images) != (
        name in ("no_particles", "no_images", "unreadable", "evaluation_right")
    )
    for image in images:
        kind, _, content = image["src"].partition(",")
        assert kind == "data:image/jpeg;base64"
        decoded = Image.open(io.BytesIO(base64.b64decode(content, validate=True)))
        decoded.load()
        assert max(decoded.size) <= 96
        assert image["alt"].startswith("Image of particle ")


@pytest.mark.parametrize("name", NAMES)
def test_accessible(name, pages):
    page = Page(pages[name])
    (html,) = page.all("html")
    assert html["lang"] == "en"
    assert page.all("title")[0]["text"].strip()
    levels = [int(e["tag"][1]) for e in page.elements if e["tag"] in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    for element in page.elements:
        if element["tag"] == "svg":
            is_named = "aria-label" in element or "aria-labelledby" in element
            assert is_named or element.get("aria-hidden") == "true"
        if "tabindex" in element:  # can be scrolled with the keyboard
            assert element["role"] == "region"
        if element["tag"] == "table":  # wider than a phone, perhaps
            assert "div" in element["path"]
    assert any(m.get("name") == "viewport" for m in page.all("meta"))


@pytest.mark.parametrize("name", NAMES)
def test_columns_that_can_be_sorted(name, pages):
    """The script takes the column from the place of the button."""
    tables = re.findall(
        r'<table class="sortable.*?<thead>(.*?)</thead>\s*<tbody>(.*?)</tbody>',
        pages[name],
        flags=re.S,
    )
    assert tables
    for head, body in tables:
        heads = re.findall(r"<(?:th|td)\b([^>]*)>(.*?)</(?:th|td)>", head, flags=re.S)
        assert any("<button" in content for _, content in heads)
        rows = re.findall(r"<tr\b.*?</tr>", body, flags=re.S)
        for row in rows:
            cells = re.findall(r"<(?:th|td)\b([^>]*)>", row)
            assert len(cells) == len(heads)
            for (attributes, _), cell in zip(heads, cells, strict=True):
                if "data-numeric" in attributes:
                    value = re.search(r'data-sort="([^"]*)"', cell)[1]
                    assert value == "" or np.isfinite(float(value))


def test_names_from_outside_are_text(pages):
    for name in ("two_samples", "one_sample", "evaluation"):
        page = Page(pages[name])
        assert len(page.all("script")) == 1
        assert not page.all("b") or all("<" not in b["text"] for b in page.all("b"))
        text = page.all("main")[0]["text"]
        for label in ODD:
            assert label in text, label
        assert "49" not in [h["text"] for h in page.all("bdi")]
        assert len(page.all("style")) == 1
    page = Page(pages["two_samples"])
    assert "today <1>" in page.text_of("samples")
    assert "yester\"day'" in page.text_of("samples")
    assert "<img src=x onerror=alert(1)> is no sample" in page.text_of("warnings")
    assert "</pre>" in page.text_of("warnings")
    assert "m<b>odel.joblib" in page.text_of("model")
    assert "few <images>" in page.text_of("counts")


def test_same_arguments_same_page(pages):
    whole, again = sample("today <1>", mixed(300)), evaluation_of()
    assert page_of([whole]) == pages["counts_only"]
    assert again == pages["evaluation"]


def test_size_of_a_page_of_noise():
    """5,000 particles of 200 species; noise is what compresses worst."""
    names = [f"species_{i:03}" for i in range(200)]
    text = page_of([sample("noise", mixed(5000, names=names), noise=True)])
    assert len(text.encode()) < 5 * MB
    page = Page(text)
    n_pictures = len([d for d in page.all("div") if d.get("class") == "picture"])
    # No more than there is room for, however many particles there are.
    most = day.MOST_TYPICAL + day.MOST_DOUBTFUL + MOST_GROUPS * day.MOST_OF_GROUP
    assert 200 <= n_pictures <= most
    # If all room is used.
    per_picture = len(text.encode()) / n_pictures
    assert per_picture * most < 5 * MB


def test_the_size_that_the_documentation_promises():
    most = day.MOST_TYPICAL + day.MOST_DOUBTFUL + MOST_GROUPS * day.MOST_OF_GROUP
    page = Path(__file__).parent.parent / "docs" / "stations.rst"
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert f"At most {most} particles have a picture" in text
    assert "stays below 5 MB" in text


def test_an_excerpt_does_not_grow_with_the_sample():
    most = excerpt.MOST_TYPICAL + excerpt.MOST_DOUBTFUL + excerpt.MOST_UNKNOWN
    for names in (ODD, [f"species_{i}" for i in range(300)]):
        shown = sample("many", mixed(3000, names=names)).excerpt["shown"]
        species = {p["label"] for p in shown if "typical" in p["roles"]}
        assert len(shown) <= max(most, len(species) + most - excerpt.MOST_TYPICAL)
        assert species == set(names)


# What the pages say


def test_numbers_of_the_day(pages):
    page = Page(pages["counts_only"])
    labels = pd.Series(mixed(300))
    text = page.text_of("counts")
    assert "There are no concentrations" in text
    assert "without intervals" in text
    for label, n in labels.value_counts().items():
        shown = " ".join(label.split())
        assert f"{shown} {n} {share(n / 300)}" in text
    one_volume = Page(pages["one_volume"]).text_of("counts").partition("per mL")[2]
    assert "–" in one_volume
    assert "There are no concentrations" not in one_volume
    assert "per mL" in Page(pages["one_sample"]).text_of("counts")
    assert "Bars are intervals" in Page(pages["one_sample"]).text_of("counts")


def test_unknown_particles_are_counted_as_they_are_pictured():
    one = sample("x", [UNKNOWN] * 7 + ["a"] * 18)
    counts = counts_frame([one])
    counts["count_predicted"] = counts["count"]
    counts.loc[counts["label"] == UNKNOWN, "count"] = 2.4  # after the correction
    page = day.day_page(samples_frame([one]), counts, lambda _: one.excerpt, card())
    text = Page(page).text_of("unknown")
    assert "7 particles are unlike the labeled ones." in text
    assert "The counts above are corrected for mistakes, and have 2." in text
    sizes = [int(n) for n in re.findall(r"Group \d+: (\d+)", text)]
    assert sum(sizes) == 7


def test_special_cases_of_the_day(pages):
    nothing = Page(pages["no_particles"])
    assert "There are no particles." in nothing.text_of("counts")
    assert "No particle is unknown." in nothing.text_of("unknown")
    assert nothing.text_of("check").endswith("No particle has the name of a species.")
    single = Page(pages["one_particle"])
    assert "single_0" in single.text_of("check")
    assert "single_0" in single.text_of("species")
    unknown = Page(pages["one_unknown"])
    assert "1 particle is unlike the labeled ones" in unknown.text_of("unknown")
    assert "Group 1: 1" in unknown.text_of("unknown")
    blind = Page(pages["no_images"])
    assert "classified by profiles alone" in blind.text_of("warnings")
    assert "no image" in blind.text_of("species")
    assert blind.all("path")
    broken = Page(pages["unreadable"])
    assert "broken (3 of 3): particles without a readable" in broken.text_of("warnings")
    whole = page_of([sample("x", ["a"])], model=card(knows_unknown=False))
    assert "--contamination 0" in Page(whole).text_of("unknown")


def test_species_that_are_not_found():
    one = sample("x", ["a", "b", "a"])
    one.predicted["label"] = "a"
    frame = pd.DataFrame({"sample_id": ["x", "x"], "label": ["a", "b"]})
    missing = ["count_low", "count_high", "concentration", "concentration_low"]
    missing += ["concentration_high", "count_predicted", "note"]
    frame = frame.assign(count=[3, 0], share=[1.0, 0.0], **dict.fromkeys(missing))
    frame[missing] = frame[missing].astype(float)
    text = day.day_page(samples_frame([one]), frame, lambda _: one.excerpt, card())
    assert "1 known species not foundb" in Page(text).text_of("counts")


def test_particles_are_shown_with_their_own_pictures():
    days = [sample(f"day{i}", mixed(60, seed=i), seed=i) for i in range(3)]
    # Two samples may contain the same particle, in different files.
    for one in days:
        for particle in one.excerpt["shown"]:
            particle["object_id"] = particle["object_id"].partition("_")[2]
    images = {
        (one.name, p["object_id"]): p["image"]
        for one in days
        for p in one.excerpt["shown"]
    }
    excerpts = {one.name: one.excerpt for one in days}
    _, particles, _ = day._read(samples_frame(days), excerpts.__getitem__)
    chosen = day._Shown.chosen(particles)
    chosen.add_pictures(excerpts, excerpts.__getitem__)
    lists = [*chosen.typical.values(), chosen.doubtful]
    lists += [group["particles"] for group in chosen.groups]
    shown = [particle for some in lists for particle in some]
    assert len(shown) > 60
    for particle in shown:
        key = (particle["sample_id"], particle["object_id"])
        assert particle["image"] == images[key]


def test_warnings():
    labels = {"x": ["a"] * 40, "y": ["a"] * 40 + [UNKNOWN] * 12}
    days = [sample(name, own) for name, own in labels.items()]
    frame = samples_frame(days).assign(n_below=[0, 12])
    frame["is_partial"] = np.array([True, False])
    frame["volume_problem"] = ["", "the volume is 0"]
    found = [(w.kind, w.text) for w in sample_warnings(frame, 0.05)]
    assert [kind for kind, _ in found] == ["Incomplete", "Volume", "Drift"]
    assert found[0][1].startswith("x: ")
    assert found[1][1] == "y: the volume is 0"
    assert found[2][1].startswith("y (23 %): more particles are unlike")
    # As many as expected, and a share that may be one by chance.
    assert not sample_warnings(samples_frame(days).assign(n_below=[2, 2]), 0.05)
    few = samples_frame([sample("z", ["a"] * 4 + [UNKNOWN])]).assign(n_below=1)
    assert not sample_warnings(few, 0.05)


def test_evaluation(pages):
    page = Page(pages["evaluation"])
    assert "unknown" in page.text_of("confusion")
    assert "161 labels with the fewest" in Page(pages["evaluation_many"]).text_of(
        "confusion"
    )
    right = Page(pages["evaluation_right"])
    assert "all predicted labels are right" in right.text_of("confusions")
    (tile,) = [d for d in right.all("dl") if d.get("class") == "tiles"]
    assert " ".join(tile["text"].split()).startswith("100 %accuracy, 91 % to 100 %")


def test_confusions_show_their_own_particles():
    text = evaluation_of(200)
    page = Page(text)
    one = sample("day", mixed(200), 0)
    images = one.particles.set_index("object_id")["image"]
    for image in page.all("img"):
        identifier = image["alt"].removeprefix("Image of particle ")
        assert image["src"] == thumbnail(images[identifier])[0]


# Its parts


def table(labels, familiarity, score=None, has_image=None):
    n = len(labels)
    return pd.DataFrame(
        {
            "label": labels,
            "familiarity": np.asarray(familiarity, dtype=float),
            "score": np.full(n, 0.5) if score is None else score,
            "has_image": np.full(n, True) if has_image is None else has_image,
        }
    )


def test_typical_ones_are_of_the_middle_half():
    rng = np.random.default_rng(0)
    familiarity = rng.permutation(80).astype(float)
    labels = np.array(["a", UNKNOWN, "b", WITHOUT_VIEW] * 20)
    rows = selection.typical(table(labels, familiarity), 5)
    assert sorted(labels[rows]) == ["a"] * 5 + ["b"] * 5
    for label in "ab":
        own = np.sort(familiarity[labels == label])
        chosen = familiarity[rows][labels[rows] == label]
        assert own[5] <= chosen.min() < chosen.max() <= own[14]
    with_image = np.arange(80) % 8 == 0
    rows = selection.typical(table(labels, familiarity, has_image=with_image), 5)
    assert with_image[rows][labels[rows] == "a"].all()
    assert (labels[rows] == "b").sum() == 5  # none of them has an image
    assert selection.typical(table([], []), 5).tolist() == []


def test_the_most_doubtful_come_first():
    labels = ["a", "b", UNKNOWN, "a", "b"]
    found, is_unfamiliar = selection.doubtful(
        table(labels, [5.0, 1.0, 0.0, 4.0, 3.0], score=[0.9, 0.8, 0.1, 0.4, 0.7])
    )
    assert found.tolist() == [3, 1, 4, 0]
    assert is_unfamiliar.tolist() == [False, True, True, True]
    assert [selection.n_doubtful(n, 40) for n in (0, 1, 4, 5, 1000)] == [0, 1, 1, 2, 40]


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 1000])
def test_evenly_spaced(n):
    rows = selection.evenly_spaced(np.arange(n), 10)
    assert len(rows) == min(n, 10)
    assert len(set(rows.tolist())) == len(rows)
    if n > 10:
        assert rows.mean() == pytest.approx((n - 1) / 2, abs=0.6)


def test_groups_are_of_alike_particles():
    rng = np.random.default_rng(0)
    centers = 10 * np.eye(4)[rng.integers(4, size=32)]
    groups = groups_of_alike(centers + rng.normal(size=(32, 4)) / 10)
    assert len(groups) == 4
    assert sorted(np.concatenate(groups).tolist()) == list(range(32))
    for rows in groups:
        assert len(np.unique(centers[rows], axis=0)) == 1
    sizes = [len(rows) for rows in groups]
    assert sizes == sorted(sizes, reverse=True)
    assert groups_of_alike(np.empty((0, 4))) == []
    assert [g.tolist() for g in groups_of_alike(np.ones((1, 4)))] == [[0]]
    assert len(groups_of_alike(np.ones((5, 4)))) == 2  # all alike
    assert len(groups_of_alike(rng.normal(size=(900, 4)))) == 12


def test_packed_embeddings():
    embedding = np.random.default_rng(0).normal(size=512).astype(np.float32)
    embedding /= np.linalg.norm(embedding)
    np.testing.assert_allclose(unpacked(packed(embedding)), embedding, atol=1e-4)


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.full((30, 20), 200, dtype=np.uint8), "L"),
        (np.full((300, 20, 3), 200, dtype=np.uint8), "RGB"),
        (np.full((200, 400), 51400, dtype=np.uint16), "L"),
        (np.full((1, 1), 200 / 255, dtype=np.float64), "L"),
    ],
)
def test_thumbnail(pixels, mode):
    uri, size = thumbnail(pixels)
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert image.mode == mode
    assert size == f"{pixels.shape[1]} × {pixels.shape[0]} pixels"
    assert max(image.size) == min(96, max(pixels.shape[:2]))
    assert np.asarray(image).mean() == pytest.approx(200, abs=2)


def points(path):
    """The points of a path of `sparkline`."""
    begin, steps = path[1:].split("l")
    steps = np.array(steps.split(), dtype=int).reshape(-1, 2)
    return np.cumsum([np.array(begin.split(), dtype=int), *steps], axis=0)


@pytest.mark.parametrize("length", [2, 39, 40, 41, 5000])
def test_sparkline(length):
    samples = np.zeros((length, 2), dtype=np.float32)
    samples[length // 2, 0] = 1000.0
    samples[:, 1] = -5.0  # below 0, as sensors with noise give
    top = float(level(samples).max())
    peak, flat = (points(path) for path in sparkline(samples, top))
    for line in (peak, flat):
        assert len(line) == min(length, 40)
        assert line[0, 0] == 0
        assert line[-1, 0] == WIDTH
    assert peak[:, 1].min() == 1  # the peak is not lost
    assert set(flat[:, 1]) == {HEIGHT - 1}
    assert sparkline(np.zeros((3, 1)), 0.0) == sparkline(np.zeros((3, 1)), 1.0)


def test_bars():
    highest, lowest = 1, HEIGHT - 1
    path = f"M12 {HEIGHT}V{highest}M60 {HEIGHT}V{lowest}M84 {HEIGHT}V16"
    assert bars(np.array([1.0, np.nan, 0.0, 0.5])) == path
    # Pulses of one sample have no line.
    (one,) = sparkline(np.array([[1.0, 0.0, 3.0]]), float(np.log1p(3.0)))
    assert one.count("M") == 3
    assert one.endswith(f"M80 {HEIGHT}V{highest}")


def test_vectors_have_bars_of_percentiles():
    """Whatever their units; without what is missing."""
    vectors = [[0.001, 5e4], [0.002, np.nan], [0.003, 9e4], [0.004, 7e4]]
    particles = pd.DataFrame({"image": [None] * 4, "profile": map(np.array, vectors)})
    particles.attrs["measurements"] = ["PMTA", "TimeOfFlight"]
    shown = [{}, {}]
    legend = add_pictures(shown, particles[1:3], particles)
    assert legend == {"names": ["PMTA", "TimeOfFlight"], "bars": True}
    expected = ([1.5 / 4, np.nan], [2.5 / 4, 2.5 / 3])
    for particle, shares in zip(shown, expected, strict=True):
        assert particle["profile"] == [bars(np.array(shares))]


def test_log_axis():
    axis = figures.LogAxis([0.0, 0.02, 3.0, 40.0, np.nan])
    assert (axis.low, axis.high) == (-2, 2)
    places = [axis.position(x) for x in (0, 0.01, 0.02, 3, 40, 100)]
    assert places == sorted(places)
    assert len(set(places)) == len(places)
    assert axis.position(np.nan) is None
    assert [text for _, text in axis.ticks()] == ["0.01", "0.1", "1", "10", "100"]
    for values in ([], [0.0], [1.0], [10.0]):
        axis = figures.LogAxis(values)
        assert axis.high > axis.low
        assert all(0 <= axis.position(v) <= 100 for v in values)
    wide = figures.LogAxis([1e-30, 1e6])
    assert wide.position(1e-30) == wide.position(10.0**wide.low)
    assert len([text for _, text in wide.ticks() if text]) <= 5


def test_linear_axis():
    axis = figures.LinearAxis([2.0, -1.0, -np.inf])
    assert [axis.position(x) for x in (-1, 0.5, 2)] == [3, 50, 97]
    assert axis.position(-np.inf) is None
    assert axis.position(np.nan) is None
    assert figures.LinearAxis([]).position(0.0) == 50


def test_reliability_against_counting():
    rng = np.random.default_rng(0)
    scores, is_right = rng.uniform(size=300), rng.uniform(size=300) < 0.6
    scores[0] = 1.0
    bins = figures.reliability(scores, is_right)
    assert sum(b["n"] for b in bins) == 300
    for b in bins:
        inside = (scores >= b["low"]) & ((scores < b["high"]) | (b["high"] == 1))
        assert b["n"] == inside.sum()
        assert b["accuracy"] == pytest.approx(is_right[inside].mean())
        assert b["score"] == pytest.approx(scores[inside].mean())
        assert b["accuracy_low"] < b["accuracy"] < b["accuracy_high"]
    assert figures.reliability(np.empty(0), np.empty(0, dtype=bool)) == []


def test_confusion_against_scikit_learn():
    rng = np.random.default_rng(0)
    names = np.array(list("abcdef"))
    truth, predicted = (pd.Series(names[rng.integers(6, size=80)]) for _ in range(2))
    counts, n_others = figures.confusion(truth, predicted, 10)
    assert n_others == 0
    expected = confusion_matrix(truth, predicted, labels=names)
    np.testing.assert_array_equal(counts, expected)
    pairs = figures.worst_confusions(truth, predicted, 5)
    off = expected - np.diag(np.diag(expected))
    assert [n for *_, n in pairs] == sorted(off.ravel(), reverse=True)[:5]
    for a, b, n in pairs:
        assert counts.loc[a, b] == n
    small, n_others = figures.confusion(truth, predicted, 4)
    assert n_others == 2
    assert small.to_numpy().sum() == 80
    assert small.index[-1] == small.columns[-1] == figures.OTHER
    kept = small.index[:-1]
    assert small.loc[kept, kept].equals(counts.loc[kept, kept])
    n_wrong = pd.Series(off.sum(axis=0) + off.sum(axis=1), index=names)
    assert n_wrong[kept].min() >= n_wrong.drop(kept).max()


def test_the_kinds_of_cells():
    assert evaluation._kind("a", "a") == "right"
    assert evaluation._kind("a", "b") == "wrong"
    assert evaluation._kind(figures.OTHER, figures.OTHER) == "mixed"
    shades = [figures.shade(n, 100) for n in (0, 1, 50, 100)]
    assert shades == [0, 1, 5, 9]


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (number, 0, "0"),
        (number, 1.2345, "1.23"),
        (number, 1234.5, "1,234"),
        (number, 0.00123456, "0.00123"),
        (number, -12.0, "-12"),
        (number, 1e-7, "1.00e-07"),
        (number, float("nan"), "–"),
        (number, None, "–"),
        (count, 12345, "12,345"),
        (count, 12.25, "12.2"),
        (count, None, "–"),
        (share, 0.0123, "1.2 %"),
        (share, 1, "100 %"),
        (share, float("inf"), "–"),
        (fixed, 1, "1.000"),
        (fixed, None, "–"),
    ],
)
def test_numbers_as_texts(function, value, text):
    assert function(value) == text


def test_without_jinja(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[report\]'"):
        import_jinja()


def test_n_below_is_counted_from_the_offset():
    one = sample("x", mixed(100))
    below = one.predicted["familiarity"] < OFFSET
    assert one.excerpt["n_below"] == below.sum() > 0
    assert one.excerpt["n_read"] == one.predicted["familiarity"].notna().sum()
