"""A simulated imaging flow cytometer: one body → a camera image and a profile.

It imitates the CytoSense of arXiv:2603.16427. Its numbers are round figures of the
right order of magnitude, not a calibration of a real instrument.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from skplankton.datasets._simulator.body import CONTENT, Body, rotation

# The six channels of the published profiles, in their order.
CHANNEL_NAMES = ("FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature")

# log1p of the largest published value is 8.9211 (the paper's scaling constant).
FULL_SCALE_MV = float(np.expm1(8.9211))

SCALE_BAR_ROWS = 25  # the height that the paper's recipe cuts off the images
_SCALE_BAR_UM = 20.0

PIXEL_UM = 0.7
_LASER_SIGMA_UM = 2.1  # a sheet of light about 5 µm wide at half height
_SAMPLE_UM = 0.5  # 2 m/s past a 4 MHz converter
# Standard deviations, of logarithms for speed and gain. The gain depends on how well
# the particle hits the laser's focus.
_SPEED_JITTER, _GAIN_JITTER, _STREAM_OFFSET_UM = 0.12, 0.2, 2.0
_SPEED_RANGE = (0.5, 2.0)  # limits a profile's length for any jitter

# mV per µm² of matter and of texture, and per µm³ of matter's first moment.
_FWS_GAIN, _SWS_GAIN, _CURVATURE_GAIN = 14.0, 8.0, 1.2
# mV per µm² of pigment: rows are the detectors yellow, orange, red; columns are
# chlorophyll, phycoerythrin, others. Filters never separate neighboring colors fully.
_FLUORESCENCE_GAIN = 9.0 * np.array(
    [[0.01, 0.20, 1.00], [0.04, 1.00, 0.18], [1.00, 0.10, 0.02]]
)
_BASELINE_MV = np.array([6.0, 4.0, 2.0, 2.0, 3.0, 3.0])
_DETECTOR_NOISE_MV = np.array([5.0, 4.0, 3.0, 3.0, 4.0, 4.0])
_SHOT_NOISE = 0.6  # mV per square root of a mV

_BACKGROUND = 0.78  # of the camera's full scale
_SENSOR_NOISE = 0.012
_DEFOCUS_PX = 0.6  # mean
_HALO = 0.35  # strength of the bright fringe at unfocused edges
_MARGIN_PX = (4, 10)

_YAW_PITCH_ROLL = np.deg2rad([5.0, 5.0, 15.0])  # standard deviations


def carried_by_flow(body: Body, rng: np.random.Generator) -> Body:
    """Rotate a body as the core stream does: along the flow, either end first.

    Shear turns flat bodies towards the sheet of flow, hence the limited roll.
    """
    turn = rotation(*rng.normal(0, _YAW_PITCH_ROLL))
    head, back = rng.choice([-1.0, 1.0], size=2)
    # Half turns about z and x, not mirror images: a body keeps its handedness.
    return body.transformed(turn @ np.diag([head, head * back, back]))


def photograph(
    body: Body, rng: np.random.Generator, noise: float = 1.0, scale_bar: bool = False
) -> np.ndarray:
    """Take the particle's picture.

    Parameters
    ----------
    body : Body
        The particle, in µm.
    rng : numpy.random.Generator
        Where to draw from.
    noise : float
        Multiplies sensor noise, defocus and uneven lighting.
    scale_bar : bool
        Whether to burn a scale bar into 25 extra rows at the top.

    Returns
    -------
    ndarray of shape (height, width), uint8
        Bright background, dark particle; columns run along the flow.
    """
    low, shape = _crop_window(body, rng)
    depth = _optical_depth(body, low, shape)
    light = _focused(np.exp(-depth), _DEFOCUS_PX * noise * rng.gamma(2.0, 0.5))
    light *= _illumination(shape, rng, noise)
    light += _SENSOR_NOISE * noise * rng.standard_normal(shape, dtype=np.float32)
    image = np.clip(255 * light + 0.5, 0, 255).astype(np.uint8)
    return _with_scale_bar(image) if scale_bar else image


def _crop_window(
    body: Body, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int]]:
    """Cut the frame loosely round the particle: low corner (x, y) µm and shape."""
    reach = body.half_extents()[:, :2]
    centers = body.centers[:, :2]
    margins = rng.uniform(*_MARGIN_PX, size=(2, 2)) * PIXEL_UM
    low = (centers - reach).min(axis=0) - margins[0]
    high = (centers + reach).max(axis=0) + margins[1]
    width, height = np.ceil((high - low) / PIXEL_UM).astype(int)
    return low, (int(height), int(width))


def _optical_depth(body: Body, low: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Integrate opacity along the optical axis for each pixel."""
    # A pixel's own width is added to each shadow, or thin threads would fall between
    # pixels; the peak is lowered so that the shadow's integral does not change.
    plane = body.shapes[:, :2, :2] + (0.5 * PIXEL_UM) ** 2 * np.eye(2)
    inverse = np.linalg.inv(plane)
    opacity = body.content[:, CONTENT.index("opacity")]
    peak = 2 * opacity * np.sqrt(np.linalg.det(body.shapes) / np.linalg.det(plane))
    center = (body.centers[:, :2] - low) / PIXEL_UM - 0.5
    reach = np.sqrt(np.diagonal(plane, axis1=1, axis2=2)) / PIXEL_UM
    first = np.maximum(np.ceil(center - reach), 0).astype(int)
    last = np.minimum(np.floor(center + reach) + 1, shape[::-1]).astype(int)
    inverse *= PIXEL_UM**2

    depth = np.zeros(shape, dtype=np.float32)
    for k in range(len(peak)):
        (x0, y0), (x1, y1) = first[k], last[k]
        dx = np.arange(x0, x1) - center[k, 0]
        dy = (np.arange(y0, y1) - center[k, 1])[:, None]
        (xx, xy), (_, yy) = inverse[k]
        inside = (1 - xx * dx * dx) - (2 * xy * dy) * dx - yy * dy * dy
        depth[y0:y1, x0:x1] += peak[k] * np.sqrt(np.maximum(inside, 0))
    return np.maximum(depth, 0)


