"""Transductive information maximisation."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.information import (
    Descent,
    Objective,
    Points,
    Similarity,
    logits,
    maximise_information,
    unit,
)
from fewshot.heads.tags import HeadTags


class TIM(Head):
    """Prototypes that classify the shots and tell most about the queries (TIM-GD).

    Boudiaf et al., "Transductive Information Maximization For Few-Shot Learning", NeurIPS 2020.
    With p the softmax of the logits (eq. 1), prototypes w (E, N, D) minimise (eq. 2 and 3)
    ``s CE(shots) - m H(Y) + c H(Y|X)``, where H(Y) is the entropy of the mean p of the queries
    and H(Y|X) the mean entropy of their p. They start as class means and take steps of Adam; the
    gradients are written out, so that a step is two products for all episodes together.
    O(steps N (N K + T) D) per episode.

    The defaults are those of the widely used re-implementation in easyfsl: cosine logits, 50 steps.
    The paper's own are ``TIM(1000, 1e-4, 0.1, 1, 0.1, 15, "euclidean")``. Maximising H(Y) draws the
    answers towards equal shares of the classes: TIM assumes balanced queries, and loses to
    nearest class mean where they are not (Veilleux et al., NeurIPS 2021).

    Parameters
    ----------
    steps : int >= 0
        Steps of Adam.
    learning_rate : float > 0
        Of Adam. With "cosine", prototypes have the scale of the features, and this is relative to
        it: the default is meant for unit-length features.
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
        x|^2 / 2`` with means of unit-length shots. Queries have unit length in both.
    """

    tags = HeadTags(check_with={"steps": 20})

    def __init__(
        self,
        steps: int = 50,
        learning_rate: float = 1e-4,
        support_weight: float = 1.0,
        marginal_weight: float = 1.0,
        conditional_weight: float = 0.1,
        temperature: float = 10.0,
        similarity: Similarity = "cosine",
    ) -> None:
        self.steps = steps
        self.learning_rate = learning_rate
        self.support_weight = support_weight
        self.marginal_weight = marginal_weight
        self.conditional_weight = conditional_weight
        self.temperature = temperature
        self.similarity = similarity

    @property
    def uses(self) -> frozenset[str]:
        """All queries together, and that they are balanced."""
        return frozenset({"queries", "query_prior"})

    def fit(self, support: Support) -> Self:
        """Keep the shots; what is learned depends on the queries."""
        self._check_parameters()
        self.support_ = support
        return self

    @torch.no_grad()
    def scores(self, query: Query) -> Tensor:
        """Logits (E, T, N) of the tuned prototypes."""
        support = self.support_
        points = Points.of(support, query)
        start = support if self.similarity == "cosine" else unit_length(support)
        aim = Objective(self.support_weight, self.marginal_weight, self.conditional_weight)
        how = Descent(self.steps, self.learning_rate, self.temperature, self.similarity)
        prototypes = maximise_information(start.means(), points, aim, how)
        columns = points.features[:, points.labels.shape[1] :].mT
        return logits(prototypes @ columns, prototypes, how)[0].mT

    def _check_parameters(self) -> None:
        expect_repeats("head.tim.steps", self.steps, minimum=0)
        expect_number("head.tim.learning_rate", self.learning_rate, 0, above=True)
        for name in ("support_weight", "marginal_weight", "conditional_weight"):
            expect_number(f"head.tim.{name}", getattr(self, name), 0)
        expect_number("head.tim.temperature", self.temperature, 0, above=True)
        expect_choice("head.tim.similarity", self.similarity, ("cosine", "euclidean"))


def unit_length(support: Support) -> Support:
    """The same with every shot at unit length (zero stays zero)."""
    return Support(unit(support.features), support.mask, support.context)
