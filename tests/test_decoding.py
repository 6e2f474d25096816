import io
import struct
import subprocess
import warnings
import zlib

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from skplankton._views.decoding import decode_image, decode_profile
from skplankton._views.images import FORMATS
from skplankton._views.stored import StoredImage


@pytest.fixture
def gray():
    """An image (12, 20) with a dark particle, uint8."""
    pixels = np.full((12, 20), 200, dtype=np.uint8)
    pixels[4:9, 3:15] = 40
    return pixels


def save(pixels, path, mode=None):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK"])
def test_every_mode_of_a_gray_file_decodes_to_the_same(gray, tmp_path, mode):
    ending = "tif" if mode == "CMYK" else "png"
    path = save(gray, tmp_path / f"particle.{ending}", mode)
    expected = decode_image(gray, image_size=32)
    got = decode_image(path, image_size=32)
    assert_allclose(got.values, expected.values, atol=2e-2)
    assert got.size == expected.size == (12, 20)


def test_depths_and_dtypes_decode_to_the_same(gray, tmp_path):
    expected = decode_image(gray, image_size=32).values
    deep = gray.astype(np.uint16) * 257  # 255 * 257 = 65535
    unit = gray / np.float32(255)
    for entry in (
        str(save(gray, tmp_path / "8.png")),
        save(deep, tmp_path / "16.png"),
        save(unit, tmp_path / "float.tif"),
        deep,
        unit,
        unit.astype(np.float64),
        np.dstack([gray] * 3),
        np.dstack([deep] * 3),
        np.dstack([unit] * 3),
    ):
        assert_allclose(decode_image(entry, image_size=32).values, expected, atol=3e-3)


def test_longer_side_is_resized_and_the_shorter_padded_with_its_edge(gray):
    values = decode_image(gray, image_size=40).values[0]
    assert values.shape == (40, 40)
    assert values.dtype == np.float16
    # 12 × 20 becomes 24 × 40: eight rows above and below repeat the edge.
    assert_array_equal(values[:9], np.broadcast_to(values[8], (9, 40)))
    assert_array_equal(values[-9:], np.broadcast_to(values[-9], (9, 40)))
    assert values.min() == pytest.approx(40 / 255, abs=1e-3)


def test_crop_bottom_cuts_the_scale_bar(gray):
    with_bar = np.vstack([gray, np.zeros((25, gray.shape[1]), gray.dtype)])
    got = decode_image(with_bar, image_size=32, crop_bottom=25)
    expected = decode_image(gray, image_size=32)
    assert got.size == expected.size
    assert np.array_equal(got.values, expected.values)


def test_both_crops_together_must_leave_something(gray):
    words = f"crop_top={len(gray) - 1} and crop_bottom=1 leaves nothing"
    with pytest.raises(ValueError, match=words):
        decode_image(gray, image_size=8, crop_top=len(gray) - 1, crop_bottom=1)


def test_crop_top_cuts_the_scale_bar(gray):
    with_bar = np.vstack([np.zeros((25, 20), dtype=np.uint8), gray])
    got = decode_image(with_bar, image_size=32, crop_top=25)
    expected = decode_image(gray, image_size=32)
    assert_array_equal(got.values, expected.values)
    assert got.size == (12, 20)


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        (np.zeros((0, 0), np.uint8), ValueError, r"got \(0, 0\)"),
        (np.zeros((3, 4, 2), np.uint8), ValueError, r"got \(3, 4, 2\)"),
        (np.zeros(4, np.uint8), ValueError, r"got \(4,\)"),
        (np.zeros((4, 4), np.int64), TypeError, "got int64"),
        (np.full((4, 4), 1.5), ValueError, r"\[0, 1\] without NaN.*1.5 to 1.5"),
        (np.full((4, 4), np.nan), ValueError, "without NaN"),
    ],
)
def test_bad_image_arrays(entry, error, message):
    with pytest.raises(error, match=message):
        decode_image(entry, image_size=8)


def test_bad_image_files(gray, tmp_path):
    with pytest.raises(ValueError, match="12 pixels high and crop_top=25"):
        decode_image(gray, image_size=8, crop_top=25)
    with pytest.raises(ValueError, match="the file is empty"):
        decode_image(b"", image_size=8)
    deep = tmp_path / "deep.tif"
    Image.fromarray(np.full((3, 3), 70_000, dtype=np.int32)).save(deep)
    with pytest.raises(ValueError, match="more than 16 bits"):
        decode_image(deep, image_size=8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "L", "RGB", "I;16"])
