"""Sizes of drawn shapes of known area and volume, and of simulated particles."""

import logging
import sys

import numpy as np
import pandas as pd
import polars
import pytest
from PIL import Image
from scipy import ndimage

from skplankton.datasets import load_cyz_json, make_particles, write_cyz_json
from skplankton.size import carbon, measure_particles
from skplankton.size._geometry import distance_map_volume, measure_silhouette
from skplankton.size._silhouette import find_silhouette

PIXEL_SIZE = 0.5
SIZES = [
    "area_um2",
    "equivalent_diameter_um",
    "major_axis_um",
    "minor_axis_um",
    "biovolume_um3",
]


def grid(height, width):
    """Coordinates (x, y) of the pixels from the middle of an image."""
    y, x = np.mgrid[:height, :width].astype(float)
    return x - (width - 1) / 2, y - (height - 1) / 2


def ellipse(semi_axes, angle=0.0, shape=(120, 140)):
    x, y = grid(*shape)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    return (along / semi_axes[0]) ** 2 + (across / semi_axes[1]) ** 2 <= 1


def rod(length, width, angle=0.0, shape=(240, 240)):
    x, y = grid(*shape)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    return (abs(along) <= length / 2) & (abs(across) <= width / 2)


def photograph(shape, *, darkness=100, background=190.0, blur=1.0, noise=2.0, seed=0):
    """An image of 8 bits of a dark shape on a bright background."""
    light = background - darkness * ndimage.gaussian_filter(shape.astype(float), blur)
    light += noise * np.random.default_rng(seed).standard_normal(shape.shape)
    return np.clip(np.round(light), 0, 255).astype(np.uint8)


def measure(*images, **params):
    table = pd.DataFrame({"image": list(images)}, dtype=object)
    return measure_particles(table, **{"pixel_size": PIXEL_SIZE} | params)


# --- shapes of known size -------------------------------------------------------------


@pytest.mark.parametrize("radius", [6, 20, 45])
@pytest.mark.parametrize("darkness", [12, 60, 150])
def test_disk_is_a_ball(radius, darkness):
    size = measure(photograph(ellipse([radius, radius]), darkness=darkness)).iloc[0]
    um = radius * PIXEL_SIZE
    assert size["note"] == ""
    assert size["method"] == "solid of revolution"
    bound = 0.02 + 0.5 / radius  # half a pixel all around
    for length in ("equivalent_diameter_um", "major_axis_um", "minor_axis_um"):
        assert size[length] == pytest.approx(2 * um, rel=bound)
    assert size["area_um2"] == pytest.approx(np.pi * um**2, rel=2 * bound)
    ball = 4 / 3 * np.pi * um**3
    assert size["biovolume_um3"] == pytest.approx(ball, rel=3 * bound)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, 1.2, np.pi / 2])
def test_ellipse_is_turned_around_its_long_axis(angle):
    size = measure(photograph(ellipse([48, 16], angle))).iloc[0]
    a, b = 48 * PIXEL_SIZE, 16 * PIXEL_SIZE
    assert size["area_um2"] == pytest.approx(np.pi * a * b, rel=0.03)
    assert size["major_axis_um"] == pytest.approx(2 * a, rel=0.03)
    assert size["minor_axis_um"] == pytest.approx(2 * b, rel=0.03)
    assert size["biovolume_um3"] == pytest.approx(4 / 3 * np.pi * a * b * b, rel=0.05)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4])
@pytest.mark.parametrize("width", [6, 12, 30])
def test_rod_is_a_cylinder(width, angle):
    size = measure(photograph(rod(150, width, angle))).iloc[0]
    length, width = 150 * PIXEL_SIZE, width * PIXEL_SIZE
    assert size["area_um2"] == pytest.approx(length * width, rel=0.06)
    assert size["biovolume_um3"] == pytest.approx(
        np.pi / 4 * width**2 * length, rel=0.15
    )


