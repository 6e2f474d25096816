"""Damaged images and profiles are read, or rejected with a documented error."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image

from skplankton._views.decoding import decode_image, decode_profile

from .fuzzing import examples, mutated

pytestmark = pytest.mark.once

GRAY = np.add.outer(np.arange(12), 9 * np.arange(20)).astype(np.uint8)


def encoded(pixels, form, mode=None, **options):
    content = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(content, form, **options)
    return content.getvalue()


IMAGES = {
    "PNG": encoded(GRAY, "PNG"),
    "PNG of 16 bits": encoded(GRAY.astype(np.uint16) * 257, "PNG"),
    "PNG with a palette": encoded(GRAY, "PNG", "P", transparency=3),
    "PNG with transparency": encoded(GRAY, "PNG", "RGBA"),
    "JPEG": encoded(GRAY, "JPEG"),
    "JPEG in color": encoded(GRAY, "JPEG", "RGB"),
    "TIFF": encoded(GRAY, "TIFF"),
    "TIFF of floats": encoded(GRAY / np.float32(255), "TIFF"),
    "TIFF by libtiff": encoded(GRAY, "TIFF", compression="tiff_lzw"),
    "GIF": encoded(GRAY, "GIF"),
    "BMP": encoded(GRAY, "BMP"),
    "PPM": encoded(GRAY, "PPM"),
    "WEBP": encoded(GRAY, "WEBP", lossless=True),
}
PROFILE = b"FWS,SWS,Fl Red\n" + b"".join(
    b"%d.5,-%d,1e%d\n" % (i, i, i) for i in range(9)
)


def decoded(read, path, content, **params):
    """The result, also from bytes, or None after a documented error.

    Only Pillow may warn.

    Pillow warns of invalid metadata (tags, EXIF), which the pixels do not need, and of
    a GIF whose picture is far larger than its screen, which then raises an error.
    """
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = read(path, **params)
            assert_array_equal(read(content, **params).values, result.values)
            return result
        except (ValueError, TypeError, OSError):
            return None
        finally:
            kinds = {UserWarning}
            if content.startswith(b"GIF"):
                kinds.add(Image.DecompressionBombWarning)
            for warning in caught:
                assert "PIL" in warning.filename, warning
                assert warning.category in kinds, warning


@pytest.mark.parametrize("kind", IMAGES)
def test_damaged_images(tmp_path, kind):
    path = tmp_path / "image"

    @examples(100)
    @given(mutated(IMAGES[kind]))
    def check(content):
        image = decoded(decode_image, path, content, image_size=8)
        if image is not None:
            assert image.values.shape == (1, 8, 8)
            assert image.values.dtype in (np.float16, np.float32)
            assert ((image.values >= 0) & (image.values <= 1)).all()
            assert min(image.size) >= 1

    assert decoded(decode_image, path, IMAGES[kind], image_size=8) is not None
    check()


@pytest.mark.parametrize("alphabet", ["bytes", "signs"])
def test_damaged_profiles(tmp_path, alphabet):
    path = tmp_path / "profile.csv"
    signs = st.text("0123456789.,;-+eEnaif_ \t\r\n\"'#\ufeffx", max_size=40)
    contents = (
        mutated(PROFILE)
        if alphabet == "bytes"
        else signs.map(lambda text: b"A,B\n" + text.encode())
    )

    @examples(300)
    @given(contents)
    def check(content):
        profile = decoded(decode_profile, path, content, profile_length=8)
        if profile is not None:
            assert profile.values.shape == (len(profile.channels), 8)
            assert profile.values.dtype == np.float32
            assert np.isfinite(profile.values).all()
            assert profile.size[0] >= 1

    check()
