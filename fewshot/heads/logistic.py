"""Multinomial logistic regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.base import (
    LinearForm,
    LinearHead,
    Support,
    linear_scores,
)
from fewshot.heads.solvers.selection import folds, loss_of
from fewshot.heads.solvers.softmax_regression import softmax_regression
from fewshot.heads.solvers.span import Span, span_of
from fewshot.heads.tags import HeadTags
from fewshot.heads.weights import ClassWeight, shot_weights

MOST_FOLDS = 5
STEPS_PER_DECADE = 8
# Decisions about held-out shots, not weights, are compared.
SEARCH_TOLERANCE = 1e-3
LIMIT = 6 * STEPS_PER_DECADE  # C from 10^-6 to 10^6


class LogisticRegression(LinearHead):
    r"""Multinomial logistic regression with an L2 penalty: the linear probe.

    Minimises ``sum_i -log softmax(W x_i + b)[y_i] + |W|^2 / (2 C)`` over W (N, D) and b (N,), the
    objective of scikit-learn's ``LogisticRegression(C=C, solver="lbfgs")``, intercept not
    penalised. Of two classes scikit-learn penalises ``|w_1 - w_0|^2 / (2 C)``, twice as much,
    and so does this head.

    The rows of W are sums of centred shots, so that the fit takes place in the min(NK, D)
    coordinates of their span. These are scaled such that the Hessian at W = 0 is the identity;
    L-BFGS then needs 5 to 30 iterations of O(NK min(NK, D) N), all episodes at once, and an episode
    that has converged is left alone. Finding the span costs O(NK D min(NK, D)).

    Parameters
    ----------
    C : float > 0, or "search"
        Inverse strength of the penalty. 1 is scikit-learn's default; of unit-length features it
        regularises strongly. "search" takes the best of the range of Radford et al., "Learning
        Transferable Visual Models From Natural Language Supervision", ICML 2021, appendix A.3:
        10^-6 to 10^6 in 96 logarithmic steps, by their bisection, which compares 10^-6, 10^-4, ...
        and halves the interval around the best down to an eighth of a decade. They score on
        validation images; here only shots are used, in up to five stratified folds: mistakes on the
        held-out shots, and among equals the cross-entropy. Where no class has two shots, C = 1.
    tolerance : float > 0
        Largest entry of the scaled gradient at which an episode is done. 10^-5 gives weights to
        about four digits.
    max_iterations : int >= 1
        Most iterations; an episode may stop before its tolerance.
    class_weight : {"none", "balanced"}
        Whether shots count alike (scikit-learn's default), or classes: every shot by
        ``R / (N K_c)``, scikit-learn's ``class_weight="balanced"``. The same where all classes
        have K shots.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    C_ : Tensor of shape (E,)
    """

    references = ("radford2021learning",)
    tags = HeadTags(tolerance=1e-05, shift_invariant=True)

    def __init__(
        self,
        C: float | Literal["search"] = 1.0,
        tolerance: float = 1e-5,
        max_iterations: int = 300,
        class_weight: ClassWeight = "none",
    ) -> None:
        self.C = C
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.class_weight = class_weight

    def fit(self, support: Support) -> Self:
        """Choose C if it is to be searched, then minimise."""
        self._check_parameters()
        dtype = support.features.dtype
        support = support.to(torch.float64)
        if self.C == "search":
            self.C_ = self._search(support)
        else:
            self.C_ = support.features.new_full((len(support.features),), float(self.C))
        weights, biases = self._minimise(self._centred(support), self.C_, self.tolerance)
        self.weights_, self.biases_ = weights.to(dtype), biases.to(dtype)
        return self

    def linear(self) -> LinearForm:
        """Weights that depend on all shots together."""
        return LinearForm(self.weights_, self.biases_, None)

    def _minimise(self, shots: Centred, C: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
        ways, span = shots.truth.shape[-1], shots.span
        strength = C / 2 if ways == 2 else C
        weights, biases = softmax_regression(
            span.coordinates, span.spread, shots.truth, strength, tolerance, self.max_iterations
        )
        weights = span.features_weights(weights)
        return weights, biases - (weights @ shots.mean[..., None])[..., 0]

    def _centred(self, support: Support) -> Centred:
        return centred_of(support, shot_weights(support, "logistic", self.class_weight))

    def _search(self, support: Support) -> Tensor:
        """The best C of every episode, by bisection on the exponents of 10^(step / 8)."""
        shots = span_of(support.features.flatten(1, 2)).coordinates  # same lengths and angles
        support = Support.of(shots.unflatten(1, support.mask.shape[1:]), support.mask)
        splits = list(folds(support, MOST_FOLDS))
        best = torch.zeros(len(shots), dtype=torch.long, device=shots.device)
        if not splits:
            return _power(best)
        held = torch.stack([held for _, held in splits])
        centred = self._centred(join([rest for rest, _ in splits]))

        def loss_at(steps: Tensor) -> Tensor:
            C = _power(steps).repeat(len(splits))
            form = self._minimise(centred, C, max(self.tolerance, SEARCH_TOLERANCE))
            fitted = linear_scores(shots.repeat(len(splits), 1, 1), *form)
            # Every shot is held out once at most, so that the sum picks that fold.
            scores = (fitted.view(*held.shape, -1) * held[..., None]).sum(0)
            return loss_of(scores, held.any(0))

        best = bisect(loss_at, best)
        return _power(best.where(held.any(0).flatten(1).any(-1), 0))

    def _check_parameters(self) -> None:
        if self.C != "search":
            expect_number(
                "head.logistic.C", self.C, 0, above=True, remedy="Or 'search', on the shots."
            )
        expect_number("head.logistic.tolerance", self.tolerance, 0, above=True)
        expect_repeats("head.logistic.max_iterations", self.max_iterations)


class Centred(NamedTuple):
    """Shots about their mean, as the minimiser wants them.

    Attributes
    ----------
    mean : Tensor of shape (E, D)
    span : Span
        Of the NK centred shots.
    truth : Tensor of shape (E, NK, N)
        The weight of a shot at its class, else 0.
    """

    mean: Tensor
    span: Span
    truth: Tensor


def centred_of(support: Support, weights: Tensor) -> Centred:
    """Shots about the mean of all shots, with weights (E, N, K).

    The intercept takes up what is subtracted.
    """
    rows = support.mask.flatten(1)[..., None]
    mean = support.features.sum((1, 2)) / rows.sum(1)
    truth = torch.diag_embed(weights.mT).permute(0, 2, 1, 3).flatten(1, 2)
    return Centred(mean, span_of((support.features.flatten(1, 2) - mean[:, None]) * rows), truth)


def join(supports: list[Support]) -> Support:
    """All episodes of several supports."""
    features = torch.cat([support.features for support in supports])
    return Support.of(features, torch.cat([support.mask for support in supports]))


def bisect(loss_at: Callable[[Tensor], Tensor], zeros: Tensor) -> Tensor:
    """Steps (E,) of a small loss: the best of a coarse grid, then of the halves around it."""
    coarse = range(-LIMIT, LIMIT + 1, 2 * STEPS_PER_DECADE)
    loss, number = torch.stack([loss_at(zeros + step) for step in coarse]).min(0)
    best, offset = coarse.start + number * coarse.step, coarse.step // 2
    while offset:
        for candidate in (best - offset, best + offset):
            steps = candidate.clamp(-LIMIT, LIMIT)
            other = loss_at(steps)
            best = torch.where(other < loss, steps, best)
            loss = torch.minimum(other, loss)
        offset //= 2
    return best


def _power(steps: Tensor) -> Tensor:
    return 10.0 ** (steps.double() / STEPS_PER_DECADE)