def _focused(light: np.ndarray, defocus: float) -> np.ndarray:
    """Blur, and add the bright fringe of an unfocused edge around the particle."""
    sharp = gaussian_filter(light, 0.5 + defocus, mode="nearest")
    wide = gaussian_filter(light, 2.0 + 2.5 * defocus, mode="nearest")
    return sharp + _HALO * (sharp - wide)


def _illumination(
    shape: tuple[int, int], rng: np.random.Generator, noise: float
) -> np.ndarray:
    """Lamp brightness with a slope and a vignette, (height, width), 1 = full scale."""
    level, slope_x, slope_y, vignette = rng.normal(0, [0.03, 0.03, 0.03, 0.03]) * noise
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    shading = 1 + level + slope_x * x + slope_y * y - abs(vignette) * (x * x + y * y)
    return _BACKGROUND * shading


def _with_scale_bar(image: np.ndarray) -> np.ndarray:
    """Add `SCALE_BAR_ROWS` rows at the top, with a bar of 20 µm."""
    strip = np.full((SCALE_BAR_ROWS, image.shape[1]), 255, dtype=np.uint8)
    end = min(4 + round(_SCALE_BAR_UM / PIXEL_UM), image.shape[1] - 1)
    strip[11:14, 4:end] = 0
    strip[8:17, [4, end - 1]] = 0
    return np.concatenate([strip, image])


def record_pulses(
    body: Body,
    pigments: np.ndarray,
    rng: np.random.Generator,
    noise: float = 1.0,
) -> np.ndarray:
    """Record the particle's pulse profile while it crosses the laser.

    Parameters
    ----------
    body : Body
        The particle, in µm.
    pigments : ndarray of shape (3,)
        Amount of chlorophyll, phycoerythrin and other pigments in its plastids.
    rng : numpy.random.Generator
        Where to draw from.
    noise : float
        Multiplies detector noise and the jitter of gain, speed and position.

    Returns
    -------
    ndarray of shape (length, 6), float32
        Volts in mV for each of `CHANNEL_NAMES`; time runs with the image's columns.
    """
    speed = np.exp(_SPEED_JITTER * noise * rng.standard_normal())
    sample_um = _SAMPLE_UM * np.clip(speed, *_SPEED_RANGE)
    gain = np.exp(_GAIN_JITTER * noise * rng.standard_normal())
    offset = _STREAM_OFFSET_UM * noise * rng.standard_normal()
    matter, texture, pigment, moment = _slices(body, offset, sample_um, rng)
    fluorescence = pigment[:, None] * (_FLUORESCENCE_GAIN @ pigments)
    signal = np.column_stack(
        [
            _FWS_GAIN * matter,
            _SWS_GAIN * texture,
            fluorescence,
            _CURVATURE_GAIN * moment,
        ]
    )
    signal = gaussian_filter1d(signal, _LASER_SIGMA_UM / sample_um, axis=0)
    # Only the curvature can be negative, on one side of the stream; it has no sign.
    signal = gain * np.abs(signal) + _BASELINE_MV
    sigma = noise * (_DETECTOR_NOISE_MV + _SHOT_NOISE * np.sqrt(signal))
    signal += sigma * rng.standard_normal(signal.shape)
    return np.clip(signal, 0, FULL_SCALE_MV).astype(np.float32)


def _slices(
    body: Body, offset: float, sample_um: float, rng: np.random.Generator
) -> np.ndarray:
    """Integrate the body over planes across the flow.

    Returns
    -------
    ndarray of shape (4, length)
        Matter, texture, pigment (µm²) and the first moment of matter across the flow
        (µm³), the last with the stream ``offset`` µm beside the detector's middle.
    """
    variance = body.shapes[:, 0, 0]
    reach = np.sqrt(variance)
    before, after = rng.uniform(3, 5, size=2) * _LASER_SIGMA_UM
    start = (body.centers[:, 0] - reach).min() - before
    stop = (body.centers[:, 0] + reach).max() + after
    dx = np.arange(start, stop, sample_um) - body.centers[:, :1]
    area = np.pi * np.sqrt(np.linalg.det(body.shapes) / variance)
    section = area[:, None] * np.maximum(1 - dx * dx / variance[:, None], 0)
    tilt = body.shapes[:, 0, 1] / variance
    middle = body.centers[:, 1:2] + offset + tilt[:, None] * dx
    matter, texture, pigment, _ = body.content.T
    moment = matter @ (section * middle)
    return np.stack([matter @ section, texture @ section, pigment @ section, moment])
