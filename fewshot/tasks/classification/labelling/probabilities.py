"""Probabilities of classes from the scores of a fitted head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.estimators.held_out import stratified_scores
from fewshot.estimators.probabilities import fit_temperature, margin_temperature
from fewshot.heads.base import Head, Support


@dataclass(frozen=True)
class Probabilities:
    r"""Temperature and shrinkage that turn scores into probabilities.

    .. math:: p = (1 - \lambda) \, \mathrm{softmax}(s / T) + \lambda / N

    Attributes
    ----------
    temperature : float > 0
        T, in the units of the scores.
    shrinkage : float in [0, 1)
        \lambda, the weight of equal probabilities: what no score can know.
    source : str
        What they rest on: "datasets" or "shots".
    """

    temperature: float
    shrinkage: float = 0.0
    source: str = "shots"

    def of(self, scores: Tensor) -> Tensor:
        """Probabilities (..., N), float64, of scores (..., N)."""
        scores = scores.double()
        centred = scores - scores.mean(-1, keepdim=True)
        sharp = (centred / self.temperature).softmax(-1)
        return (1 - self.shrinkage) * sharp + self.shrinkage / scores.shape[-1]


def fit_probabilities(support: Support, head: Head) -> Probabilities:
    """Temperature and shrinkage for a head that is fitted on one support (E = 1)."""
    held_out = stratified_scores(head, support)
    held = support.mask & (support.counts > 1)[..., None]
    if not bool(held.any()):
        return Probabilities(float(margin_temperature(head, support)))
    labels = torch.arange(held.shape[1])[:, None].expand(held.shape[1:])
    temperature = fit_temperature(held_out.flatten(1, 2), labels.flatten(), held.flatten(1))
    return Probabilities(float(temperature))
