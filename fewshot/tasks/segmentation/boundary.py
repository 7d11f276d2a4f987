"""Boundary IoU (Cheng et al., CVPR 2021): IoU of the pixels near edges."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

SHARE = (
    0.02  # of the image's diagonal: how far from an edge a pixel is at most, the authors' choice
)


def boundary_width(height: int, width: int) -> int:
    """Pixels from an edge within which a pixel counts, at least one."""
    return max(1, round(SHARE * math.hypot(height, width)))


def boundaries(labels: Tensor, distance: int) -> Tensor:
    """Pixels (..., H, W), bool, whose square of `distance` around them leaves their class.

    What lies outside of the image is of no class, so that its edge is an edge: the class's mask
    minus its erosion by a 3 x 3 square, `distance` times, for all classes at once.
    """
    values = labels.float().reshape(-1, 1, *labels.shape[-2:])
    padded = pad(values, (distance,) * 4, value=float(labels.min()) - 1)
    across, down = (1, 2 * distance + 1), (2 * distance + 1, 1)
    largest = max_pool2d(max_pool2d(padded, across, 1), down, 1)
    smallest = -max_pool2d(max_pool2d(-padded, across, 1), down, 1)
    return (largest != smallest).view(labels.shape)


def boundary_counts(prediction: Tensor, mask: Tensor, ways: int) -> Tensor:
    """Counts (3, N) of boundary pixels, int64, as `fewshot.tasks.segmentation.measures` has them.

    Parameters
    ----------
    prediction, mask : Tensor of shape (H, W), integer
        Pixels of the mask outside of [0, N) are ignored.
    ways : int
        N.
    """
    distance = boundary_width(*mask.shape)
    known = (mask >= 0) & (mask < ways)
    at_truth = boundaries(torch.where(known, mask, -1), distance) & known
    at_prediction = boundaries(prediction, distance) & known
    both = at_truth & at_prediction & (mask == prediction)
    return torch.stack(
        [
            torch.bincount(labels[chosen].long(), minlength=ways)
            for labels, chosen in ((mask, both), (mask, at_truth), (prediction, at_prediction))
        ]
    )
