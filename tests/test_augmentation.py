import pytest
import torch
import torch.nn.functional as F

from skplankton._nn import augmentation
from skplankton._nn.augmentation import augment_pairs


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def flips_only(monkeypatch):
    monkeypatch.setattr(augmentation, "SMALLEST_CROP_AREA", 1.0)
    monkeypatch.setattr(augmentation, "SHORTEST_CROP", 1.0)
    monkeypatch.setattr(augmentation, "JITTER", 0.0)
    monkeypatch.setattr(augmentation, "BAND_GAIN_PROBABILITY", 0.0)
    monkeypatch.setattr(augmentation, "BAND_DROP_PROBABILITY", 0.0)


def pairs(n=64, side=16, n_channels=3, length=20):
    """Images and profiles that grow along the flow, by 1 from end to end."""
    image = torch.linspace(0, 1, side).expand(n, 1, side, side).clone()
    profile = torch.linspace(0, 1, length).expand(n, n_channels, length).clone() + 1
    return image, profile


def test_the_horizontal_flip_is_shared_with_time(flips_only):
    image, profile = augment_pairs(*pairs())
    image_is_mirrored = image[:, 0, 0, 0] > image[:, 0, 0, -1]
    profile_is_reversed = profile[:, 0, 0] > profile[:, 0, -1]
    assert torch.equal(image_is_mirrored, profile_is_reversed)
    assert 10 < image_is_mirrored.sum() < 54


def test_independent_flips(flips_only):
    image, profile = augment_pairs(*pairs(), flip="independent")
    image_is_mirrored = image[:, 0, 0, 0] > image[:, 0, 0, -1]
    profile_is_reversed = profile[:, 0, 0] > profile[:, 0, -1]
    for flipped in (image_is_mirrored, profile_is_reversed):
        assert 10 < flipped.sum() < 54
    assert 10 < (image_is_mirrored == profile_is_reversed).sum() < 54


def test_flips_move_values_and_change_none(flips_only):
    image, profile = pairs()
    image = image + torch.linspace(0, 1, 16)[:, None]
    new_image, new_profile = augment_pairs(image, profile)
    for old, new in [(image, new_image), (profile, new_profile)]:
        old, new = old.flatten(1).sort().values, new.flatten(1).sort().values
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-4)


def test_without_flips_the_orientation_is_kept(flips_only):
    image, profile = pairs()
    image = image + torch.linspace(0, 1, 16)[:, None]
    new_image, new_profile = augment_pairs(image, profile, flip=None)
    torch.testing.assert_close(new_image, image)
    torch.testing.assert_close(new_profile, profile)


def test_flat_vectors_are_not_changed():
    image, profile = pairs()
    new_image, new_profile = augment_pairs(image.flatten(1), profile)
    assert torch.equal(new_image, image.flatten(1))
    assert not torch.equal(new_profile, profile)
    new_image, new_profile = augment_pairs(image, profile.flatten(1))
    assert torch.equal(new_profile, profile.flatten(1))


def test_strengths_are_within_the_documented_limits(monkeypatch):
    monkeypatch.setattr(augmentation, "BAND_DROP_PROBABILITY", 0.0)
    image, profile = pairs(n=500)
    new_image, new_profile = augment_pairs(image, profile)
    # Brightness and contrast: each factor in 1 ± 0.2, so the mean moves by 20 % at
    # most, in addition to the crop (10 % of the side, at either end).
    assert new_image.mean(dim=(1, 2, 3)).max() < 0.5 * 1.2 + 0.1
    assert new_profile.min() >= 0.95
    assert new_profile.max() <= 2 * 1.05


def test_one_band_at_most_is_dropped_and_becomes_zero():
    _, profile = augment_pairs(*pairs(n=400))
    n_dropped = (profile == 0).all(dim=2).sum(dim=1)
    assert set(n_dropped.tolist()) == {0, 1}
    assert 0.15 < n_dropped.float().mean() < 0.35


def test_input_is_not_changed_and_dtype_is_float32():
    image, profile = pairs(n=4)
    image, kept = image.half(), (image.half().clone(), profile.clone())
    new_image, new_profile = augment_pairs(image, profile)
    assert torch.equal(image, kept[0])
    assert torch.equal(profile, kept[1])
    assert new_image.dtype == new_profile.dtype == torch.float32


def test_crops_stay_within_image_and_profile(monkeypatch):
    """Beyond the border, the last value would be repeated: a ramp would bend."""
    for name in ("JITTER", "BAND_GAIN_PROBABILITY", "BAND_DROP_PROBABILITY"):
        monkeypatch.setattr(augmentation, name, 0.0)
    ramp = torch.linspace(0, 1, 32)
    image = (ramp[:, None] + 2 * ramp)[None, None].repeat(200, 1, 1, 1)
    profile = torch.linspace(0, 1, 512)[None, None].repeat(200, 2, 1)
    torch.manual_seed(0)
    image, profile = augment_pairs(image, profile)
    for values, axis in ((image, 2), (image, 3), (profile, 2)):
        steps = values.diff(dim=axis)
        # The sample next to the border lies half a pixel inside it at most.
        inner = steps.narrow(axis, 1, steps.shape[axis] - 2)
        assert inner.diff(dim=axis).abs().max() < 1e-5
        assert (inner.abs().amax(dim=tuple(range(1, inner.ndim))) > 0).all()
    # Crops of all positions and sizes occur.
    extent = (profile[:, 0, -1] - profile[:, 0, 0]).abs()
    assert extent.min() < 0.97
    assert extent.max() > 0.99
    center = profile.mean(dim=(1, 2)) - 0.5
    assert center.min() < -0.01
    assert center.max() > 0.01


def test_brightness_contrast_and_gains_go_up_and_down(monkeypatch):
    monkeypatch.setattr(augmentation, "BAND_DROP_PROBABILITY", 0.0)
    torch.manual_seed(0)
    image = torch.linspace(0.2, 0.8, 32)[:, None].repeat(200, 1, 1, 32)
    image, profile = augment_pairs(image, torch.ones(200, 3, 16))
    mean = image.mean(dim=(1, 2, 3))
    assert 0.36 < mean.min() < 0.45
    assert 0.55 < mean.max() < 0.64
    # Contrast about the mean of each image, not of the batch.
    contrast = image.std(dim=(1, 2, 3)) / mean
    assert contrast.max() / contrast.min() > 1.2
    gains = profile[:, :, 0].flatten()
    assert 0.95 <= gains.min() < 0.96
    assert 1.04 < gains.max() <= 1.05
    assert 0.4 < (gains == 1).float().mean() < 0.6


def test_crops_are_those_of_an_affine_transformation():
    """Also of images that are not square."""
    n, height, width = 3, 4, 7
    side, left, top = torch.rand(3, n)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = side, -side  # upside down
    theta[:, 0, 2], theta[:, 1, 2] = left, top
    grid = F.affine_grid(theta, [n, 1, height, width], align_corners=False)
    columns = augmentation._cropped_centers(width, side, left)
    rows = augmentation._cropped_centers(height, -side, top)
    torch.testing.assert_close(grid[:, 0, :, 0], columns)
    torch.testing.assert_close(grid[:, :, 0, 1], rows)
