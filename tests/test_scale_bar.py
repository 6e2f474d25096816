"""Scale bars that are burned into images."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from skplankton._views.scale_bar import find_scale_bar
from skplankton.datasets import make_particles


def particles(n=30, seed=0):
    """Images of different sizes on a gray, noisy background."""
    rng = np.random.RandomState(seed)
    images = []
    for image in make_particles(n, random_state=seed, return_X_y=True)[0]["image"]:
        margin = rng.randint(20, 40)
        framed = np.pad(image, margin, constant_values=int(np.median(image[0])))
        noise = rng.randn(*framed.shape) * 3
        images.append(np.clip(framed + noise, 0, 255).astype(np.uint8))
    return images


def with_bar(image, side, x, length=30, thickness=3, y=6):
    """A strip of 20 rows with a bar and a text, as programs add it."""
    strip = Image.new("L", (image.shape[1], 20), 255)
    draw = ImageDraw.Draw(strip)
    x = x(image.shape[1], length)
    draw.rectangle([x, y, x + length - 1, y + thickness - 1], fill=0)
    draw.text((x, y + 3), "10", fill=0)
    parts = [np.asarray(strip), image]
    return np.vstack(parts if side == "top" else parts[::-1])


PLACES = {
    "left": lambda width, length: 2,
    "center": lambda width, length: (width - length) // 2,
    "right": lambda width, length: width - length - 2,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("side", ["top", "bottom"])
def test_a_bar_is_found_and_its_rows_are_counted(side, place):
    images = [with_bar(image, side, PLACES[place]) for image in particles()]
    found = find_scale_bar(images)
    assert found.side == side
    crop = slice(found.n_rows, None) if side == "top" else slice(None, -found.n_rows)
    assert find_scale_bar([image[crop] for image in images]) is None
    assert found.n_rows == 20  # the whole strip


def test_a_bar_without_a_strip_in_colors_and_compressed(tmp_path):
    images = []
    for i, image in enumerate(particles()):
        image = image.copy()
        image[3:6, 2:32] = 0
        path = tmp_path / f"{i}.jpg"
        Image.fromarray(np.dstack([image] * 3)).save(path, quality=95)
        images.append(np.asarray(Image.open(path)))
    found = find_scale_bar(images)
    assert found.side == "top"
    assert 6 <= found.n_rows <= 9  # JPEG blurs it by a pixel or two


def test_floats_are_gray_values_as_well():
    images = [with_bar(image, "top", PLACES["left"]) for image in particles()]
    as_floats = [image.astype(np.float32) / 255 for image in images]
    assert find_scale_bar(as_floats) == find_scale_bar(images)


def test_a_few_images_without_it_do_not_matter_many_do():
    plain = particles(30)
    barred = [with_bar(image, "top", PLACES["left"]) for image in plain]
    assert find_scale_bar(plain[:2] + barred[2:]) is not None
    assert find_scale_bar(plain[:15] + barred[15:]) is None


@pytest.mark.parametrize("seed", range(5))
def test_particles_alone_are_not_suspected(seed):
    assert find_scale_bar(particles(seed=seed)) is None
    assert (
        find_scale_bar(
            list(make_particles(30, random_state=seed, return_X_y=True)[0]["image"])
        )
        is None
    )


@pytest.mark.parametrize("image", [np.zeros((40, 60)), np.full((40, 60), 255.0)])
def test_blank_images_are_not_suspected(image):
    assert find_scale_bar([image.astype(np.uint8)] * 20) is None


def test_too_few_images_to_tell():
    images = [with_bar(image, "top", PLACES["left"]) for image in particles(4)]
    assert find_scale_bar(images) is None
