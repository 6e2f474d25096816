"""Views of one image for self-distillation: a few large crops, several small ones.

Caron et al. 2020, "Unsupervised learning of visual features by contrasting cluster
assignments" (arXiv:2006.09882), section 3.2. Gray particles need other strengths than
color photographs: the particle fills its image, has no colors to jitter, and may have
any orientation; its proportions are informative, so crops are never stretched.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from skplankton._nn.augmentation import jittered, random_sign, uniform

GLOBAL_AREAS = 0.5, 1.0  # shares of the image's area
LOCAL_AREAS = 0.2, 0.5  # smaller crops often show no particle
# Share of the columns of a flat vector that are redrawn: 0.6 is from Bahri et al. 2022,
# "SCARF" (arXiv:2106.15147), section 3; a large view keeps more, as a large crop does.
GLOBAL_CORRUPTION = 0.3
LOCAL_CORRUPTION = 0.6


def draw_views(
    rows: Tensor, n_local: int, local_side: int, flip: bool = True
) -> list[Tensor]:
    """Draw two global and `n_local` local views of each row.

    Parameters
    ----------
    rows : Tensor of shape (n, channels, height, width) or (n, n_columns)
        Gray values, or flat vectors.
    n_local : int
        Number of local views per row.
    local_side : int
        Height and width of the local views in pixels; flat vectors keep their columns.
    flip : bool, default=True
        Whether to mirror images, and to turn them upside down, half of the time.

    Returns
    -------
    list of Tensor
        The global views of shape (2 * n, ...), first draw before second draw, and with
        `n_local` the local views, in the same order.
    """
    rows = rows.float()
    repeated = rows.repeat(2, *[1] * (rows.ndim - 1))
    if rows.ndim == 2:
        views = [corrupt(repeated, GLOBAL_CORRUPTION)]
        if n_local:
            views.append(corrupt(rows.repeat(n_local, 1), LOCAL_CORRUPTION))
        return views
    views = [crop(repeated, GLOBAL_AREAS, rows.shape[-1], flip)]
    if n_local:
        repeated = rows.repeat(n_local, 1, 1, 1)
        views.append(crop(repeated, LOCAL_AREAS, local_side, flip))
    return views


def crop(images: Tensor, areas: tuple[float, float], side: int, flip: bool) -> Tensor:
    """Random crops of (n, channels, side, side), flipped and jittered at random."""
    n, device = len(images), images.device
    extent = uniform(*areas, n, device).sqrt()
    theta = torch.zeros(n, 2, 3, device=device)
    for axis in (0, 1):
        theta[:, axis, axis] = extent * (random_sign(n, device) if flip else 1)
        theta[:, axis, 2] = uniform(-1, 1, n, device) * (1 - extent)
    size = [n, images.shape[1], side, side]
    grid = F.affine_grid(theta, size, align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return jittered(images)


def corrupt(rows: Tensor, share: float) -> Tensor:
    """Put another row's value into a random `share` of each row's columns."""
    donors = torch.randint(len(rows), rows.shape, device=rows.device)
    redrawn = torch.rand(rows.shape, device=rows.device) < share
    return torch.where(redrawn, rows.gather(0, donors), rows)
