"""Sets of classes that hold the true one with a stated probability (conformal prediction).

A class is in the set where its probability is high enough: the smallest sets on average with a
coverage (Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers With Bounded Error
Levels", JASA 2019). How high is learned from shots that were left out (cross-conformal prediction,
Vovk, Annals of Mathematics and Artificial Intelligence 2015). Of few shots that promises little: at
90 % it takes nine, at 99 % ninety-nine, and a class with one shot has none to leave out. So images
of other data sets count as `PSEUDO_COUNT` further shots, of tasks with as high an error; at one
shot, with as many classes.

The coverage is one on average over tasks like those, not of every task; sets of many shots are
those of the shots alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from fewshot.estimators.held_out import stratified_scores
from fewshot.exceptions import expect
from fewshot.heads.base import Head, Support
from fewshot.statistics.conformal import pooled_weights, weighted_quantile
from fewshot.tasks.classification.labelling.probabilities import Probabilities
from fewshot.tasks.classification.labelling.reference_quantiles import (
    atoms,
    check_quantiles,
    nonconformity_like,
)

# How many shots the images of other data sets count as.
PSEUDO_COUNT = 20.0
ROUNDING = 1e-9


@dataclass(frozen=True)
class PredictionSets:
    """What shots that were left out got, and images of other data sets, to choose a threshold from.

    Attributes
    ----------
    nonconformity : tuple of n float in [0, 1]
        One minus the probability of its class, of every shot that was left out.
    weights : tuple of n float > 0
        Of these shots: classes count alike. Their sum is the number of shots, all of a class alike,
        that would say as much.
    others : tuple of float in [0, 1]
        Quantiles of the same of images of other data sets
        (:data:`~fewshot.tasks.classification.labelling.reference_quantiles.QUANTILES`).

    Raises
    ------
    FewshotError
        Numbers out of their range, as a damaged model file may have.
    """

    nonconformity: tuple[float, ...]
    weights: tuple[float, ...]
    others: tuple[float, ...]

    def __post_init__(self) -> None:
        alike = len(self.weights) == len(self.nonconformity)
        expect(alike, "sets.weights", "expected one for every left-out shot")
        shares = all(-ROUNDING <= value <= 1 + ROUNDING for value in self.nonconformity)
        expect(shares, "sets.nonconformity", "expected numbers in [0, 1]")
        positive = all(0 < weight < math.inf for weight in self.weights)
        expect(positive, "sets.weights", "expected positive numbers")
        check_quantiles("sets.others", self.others)

    def threshold(self, level: float) -> float:
        """Least probability of a class in the set.

        Parameters
        ----------
        level : float in (0, 1)
            How often the true class of a new image is in its set, on average over tasks.

        Raises
        ------
        FewshotError
            A level that is not between 0 and 1.
        """
        check_set_level(level)
        others = atoms(self.others)
        own = others.new_tensor(self.nonconformity)
        weights = pooled_weights(others.new_tensor(self.weights), len(others), PSEUDO_COUNT)
        quantile = weighted_quantile(torch.cat([own, others]), weights, level)
        return max(0.0, 1 - float(quantile))

    def members(self, probabilities: Tensor, level: float) -> Tensor:
        """Which classes are in the set (M, N), bool, of probabilities (M, N).

        The most probable class always is.
        """
        best = probabilities.argmax(-1, keepdim=True)
        inside = probabilities >= self.threshold(level) - ROUNDING
        return inside.scatter(-1, best, torch.ones_like(best, dtype=torch.bool))


def check_set_level(level: Any) -> None:
    """Raise FewshotError unless `level` is a number between 0 and 1."""
    share = isinstance(level, Real) and not isinstance(level, bool) and 0 < float(level) < 1
    expect(share, "level", f"expected a share above 0 and below 1, got {level!r}")


def fit_prediction_sets(
    support: Support, head: Head, probabilities: Probabilities, error: float | None = None
) -> PredictionSets:
    """Nonconformity of the shots under heads that were fitted without them (E = 1).

    Parameters
    ----------
    support : Support
    head : Head
        Fitted on it.
    probabilities : Probabilities
    error : float in [0, 1], optional
        Predicted share of wrong labels; by default what the probabilities of left-out shots say.
    """
    held_out = probabilities.of(stratified_scores(head, support)[0])  # (N, K, N)
    right = torch.diagonal(held_out, dim1=0, dim2=2).mT
    held = (support.mask & (support.counts > 1)[..., None])[0]
    if not bool(held.any()):
        return PredictionSets((), (), nonconformity_like(len(held), None))
    if error is None:
        error = float(1 - held_out.amax(-1)[held].mean())
    values = (1 - right[held]).tolist()
    return PredictionSets(tuple(values), _weights(held), nonconformity_like(len(held), error))


def _weights(held: Tensor) -> tuple[float, ...]:
    """Weights of the shots that were left out (N, K): classes alike, by the effective number.

    That is Kish's, ``(sum w)^2 / sum w^2``, the number of shots where classes have equally many.
    """
    counts = held.sum(-1, keepdim=True).double()
    share = (1 / counts.clamp_min(1)).expand(held.shape)[held]
    share = share / share.sum()
    return tuple((share / share.square().sum()).tolist())
