"""Nearest geometric median."""

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_positive_int
from fewshot.heads import Head, Query, Support
from fewshot.heads.tags import HeadTags


class GeometricMedian(Head):
    """Classes are represented by the geometric median of their shots, which outliers move little.

    Weiszfeld's iteration from the mean (Vardi and Zhang, PNAS 2000, have its theory): the next
    estimate is the mean of the shots, weighted by the inverse of their distance to the last one.

    Parameters
    ----------
    steps : int >= 1
        Number of iterations.

    Attributes
    ----------
    medians_ : Tensor of shape (E, N, D)
    """

    # The checks of fewshot.testing hold it to these.
    tags = HeadTags(shift_invariant=True, scale_invariant=True)

    def __init__(self, steps: int = 20) -> None:
        self.steps = steps

    def fit(self, support: Support) -> Self:
        """Iterate for all episodes at once."""
        expect_positive_int("head.geometric_median.steps", self.steps)
        medians = support.means()
        # Distances of zero are taken to be a small part of the largest one.
        least = 1e-3 * support.deviations(medians).norm(dim=-1).amax(-1, keepdim=True)
        for _ in range(self.steps):
            distances = support.deviations(medians).norm(dim=-1)
            weights = support.mask / torch.maximum(distances, least)
            weights = torch.where(least > 0, weights, support.mask.to(weights))
            total = weights.sum(-1, keepdim=True)
            medians = (weights[..., None] * support.features).sum(2) / total
        self.medians_ = medians
        return self

    def scores(self, query: Query) -> Tensor:
        """Negative squared distances to the medians: (E, T, N)."""
        # From a common origin, as differences of large numbers would lose digits.
        origin = self.medians_.mean(1, keepdim=True)
        differences = (query.features - origin)[:, :, None] - (self.medians_ - origin)[:, None]
        return -differences.square().sum(-1)