def test_transparent_pixels_become_white(gray, tmp_path, mode):
    """The background (200) is transparent, and the particle (40) is not."""
    expected = decode_image(np.where(gray == 200, 255, gray), image_size=20)
    deep = gray.astype(np.uint16) * 257
    image = Image.fromarray(deep if mode == "I;16" else gray)
    if mode.endswith("A"):
        image = image.convert(mode[:-1])
        image.putalpha(Image.fromarray(np.where(gray == 200, 0, 255).astype(np.uint8)))
    else:
        image = image if mode == "I;16" else image.convert(mode)
        image.info["transparency"] = image.getpixel((0, 0))
    path = tmp_path / "a.png"
    if mode == "PA":  # Pillow cannot write it as PNG
        path = tmp_path / "a.tif"
    image.save(path)
    got = decode_image(path, image_size=20)
    assert_allclose(got.values, expected.values, atol=2e-3)


def test_half_transparent_pixels_are_blended_with_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 51)).save(tmp_path / "a.png")
    values = decode_image(tmp_path / "a.png", image_size=4).values
    assert_allclose(values, 0.8, atol=1e-3)  # 51 is a fifth of 255


def test_opaque_alpha_does_not_change_colors(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    opaque = Image.fromarray(colors)
    opaque.save(tmp_path / "rgb.png")
    opaque.convert("RGBA").save(tmp_path / "rgba.png")
    got = [decode_image(tmp_path / f"{m}.png", image_size=9) for m in ("rgb", "rgba")]
    assert_array_equal(got[0].values, got[1].values)
    expected = np.asarray(opaque.convert("L")) / 255
    assert_array_equal(got[0].values[0], expected.astype(np.float16))


def test_gray_levels_of_deep_images_stay_distinct(tmp_path):
    deep = (np.arange(29) + 60_000).astype(np.uint16)[None].repeat(29, axis=0)
    save(deep, tmp_path / "a.png")
    for entry in (deep, deep / np.float32(65535), tmp_path / "a.png"):
        values = decode_image(entry, image_size=29).values
        assert_allclose(values[0], deep / 65535, rtol=1e-6)
        assert len(np.unique(values)) == 29


def chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def header_of_png(width, height):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")


# At 9.0e7 pixels Pillow warns, at 1.8e8 it raises an error of its own.
@pytest.mark.parametrize("side", [5_793, 10_000, 20_000, 2**31 - 1])
def test_images_of_too_many_pixels_are_not_decoded(tmp_path, side):
    path = tmp_path / "a.png"
    path.write_bytes(header_of_png(side, side))
    stored = StoredImage(str(path), 0, path.stat().st_size, "p", (0, 0, 4, 4))
    for entry in (path, stored):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(
                ValueError, match=rf"{side} × {side} .*at most 33\.6 mil"
            ):
                decode_image(entry, image_size=8)
        assert caught == []


def test_largest_image_that_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("skplankton._views.images.MAX_PIXELS", 12)
    save(np.zeros((3, 4), np.uint8), tmp_path / "a.png")
    assert decode_image(tmp_path / "a.png", image_size=8).size == (3, 4)
    save(np.zeros((3, 5), np.uint8), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"5 × 3 pixels.* Cut the particle out, or"):
        decode_image(tmp_path / "a.png", image_size=8)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read(gray, tmp_path, form):
    path = tmp_path / "no_ending"
    Image.fromarray(gray).save(path, form)
    expected = decode_image(gray, image_size=20).values
    assert_allclose(decode_image(path, image_size=20).values, expected, atol=0.15)


def test_other_formats_are_rejected_and_start_no_program(tmp_path, monkeypatch):
    def start(*args, **kwargs):
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    (tmp_path / "a.png").write_bytes(eps)
    message = r"a supported format, PNG, JPEG, .*begins with b'%!PS-Ado'. Convert"
    with pytest.raises(ValueError, match=message):
        decode_image(tmp_path / "a.png", image_size=8)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "GIF"])
def test_truncated_files(gray, tmp_path, form):
    content = io.BytesIO()
    Image.fromarray(np.tile(gray, (9, 9))).save(content, form)
    whole = content.getvalue()
    for length in (20, len(whole) // 2):
        (tmp_path / "a").write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=f"{form} image is corrupt or trunc"
        ) as raised:
            decode_image(tmp_path / "a", image_size=8)
        assert raised.value.__cause__ is not None


@pytest.mark.parametrize("entry", [3.5, {"a": 1}, object()])
def test_cells_of_no_known_kind(entry):
    kind = type(entry).__name__
    with pytest.raises(TypeError, match=f"or a stored image, got {kind}$"):
        decode_image(entry, image_size=8)
    with pytest.raises(TypeError, match=f"or a stored profile, got {kind}$"):
        decode_profile(entry, profile_length=8)


