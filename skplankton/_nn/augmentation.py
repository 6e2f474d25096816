"""Augment a batch of pairs, with tensor operations on the device of the batch.

The flow runs along the image's horizontal axis and along the profile's time axis, so a
mirrored particle is a mirrored image *and* a reversed profile: that flip is shared,
unless the encoders are to learn nothing of the orientation. Strengths are those of
Kareinen et al. 2026 (arXiv:2603.16427).

Profiles are log-compressed here, where 0 means "no signal".
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST_CROP_AREA = 0.8  # share of the image's area
JITTER = 0.2  # brightness and contrast factors lie in 1 ± JITTER
SHORTEST_CROP = 224 / 236  # share of the profile's length
BAND_GAIN = 0.05  # a channel's gain lies in 1 ± BAND_GAIN
BAND_GAIN_PROBABILITY = 0.5
BAND_DROP_PROBABILITY = 0.25  # a particle loses one of its channels


def augment_pairs(
    image: Tensor, profile: Tensor, flip: str | None = "shared"
) -> tuple[Tensor, Tensor]:
    """Draw a new view of each image and profile; flat vectors are not changed.

    Parameters
    ----------
    image : Tensor of shape (n, channels, height, width) or (n, n_columns)
        Gray values.
    profile : Tensor of shape (n, n_channels, length) or (n, n_columns)
        Log-compressed signals.
    flip : {"shared", "independent"} or None, default="shared"
        Mirror half of the pairs, or half of the images and, on their own, half of the
        profiles; and turn half of the images upside down. None flips nothing.

    Returns
    -------
    image, profile : Tensors of the shapes given
        New tensors in float32; the input is not changed.
    """
    has_pixels, has_samples = image.ndim == 4, profile.ndim == 3
    n, device = len(image), image.device
    mirror = random_sign(n, device) if flip else torch.ones(n, device=device)
    reverse = random_sign(n, device) if flip == "independent" else mirror
    if has_pixels:
        upside_down = random_sign(n, device) if flip else torch.ones(n, device=device)
        image = _augment_images(image.float(), mirror, upside_down)
    if has_samples:
        profile = _augment_profiles(profile.float(), reverse)
    return image, profile


def _augment_images(image: Tensor, mirror: Tensor, upside_down: Tensor) -> Tensor:
    n, _, height, width = image.shape
    device = image.device
    side = uniform(SMALLEST_CROP_AREA, 1.0, n, device).sqrt()
    left, top = (uniform(-1, 1, (n, 2), device) * (1 - side)[:, None]).T
    columns = _cropped_centers(width, side * mirror, left)
    rows = _cropped_centers(height, side * upside_down, top)
    # F.affine_grid multiplies matrices, which takes longer than sampling does.
    places = columns[:, None], rows[:, :, None]
    grid = torch.stack([each.expand(n, height, width) for each in places], dim=-1)
    image = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    return jittered(image)


def jittered(images: Tensor) -> Tensor:
    """Images (n, channels, height, width), each in another brightness and contrast."""
    shape = (len(images), 1, 1, 1)
    images = images * uniform(1 - JITTER, 1 + JITTER, shape, images.device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    contrast = uniform(1 - JITTER, 1 + JITTER, shape, images.device)
    return mean + (images - mean) * contrast


def _augment_profiles(profile: Tensor, mirror: Tensor) -> Tensor:
    n, n_channels, length = profile.shape
    device = profile.device
    side = uniform(SHORTEST_CROP, 1.0, n, device)
    start = uniform(-1, 1, n, device) * (1 - side)
    time = _cropped_centers(length, mirror * side, start)
    grid = torch.stack([time, torch.zeros_like(time)], dim=-1)[:, None]
    # grid_sample takes only images: the profile is an image one pixel high.
    profile = F.grid_sample(
        profile[:, :, None], grid, padding_mode="border", align_corners=False
    )[:, :, 0]

    shape = (n, n_channels, 1)
    gain = uniform(1 - BAND_GAIN, 1 + BAND_GAIN, shape, device)
    scaled = torch.rand(shape, device=device) < BAND_GAIN_PROBABILITY
    profile = profile * torch.where(scaled, gain, 1.0)

    lost_channel = torch.randint(n_channels, (n,), device=device)
    loses = torch.rand(n, device=device) < BAND_DROP_PROBABILITY
    lost = F.one_hot(lost_channel, n_channels).bool() & loses[:, None]
    return profile.masked_fill(lost[:, :, None], 0.0)


def _cropped_centers(length: int, side: Tensor, start: Tensor) -> Tensor:
    """Where `length` pixels of each crop lie in the original, from -1 to 1."""
    centers = (torch.arange(length, device=side.device) * 2 + 1) / length - 1
    return side[:, None] * centers + start[:, None]


def uniform(low: float, high: float, size: int | tuple[int, ...], device) -> Tensor:
    """Draw from a uniform distribution."""
    return low + (high - low) * torch.rand(size, device=device)


def random_sign(n: int, device) -> Tensor:
    """Draw 1 or -1."""
    return torch.randint(2, (n,), device=device) * 2.0 - 1.0
