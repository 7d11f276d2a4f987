"""Sets of classes that hold the true one with a stated probability (conformal prediction)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.estimators.held_out import stratified_scores
from fewshot.heads.base import Head, Support
from fewshot.tasks.classification.labelling.probabilities import Probabilities


@dataclass(frozen=True)
class PredictionSets:
    """What shots that were left out got, to choose a threshold from.

    Attributes
    ----------
    nonconformity : tuple of n float in [0, 1]
        One minus the probability of its class, of every shot that was left out.
    """

    nonconformity: tuple[float, ...]

    def threshold(self, level: float) -> float:
        """Least probability of a class in the set: 0 where so few shots cannot promise `level`."""
        n = len(self.nonconformity)
        rank = int(-(-(n + 1) * level // 1))
        return 0.0 if rank > n else 1 - sorted(self.nonconformity)[rank - 1]

    def members(self, probabilities: Tensor, level: float) -> Tensor:
        """Which classes are in the set (M, N), bool, of probabilities (M, N).

        The most probable class always is.
        """
        best = probabilities.argmax(-1, keepdim=True)
        inside = probabilities >= self.threshold(level)
        return inside.scatter(-1, best, torch.ones_like(best, dtype=torch.bool))


def fit_prediction_sets(
    support: Support, head: Head, probabilities: Probabilities
) -> PredictionSets:
    """Nonconformity of the shots under heads that were fitted without them (E = 1)."""
    held_out = probabilities.of(stratified_scores(head, support)[0])  # (N, K, N)
    right = torch.diagonal(held_out, dim1=0, dim2=2).mT
    held = (support.mask & (support.counts > 1)[..., None])[0]
    return PredictionSets(tuple((1 - right[held]).tolist()))
