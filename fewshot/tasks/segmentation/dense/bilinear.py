"""Bilinear interpolation between a grid of tokens and native pixels, and its adjoint.

Token i of an axis is centred on pixel ``(i + .5) * stride - .5`` of the resized image, which is the
native one scaled by resized / native. Scores of tokens are interpolated to native pixels by a
matrix per axis, ``A_h S A_w'``, as ``torch.nn.functional.interpolate`` does without aligned
corners; masks are never resized: the adjoint ``A_h' Y A_w`` says how many native pixels of every
class a token stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Placement:
    """Where the tokens of an image lie on its native pixels.

    Attributes
    ----------
    native : (int, int)
        Rows and columns of the image and its mask.
    resized : (int, int)
        Rows and columns of what the network saw, without padding.
    stride : float
        Pixels of the resized image between tokens.
    grid : (int, int)
        Rows and columns of tokens.
    """

    native: tuple[int, int]
    resized: tuple[int, int]
    stride: float
    grid: tuple[int, int]

    def positions(self, axis: int) -> Tensor:
        """Native pixels of an axis in units of tokens (n,), float64; 0 is the first token."""
        pixels = torch.arange(self.native[axis], dtype=torch.float64) + 0.5
        return pixels * (self.resized[axis] / self.native[axis] / self.stride) - 0.5

    def matrix(self, axis: int) -> Tensor:
        """Weights (native, tokens) of an axis, float32; every row sums to one."""
        return _matrix(self, axis)


@lru_cache(maxsize=256)
def _matrix(placement: Placement, axis: int) -> Tensor:
    tokens = placement.grid[axis]
    at = placement.positions(axis).clamp(0, tokens - 1)
    low = at.floor().long().clamp_max(tokens - 1)
    high = (low + 1).clamp_max(tokens - 1)
    share = at - low
    weights = torch.zeros(len(at), tokens, dtype=torch.float64)
    rows = torch.arange(len(at))
    weights[rows, low] += 1 - share
    weights[rows, high] += share
    return weights.float()


def upsampled(scores: Tensor, placement: Placement) -> Tensor:
    """Scores of tokens (..., rows, columns) at native pixels (..., H, W)."""
    down, across = (placement.matrix(axis).to(scores) for axis in (0, 1))
    return down @ scores @ across.mT


def soft_labels(mask: Tensor, ways: int, placement: Placement) -> Tensor:
    """Native pixels of every class that a token stands for: (T, N), float32.

    Parameters
    ----------
    mask : Tensor of shape (H, W), integer
        Class numbers; those outside of [0, N) are ignored.
    ways : int
        N.
    placement : Placement
        Of the image.
    """
    down, across = (placement.matrix(axis).to(mask.device) for axis in (0, 1))
    labels = torch.zeros(*placement.grid, ways, device=mask.device)
    for number in mask.unique().tolist():
        if 0 <= number < ways:
            labels[..., number] = down.mT @ ((mask == number).float() @ across)
    return labels.flatten(0, 1)