def test_ring_is_mapped_by_distances():
    """A bent filament: turned around an axis, it would be far too large."""
    x, y = grid(140, 140)
    around = np.hypot(x, y)
    gap = (x > 0) & (abs(y) < 12)  # open, so that the middle is no hole
    bent = (abs(around - 45) <= 5) & ~gap
    size = measure(photograph(bent, noise=0.0)).iloc[0]
    assert size["method"] == "distance map"
    length = bent.sum() / 10  # pixels along the filament, which is 10 wide
    true = np.pi / 4 * 10**2 * length * PIXEL_SIZE**3
    assert size["biovolume_um3"] == pytest.approx(true, rel=0.1)


def test_distance_map_volume_of_a_ball():
    """It takes a ball for a body of π/4 of its volume, hence the rule for its use."""
    ball = 4 / 3 * np.pi * 50**3
    volume = distance_map_volume(ellipse([50, 50]))
    assert volume == pytest.approx(np.pi / 4 * ball, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2)])
def test_a_few_pixels(shape):
    size = measure_silhouette(np.ones(shape, dtype=bool))
    assert size.area == np.prod(shape)
    assert size.volume > 0


def test_pixel_size_scales_lengths_areas_and_volumes():
    image = photograph(ellipse([30, 20]))
    once, doubled = (measure(image, pixel_size=p)[SIZES].iloc[0] for p in (1, 2.0))
    np.testing.assert_allclose(doubled / once, [4, 2, 2, 2, 8])


# --- what instruments do to images ----------------------------------------------------


def area_in_pixels(image, **params):
    return measure(image, pixel_size=1.0, **params).loc[0, "area_um2"]


@pytest.mark.parametrize("blur", [0.0, 1.0, 2.0])
def test_blur_does_not_make_particles_larger(blur):
    shape = ellipse([30, 22])
    area = area_in_pixels(photograph(shape, blur=blur, darkness=150))
    assert area == pytest.approx(shape.sum(), rel=0.05)


def test_uneven_light():
    shape = ellipse([30, 22])
    x, y = grid(*shape.shape)
    light = 190 + 0.4 * x - 0.3 * y - 0.004 * (x**2 + y**2)
    area = area_in_pixels(photograph(shape, background=light, darkness=40))
    assert area == pytest.approx(shape.sum(), rel=0.05)


def test_transparent_cell_with_a_dark_plastid():
    cell, plastid = ellipse([40, 40]), ellipse([10, 8])
    area = area_in_pixels(photograph(25 * cell + 100.0 * plastid, darkness=1))
    assert area == pytest.approx(cell.sum(), rel=0.06)


def test_bright_middle_is_filled():
    cell = ellipse([30, 30])
    outline = cell & ~ellipse([25, 25])
    image = photograph(1.0 * outline - 0.3 * (cell & ~outline), darkness=90)
    assert area_in_pixels(image) == pytest.approx(cell.sum(), rel=0.06)


def test_scale_bar_is_cropped():
    shape = ellipse([30, 22])
    image = photograph(shape)
    with_bar = np.vstack([np.full((25, image.shape[1]), 255, np.uint8), image])
    with_bar[10:14, 20:100] = 0
    assert area_in_pixels(with_bar, crop_top=25) == area_in_pixels(image)
    upside_down = with_bar[::-1]
    bottom = area_in_pixels(upside_down, crop_bottom=25)
    assert bottom == pytest.approx(area_in_pixels(image), rel=0.01)
    assert area_in_pixels(with_bar) != area_in_pixels(image)


def test_color_and_depth(tmp_path):
    shape = ellipse([30, 22])
    gray = photograph(shape)
    color = np.repeat(gray[..., None], 3, axis=2)
    color[shape] = [40, 120, 30]  # a green cell
    deep = gray.astype(np.uint16) * 257
    files = []
    for name, pixels in {
        "gray.png": gray,
        "color.png": color,
        "deep.png": deep,
    }.items():
        files.append(tmp_path / name)
        Image.fromarray(pixels).save(files[-1])
    sizes = measure(gray, color, deep, gray / 255, *files, pixel_size=1.0)
    np.testing.assert_allclose(sizes["area_um2"], shape.sum(), rtol=0.05)
    np.testing.assert_allclose(sizes["area_um2"][[2, 3]], sizes["area_um2"][0])
    np.testing.assert_array_equal(sizes["area_um2"][4:], sizes["area_um2"][:3])


