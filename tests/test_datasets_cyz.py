import base64
import io
import json
import logging
import pickle
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from skplankton import CrossModalEmbedder
from skplankton._utils import progress
from skplankton.datasets import (
    load_cyz_json,
    load_particles,
    make_particles,
    write_cyz_json,
    write_particles,
)
from skplankton.datasets._cyz import extraction
from skplankton.datasets._cyz.channels import (
    AUTO,
    SPELLINGS,
    channel_name,
    select_channels,
)

DESCRIPTIONS = [
    "FWS",
    "Forward Scatter Left",
    "Forward Scatter Right",
    "Sidewards Scatter",
    "Fl Yellow",
    "Fl Orange",
    "Fl Red",
    "Curvature",
]
WIDTH, HEIGHT = 12, 8
PIXELS = np.arange(WIDTH * HEIGHT, dtype=np.uint8).reshape(HEIGHT, WIDTH)


def encoded(pixels=PIXELS, image_format="PNG"):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, image_format)
    return base64.b64encode(content.getvalue()).decode()


def particle(number, has_image=True, descriptions=DESCRIPTIONS, length=5):
    """Channel k of particle n has the values 100·n + k + 0, 0.25, 0.5, …."""
    return {
        "particleId": number,
        "hasImage": has_image,
        "pulseShapes": [
            {
                "description": description,
                "values": [100 * number + k + i / 4 for i in range(length)],
            }
            for k, description in enumerate(descriptions)
        ],
        "parameters": [{"description": d, "length": 1.5} for d in descriptions],
    }


def measurement(**parts):
    """As cyz2json writes three particles, of which the first two have images."""
    return {
        "filename": "a.cyz",
        "instrument": {"name": "CytoSense", "serialNumber": "CS-2007-15"},
        "particles": [particle(1), particle(2), particle(3, has_image=False)],
        "images": [
            {"particleId": 1, "base64": encoded()},
            {"particleId": 2, "base64": encoded()},
        ],
    } | parts


LONG = 4321.125  # placeholder for a number with more digits than Python reads


def save(path, content, indent=2):
    text = content if isinstance(content, str) else json.dumps(content, indent=indent)
    text = text.replace(str(LONG), "1" + 5000 * "0")
    path.write_text(text, encoding="utf-8-sig")
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sample.json"


@pytest.fixture(scope="module")
def X():
    return make_particles(6, n_species=2, random_state=0, return_X_y=True)[0]


# Reading, against a plain reader.


def plain_reader(path):
    """The whole tree in memory: (image, profile) of each particle."""
    with open(path, encoding="utf-8-sig") as file:
        tree = json.load(file)
    images = {}
    for entry in tree["images"]:
        content = base64.b64decode(entry["base64"])
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        r = entry["cropRectangle"]
        if pixels.shape[:2] != (r["Height"], r["Width"]):
            pixels = pixels[r["Y"] :, r["X"] :][: r["Height"], : r["Width"]]
        images[entry["particleId"]] = pixels
    return [
        (
            images.get(entry["particleId"]),
            np.array([shape["values"] for shape in entry["pulseShapes"]], "f4").T,
        )
        for entry in tree["particles"]
    ]


def decoded(table):
    return [
        (
            None if image is None else np.asarray(image.open()),
            None if profile is None else profile.read(),
        )
        for image, profile in zip(table["image"], table["profile"], strict=True)
    ]


def assert_same_views(views, expected):
    for particle_views, particle_expected in zip(views, expected, strict=True):
        for view, wanted in zip(particle_views, particle_expected, strict=True):
            if wanted is None:
                assert view is None
            else:
                np.testing.assert_array_equal(view, wanted)
                assert view.dtype == wanted.dtype


@pytest.mark.parametrize("image_format", ["png", "jpeg", "bmp"])
@pytest.mark.parametrize("frame_shape", [None, (200, 400)])
def test_reader_agrees_with_the_plain_one(path, X, image_format, frame_shape):
    X = X.astype(object)
    X.loc[[1, 4], "image"] = None
    write_cyz_json(X, path, image_format=image_format, frame_shape=frame_shape)
    table = load_cyz_json(path)
    assert_same_views(decoded(table), plain_reader(path))
    assert table["has_image"].tolist() == [True, False, True, True, False, True]


images = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 7), st.integers(1, 7))
    | st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(3)),
)
float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def tables(draw):
    n_channels = draw(st.integers(1, 4))
    profiles = hnp.arrays(
        np.float32, st.tuples(st.integers(1, 7), st.just(n_channels)), elements=float32
    )
    rows = draw(
        st.lists(st.tuples(st.none() | images, profiles), min_size=1, max_size=4)
    )
    X = pd.DataFrame(index=range(len(rows)), columns=["image", "profile"], dtype=object)
    for view, entries in zip(X, zip(*rows, strict=True), strict=True):
        X[view] = pd.Series(list(entries), dtype=object)
    return X, [f"channel {k}" for k in range(n_channels)]


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from([None, (9, 11)]))
def test_what_is_written_is_read_back_exactly(particles, frame_shape):
    X, channels = particles
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        write_cyz_json(X, path, channels=channels, frame_shape=frame_shape)
        table = load_cyz_json(path, channels=channels, cache=folder)
        assert_same_views(decoded(table), list(X.itertuples(index=False)))