def test_pillow_images_are_read_like_their_files(gray, tmp_path):
    image = Image.fromarray(gray).convert("P")
    image.save(tmp_path / "a.png")
    assert_array_equal(
        decode_image(image, image_size=8).values,
        decode_image(tmp_path / "a.png", image_size=8).values,
    )


def as_cells(content, path):
    """The same file in every kind of cell."""
    return [
        content,
        bytearray(content),
        memoryview(content),
        {"bytes": content, "path": None},
        {"bytes": content, "path": "not_there.png"},
        {"bytes": None, "path": str(path)},
        {"bytes": None, "path": f"file://{path}"},
        f"file://{path}",
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_the_bytes_of_an_image_are_read_like_its_file(gray, tmp_path, form):
    Image.fromarray(gray).save(tmp_path / "a", form)
    expected = decode_image(tmp_path / "a", image_size=20)
    for cell in as_cells((tmp_path / "a").read_bytes(), tmp_path / "a"):
        got = decode_image(cell, image_size=20)
        assert_array_equal(got.values, expected.values)
        assert got.size == expected.size


def test_the_bytes_of_a_profile_are_read_like_its_file(tmp_path):
    content = "\ufeffFWS,FL Red\r\n1.5,2\r\n3,-4\r\n".encode()
    (tmp_path / "a.csv").write_bytes(content)
    expected = decode_profile(tmp_path / "a.csv", profile_length=8)
    for cell in as_cells(content, tmp_path / "a.csv"):
        got = decode_profile(cell, profile_length=8)
        assert_array_equal(got.values, expected.values)
        assert got.channels == expected.channels == ("FWS", "FL Red")


def nested(array):
    """An array as Parquet returns a nested list: an array of arrays."""
    if array.ndim == 1:
        return array
    parts = np.empty(len(array), dtype=object)
    parts[:] = [nested(part) for part in array]
    return parts


def test_nested_lists_are_arrays(gray):
    color = np.dstack([gray, gray // 2, gray // 3])
    for pixels in (gray, color, gray.astype(np.uint16) * 257, gray / 255):
        expected = decode_image(pixels, image_size=20).values
        for cell in (nested(pixels), list(pixels), [nested(row) for row in pixels]):
            assert_array_equal(decode_image(cell, image_size=20).values, expected)
    samples = np.arange(12.0).reshape(6, 2)
    expected = decode_profile(samples, profile_length=8).values
    for cell in (nested(samples), samples.tolist(), list(samples), tuple(samples)):
        assert_array_equal(decode_profile(cell, profile_length=8).values, expected)


@pytest.mark.parametrize("ragged", [[[1, 2], [3]], [np.zeros(2), np.zeros(3)]])
def test_ragged_lists(ragged):
    with pytest.raises(ValueError, match="the parts of a nested profile must have one"):
        decode_profile(ragged, profile_length=8)
    parts = np.empty(2, dtype=object)
    parts[:] = ragged
    with pytest.raises(ValueError, match="the parts of a nested image must have one"):
        decode_image(parts, image_size=8)


def test_values_that_are_missing_in_a_nested_list():
    for cell in ([[1, 2], [3, None]], nested(np.array([[1, 2], [3, np.nan]]))):
        with pytest.raises(ValueError, match=r"first at sample 1, channel 1"):
            decode_profile(cell, profile_length=8)


def test_a_list_of_integers_has_lost_the_depth_of_the_image(gray):
    with pytest.raises(TypeError, match=r"got int64. .*asarray\(image, 'uint8'\)"):
        decode_image(gray.astype(np.int64).tolist(), image_size=8)


def test_profile_is_compressed_and_keeps_its_zero_and_sign():
    profile = np.tile([0.0, 99.0, -99.0], (50, 1))
    values, size, channels = decode_profile(profile, profile_length=16)
    assert values.shape == (3, 16)
    assert values.dtype == np.float32
    assert (size, channels) == ((50,), None)
    assert_allclose(values[:, 0], [0, np.log(100), -np.log(100)], rtol=1e-5)


@pytest.mark.parametrize(
    "entry",
    [
        [3, None, -1e5],
        (3, np.nan, -1e5),
        np.array([3, pd.NA, -1e5], dtype=object),
        pd.Series([3, None, -1e5], dtype="Float64"),
        pd.Series([3, None, -1e5], ["A", "B", "C"]),
    ],
)
def test_a_vector_keeps_its_values(entry):
    values, size, names = decode_profile(entry, profile_length=16)
    assert values.dtype == np.float32
    assert_array_equal(values, np.array([3, np.nan, -1e5], dtype=np.float32))
    assert size == ()
    has_names = isinstance(entry, pd.Series) and entry.index[0] == "A"
    assert names == (("A", "B", "C") if has_names else None)


def test_profile_file_in_another_encoding(tmp_path):
    path = tmp_path / "profile.csv"
    path.write_text("FWS,SWS\n1,2\n", encoding="utf-16")
    with pytest.raises(ValueError, match=r"not UTF-8 text \(.*Save it as a CSV"):
        decode_profile(path, profile_length=8)


@pytest.mark.parametrize("length", [1, 7, 16, 333])
def test_resampling_keeps_a_ramp_a_ramp(length):
    ramp = np.linspace(1, 2, length)[:, None]
    values = np.exp(decode_profile(ramp, profile_length=16).values[0]) - 1
    centers = (np.arange(16) + 0.5) / 16 * length - 0.5
    expected = np.interp(centers, np.arange(length), ramp[:, 0])
    assert_allclose(values, expected, atol=0.02)


def test_profile_file_equals_array(tmp_path):
    profile = np.random.RandomState(0).rand(30, 2).astype(np.float32)
    path = tmp_path / "profile.csv"
    rows = "\r\n".join(",".join(map(repr, row.tolist())) for row in profile)
    path.write_bytes(("\ufeff" + '"FWS",FL Red\r\n' + rows).encode())
    got = decode_profile(path, profile_length=16)
    assert_array_equal(got.values, decode_profile(profile, profile_length=16).values)
    assert got.channels == ("FWS", "FL Red")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the profile is empty"),
        (",FWS\n0,1\n", "column 1 has no name. If it numbers the rows.*index=False"),
        ("FWS,FWS\n1,2\n", "the channel 'FWS' occurs twice"),
        ("FWS,SWS\n", "a header and no samples"),
        ("FWS,SWS\n\n", "a header and no samples"),
        ("1.0,2.0\n3.0,4.0\n", "must hold the channel names, got '1.0,2.0'"),
        ("FWS,SWS\n1,2\n3\n", "line 3 has 1 values, '3', and the header has 2 chann"),
        ("FWS,SWS\n1,2\n\n3,x\n", "line 4 has 'x', which is not a number$"),
        ("FWS,SWS\n1,2,3\n", "line 2 has 3 values, .* has 2 channels, 'FWS,SWS'"),
        ("A\n1\n1_0\n", "line 3 has '1_0', which is not a number"),
        ("A;B\n1.5;2\n", r"separated by commas, .* be by ';': rewrite .* sep=';'"),
        ("A;B\n1,5;2,5\n", r"line 2 has 3 values.* be by ';': .*decimal=','\)"),
        ("A\tB\n1\t2\n", r"line 2 has '1\\t2'.* be by '\\t'"),
        ("A,B\n1,5,2,5\n", "has 4 values.* decimal commas, save it with decimal point"),
        ('A,B\n"1,5","2,5"\n', "has 4 values.* If these are decimal commas"),
        (
            "FWS,SWS\n1,2\nnan,2\n",
            r"NaN, infinity or a value .* first at sample 1, channel 0",
        ),
    ],
)
def test_bad_profile_files(tmp_path, text, message):
    path = tmp_path / "profile.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        decode_profile(path, profile_length=8)


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        (np.zeros((0, 6)), ValueError, r"got \(0, 6\)"),
        (np.zeros((2, 6, 1)), ValueError, r"got \(2, 6, 1\)"),
        (np.zeros(0), ValueError, r"got \(0,\)"),
        (np.array([1, np.nan, -np.inf]), ValueError, "first at measurement 2. A miss"),
        (pd.Series([1e300, 1], ["A", "B"]), ValueError, r"at measurement 0 \('A'\)"),
        ([None, np.nan], ValueError, "all 2 measurements are missing. Use None for a"),
        (["1.0", "2.0"], TypeError, "must be numeric, got dtype <U3"),
        ([1.0, {}], TypeError, "must be numeric, got dtype object"),
        (np.array([["a"]]), TypeError, "must be numeric"),
        (np.array([[1.0], [np.inf]]), ValueError, "first at sample 1, channel 0"),
        (np.array([[1e300]]), ValueError, "NaN, infinity or a value"),
    ],
)
def test_bad_profile_arrays(entry, error, message):
    with pytest.raises(error, match=message):
        decode_profile(entry, profile_length=8)
