"""A network without weights."""

import torch
from torch import Tensor, nn


class ColourGrid(nn.Module):
    """Mean colour and contrast of the cells of a grid: (B, 3, S, S) to (B, 6 cells^2)."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(cells)

    def forward(self, images: Tensor) -> Tensor:
        """Return features of a batch."""
        mean = self.pool(images)
        variance = (self.pool(images.square()) - mean.square()).clamp_min(0)
        return torch.cat([mean, variance.sqrt()], 1).flatten(1)


def colour_grid(cells: int = 4, size: int = 64, crop_pct: float = 1.0) -> nn.Module:
    """Mean colours of a grid: no weights, for a first look.

    Parameters
    ----------
    cells : int >= 1
        Cells of the grid in each direction.
    size : int
        Input pixels; a setting of the transform as well, as is `crop_pct`.
    crop_pct : float in (0, 1]
        Part of the image that is kept.
    """
    return ColourGrid(cells)