def test_columns_identify_the_particle(path):
    save(path, measurement())
    table = load_cyz_json(path)
    assert table.columns.tolist() == [
        "image",
        "profile",
        "object_id",
        "sample_id",
        "particle_id",
        "instrument",
        "has_image",
    ]
    assert table["object_id"].tolist() == ["sample_1", "sample_2", "sample_3"]
    assert set(table["sample_id"]) == {"sample"}
    assert table["particle_id"].tolist() == [1, 2, 3]
    assert set(table["instrument"]) == {"CytoSense CS-2007-15"}
    assert table["has_image"].tolist() == [True, True, False]
    assert table["image"].notna().tolist() == [True, True, False]
    assert str(table["profile"][2]) == "sample.json, particle 3"
    assert table.index.equals(pd.RangeIndex(3))


@pytest.mark.parametrize(
    ("instrument", "name"),
    [
        ({"name": "CytoSense"}, "CytoSense"),
        ({"name": None, "serialNumber": "CS-2007-15"}, "CS-2007-15"),
        ({"name": ["CytoSense"], "serialNumber": 12}, "12"),
        ({"name": "Cyto\ud800"}, "Cyto\\ud800"),
        ({}, None),
        (None, None),
    ],
)
def test_instrument_may_lack_name_or_serial_number(path, instrument, name):
    save(path, measurement(instrument=instrument))
    assert list(load_cyz_json(path)["instrument"]) == [name] * 3


def test_embedder_reads_the_entries(path, X, tmp_path):
    """Exactly as it reads the arrays that were written."""
    write_cyz_json(X, path)
    table = load_cyz_json(path)
    embedder = CrossModalEmbedder(
        max_epochs=1, image_size=16, profile_length=16, random_state=0
    ).fit(X)
    np.testing.assert_array_equal(embedder.transform(table), embedder.transform(X))


def test_order_of_the_members_does_not_matter(path):
    content = measurement()
    save(path, content)
    expected = decoded(load_cyz_json(path))
    save(path, dict(reversed(content.items())), indent=None)
    assert_same_views(decoded(load_cyz_json(path)), expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(path, encoding):
    path.write_text(json.dumps(measurement()), encoding=encoding)
    assert len(load_cyz_json(path)) == 3


def test_long_images_lie_across_pieces(path):
    pixels = np.random.default_rng(0).integers(0, 256, (900, 1000), dtype=np.uint8)
    content = measurement()
    content["images"][1]["base64"] = encoded(pixels)
    save(path, content)
    np.testing.assert_array_equal(load_cyz_json(path)["image"][1].open(), pixels)


def test_particles_without_image_may_be_left_out(path):
    save(path, measurement())
    table = load_cyz_json(path, require_image=True)
    assert table["object_id"].tolist() == ["sample_1", "sample_2"]
    assert table.index.equals(pd.RangeIndex(2))


def test_has_image_is_read_from_the_file(path):
    content = measurement(images=[{"particleId": 3, "base64": encoded()}])
    del content["particles"][1]["hasImage"]
    save(path, content)
    table = load_cyz_json(path)
    assert table["has_image"].tolist() == [True, False, False]
    assert table["image"].notna().tolist() == [False, False, True]


def test_no_images_and_no_particles(path):
    content = measurement()
    del content["images"]
    save(path, content)
    assert not load_cyz_json(path)["image"].notna().any()
    save(path, measurement(particles=[], images=[]))
    empty = load_cyz_json(path)
    assert len(empty) == 0
    assert empty.columns.tolist() == load_cyz_json(save(path, content)).columns.tolist()


# Crop rectangles.


def rectangle(x, y, width, height):
    return {"X": x, "Y": y, "Width": width, "Height": height}


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        (rectangle(2, 3, 5, 4), PIXELS[3:7, 2:7]),  # in a whole frame
        (rectangle(0, 0, 5, 4), PIXELS[:4, :5]),
        (rectangle(300, 200, WIDTH, HEIGHT), PIXELS),  # cropped already
        (rectangle(0, 0, WIDTH, HEIGHT), PIXELS),
        (rectangle(0, 0, 0, 0), PIXELS),
        (None, PIXELS),
        ({"x": 2, "y": 3, "width": 5, "height": 4}, PIXELS[3:7, 2:7]),
    ],
)
def test_frames_are_cropped_and_cropped_images_are_not(path, crop, expected):
    image = {"particleId": 1, "base64": encoded(), "cropRectangle": crop}
    save(path, measurement(images=[image]))
    np.testing.assert_array_equal(load_cyz_json(path)["image"][0].open(), expected)


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        (rectangle(9, 0, 5, 4), r"neither has the image's size, 12 × 8 pixels, nor"),
        (rectangle(-1, 0, 5, 4), "nor is inside it"),
        (rectangle(0, 0, 5, 0), "nor is inside it"),
        ([2, 3, 5, 4], r"expected \{X, Y, Width, Height\} in whole pixels"),
        ({"X": 2, "Y": 3, "Width": 5}, "in whole pixels"),
        (rectangle(2.5, 3, 5, 4), "in whole pixels"),
    ],
)
def test_other_rectangles_are_errors(path, crop, message):
    image = {"particleId": 1, "base64": encoded(), "cropRectangle": crop}
    save(path, measurement(images=[image]))
    with pytest.raises(ValueError, match=rf"sample.json, particle 1: .*{message}"):
        load_cyz_json(path)


