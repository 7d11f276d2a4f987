"""Power transform, then class means and optimal transport of the queries in turns."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.exceptions import expect_bool, expect_choice, expect_number, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.transport import sinkhorn, transport_plan
from fewshot.heads.solvers.unlabelled import mixed_means, padding_zeroed, proximities

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

    Attributes
    ----------
    sums_ : Tensor of shape (E, N, D)
        Sums of the transformed shots.
    counts_ : Tensor of shape (E, N)
    """

    def __init__(
        self,
        power: float = 0.5,
        normalize: bool = True,
        negative: Literal["mirror", "zero"] = "mirror",
        transport: float = 10.0,
        rate: float = 0.2,
        steps: int = 10,
        prior: Literal["uniform", "support"] = "uniform",
    ) -> None:
        self.power = power
        self.normalize = normalize
        self.negative = negative
        self.transport = transport
        self.rate = rate
        self.steps = steps
        self.prior = prior

    @property
    def uses(self) -> frozenset[str]:
        """The queries together and the shares of their classes."""
        return frozenset({"queries", "query_prior"})

    def fit(self, support: Support) -> Self:
        """Transform the shots and add up those of every class."""
        self._check_parameters()
        shots = self._transformed(support.features) * support.mask[..., None]
        self.sums_, self.counts_ = shots.sum(2), support.counts
        return self

    def scores(self, query: Query) -> Tensor:
        """Log shares (E, T, N) of the last transport plan."""
        features, learning = self._transformed(padding_zeroed(query)), query.learning_mask
        sizes = self._sizes(learning)
        means = self.sums_ / self.counts_[..., None]
        logits = (self.transport * proximities(features, means)).double()
        potentials = sinkhorn(logits, learning, sizes)
        for _ in range(self.steps):
            plan = transport_plan(logits, potentials, learning).to(features.dtype)
            wanted = mixed_means(self.sums_, self.counts_, features, plan)
            means = means + self.rate * (wanted - means)
            logits = (self.transport * proximities(features, means)).double()
            # The potentials of one step are nearly those of the next.
            potentials = sinkhorn(logits, learning, sizes, potentials)
        return (logits + potentials[..., None]).log_softmax(1).mT.to(features.dtype).contiguous()

    def _transformed(self, features: Tensor) -> Tensor:
        powered = power_transform(features, self.power, mirror=self.negative == "mirror")
        return normalize(powered, dim=-1) if self.normalize else powered

    def _sizes(self, mask: Tensor) -> Tensor:
        """Queries of every class: (E, N), float64."""
        known = self.counts_.double()
        weight = torch.ones_like(known) if self.prior == "uniform" else known
        return mask.sum(-1, keepdim=True) * weight / weight.sum(-1, keepdim=True)

    def _check_parameters(self) -> None:
        expect_number("head.pt_map.power", self.power, 0, 1, above=True)
        expect_bool("head.pt_map.normalize", self.normalize)
        expect_choice("head.pt_map.negative", self.negative, ("mirror", "zero"))
        expect_number("head.pt_map.transport", self.transport, 0, above=True)
        expect_number("head.pt_map.rate", self.rate, 0, 1, above=True)
        expect_repeats("head.pt_map.steps", self.steps, minimum=0)
        expect_choice("head.pt_map.prior", self.prior, ("uniform", "support"))


def power_transform(features: Tensor, power: float, *, mirror: bool) -> Tensor:
    """``(x + 1e-6)^power`` of non-negative numbers; of others the mirror image, or as of zero."""
    if not mirror:
        return (features.relu() + OFFSET).pow(power)
    size = (features.abs() + OFFSET).pow(power)
    return size.copysign(features)
