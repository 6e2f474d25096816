import io
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skplankton._views.stored import StoredImage, StoredPixels, StoredProfile

PIXELS = np.arange(60, dtype=np.uint8).reshape(6, 10)
SAMPLES = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def path(tmp_path):
    """A file of other bytes, an image and a profile."""
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, "PNG")
    (tmp_path / "a.views").write_bytes(
        b"12345" + content.getvalue() + SAMPLES.tobytes()
    )
    return tmp_path / "a.views"


@pytest.fixture
def image(path):
    n_bytes = path.stat().st_size - 5 - SAMPLES.nbytes
    return StoredImage(str(path), 5, n_bytes, "a.json, particle 3")


@pytest.fixture
def pixels(tmp_path):
    (tmp_path / "a.roi").write_bytes(b"12345" + PIXELS.tobytes() + b"67")
    return StoredPixels(str(tmp_path / "a.roi"), 5, PIXELS.shape, "a.json, particle 3")


@pytest.fixture
def profile(path):
    offset = path.stat().st_size - SAMPLES.nbytes
    return StoredProfile(
        str(path), offset, (4, 3), ("A", "B", "C"), "a.json, particle 3"
    )


def test_image_is_read(image):
    np.testing.assert_array_equal(np.asarray(image.open()), PIXELS)
    assert image.read_bytes()[:4] == b"\x89PNG"


def test_image_is_cut_to_its_crop(image):
    crop = (2, 1, 5, 3)  # left, top, width, height
    cut = StoredImage(image.path, image.offset, image.n_bytes, image.origin, crop)
    np.testing.assert_array_equal(np.asarray(cut.open()), PIXELS[1:4, 2:7])


def test_pixels_are_read(pixels):
    np.testing.assert_array_equal(pixels.read(), PIXELS)
    assert pixels.read().dtype == np.uint8


def test_profile_is_read(profile):
    np.testing.assert_array_equal(profile.read(), SAMPLES)


@pytest.mark.parametrize("modality", ["image", "pixels", "profile"])
def test_stored_entries_are_values(modality, request):
    """They can be compared, hashed, pickled and stored in tables."""
    entry = request.getfixturevalue(modality)
    again = pickle.loads(pickle.dumps(entry))
    assert again == entry
    assert hash(again) == hash(entry)
    assert str(entry) == "a.json, particle 3"
    assert not pd.isna(entry)
    assert pd.Series([entry, None], dtype=object).notna().tolist() == [True, False]


@pytest.mark.parametrize("modality", ["image", "pixels", "profile"])
def test_error_of_a_missing_or_shorter_file(modality, request):
    entry = request.getfixturevalue(modality)
    read = entry.open if modality == "image" else entry.read
    path = Path(entry.path)
    path.write_bytes(b"12345")
    with pytest.raises(ValueError, match=r"ends before byte \d+: it has changed"):
        read()
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no longer exists: .* Load the table again"
    ):
        read()