# Channels.


def chosen(path, **params):
    profile = load_cyz_json(path, **params)["profile"][0]
    return profile.channels, [int(mean) - 100 for mean in profile.read()[0]]


def test_the_usual_six_channels_by_default(path):
    save(path, measurement())
    assert chosen(path) == (AUTO, [0, 3, 4, 5, 6, 7])


def test_halves_are_taken_where_there_is_no_sum(path):
    save(path, measurement(particles=[particle(1, descriptions=DESCRIPTIONS[1:])]))
    channels, positions = chosen(path, errors="coerce")
    assert channels == ("FWS L", "FWS R", *AUTO[1:])
    assert positions == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("channels", "names", "positions"),
    [
        (["Fl Red", "FWS"], ("FL Red", "FWS"), [6, 0]),
        (["FLR", "Forward Scatter"], ("FL Red", "FWS"), [6, 0]),
        (("Forward Scatter Left",), ("FWS L",), [1]),
        ({"red": "Fl Red", "side": "SWS"}, ("red", "side"), [6, 3]),
    ],
)
def test_channels_are_chosen_by_name(path, channels, names, positions):
    save(path, measurement())
    assert chosen(path, channels=channels) == (names, positions)


def test_channels_with_nonstandard_names(path):
    descriptions = ["FL Red HS", "FL Red LS", "2 FL Red"]
    save(
        path, measurement(particles=[particle(1, descriptions=descriptions)], images=[])
    )
    assert chosen(path, channels=["2 FL Red"]) == (("2 FL Red",), [2])
    assert chosen(path, channels={"FL Red": "fl red hs"}) == (("FL Red",), [0])
    with pytest.raises(ValueError, match=r"sample.json: no channel 'FWS'.*FL Red HS'"):
        load_cyz_json(path)


def test_order_of_channels_may_change_between_particles(path):
    other = particle(2)
    other["pulseShapes"].reverse()
    save(path, measurement(particles=[particle(1), other]))
    first, second = (profile.read() for profile in load_cyz_json(path)["profile"])
    np.testing.assert_array_equal(second - first, 100)


def test_every_spelling_has_one_name():
    spelled = {
        name: {channel_name(text.upper().replace(" ", "_")) for text in texts}
        for name, texts in SPELLINGS.items()
    }
    assert spelled == {name: {name} for name in SPELLINGS}
    assert set(AUTO) <= set(SPELLINGS)


@pytest.mark.parametrize(
    ("descriptions", "channels", "message"),
    [
        (
            ["FWS", "SWS", "Fl Red HS"],
            "auto",
            r"no channel 'FL Yellow'\. Pass .* the file has \['FWS', 'SWS'\]\)",
        ),
        (["FWS"], ["FL Red"], r"channels=\{'FL Red': 'name in the file', …\}"),
        (
            [*DESCRIPTIONS, "Red Fluorescence"],
            "auto",
            r"'FL Red': \['Fl Red', 'Red F.*'\]\. Choose one, .*\{'FL Red': 'Fl Red'",
        ),
        (["FWS", "FWS"], ["FWS"], "several channels are 'FWS'"),
    ],
)
def test_missing_and_ambiguous_channels(descriptions, channels, message):
    with pytest.raises(ValueError, match=message):
        select_channels(descriptions, channels)


def test_an_instrument_may_lack_a_detector():
    selected = select_channels(
        ["Fl Red", "Sidewards Scatter", "FWS", "FL Blue"], "auto"
    )
    assert list(selected.items()) == [("FWS", 2), ("SWS", 1), ("FL Red", 0)]
    with pytest.raises(ValueError, match="no channel 'FWS'"):
        select_channels(["FL Blue"], "auto")


def test_an_exact_name_is_not_ambiguous():
    descriptions = ["FL Red", "Red Fluorescence"]
    assert select_channels(descriptions, ["Red Fluorescence"]) == {"FL Red": 1}


