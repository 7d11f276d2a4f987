"""Class means refined by soft k-means on the queries."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.unlabelled import mixed_means, padding_zeroed, proximities
from fewshot.heads.tags import HeadTags


class SoftKMeans(Head):
    r"""Prototypes refined by soft k-means on the unlabelled queries.

    Ren et al., "Meta-Learning for Semi-Supervised Few-Shot Classification", ICLR 2018, section
    3.1.1 (equations 4 and 5), with the queries as the unlabelled images. Starting at the class
    means, every query is shared out among the classes by ``softmax_c(-scale |x - m_c|^2)`` and
    the means are taken again over shots and shares:
    ``m_c = (sum of shots + sum_t z_tc x_t) / (K_c + sum_t z_tc)``. The score of a query is
    ``-scale |x - m_c|^2`` under the last means, up to a constant of the query.

    It assumes round classes of one width and no share of the classes among the queries. O(T N D)
    per step.

    Parameters
    ----------
    scale : float > 0
        Times the squared distances. 1 in the paper, which learns features for it; 10 suits frozen
        features of unit length, whose squared distances do not exceed 4.
    steps : int >= 0
        Times that the means are refined; 1 in the paper, 0 is nearest class mean.

    Attributes
    ----------
    sums_ : Tensor of shape (E, N, D)
        Sums of the shots.
    counts_ : Tensor of shape (E, N)
    """

    tags = HeadTags(shift_invariant=True)

    def __init__(self, scale: float = 10.0, steps: int = 1) -> None:
        self.scale = scale
        self.steps = steps

    @property
    def uses(self) -> frozenset[str]:
        """The queries of an episode together."""
        return frozenset({"queries"})

    def fit(self, support: Support) -> Self:
        """Add up the shots of every class."""
        expect_number("head.soft_kmeans.scale", self.scale, 0, above=True)
        expect_repeats("head.soft_kmeans.steps", self.steps, minimum=0)
        self.sums_, self.counts_ = support.features.sum(2), support.counts
        return self

    def scores(self, query: Query) -> Tensor:
        """Refine the means on the queries, then score them: (E, T, N)."""
        features = padding_zeroed(query)
        means = self.sums_ / self.counts_[..., None]
        for _ in range(self.steps):
            shares = (self.scale * proximities(features, means)).softmax(1)
            shares = shares * query.learning_mask[:, None]
            means = mixed_means(self.sums_, self.counts_, features, shares)
        return (self.scale * proximities(features, means)).mT.contiguous()
