"""Counts, sums and second moments: all that linear discriminant analysis needs of its data."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect


class SufficientStatistics(NamedTuple):
    """What is kept of images that need not be kept themselves.

    Additions only: the order in which images and classes come does not matter, and nothing is
    forgotten. Float64, since a covariance is a difference of moments.

    Attributes
    ----------
    counts : Tensor of shape (C,)
    sums : Tensor of shape (C, D)
    moment : Tensor of shape (D, D)
        Sum of x x' over all images of all classes.

    Examples
    --------
    >>> import torch
    >>> from fewshot.heads.solvers.sufficient_statistics import SufficientStatistics
    >>> first = SufficientStatistics.empty(1, 2).update(torch.eye(2), torch.tensor([0, 0]))
    >>> first.update(torch.eye(2), torch.tensor([1, 1])).means().tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """

    counts: Tensor
    sums: Tensor
    moment: Tensor

    @classmethod
    def empty(cls, classes: int, dim: int, device: torch.device | str = "cpu") -> Self:
        """No image yet."""
        shapes = (classes,), (classes, dim), (dim, dim)
        return cls(*(torch.zeros(one, dtype=torch.float64, device=device) for one in shapes))

    def update(self, features: Tensor, labels: Tensor) -> Self:
        """The same with more images; a label past the last class opens new classes.

        Parameters
        ----------
        features : Tensor of shape (M, D)
        labels : Tensor of shape (M,), int64
        """
        expect(
            features.ndim == 2 and features.shape == (len(labels), self.sums.shape[1]),
            "features",
            f"expected (M, D) = {(len(labels), self.sums.shape[1])}, got {tuple(features.shape)}",
        )
        if not len(labels):
            return self
        expect(int(labels.min()) >= 0, "labels", f"expected >= 0, got {int(labels.min())}")
        features = features.to(self.sums)
        grown = self.grown(int(labels.max()) + 1)
        counts = grown.counts.index_add(0, labels, torch.ones_like(features[:, 0]))
        sums = grown.sums.index_add(0, labels, features)
        return type(self)(counts, sums, grown.moment + features.mT @ features)

    def merge(self, other: SufficientStatistics) -> Self:
        """Statistics of the images of both; class c of one is class c of the other."""
        expect(
            self.moment.shape == other.moment.shape,
            "statistics",
            f"expected {len(self.moment)} dimensions, got {len(other.moment)}",
        )
        one, two = self.grown(len(other.counts)), other.grown(len(self.counts))
        return type(self)(*(a + b for a, b in zip(one, two, strict=True)))

    def grown(self, classes: int) -> Self:
        """The same with room for at least so many classes."""
        more = max(0, classes - len(self.counts))
        counts = torch.cat([self.counts, self.counts.new_zeros(more)])
        sums = torch.cat([self.sums, self.sums.new_zeros(more, self.sums.shape[1])])
        return type(self)(counts, sums, self.moment)

    def means(self) -> Tensor:
        """Class means (C, D), NaN for classes without images."""
        return self.sums / self.counts[:, None]

    @property
    def freedom(self) -> int:
        """Images less classes that have any."""
        return int(self.counts.sum() - (self.counts > 0).sum())

    def covariance(self) -> Tensor:
        """Pooled covariance within classes (D, D), unbiased; zero if no class has two images."""
        scaled = self.sums / self.counts.clamp_min(1)[:, None].sqrt()
        return (self.moment - scaled.mT @ scaled) / max(self.freedom, 1)