@pytest.mark.parametrize(
    ("channels", "error", "message"),
    [
        ("FWS", ValueError, r"For one channel pass channels=\['FWS'\]"),
        ([], ValueError, "is empty; expected each channel once"),
        (["FWS", "Forward Scatter"], ValueError, "has a channel twice"),
        ([1], TypeError, "channels has 1; expected names"),
        ({"FWS": 0}, TypeError, "channels has 0; expected names"),
        (6, TypeError, "channels is int; expected 'auto', a list"),
    ],
)
def test_channels_of_another_form(path, channels, error, message):
    save(path, measurement())
    with pytest.raises(error, match=message):
        load_cyz_json(path, channels=channels)


def test_files_with_other_channels_are_not_mixed(tmp_path):
    first = save(tmp_path / "a.json", measurement())
    particles = [particle(1, descriptions=DESCRIPTIONS[1:])]
    second = save(tmp_path / "b.json", measurement(particles=particles, images=[]))
    with pytest.raises(ValueError, match=r"b.json has the channels .*channels=\[.*SWS"):
        load_cyz_json([first, second])
    table = load_cyz_json([first, second], channels=list(AUTO[1:]))
    assert table["profile"][0].channels == table["profile"][3].channels == AUTO[1:]


def test_files_with_other_spellings_agree(tmp_path):
    first = save(tmp_path / "a.json", measurement())
    spelled = ["FWS", "SWS", "FL Yellow", "FL Orange", "FLR", "curvature"]
    particles = [particle(1, descriptions=spelled)]
    second = save(tmp_path / "b.json", measurement(particles=particles, images=[]))
    table = load_cyz_json([first, second])
    assert {profile.channels for profile in table["profile"]} == {AUTO}


def test_file_without_profiles_agrees_with_all(tmp_path):
    empty = save(tmp_path / "a.json", measurement(particles=[], images=[]))
    full = save(tmp_path / "b.json", measurement())
    again = save(tmp_path / "c.json", measurement(particles=[], images=[]))
    assert len(load_cyz_json([empty, full, again])) == 3


# Several files.


def test_files_come_one_after_the_other(tmp_path):
    paths = [save(tmp_path / f"{name}.json", measurement()) for name in "ba"]
    table = load_cyz_json(paths)
    assert table["object_id"].tolist() == [f"{s}_{p}" for s in "ba" for p in (1, 2, 3)]
    again = load_cyz_json([str(p) for p in paths], n_jobs=2)
    assert_same_views(decoded(again), decoded(table))


def test_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "b").mkdir()
    paths = [save(tmp_path / n, measurement()) for n in ("a.json", "b/a.json")]
    with pytest.raises(ValueError, match=r"2 files are named 'a': .* same object_id"):
        load_cyz_json(paths)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (
            "absent.json",
            FileNotFoundError,
            "absent.json does not exist; expected a JSON",
        ),
        (["absent.json"], FileNotFoundError, "absent.json does not exist"),
        ([], ValueError, "path is an empty list"),
        (3, TypeError, "path is int; expected the path of a JSON file, or a list"),
        (b"a.json", TypeError, "path is bytes"),
        (".", ValueError, r"is a folder. Pass its files, e.g. sorted\("),
    ],
)
def test_other_paths_are_refused(path, error, message):
    with pytest.raises(error, match=message):
        load_cyz_json(path)


def test_progress_is_shown_if_verbose(path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0)
    save(path, measurement())
    load_cyz_json(path)
    assert capsys.readouterr().err == ""
    load_cyz_json(save(path, measurement(filename="b.cyz")), verbose=1)
    assert "reading: 100%" in capsys.readouterr().err
    load_cyz_json([path], n_jobs=2, channels=["FWS"], verbose=1)
    assert "reading: 100%" in capsys.readouterr().err


# Files and particles that cannot be read.


@pytest.mark.parametrize("errors", ["raise", "warn", "coerce"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "The file is empty"),
        ("  \n", "The file is empty"),
        (
            "particle,FWS\n1,2\n",
            r"not JSON .* It begins with b'\\xef\\xbb\\xbfparticle,",
        ),
        ("[1, 2]", r"not JSON \(expected {\)"),
        ("{}", "it has no 'particles'"),
        ('{"filename": "a.cyz", "instrument": {"na', "the file ends too early"),
        ('{"particles": {"1": 2}}', "its 'particles' are not a list"),
        ('{"particles": 3}', "its 'particles' are not a list"),
    ],
)
def test_other_files_are_always_refused(path, content, message, errors):
    save(path, content)
    with pytest.raises(ValueError, match=f"not a JSON file of cyz2json: .*{message}"):
        load_cyz_json(path, errors=errors)


def with_fault(fault):
    """A measurement with one fault."""
    content = measurement()
    fault(content)
    return content


def values(content, number=1, channel=0):
    return content["particles"][number]["pulseShapes"][channel]["values"]