def test_images_stored_in_an_instruments_file(tmp_path):
    X, _ = make_particles(6, n_species=2, random_state=0, return_X_y=True)
    table = load_cyz_json(write_cyz_json(X, tmp_path / "a.json"), cache=tmp_path / "c")
    sizes = measure_particles(table, pixel_size=0.7)
    assert (sizes["note"] == "").all()
    # The file has 8 bits and is compressed, hence the bound.
    expected = measure_particles(X, pixel_size=0.7)
    np.testing.assert_allclose(sizes["area_um2"], expected["area_um2"], rtol=0.05)


def test_images_as_bytes_urls_and_in_a_polars_table(tmp_path):
    image = photograph(ellipse([30, 22]))
    Image.fromarray(image).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    expected = measure(image, image)
    as_dict = {"bytes": content, "path": None}
    for entry in (content, as_dict, f"file://{tmp_path}/a.png"):
        pd.testing.assert_frame_equal(measure(entry, image), expected)
    table = polars.DataFrame({"image": [content, None]})
    notes = measure_particles(table, pixel_size=1)["note"]
    assert notes.tolist() == ["", "no image"]


def test_the_darkest_of_several_particles():
    small, large = ellipse([12, 12]), ellipse([30, 30])
    image = photograph(np.hstack([0.2 * large, 1.0 * large, 0.9 * small]))
    silhouette = find_silhouette(image / 255)
    assert silhouette.sum() == pytest.approx(large.sum(), rel=0.05)
    assert silhouette[:, 140:280].sum() == silhouette.sum()


def test_simulated_particles_of_round_section():
    """Their true volume is known: chains of balls, and cells that are not flattened."""
    particles = make_particles(160, n_species=16, random_state=0)
    sizes = measure_particles(particles.data, pixel_size=particles.pixel_size)
    ratio = sizes["biovolume_um3"] / particles.volume
    for species in ("cell_round", "needle_slim", "larva_plain", "horned_straight"):
        chosen = [name.startswith(species) for name in particles.target]
        assert np.median(ratio[chosen]) == pytest.approx(1, abs=0.25), species
    # A disc seen from its broad side is 0.35 as thick as it is wide.
    chosen = [name.startswith("disc_smooth") for name in particles.target]
    assert np.median(ratio[chosen]) == pytest.approx(1 / 0.35, rel=0.2)


# --- what cannot be measured ----------------------------------------------------------


def test_notes_and_index():
    image = photograph(ellipse([30, 22]))
    blank = np.full((60, 70), 200, np.uint8)
    noise = photograph(np.zeros((60, 70)), noise=3.0)
    cut = photograph(ellipse([30, 22]))[:, 60:]
    sizes = measure(image, None, np.nan, blank, noise, cut)
    assert sizes["note"].tolist() == [
        "",
        "no image",
        "no image",
        "no silhouette",
        "no silhouette",
        "touches the border",
    ]
    assert sizes.loc[1:, [*SIZES, "method"]].isna().all(axis=None)
    assert sizes.loc[0].notna().all()
    table = pd.DataFrame({"image": [image, None]}, index=["a", "b"])
    assert measure_particles(table, pixel_size=1).index.tolist() == ["a", "b"]


@pytest.mark.parametrize("side", [1, 2, 3, 6, 7])
def test_tiny_images(side):
    rng = np.random.default_rng(side)
    images = [rng.integers(0, 255, (side, width), np.uint8) for width in (1, 2, 5, 9)]
    sizes = measure(*images)
    assert (sizes["area_um2"].notna() == (sizes["note"] == "")).all()


@pytest.mark.parametrize("n_particles", [0, 2])
def test_nothing_to_measure(n_particles):
    sizes = measure(*[None] * n_particles)
    assert len(sizes) == n_particles
    assert {str(dtype) for dtype in sizes[SIZES].dtypes} == {"float64"}


