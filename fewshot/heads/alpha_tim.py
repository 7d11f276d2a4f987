"""Transductive information maximisation for queries of any class shares."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, expect_number, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.information import (
    Descent,
    Objective,
    Points,
    logits,
    maximise_information,
)
from fewshot.heads.solvers.transforms import (
    QueryCenter,
    centred,
    check_query_center,
    uses_of_center,
)
from fewshot.heads.tags import HeadTags
from fewshot.heads.tim import shots_at_unit_length

PAPER = {"steps": 1000, "learning_rate": 1e-4}
# Orders that the authors tuned on validation classes of mini-ImageNet.
AT_ONE_SHOT, BETWEEN, FROM_FIVE_SHOTS = 2.0, 5.0, 7.0


class AlphaTIM(Head):
    """TIM with alpha-entropies, which let the classes of the queries have unequal shares.

    Veilleux et al., "Realistic Evaluation of Transductive Few-Shot Learning", NeurIPS 2021.
    Shannon's entropy of the mean answer punishes small shares without bound; that of Tsallis,
    ``H_a(p) = (1 - sum_c p_c^a) / (a - 1)`` (eq. 5), is flat near zero for a > 1. Prototypes
    w (E, N, D) minimise (eq. 9) ``s CE(shots) - m H_a(Y) + c H_a(Y|X)`` under probabilities
    softmax of ``-t |w_c - x|^2 / 2`` of unit-length features, from means of the shots, by Adam
    with gradients written out. O(steps N (N K + T) D) per episode. a = 1 is TIM.

    Parameters
    ----------
    alpha : "auto" or float > 0
        Order a of the entropies; 1 is TIM. "auto" has the authors' values, tuned on validation
        classes of mini-ImageNet: 2 at one shot, 7 from five shots on, 5 between.
    steps : int >= 0
        Steps of Adam. The authors take 1000; ten times fewer steps that are ten thousand times as
        large follow the same path, at a tenth of the cost.
    learning_rate : float > 0
        Size of a step of Adam; the authors' is 1e-4.
    support_weight : float >= 0
        Weight s of the cross-entropy of the shots; the authors' value.
    marginal_weight : float >= 0
        Weight m of the entropy of the mean answer; the authors' value.
    conditional_weight : float >= 0
        Weight c of the mean entropy of the answers; the authors' value.
    temperature : float > 0
        Factor t of the logits; the authors' value.
    center : {"none", "base", "support", "all", "each"}
        What is subtracted from all features before they get unit length (CL2N): nothing, as the
        authors do; the mean of the base classes, of the class means, or of all shots and queries;
        or from the shots the mean of their class means and from the queries theirs.
    preset : {"none", "paper"}
        "paper" takes the authors' 1000 steps of 1e-4.
    """

    references = ("veilleux2021realistic", "kingma2015adam")
    tags = HeadTags(tolerance=0.0001, check_with={"steps": 20})

    def __init__(
        self,
        alpha: float | Literal["auto"] = "auto",
        steps: int = 100,
        learning_rate: float = 1e-3,
        support_weight: float = 1.0,
        marginal_weight: float = 1.0,
        conditional_weight: float = 1.0,
        temperature: float = 15.0,
        center: QueryCenter = "none",
        preset: Preset = "none",
    ) -> None:
        self.alpha = alpha
        self.steps = steps
        self.learning_rate = learning_rate
        self.support_weight = support_weight
        self.marginal_weight = marginal_weight
        self.conditional_weight = conditional_weight
        self.temperature = temperature
        self.center = center
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """All queries together; no assumption on their shares. Base classes if `center` says so."""
        return frozenset({"queries"}) | uses_of_center(self.center)

    def fit(self, support: Support) -> Self:
        """Keep the shots; what is learned depends on the queries."""
        self._chosen()._check_parameters()
        check_query_center(self.center, support, "head.alpha_tim")
        self.support_ = support
        return self

    @torch.no_grad()
    def scores(self, query: Query) -> Tensor:
        """Logits (E, T, N) of the tuned prototypes."""
        return self._chosen()._logits(self.support_, query)

    def _chosen(self) -> AlphaTIM:
        return with_preset(self, PAPER, "head.alpha_tim")

    def _logits(self, support: Support, query: Query) -> Tensor:
        support, query = centred(support, query, self.center, "head.alpha_tim")
        points = Points.of(support, query)
        aim = Objective(
            self.support_weight,
            self.marginal_weight,
            self.conditional_weight,
            orders(support, self.alpha)[:, None, None],
        )
        how = Descent(self.steps, self.learning_rate, self.temperature, "euclidean")
        prototypes = maximise_information(shots_at_unit_length(support).means(), points, aim, how)
        columns = points.features[:, points.labels.shape[1] :].mT
        return logits(prototypes @ columns, prototypes, how)[0].mT

    def _check_parameters(self) -> None:
        if isinstance(self.alpha, str) and self.alpha != "auto":
            raise FewshotError(
                "head.alpha_tim.alpha", f"expected 'auto' or a number > 0, got {self.alpha!r}"
            )
        if self.alpha != "auto":
            expect_number("head.alpha_tim.alpha", self.alpha, 0, above=True)
        expect_repeats("head.alpha_tim.steps", self.steps, minimum=0)
        expect_number("head.alpha_tim.learning_rate", self.learning_rate, 0, above=True)
        for name in ("support_weight", "marginal_weight", "conditional_weight"):
            expect_number(f"head.alpha_tim.{name}", getattr(self, name), 0)
        expect_number("head.alpha_tim.temperature", self.temperature, 0, above=True)


def orders(support: Support, alpha: float | Literal["auto"]) -> Tensor:
    """Order of the entropies of every episode: (E,)."""
    shots = support.typical_shots
    if alpha != "auto":
        return torch.full_like(shots, float(alpha))
    between = torch.where(shots > 5 - 1e-3, FROM_FIVE_SHOTS, BETWEEN)
    return torch.where(shots < 1 + 1e-3, AT_ONE_SHOT, between).to(shots)