FAULTS = {  # name: (the change, the reported particle, the message, what is left)
    "base64": (
        lambda c: c["images"][1].update(base64="é&"),
        "particle 2",
        r"the image's base64 is invalid \(",
        "profile",
    ),
    "no image": (
        lambda c: c["images"][1].update(base64=base64.b64encode(b"GIF89a").decode()),
        "particle 2",
        "the image is not JPEG, PNG or BMP; it begins with b'GIF89a'",
        "profile",
    ),
    "empty image": (
        lambda c: c["images"][1].update(base64=""),
        "particle 2",
        "the image is not JPEG, PNG or BMP; it begins with b''",
        "profile",
    ),
    "lengths": (
        lambda c: values(c).pop(),
        "particle 2",
        r"channels have \{'FWS': 4, 'Sidewards Scatter': 5, .* expected the same n",
        "image",
    ),
    "null": (
        lambda c: values(c).__setitem__(3, None),
        "particle 2",
        "channel 'FWS' has None at sample 3, not a number in mV",
        "image",
    ),
    "text": (
        lambda c: values(c, channel=7).__setitem__(0, "NaN"),
        "particle 2",
        "channel 'Curvature' has 'NaN' at sample 0, not a number",
        "image",
    ),
    "list": (
        lambda c: values(c).__setitem__(0, [1]),
        "particle 2",
        r"channel 'FWS' has \[1\] at sample 0",
        "image",
    ),
    "huge": (
        lambda c: values(c).__setitem__(0, 10**400),
        "particle 2",
        r"channel 'FWS' has 10+\.\.\.0+ at sample 0",
        "image",
    ),
    "more digits than Python reads": (
        lambda c: values(c).__setitem__(4, LONG),
        "particle 2",
        "channel 'FWS' has NaN, .* too large for float32, first at sample 4",
        "image",
    ),
    "deeply nested list": (
        lambda c: values(c).__setitem__(0, json.loads(200 * "[" + 200 * "]")),
        "particle 2",
        r"channel 'FWS' has \[\[+\.\.\.\]+ at sample 0",
        "image",
    ),
    "hasImage of another type": (
        lambda c: c["particles"][1].update(hasImage="false"),
        "particle 2",
        "hasImage is 'false'; expected true or false",
        "both",
    ),
    "id of more digits than Python reads": (
        lambda c: c["particles"].append({"particleId": LONG}),
        r"particles\[3\]",
        "particleId is not a whole number",
        "both",
    ),
    "NaN": (
        lambda c: values(c).__setitem__(2, np.nan),
        "particle 2",
        "channel 'FWS' has NaN, infinity or a value too large .* first at sample 2",
        "image",
    ),
    "overflow": (
        lambda c: values(c).__setitem__(2, 1e39),
        "particle 2",
        "a value too large for float32, first at sample 2",
        "image",
    ),
    "no values": (
        lambda c: values(c, channel=6).clear(),
        "particle 2",
        "channel 'Fl Red' has no values",
        "image",
    ),
    "values of another type": (
        lambda c: c["particles"][1]["pulseShapes"][0].update(values="1, 2"),
        "particle 2",
        "channel 'FWS' has no values",
        "image",
    ),
    "no pulse shapes": (
        lambda c: c["particles"][1].pop("pulseShapes"),
        "particle 2",
        "the particle has no pulseShapes",
        "image",
    ),
    "no description": (
        lambda c: c["particles"][1]["pulseShapes"][4].pop("description"),
        "particle 2",
        r"pulseShapes\[4\] is not an object with description and values",
        "image",
    ),
    "channel missing": (
        lambda c: c["particles"][1]["pulseShapes"].pop(7),
        "particle 2",
        r"expected \['FWS', .*\], as in the particles before",
        "image",
    ),
    "other channels": (
        lambda c: c["particles"][1]["pulseShapes"].pop(0),
        "particle 2",
        r"the channels are \['FWS L', .* expected \['FWS', .* as in the particles",
        "image",
    ),
    "second image": (
        lambda c: c["images"].append(c["images"][1]),
        "particle 2",
        "a second image with this particleId; the first is kept",
        "both",
    ),
    "second particle": (
        lambda c: c["particles"].append(particle(2)),
        "particle 2",
        "a second particle with this particleId; the first is kept",
        "both",
    ),
    "image without a particle": (
        lambda c: c["images"].append({"particleId": 9, "base64": encoded()}),
        "particle 9",
        "an image, but no particle, has this particleId; it is left out",
        "both",
    ),
    "particle without id": (
        lambda c: c["particles"].append({"particleId": "4"}),
        r"particles\[3\]",
        "particleId is not a whole number; the particle is left out",
        "both",
    ),
    "particle of another type": (
        lambda c: c["particles"].append([1]),
        r"particles\[3\]",
        "particleId is not a whole number",
        "both",
    ),
    "image without base64": (
        lambda c: c["images"].append({"particleId": 3}),
        r"images\[2\]",
        "expected a particleId and base64; the image is left out",
        "both",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_raised_or_reported(path, fault, caplog):
    damage, where, message, left = FAULTS[fault]
    save(path, with_fault(damage))
    text = rf"sample.json, {where}: .*{message}"
    with pytest.raises(ValueError, match=rf'{text}.* Pass errors="warn" to skip'):
        load_cyz_json(path)
    with pytest.warns(UserWarning, match=rf"problems.\n- once, .*\n.*{text}"):
        warned = load_cyz_json(path, errors="warn")
    with caplog.at_level(logging.WARNING, "skplankton"):
        coerced = load_cyz_json(path, errors="coerce")
    (record,) = caplog.records
    assert record.name == "skplankton"
    assert record.getMessage().startswith(f"{path} was read with problems.\n- once, ")
    for table in (warned, coerced):
        assert table["particle_id"].tolist() == [1, 2, 3]
        views = table.loc[1, ["image", "profile"]].notna()
        expected = {"both": [True, True], "image": [True, False]}
        assert views.tolist() == expected.get(left, [False, True])
        assert table["image"].notna()[[0, 2]].tolist() == [True, False]


def test_row_without_a_view_is_kept(path):
    content = measurement()
    values(content, number=2).pop()
    save(path, content)
    with pytest.warns(UserWarning, match="once, channels of different lengths"):
        table = load_cyz_json(path, errors="warn")
    assert table.loc[2, ["image", "profile"]].tolist() == [None, None]
    assert table["object_id"][2] == "sample_3"


def test_one_warning_counts_all_and_shows_the_first(tmp_path):
    paths = []
    for name in "ab":
        content = measurement(particles=[particle(i) for i in range(8)], images=[])
        for number in range(2, 8):
            values(content, number=number).pop()
        content["images"].append({"particleId": 0, "base64": "&"})
        paths.append(save(tmp_path / f"{name}.json", content))
    with pytest.warns(UserWarning, match="was read with problems") as caught:
        load_cyz_json(paths, errors="warn")
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith(
        f"{tmp_path} was read with problems.\n"
        "- 12 times, channels of different lengths:\n"
    )
    assert "… and 9 more\n- 2 times, base64" in text
    assert text.count(".json, particle") == 3 + 2
    assert warning.filename == __file__


def test_a_valid_file_gives_no_warning(path, caplog):
    save(path, measurement())
    load_cyz_json(path, errors="warn")
    load_cyz_json(path, errors="coerce")
    assert not caplog.records


def test_unknown_errors(path):
    save(path, measurement())
    with pytest.raises(ValueError, match=r"errors='ignore'; expected one of \['raise'"):
        load_cyz_json(path, errors="ignore")


@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.999])
def test_truncated_file(path, fraction):
    text = json.dumps(measurement(particles=[particle(i) for i in range(1, 40)]))
    save(path, text[: int(fraction * len(text))])
    message = (
        r"sample.json: the file ends too early, at character \d+; \d+ particles and "
        r"\d images were read before. Convert the .cyz file again"
    )
    with pytest.raises(ValueError, match=message):
        load_cyz_json(path)
    with pytest.warns(UserWarning, match="once, truncated or damaged file"):
        table = load_cyz_json(path, errors="warn")
    assert 10 < len(table) <= 39
    assert table["profile"].notna().all()