def test_unreadable_image(tmp_path, caplog):
    image = photograph(ellipse([30, 22]))
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ValueError, match=r"^row 1: the image '.*torn.png' could not"):
        measure(image, torn)
    with pytest.raises(FileNotFoundError, match=r"row 0: the image 'no\.png' could"):
        measure("no.png")
    with pytest.raises(ValueError, match=r"row 0.*crop_top=120 leaves nothing"):
        measure(image, crop_top=120)
    with pytest.warns(UserWarning, match="once, a particle whose image cannot be read"):
        sizes = measure(image, torn, image, errors="warn")
    assert sizes["note"].tolist() == ["", "unreadable image", ""]
    with caplog.at_level(logging.WARNING, "skplankton"):
        assert sizes.equals(measure(image, torn, image, errors="coerce"))
    assert "torn.png" in caplog.text


@pytest.mark.parametrize("pixel_size", [0, -0.5, np.nan, np.inf, "0.7", None, True])
def test_invalid_pixel_size(pixel_size):
    with pytest.raises(ValueError, match=r"^pixel_size=.*: expected µm per pixel"):
        measure(None, pixel_size=pixel_size)


@pytest.mark.parametrize("crop_top", [-1, 2.0, True, None])
def test_invalid_crop_top(crop_top):
    with pytest.raises(ValueError, match=r"^crop_top=.*: expected a number of rows"):
        measure(None, crop_top=crop_top)


def test_invalid_tables():
    with pytest.raises(ValueError, match=r"no column 'image'; got the columns \['pic"):
        measure_particles(pd.DataFrame({"picture": [None]}), pixel_size=1)
    with pytest.raises(TypeError, match="X is a ndarray; expected a table"):
        measure_particles(np.zeros((3, 4)), pixel_size=1)
    with pytest.raises(ValueError, match="errors='ignore'"):
        measure(None, errors="ignore")


def test_parallel_is_the_same():
    particles = make_particles(300, n_species=4, random_state=0, return_X_y=True)[0]
    alone = measure_particles(particles, pixel_size=0.7)
    assert alone.equals(measure_particles(particles, pixel_size=0.7, n_jobs=2))
    particles.loc[3, "image"] = "no.png"
    with pytest.raises(FileNotFoundError, match="row 3: the image"):
        measure_particles(particles, pixel_size=0.7, n_jobs=2)


def test_missing_scikit_image_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(ImportError, match=r"pip install 'skplankton\[size\]'"):
        measure(None)


# --- carbon ---------------------------------------------------------------------------


def test_carbon_of_the_paper():
    """The abstract of Menden-Deuer and Lessard 2000, and the logarithms of table 4."""
    groups = ["diatom", "dinoflagellate", "protist"]
    expected = 10 ** np.array([-0.541 + 0.811 * 4, np.nan, -0.665 + 0.939 * 4])
    expected[1] = 0.760 * 1e4**0.819
    np.testing.assert_allclose(carbon([1e4] * 3, groups), expected, rtol=2e-3)
    for group, value in zip(groups, carbon([1e4] * 3, groups), strict=True):
        assert carbon(1e4, group) == value
        np.testing.assert_array_equal(carbon([1e4, np.nan], group), [value, np.nan])


def test_carbon_of_missing_values():
    values = carbon(pd.Series([0.0, 10.0, np.nan]), ["diatom", None, "protist"])
    np.testing.assert_array_equal(values, [0.0, np.nan, np.nan])
    assert carbon([], "diatom").shape == (0,)
    assert carbon([], []).shape == (0,)


def test_invalid_carbon():
    with pytest.raises(ValueError, match=r"biovolume: .*got -1.0 at position 1"):
        carbon([1.0, -1.0], "diatom")
    with pytest.raises(ValueError, match=r"biovolume: .*got inf at position 0"):
        carbon(np.inf, "diatom")
    with pytest.raises(ValueError, match=r"group: expected one of .*, got 'krill'"):
        carbon([1.0], ["krill"])
    with pytest.raises(ValueError, match=r"group has the shape \(2,\) and biovolume"):
        carbon([1.0], ["diatom", "diatom"])
