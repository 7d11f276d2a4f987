"""Class means refined by soft k-means on the queries."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.transforms import (
    QueryCenter,
    centred,
    check_query_center,
    uses_of_center,
)
from fewshot.heads.solvers.unlabelled import mixed_means, padding_zeroed, proximities
from fewshot.heads.tags import HeadTags

PAPER = {"scale": 1.0}


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
    center : {"none", "base", "support", "all", "each"}
        What is subtracted from all features, which then get unit length (CL2N): nothing, as in the
        paper; the mean of the base classes, of the class means, or of all shots and queries; or
        from the shots the mean of their class means and from the queries theirs.
    preset : {"none", "paper"}
        "paper" takes the paper's scale of 1.

    Attributes
    ----------
    support_ : Support
    """

    references = ("ren2018meta",)
    tags = HeadTags(shift_invariant=True)

    def __init__(
        self,
        scale: float = 10.0,
        steps: int = 1,
        center: QueryCenter = "none",
        preset: Preset = "none",
    ) -> None:
        self.scale = scale
        self.steps = steps
        self.center = center
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """The queries of an episode together, and base classes where their mean is subtracted."""
        return frozenset({"queries"}) | uses_of_center(self.center)

    def fit(self, support: Support) -> Self:
        """Keep the shots; the means depend on the queries."""
        scale = with_preset(self, PAPER, "head.soft_kmeans").scale
        expect_number("head.soft_kmeans.scale", scale, 0, above=True)
        expect_repeats("head.soft_kmeans.steps", self.steps, minimum=0)
        check_query_center(self.center, support, "head.soft_kmeans")
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Refine the means on the queries, then score them: (E, T, N)."""
        support, query = centred(self.support_, query, self.center, "head.soft_kmeans")
        features, scale = padding_zeroed(query), with_preset(self, PAPER, "head.soft_kmeans").scale
        sums, counts = support.features.sum(2), support.counts
        means = sums / counts[..., None]
        for _ in range(self.steps):
            shares = (scale * proximities(features, means)).softmax(1)
            shares = shares * query.learning_mask[:, None]
            means = mixed_means(sums, counts, features, shares)
        return (scale * proximities(features, means)).mT.contiguous()