def test_file_that_is_damaged_in_the_middle(path):
    text = json.dumps(measurement())
    middle = text.index('"particleId": 3')
    save(path, text[:middle] + "\0" * 50 + text[middle + 50 :])
    with pytest.raises(
        ValueError, match=r"not JSON \(.*\) at character \d+; 2 particles"
    ):
        load_cyz_json(path)


# The cache.


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture
def reading(monkeypatch):
    """Counts how often a file is read."""
    n_read = []
    read = extraction._Extraction.read

    def counted(self, *args):
        n_read.append(self._source)
        return read(self, *args)

    monkeypatch.setattr(extraction._Extraction, "read", counted)
    return n_read


def test_cache_is_used_again(path, tmp_path, reading):
    save(path, measurement())
    cache = tmp_path / "cache"
    first = load_cyz_json(path, cache=cache)
    stored = files(cache)
    assert [name.rpartition(".")[2] for name in stored] == ["npz", "views"]
    again = load_cyz_json(path, cache=cache)
    assert len(reading) == 1
    assert again.equals(first)
    assert files(cache) == stored


def test_a_changed_file_is_read_again(path, tmp_path, reading):
    save(path, measurement())
    old = load_cyz_json(path, cache=tmp_path / "cache")
    expected = decoded(old)
    save(path, measurement(particles=[particle(7, has_image=False)], images=[]))
    new = load_cyz_json(path, cache=tmp_path / "cache")
    assert new["particle_id"].tolist() == [7]
    load_cyz_json(path, cache=tmp_path / "cache", channels=["FWS"])
    assert len(reading) == 3
    assert_same_views(decoded(old), expected)  # the old store stays


