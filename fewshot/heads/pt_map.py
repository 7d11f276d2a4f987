"""Power transform, then class means and optimal transport of the queries in turns."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import (
    expect,
    expect_bool,
    expect_choice,
    expect_number,
    expect_repeats,
)
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.transforms import QueryCenter, centred, check_query_center, unit_length
from fewshot.heads.solvers.transport import sinkhorn, transport_plan
from fewshot.heads.solvers.unlabelled import mixed_means, padding_zeroed, proximities

PAPER = {"center": "each", "steps": 20}  # the authors' program
OFFSET = 1e-6  # the paper's epsilon, which keeps zeros away from the power


class PTMAP(Head):
    r"""Power transform and maximum a posteriori with optimal transport.

    Hu, Gripon and Pateux, "Leveraging the Feature Distribution in Transfer-based Few-Shot
    Learning", ICANN 2021. Features become ``(x + 1e-6)^power``, of unit length (equation 1).
    Then, algorithm 1: the queries are shared out among the classes by the transport plan of
    costs ``|x - m_c|^2`` and entropy ``1 / transport`` that gives every class its size (equation
    3), the means over shots and shares (equation 6) draw the class means towards them by
    ``rate``, and so on. Scores are the logarithms of the last plan.

    It assumes non-negative features, as after a ReLU, and known shares of the classes among the
    queries. Imbalanced queries cost it dearly. O(T N D) per step.

    Parameters
    ----------
    power : float in (0, 1]
        Power of the features; 0.5 in the paper.
    normalize : bool
        Give transformed features unit length, as in the paper; easyfsl leaves that out.
    negative : {"mirror", "zero"}
        What becomes of negative numbers, which the paper does not have: ``-(|x| + 1e-6)^power``, or
        what zero becomes, as in easyfsl.
    transport : float > 0
        lambda of the transport; 10 in the paper.
    rate : float in (0, 1]
        Share of the way that the means go at each step, alpha of the paper: 0.2, as in the authors'
        program and easyfsl.
    steps : int >= 0
        Updates of the means: easyfsl's 10. The authors' program has 20, which changes little.
    prior : {"uniform", "support"}
        Shares of the classes among the queries (a query prior): the same for all, or those among
        the shots.
    center : {"none", "support", "all", "each"}
        What is subtracted from the transformed features, which then get unit length again: nothing,
        as in easyfsl; the mean of the class means; of all shots and queries; or from the shots the
        mean of their class means and from the queries theirs, as in the authors' program.
    preset : {"none", "paper"}
        "paper" is the authors' program: center "each" and 20 steps.

    Attributes
    ----------
    support_ : Support
    """

    references = ("hu2021leveraging", "cuturi2013sinkhorn")

    def __init__(
        self,
        power: float = 0.5,
        normalize: bool = True,
        negative: Literal["mirror", "zero"] = "mirror",
        transport: float = 10.0,
        rate: float = 0.2,
        steps: int = 10,
        prior: Literal["uniform", "support"] = "uniform",
        center: QueryCenter = "none",
        preset: Preset = "none",
    ) -> None:
        self.power = power
        self.normalize = normalize
        self.negative = negative
        self.transport = transport
        self.rate = rate
        self.steps = steps
        self.prior = prior
        self.center = center
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """The queries together and the shares of their classes."""
        return frozenset({"queries", "query_prior"})

    def fit(self, support: Support) -> Self:
        """Keep the shots; what is learned depends on the queries."""
        with_preset(self, PAPER, "head.pt_map")._check_parameters(support)
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Log shares (E, T, N) of the last transport plan."""
        return with_preset(self, PAPER, "head.pt_map")._scores(self.support_, query)

    def _scores(self, support: Support, query: Query) -> Tensor:
        support, query = self._transformed(support, query)
        features, learning = padding_zeroed(query), query.learning_mask
        sums, counts = support.features.sum(2), support.counts
        sizes = self._sizes(counts, learning)
        means = sums / counts[..., None]
        logits = (self.transport * proximities(features, means)).double()
        potentials = sinkhorn(logits, learning, sizes)
        for _ in range(self.steps):
            plan = transport_plan(logits, potentials, learning).to(features.dtype)
            wanted = mixed_means(sums, counts, features, plan)
            means = means + self.rate * (wanted - means)
            logits = (self.transport * proximities(features, means)).double()
            # The potentials of one step are nearly those of the next.
            potentials = sinkhorn(logits, learning, sizes, potentials)
        return (logits + potentials[..., None]).log_softmax(1).mT.to(features.dtype).contiguous()

    def _transformed(self, support: Support, query: Query) -> tuple[Support, Query]:
        """Shots and queries after the power transform, then centred."""
        mirror = self.negative == "mirror"
        shots, queries = (
            power_transform(features, self.power, mirror=mirror)
            for features in (support.features, query.features)
        )
        if self.normalize:
            shots, queries = unit_length(shots), unit_length(queries)
        shots = shots * support.mask[..., None]  # the power of zero is not zero
        support, query = replace(support, features=shots), replace(query, features=queries)
        return centred(support, query, self.center, "head.pt_map")

    def _sizes(self, counts: Tensor, mask: Tensor) -> Tensor:
        """Queries of every class: (E, N), float64."""
        known = counts.double()
        weight = torch.ones_like(known) if self.prior == "uniform" else known
        return mask.sum(-1, keepdim=True) * weight / weight.sum(-1, keepdim=True)

    def _check_parameters(self, support: Support) -> None:
        expect_number("head.pt_map.power", self.power, 0, 1, above=True)
        expect_bool("head.pt_map.normalize", self.normalize)
        expect_choice("head.pt_map.negative", self.negative, ("mirror", "zero"))
        expect_number("head.pt_map.transport", self.transport, 0, above=True)
        expect_number("head.pt_map.rate", self.rate, 0, 1, above=True)
        expect_repeats("head.pt_map.steps", self.steps, minimum=0)
        expect_choice("head.pt_map.prior", self.prior, ("uniform", "support"))
        expect(
            self.center != "base",
            "head.pt_map.center",
            "expected none, support, all or each, got 'base'",
            "The mean of the base classes is that of features without the power transform.",
        )
        check_query_center(self.center, support, "head.pt_map")


def power_transform(features: Tensor, power: float, *, mirror: bool) -> Tensor:
    """``(x + 1e-6)^power`` of non-negative numbers; of others the mirror image, or as of zero."""
    if not mirror:
        return (features.relu() + OFFSET).pow(power)
    size = (features.abs() + OFFSET).pow(power)
    return size.copysign(features)
