import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from skplankton._decoding import decode_image, decode_profile


@pytest.fixture
def grey():
    """An image (12, 20) with a dark particle, uint8."""
    pixels = np.full((12, 20), 200, dtype=np.uint8)
    pixels[4:9, 3:15] = 40
    return pixels


def save(pixels, path, mode=None):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK"])
def test_every_mode_of_a_grey_file_decodes_alike(grey, tmp_path, mode):
    ending = "tif" if mode == "CMYK" else "png"
    path = save(grey, tmp_path / f"particle.{ending}", mode)
    expected = decode_image(grey, image_size=32)
    got = decode_image(path, image_size=32)
    assert_allclose(got.values, expected.values, atol=2e-2)
    assert got.size == expected.size == (12, 20)


def test_depths_and_kinds_of_array_decode_alike(grey, tmp_path):
    expected = decode_image(grey, image_size=32).values
    deep = grey.astype(np.uint16) * 257  # 255 * 257 = 65535
    unit = grey / np.float32(255)
    for cell in (
        str(save(grey, tmp_path / "8.png")),
        save(deep, tmp_path / "16.png"),
        save(unit, tmp_path / "float.tif"),
        deep,
        unit,
        unit.astype(np.float64),
        np.dstack([grey] * 3),
        np.dstack([deep] * 3),
        np.dstack([unit] * 3),
    ):
        assert_allclose(decode_image(cell, image_size=32).values, expected, atol=3e-3)


def test_longer_side_is_resized_and_the_shorter_padded_with_its_edge(grey):
    values = decode_image(grey, image_size=40).values[0]
    assert values.shape == (40, 40)
    assert values.dtype == np.float16
    # 12 × 20 becomes 24 × 40: eight rows above and below repeat the edge.
    assert_array_equal(values[:9], np.broadcast_to(values[8], (9, 40)))
    assert_array_equal(values[-9:], np.broadcast_to(values[-9], (9, 40)))
    assert values.min() == pytest.approx(40 / 255, abs=1e-3)


def test_crop_top_cuts_the_scale_bar(grey):
    with_bar = np.vstack([np.zeros((25, 20), dtype=np.uint8), grey])
    got = decode_image(with_bar, image_size=32, crop_top=25)
    expected = decode_image(grey, image_size=32)
    assert_array_equal(got.values, expected.values)
    assert got.size == (12, 20)


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        (np.zeros((0, 0), np.uint8), ValueError, r"got \(0, 0\)"),
        (np.zeros((3, 4, 2), np.uint8), ValueError, r"got \(3, 4, 2\)"),
        (np.zeros(4, np.uint8), ValueError, r"got \(4,\)"),
        (np.zeros((4, 4), np.int64), TypeError, "got int64"),
        (np.full((4, 4), 1.5), ValueError, r"\[0, 1\] without NaN.*1.5 to 1.5"),
        (np.full((4, 4), np.nan), ValueError, "without NaN"),
    ],
)
def test_bad_image_arrays(cell, error, message):
    with pytest.raises(error, match=message):
        decode_image(cell, image_size=8)


def test_bad_image_files(grey, tmp_path):
    with pytest.raises(ValueError, match="12 pixels high and crop_top=25"):
        decode_image(grey, image_size=8, crop_top=25)
    deep = tmp_path / "deep.tif"
    Image.fromarray(np.full((3, 3), 70_000, dtype=np.int32)).save(deep)
    with pytest.raises(ValueError, match="more than 16 bits"):
        decode_image(deep, image_size=8)


def test_profile_is_compressed_and_keeps_its_zero_and_sign():
    profile = np.tile([0.0, 99.0, -99.0], (50, 1))
    values, size, channels = decode_profile(profile, profile_length=16)
    assert values.shape == (3, 16)
    assert values.dtype == np.float32
    assert (size, channels) == ((50,), None)
    assert_allclose(values[:, 0], [0, np.log(100), -np.log(100)], rtol=1e-5)


@pytest.mark.parametrize("length", [1, 7, 16, 333])
def test_resampling_keeps_a_ramp_a_ramp(length):
    ramp = np.linspace(1, 2, length)[:, None]
    values = np.exp(decode_profile(ramp, profile_length=16).values[0]) - 1
    centres = (np.arange(16) + 0.5) / 16 * length - 0.5
    expected = np.interp(centres, np.arange(length), ramp[:, 0])
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
        ("FWS,SWS\n", "a header and no samples"),
        ("FWS,SWS\n\n", "a header and no samples"),
        ("1.0,2.0\n3.0,4.0\n", "must name the channels, got '1.0,2.0'"),
        ("FWS,SWS\n1,2\n3\n", "number of columns changed from 2 to 1"),
        ("FWS,SWS\n1,2\n3,x\n", "could not convert string 'x'"),
        ("FWS,SWS\n1,2,3\n", "names 2 channels and the samples have 3"),
        (
            "FWS,SWS\n1,2\nnan,2\n",
            r"NaN, infinity or more .* first at sample 1, channel 0",
        ),
    ],
)
def test_bad_profile_files(tmp_path, text, message):
    path = tmp_path / "profile.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        decode_profile(path, profile_length=8)


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        (np.zeros((0, 6)), ValueError, r"got \(0, 6\)"),
        (np.zeros(6), ValueError, r"got \(6,\)"),
        (np.array([["a"]]), TypeError, "must be numeric"),
        (np.array([[1.0], [np.inf]]), ValueError, "first at sample 1, channel 0"),
        (np.array([[1e300]]), ValueError, "NaN, infinity or more"),
    ],
)
def test_bad_profile_arrays(cell, error, message):
    with pytest.raises(error, match=message):
        decode_profile(cell, profile_length=8)