@pytest.mark.parametrize("errors", ["warn", "coerce"])
def test_what_was_reported_is_reported_again(path, tmp_path, errors, caplog, reading):
    save(path, with_fault(FAULTS["lengths"][0]))
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            load_cyz_json(path, cache=tmp_path / "cache", errors=errors)
        assert len(caught) + len(caplog.records) == 1
        caplog.clear()
    with pytest.raises(ValueError, match="particle 2: channels have"):
        load_cyz_json(path, cache=tmp_path / "cache")
    assert len(reading) == 1


def test_an_error_leaves_nothing_in_the_cache(path, tmp_path):
    save(path, with_fault(FAULTS["lengths"][0]))
    with pytest.raises(ValueError, match="particle 2"):
        load_cyz_json(path, cache=tmp_path / "cache")
    assert files(tmp_path / "cache") == []


def test_files_of_one_name_share_a_cache(tmp_path):
    (tmp_path / "b").mkdir()
    first = save(tmp_path / "a.json", measurement())
    second = save(
        tmp_path / "b" / "a.json", measurement(particles=[particle(5)], images=[])
    )
    tables = [load_cyz_json(p, cache=tmp_path / "cache") for p in (first, second)]
    assert [len(table) for table in tables] == [3, 1]
    assert tables[1]["profile"][0].read()[0, 0] == 500


OTHER_PROCESS = """
import pickle, sys
from skplankton.datasets import load_cyz_json
pickle.dump(load_cyz_json(sys.argv[1], cache=sys.argv[2] or None), sys.stdout.buffer)
"""


@pytest.mark.parametrize("stays", [True, False])
def test_entries_of_another_process(path, tmp_path, stays):
    save(path, measurement())
    cache = str(tmp_path / "cache") if stays else ""
    run = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(path), cache],
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    table = pickle.loads(run.stdout)
    if stays:
        assert_same_views(decoded(table), decoded(load_cyz_json(path)))
    else:
        with pytest.raises(FileNotFoundError, match="was a temporary one of another"):
            table["profile"][0].read()


# Writing.


def test_file_is_of_the_form_of_cyz2json(path, X):
    X = X.astype(object)
    X.loc[0, "image"] = None
    assert write_cyz_json(X[:2], str(path), frame_shape=(300, 400)) == path
    assert path.read_bytes().startswith(b'\xef\xbb\xbf{\n  "filename": "sample.cyz"')
    tree = json.loads(path.read_text(encoding="utf-8-sig"))
    assert list(tree) == ["filename", "instrument", "particles", "images"]
    assert [p["particleId"] for p in tree["particles"]] == [0, 1]
    assert [p["hasImage"] for p in tree["particles"]] == [False, True]
    shapes = tree["particles"][0]["pulseShapes"]
    names = [
        "FWS",
        "Sidewards Scatter",
        "Fl Yellow",
        "Fl Orange",
        "Fl Red",
        "Curvature",
    ]
    assert [shape["description"] for shape in shapes] == names
    assert tree["particles"][0]["parameters"][0]["maximum"] == pytest.approx(
        X["profile"][0][:, 0].max()
    )
    (image,) = tree["images"]
    height, width = X["image"][1].shape
    assert image["particleId"] == 1
    assert image["cropRectangle"] == rectangle(
        (400 - width) // 2, (300 - height) // 2, width, height
    )
    frame = Image.open(io.BytesIO(base64.b64decode(image["base64"])))
    assert frame.size == (400, 300)


def test_sums_of_large_values_are_finite(path):
    write_cyz_json(entries(profile=[np.full((4, 6), 3e38, np.float32)] * 2), path)
    tree = json.loads(path.read_text(encoding="utf-8-sig"))
    total = tree["particles"][0]["parameters"][0]["total"]
    assert total == pytest.approx(1.2e39)


def test_entries_of_every_kind_are_written(path, X, tmp_path):
    """Arrays, paths, and entries that were read from such a file."""
    files = load_particles(write_particles(X, None, tmp_path / "LAB")).data
    write_cyz_json(X, path)
    stored = load_cyz_json(path, cache=tmp_path / "cache")
    for entries in (files, stored):
        again = write_cyz_json(entries, tmp_path / "again.json", overwrite=True)
        table = load_cyz_json(again)
        assert_same_views(decoded(table), list(X.itertuples(index=False, name=None)))


def test_channels_of_stored_profiles_keep_their_names(path, tmp_path):
    save(path, measurement())
    order = ["FL Red", "FWS", "SWS", "FL Yellow", "Curvature", "FL Orange"]
    table = load_cyz_json(path, channels=order)
    tree = json.loads(
        write_cyz_json(table, tmp_path / "b.json").read_text(encoding="utf-8-sig")
    )
    shapes = tree["particles"][0]["pulseShapes"]
    assert [shape["description"] for shape in shapes] == order
    assert [p["particleId"] for p in tree["particles"]] == [1, 2, 3]


