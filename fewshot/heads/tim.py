"""Transductive information maximisation."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import with_preset
from fewshot.heads.solvers.information import (
    Descent,
    Objective,
    Points,
    Similarity,
    logits,
    maximise_information,
)
from fewshot.heads.solvers.transforms import (
    QueryCenter,
    centred,
    check_query_center,
    unit_length,
    uses_of_center,
)
from fewshot.heads.tags import HeadTags

PAPER = {"steps": 1000, "learning_rate": 1e-4}
EASYFSL = {
    "steps": 50,
    "learning_rate": 1e-4,
    "support_weight": 1.0,
    "temperature": 10.0,
    "similarity": "cosine",
}


class TIM(Head):
    """Prototypes that classify the shots and tell most about the queries (TIM-GD).

    Boudiaf et al., "Transductive Information Maximization For Few-Shot Learning", NeurIPS 2020.
    With p the softmax of the logits (eq. 1), prototypes w (E, N, D) minimise (eq. 2 and 3)
    ``s CE(shots) - m H(Y) + c H(Y|X)``, where H(Y) is the entropy of the mean p of the queries
    and H(Y|X) the mean entropy of their p. They start as class means and take steps of Adam; the
    gradients are written out, so that a step is two products for all episodes together.
    O(steps N (N K + T) D) per episode.

    The defaults are the paper's, but for steps ten times as large and a tenth as many, which follow
    the same path at a tenth of the cost. easyfsl's TIM takes 50 small steps and cosines, which
    hardly move the prototypes. Maximising H(Y) draws the answers towards equal shares of the
    classes: TIM assumes balanced queries, and loses to nearest class mean where they are not
    (Veilleux et al., NeurIPS 2021).

    Parameters
    ----------
    steps : int >= 0
        Steps of Adam; 1000 in the paper.
    learning_rate : float > 0
        Of Adam; 1e-4 in the paper. With "cosine", prototypes have the scale of the features, and
        this is relative to it: it is meant for unit-length features.
    support_weight : float >= 0
        Weight s of the cross-entropy of the shots.
    marginal_weight : float >= 0
        Weight m of the entropy of the mean answer, which draws the answers towards equal shares of
        the classes.
    conditional_weight : float >= 0
        Weight c of the mean entropy of the answers.
    temperature : float > 0
        Factor t of the logits.
    similarity : {"cosine", "euclidean"}
        Logits ``t cos(w, x)`` with prototypes from the means of the shots as they are, or ``-t |w -
        x|^2 / 2`` with means of unit-length shots, as in the paper. Queries have unit length in
        both.
    center : {"none", "base", "support", "all", "each"}
        What is subtracted from all features before they get unit length (CL2N): nothing, as in the
        paper; the mean of the base classes, of the class means, or of all shots and queries; or
        from the shots the mean of their class means and from the queries theirs.
    preset : {"none", "paper", "easyfsl"}
        "paper" takes the paper's 1000 steps of 1e-4; "easyfsl" what easyfsl's TIM takes: cosines,
        50 steps of 1e-4, temperature 10 and support weight 1.
    """

    references = ("boudiaf2020transductive", "kingma2015adam")
    tags = HeadTags(check_with={"steps": 20})

    def __init__(
        self,
        steps: int = 100,
        learning_rate: float = 1e-3,
        support_weight: float = 0.1,
        marginal_weight: float = 1.0,
        conditional_weight: float = 0.1,
        temperature: float = 15.0,
        similarity: Similarity = "euclidean",
        center: QueryCenter = "none",
        preset: Literal["none", "paper", "easyfsl"] = "none",
    ) -> None:
        self.steps = steps
        self.learning_rate = learning_rate
        self.support_weight = support_weight
        self.marginal_weight = marginal_weight
        self.conditional_weight = conditional_weight
        self.temperature = temperature
        self.similarity = similarity
        self.center = center
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """All queries together, and that they are balanced; base classes if `center` says so."""
        return frozenset({"queries", "query_prior"}) | uses_of_center(self.center)

    def fit(self, support: Support) -> Self:
        """Keep the shots; what is learned depends on the queries."""
        self._chosen()._check_parameters(support)
        self.support_ = support
        return self

    @torch.no_grad()
    def scores(self, query: Query) -> Tensor:
        """Logits (E, T, N) of the tuned prototypes."""
        return self._chosen()._logits(self.support_, query)

    def _chosen(self) -> TIM:
        return with_preset(self, PAPER, "head.tim", easyfsl=EASYFSL)

    def _logits(self, support: Support, query: Query) -> Tensor:
        support, query = centred(support, query, self.center, "head.tim")
        points = Points.of(support, query)
        start = support if self.similarity == "cosine" else shots_at_unit_length(support)
        aim = Objective(self.support_weight, self.marginal_weight, self.conditional_weight)
        how = Descent(self.steps, self.learning_rate, self.temperature, self.similarity)
        prototypes = maximise_information(start.means(), points, aim, how)
        columns = points.features[:, points.labels.shape[1] :].mT
        return logits(prototypes @ columns, prototypes, how)[0].mT

    def _check_parameters(self, support: Support) -> None:
        expect_repeats("head.tim.steps", self.steps, minimum=0)
        expect_number("head.tim.learning_rate", self.learning_rate, 0, above=True)
        for name in ("support_weight", "marginal_weight", "conditional_weight"):
            expect_number(f"head.tim.{name}", getattr(self, name), 0)
        expect_number("head.tim.temperature", self.temperature, 0, above=True)
        expect_choice("head.tim.similarity", self.similarity, ("cosine", "euclidean"))
        check_query_center(self.center, support, "head.tim")


def shots_at_unit_length(support: Support) -> Support:
    """The same with every shot at unit length (zero stays zero)."""
    return Support(unit_length(support.features), support.mask, support.context)
