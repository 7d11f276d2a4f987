"""The native pixels of an image, and the classes of its mask, by cells between four tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.tasks.segmentation.dense.bilinear import Placement

# Values of native pixels that are worked on at a time.
BLOCK = 2**22
LARGEST = 2**25  # values of the table of an image, or of a part of it
EXACT = 2**24  # up to which float32 has all whole numbers


class Axis(NamedTuple):
    """Pixels of an axis by cell.

    Attributes
    ----------
    pixels : Tensor of shape (cells, P), int64
        -1 in the padding.
    shares : Tensor of shape (cells, P), float32
        Of the token behind, in [0, 1].
    step : float
        Between the shares of pixels.
    """

    pixels: Tensor
    shares: Tensor
    step: float


@lru_cache(maxsize=256)
def axis_of(placement: Placement, axis: int, device: torch.device) -> Axis:
    """The pixels of rows (axis 0) or columns (1) of an image by cell."""
    tokens = placement.grid[axis]
    at = placement.positions(axis)
    low = at.floor()
    # Cell c lies between tokens c - 1 and c; the first and the last have their token twice.
    cell = (low.long() + 1).clamp(0, tokens)
    counts = torch.bincount(cell, minlength=tokens + 1)
    most = int(counts.max())
    place = torch.arange(len(at)) - (counts.cumsum(0) - counts)[cell]
    pixels = torch.full((tokens + 1, most), -1)
    pixels[cell, place] = torch.arange(len(at))
    step = placement.resized[axis] / placement.native[axis] / placement.stride
    shares = (torch.arange(most) * step).expand(tokens + 1, -1).double().clone()
    shares += (at - low)[(counts.cumsum(0) - counts).clamp_max(len(at) - 1)][:, None]
    return Axis(pixels.to(device), shares.float().to(device), step)


@dataclass(frozen=True, eq=False)
class Truth:
    """The mask of an image by cells between tokens.

    Attributes
    ----------
    placement : Placement
    ways : int
        N.
    classes : Tensor of shape (M,), int64
        Those that the mask shows.
    pixels : Tensor of shape (cells, Py * Px), int32
        Index into `classes`; M for ignored pixels and padding.
    counts : Tensor of shape (cells, M), float32, or float64 where that would round sums
        Pixels of every class.
    first : int
        Number of the first cell, of a part of the image.
    """

    placement: Placement
    ways: int
    classes: Tensor
    pixels: Tensor
    counts: Tensor
    first: int = 0

    @classmethod
    def of(cls, mask: Tensor, ways: int, placement: Placement) -> Truth:
        """The mask (H, W) of an image, integer; what is outside of [0, N) is ignored."""
        rows, columns = (axis_of(placement, axis, mask.device).pixels for axis in (0, 1))
        known = torch.where((mask >= 0) & (mask < ways), mask, ways).long()
        shown = torch.bincount(known.flatten(), minlength=ways + 1)
        classes = shown[:ways].nonzero()[:, 0]
        index = torch.full((ways + 1,), len(classes), dtype=torch.int32, device=mask.device)
        index[classes] = torch.arange(len(classes), dtype=torch.int32, device=mask.device)
        padded = torch.nn.functional.pad(index[known], (0, 1, 0, 1), value=len(classes))
        pixels = padded[rows[:, None, :, None], columns[None, :, None, :]].flatten(0, 1).flatten(1)
        width = len(classes) + 1
        key = torch.arange(len(pixels), device=mask.device)[:, None] * width + pixels
        counts = torch.bincount(key.flatten(), minlength=len(pixels) * width).view(-1, width)
        dtype = torch.float32 if mask.numel() <= EXACT else torch.float64
        return cls(placement, ways, classes, pixels, counts[:, :-1].to(dtype))

    def totals(self) -> Tensor:
        """Pixels (N,) of every class, int64."""
        totals = torch.zeros(self.ways, dtype=torch.int64, device=self.counts.device)
        totals[self.classes] = self.counts.sum(0).round().long()
        return totals

    def bands(self) -> Iterator[Truth]:
        """The image in parts whose table `before` takes no more than `LARGEST` values."""
        step = max(1, LARGEST // max(1, self.pixels.shape[1] * len(self.classes)))
        if len(self.pixels) <= step:
            yield self
            return
        for first in range(0, len(self.pixels), step):
            part = slice(first, first + step)
            yield replace(self, pixels=self.pixels[part], counts=self.counts[part], first=first)

    def shares(self, cell: Tensor) -> tuple[Tensor, Tensor, float]:
        """Shares (n, Py) and (n, Px) of the corners below and right of cells, counted from `first`.

        And the step of the latter.
        """
        down, across = (axis_of(self.placement, axis, cell.device) for axis in (0, 1))
        number, cells_across = cell + self.first, len(across.shares)
        return (
            down.shares[number // cells_across],
            across.shares[number % cells_across],
            across.step,
        )

    @cached_property
    def before(self) -> Tensor:
        """Pixels (cells, Py, Px + 1, M) of every class among the first 0, 1, ... of a row."""
        pixels = axis_of(self.placement, 1, self.pixels.device).pixels.shape[1]
        names = torch.arange(len(self.classes), dtype=torch.int32, device=self.pixels.device)
        rows = self.pixels.view(len(self.pixels), -1, 1, pixels)
        up_to = torch.ones(pixels, pixels + 1, device=rows.device).triu(1)
        before = torch.empty(
            *rows.shape[:2], pixels + 1, len(names), dtype=self.counts.dtype, device=rows.device
        )
        step = max(1, BLOCK // (rows[0].numel() * len(names)))
        for part, some in zip(before.split(step), rows.split(step), strict=True):
            is_class = (some == names[:, None]).float()  # (cells, Py, M, Px)
            part.copy_((is_class @ up_to).mT)
        return before