def test_existing_file_is_not_replaced_by_default(path, X):
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="Pass overwrite=True to replace it"):
        write_cyz_json(X, path)
    assert path.read_text() == "mine"
    write_cyz_json(X, path, overwrite=True)
    assert len(load_cyz_json(path)) == len(X)


def test_table_without_rows_is_written(path, X):
    write_cyz_json(X[:0], path)
    assert len(load_cyz_json(path)) == 0


def entries(**columns):
    valid = {"image": [PIXELS] * 2, "profile": [np.ones((4, 6))] * 2}
    columns = {
        name: pd.Series(c, dtype=object) for name, c in (valid | columns).items()
    }
    return pd.DataFrame(columns)


PULSES = np.ones((4, 6))


@pytest.mark.parametrize(
    ("X", "params", "error", "message"),
    [
        (PULSES, {}, TypeError, "Expected a DataFrame .* got ndarray"),
        (
            entries()[["profile"]],
            {},
            ValueError,
            r"no column 'image'.*X\['image'\] = None",
        ),
        (
            entries(profile=[PULSES, None]),
            {},
            TypeError,
            "row 1: the profile is missing",
        ),
        (entries(profile=[PULSES, "x.csv"]), {}, FileNotFoundError, "x.csv"),
        (
            entries(profile=[PULSES, PULSES[0]]),
            {},
            ValueError,
            r"row 1: .*\(6,\): a v",
        ),
        (
            entries(profile=[PULSES, PULSES[:0]]),
            {},
            ValueError,
            r"row 1: .*got \(0, 6\)",
        ),
        (entries(profile=[PULSES, PULSES * 1e39]), {}, ValueError, "row 1: .* float32"),
        (
            entries(profile=[PULSES, PULSES[:, :5]]),
            {},
            ValueError,
            "has 5 channels; expected 6",
        ),
        (
            entries(),
            {"channels": ["A"]},
            ValueError,
            r"row 0: .* expected 1, \['A'\]",
        ),
        (entries(image=[None, 3.5]), {}, TypeError, "row 1: .* got float"),
        (entries(image=[None, PIXELS / 255]), {}, ValueError, "row 1: .*uint8, got"),
        (entries(image=[None, PIXELS[0]]), {}, ValueError, r"row 1: .*got \(12,\)"),
        (entries(particle_id=[1, 1]), {}, ValueError, r"\['particle_id'\] has 1 twice"),
        (entries(particle_id=[1, np.nan]), {}, ValueError, "row 1: expected a whole"),
        (entries(particle_id=[1.2, 1.7]), {}, ValueError, "row 0: expected a whole"),
        (
            entries(),
            {"frame_shape": (9, 9)},
            ValueError,
            r"do not fit in frame_shape=\(9",
        ),
        (
            entries(),
            {"image_format": "gif"},
            ValueError,
            "image_format='gif'; expected",
        ),
    ],
)
def test_wrong_tables_leave_no_file(tmp_path, X, params, error, message):
    with pytest.raises(error, match=message):
        write_cyz_json(X, tmp_path / "new" / "a.json", **params)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_transparent_pixels_become_white(tmp_path):
    Image.new("RGBA", (3, 3)).save(tmp_path / "a.png")
    table = entries(image=[None, str(tmp_path / "a.png")])
    path = write_cyz_json(table, tmp_path / "a.json")
    np.testing.assert_array_equal(load_cyz_json(path)["image"][1].open(), 255)


def test_profiles_of_other_channels_are_not_mixed(tmp_path):
    save(tmp_path / "a.json", measurement())
    one = load_cyz_json(tmp_path / "a.json", channels=["FWS", "SWS"])
    other = load_cyz_json(tmp_path / "a.json", channels=["SWS", "FWS"])
    mixed = pd.concat([one[:1], other[1:]])
    with pytest.raises(ValueError, match=r"row 1: .*\['SWS', 'FWS'\].*as in the rows"):
        write_cyz_json(mixed, tmp_path / "b.json")


def peak_of_reading(path):
    tracemalloc.start()
    load_cyz_json(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.once
def test_memory_does_not_grow_with_the_file(tmp_path):
    """A file four times as large takes hardly more memory."""
    paths, peaks = [], []
    for n in (40, 160):
        particles = [particle(i, length=1000) for i in range(n)]
        content = measurement(particles=particles, images=[])
        paths.append(save(tmp_path / f"{n}.json", content))
    peak_of_reading(paths[0])  # imports and caches
    peaks = [peak_of_reading(save(path, path.read_text()[1:])) for path in paths]
    sizes = [path.stat().st_size for path in paths]
    assert sizes[1] - sizes[0] > 10e6
    assert peaks[1] - peaks[0] < 0.05 * (sizes[1] - sizes[0])
