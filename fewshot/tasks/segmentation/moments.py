"""Moments of the tokens of annotated images, which add up over images and subtract again."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

ROUNDING = 1e-12  # of a variance, relative to the mean square that it is a difference of


class Moments(NamedTuple):
    """Sums over tokens, weighted by the native pixels that a token stands for; float64.

    Attributes
    ----------
    counts : Tensor of shape (N,)
        Pixels of every class.
    sums : Tensor of shape (N, D)
        Sums of features over the pixels of a class: exactly those of features that are upsampled
        bilinearly to the native resolution.
    second : Tensor of shape (D, D), or (0, 0)
        Second moment of the tokens, weighted by their pixels of any class; empty for heads that do
        not need it.
    """

    counts: Tensor
    sums: Tensor
    second: Tensor

    def __add__(self, other: object) -> Moments:
        """Moments of both."""
        if not isinstance(other, Moments):
            return NotImplemented
        return Moments(*(a + b for a, b in zip(self, other, strict=True)))

    def __sub__(self, other: Moments) -> Moments:
        """Moments without those of `other`, which is a part of these."""
        return Moments(*(a - b for a, b in zip(self, other, strict=True)))

    def means(self) -> Tensor:
        """Class means (N, D); zero for a class without pixels."""
        return self.sums / self.counts.clamp_min(torch.finfo(torch.float64).tiny)[:, None]

    def covariance(self) -> Tensor:
        """Covariance (D, D) of the tokens around their class means, weighted by pixels."""
        total = self.counts.sum().clamp_min(torch.finfo(torch.float64).tiny)
        return (self.second - self.means().mT @ self.sums) / total

    def total_covariance(self) -> Tensor:
        """Covariance (D, D) of the tokens around the mean of all of them, weighted by pixels."""
        total = self.counts.sum().clamp_min(torch.finfo(torch.float64).tiny)
        centre = self.sums.sum(0) / total
        return self.second / total - torch.outer(centre, centre)

    def level(self, covariance: Tensor) -> Tensor:
        """Variance of a feature, averaged over the D features: a scalar > 0.

        The mean square where the covariance (D, D) is rounding alone, as where every class has one
        token; 1 where all tokens are zero or none has a pixel.
        """
        total = self.counts.sum().clamp_min(torch.finfo(torch.float64).tiny)
        square = self.second.trace() / total / len(self.second)
        mean = covariance.trace() / len(covariance)
        mean = torch.where(mean > ROUNDING * square, mean, square)
        return torch.where(mean > 0, mean, 1.0)


def moments_of(tokens: Tensor, labels: Tensor, second: bool = True) -> Moments:
    """Moments of one image.

    Parameters
    ----------
    tokens : Tensor of shape (T, D)
    labels : Tensor of shape (T, N)
        Native pixels of every class that a token stands for, not negative.
    second : bool
        Whether the second moment is worked out.
    """
    tokens, labels = tokens.double(), labels.double()
    weighted = tokens * labels.sum(1).sqrt()[:, None] if second else tokens[:, :0]
    return Moments(labels.sum(0), labels.mT @ tokens, weighted.mT @ weighted)
