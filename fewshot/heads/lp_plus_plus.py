"""LP++: a linear probe blended with text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.base import LinearForm, LinearHead, Support
from fewshot.heads.solvers.training import Shots, cross_entropy_gradient, shots_of
from fewshot.heads.tags import HeadTags

Product = Callable[[Tensor], Tensor]


class LPPlusPlus(LinearHead):
    """Linear probe whose class weights are a visual prototype plus a multiple of the text vector.

    Huang, Shakeri, Dolz, Boudiaf, Bahig and Ben Ayed, "LP++: A Surprisingly Strong Linear Probe for
    Few-Shot CLIP", CVPR 2024. With unit image vectors f and unit text vectors t_c, the
    score of class c is

        f . (w_c + alpha_c t_c),   w (N, D) and alpha (N,) from the shots.

    The mean cross-entropy of the shots is convex in (w, alpha). It is minimised block by block: a
    quadratic that lies above it, with the curvature gamma of the block, has its minimum at
    ``block - gradient / gamma``, so that no step size has to be chosen and the loss never rises.
    With S shots f_i of the episode,

        gamma_w = lambda_max(sum_i f_i f_i') / (2 S),   gamma_alpha_c = sum_i (f_i . t_c)^2 / (2 S)

    since the Hessian of a softmax is at most 1/2. The start is w_c = mean of the shots of c and
    alpha_c = `initial_alpha` s a, with a the mean over classes of the mean cosine of their shots
    with their text and s the scale of the dual encoder.

    Parameters
    ----------
    steps : int >= 0
        Majorize-minimize steps of both blocks, whose sizes follow from the shots; the authors' 300.
    initial_alpha : float >= 0
        Start of the weight of text, times the scale s of the dual encoder, times the mean cosine of
        shots and their text. 2.5 gives the authors' factor 250 at CLIP's s = 100.

    Notes
    -----
    Fixed hyper-parameters, none chosen on queries. w stays in the span of the shots, so that only
    its coefficients (N, S) move: O(steps S^2 N) per episode, or O(steps S D N) when S > 2 D.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
        ``w_c + alpha_c t_c``. Queries of other than unit length have their scores multiplied by
        it, which changes no decision.
    biases_ : Tensor of shape (E, N)
        Zero.
    alpha_ : Tensor of shape (E, N)
    """

    references = ("huang2024lp",)
    tags = HeadTags(scale_invariant=True, check_with={"steps": 20})

    def __init__(self, steps: int = 300, initial_alpha: float = 2.5) -> None:
        self.steps = steps
        self.initial_alpha = initial_alpha

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    @torch.no_grad()
    def fit(self, support: Support) -> Self:
        """Minimise the cross-entropy of the shots."""
        expect_repeats("head.lp_plus_plus.steps", self.steps, minimum=0)
        expect_number("head.lp_plus_plus.initial_alpha", self.initial_alpha, 0)
        shots = shots_of(support, "lp_plus_plus")
        coefficients, alpha = start(shots, self.initial_alpha)
        coefficients, alpha = majorize_minimize(shots, coefficients, alpha, self.steps)
        self.alpha_ = alpha[..., 0]
        self.weights_ = coefficients @ shots.features + alpha * shots.text
        self.biases_ = torch.zeros_like(self.alpha_)
        return self

    def linear(self) -> LinearForm:
        """Weights that follow the shots of all classes."""
        return LinearForm(self.weights_, self.biases_, None)


def start(shots: Shots, initial_alpha: float) -> tuple[Tensor, Tensor]:
    """Coefficients (E, N, S) of the class means and equal alpha (E, N, 1)."""
    means = shots.targets / shots.targets.sum(-1, keepdim=True)
    own = (means * (shots.text @ shots.features.mT)).sum(-1, keepdim=True)
    alpha = initial_alpha * shots.logit_scale * own.mean(1, keepdim=True)
    return means, alpha.expand_as(own).clone()


def majorize_minimize(
    shots: Shots, coefficients: Tensor, alpha: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Steps to the minimum of the majorising quadratic of w, then of alpha, and so on.

    Parameters
    ----------
    coefficients : Tensor of shape (E, N, S)
        ``w_c = sum_i coefficients[c, i] f_i``.
    alpha : Tensor of shape (E, N, 1)
    """
    cosines = shots.text @ shots.features.mT
    product = gram_product(shots.features)
    step_w, step_alpha = step_sizes(shots, cosines)
    visual = product(coefficients)
    for _ in range(steps):
        slope = cross_entropy_gradient(visual + alpha * cosines, shots)
        coefficients = coefficients - step_w * slope
        visual = product(coefficients)
        slope = cross_entropy_gradient(visual + alpha * cosines, shots)
        alpha = alpha - step_alpha * (slope * cosines).sum(-1, keepdim=True)
    return coefficients, alpha


def gram_product(features: Tensor) -> Product:
    """The product of (E, N, S) with F F', F (E, S, D), in the cheaper order."""
    shots, dim = features.shape[1:]
    if shots > 2 * dim:
        return lambda left: (left @ features) @ features.mT
    gram = features @ features.mT
    return lambda left: left @ gram


def step_sizes(shots: Shots, cosines: Tensor) -> tuple[Tensor, Tensor]:
    """1 / gamma_w (E, 1, 1) and 1 / gamma_alpha (E, N, 1)."""
    features = shots.features
    few = features.shape[1] < features.shape[2]
    gram = features @ features.mT if few else features.mT @ features  # the same eigenvalues
    largest = torch.linalg.eigvalsh(gram)[:, -1, None, None]
    least = torch.finfo(features.dtype).eps
    number = shots.targets.sum((1, 2), keepdim=True)
    curvature = cosines.square().sum(-1, keepdim=True)
    # A class whose text is orthogonal to all shots has no gradient: any step will do.
    return 2 * number / largest.clamp_min(least), 2 * number / curvature.clamp_min(least)
