"""Multinomial logistic regression of pixels."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.solvers.softmax_regression import Problem, minimise
from fewshot.tasks.segmentation.heads.base import (
    DenseHeadTags,
    DenseSupport,
    LinearDenseHead,
    absent_never,
)
from fewshot.tasks.segmentation.moments import Moments

BLOCK = 4096  # tokens


class Logistic(LinearDenseHead):
    """Multinomial logistic regression on soft labels, with an L2 penalty.

    Minimises the mean over the annotated pixels of ``-log softmax(W x + b)[class]`` plus
    ``a s |W|^2 / 2``, with s the variance of a feature within the classes, averaged over features.
    A token counts as the pixels of every class that it stands for. The same as scikit-learn's
    ``LogisticRegression(C=1 / (a s n))`` on tokens weighted by their n pixels; the intercepts are
    not penalised.

    L-BFGS from zero, in float64, in the coordinates in which the Hessian there is the identity:
    O(T D N) an iteration for T tokens in all, and O(D^3) before the first.

    Parameters
    ----------
    penalty : float > 0
        a.
    tolerance : float > 0
        Largest entry of the scaled gradient at which it is done.
    max_iterations : int >= 1

    Notes
    -----
    Pixels of a token are taken to have its scores. Where scores are interpolated to pixels before
    the loss, as in training at native resolution, the loss is that of interpolated scores instead.
    """

    references = ()
    tags = DenseHeadTags(tolerance=1e-3)

    def __init__(
        self, penalty: float = 0.01, tolerance: float = 1e-4, max_iterations: int = 200
    ) -> None:
        expect_number("penalty", penalty, 0, above=True)
        expect_number("tolerance", tolerance, 0, above=True)
        expect_repeats("max_iterations", max_iterations)
        self.penalty, self.tolerance, self.max_iterations = penalty, tolerance, max_iterations

    def fit(self, support: DenseSupport, seed: int = 0) -> Self:
        """Weights and biases; `seed` is not used."""
        moments = support.moments()
        present = moments.counts > 0
        weights, biases = torch.zeros_like(moments.sums), torch.zeros_like(moments.counts)
        if int(present.sum()) > 1:
            tokens, labels = support.annotated()
            weights[present], biases[present] = self._solution(
                tokens, labels[:, present].double(), moments
            )
        self.map_ = absent_never(weights, biases, moments.counts)
        return self

    def _solution(self, tokens: Tensor, labels: Tensor, moments: Moments) -> tuple[Tensor, Tensor]:
        """Weights (P, D) and biases (P,) of the P classes with pixels."""
        total, ways = moments.counts.sum(), labels.shape[1]
        centre = moments.sums.sum(0) / total
        penalty = self.penalty * moments.level(moments.covariance())
        # At equal probabilities the Hessian is covariance / P + penalty, and 1 / P for the
        # intercept, for all classes alike: dividing by its roots makes it the identity.
        values, axes = torch.linalg.eigh(moments.total_covariance())
        scale = (values.clamp_min(0) / ways + penalty).rsqrt()
        projection = axes * scale
        design = centre.new_full((1, len(tokens), len(centre) + 1), ways**0.5)
        # Block by block: all tokens in float64 are there once.
        for rows, block in zip(design[0].split(BLOCK), tokens.split(BLOCK), strict=True):
            rows[:, :-1] = (block.double() - centre) @ projection
        problem = Problem(
            design,
            pad(penalty * scale.square(), (0, 1))[None, :, None],
            labels[None] / total,
        )
        coefficients = minimise(problem, self.tolerance, self.max_iterations)[0]
        weights = (projection @ coefficients[:-1]).mT
        return weights, coefficients[-1] * ways**0.5 - weights @ centre
