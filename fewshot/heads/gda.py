"""Gaussian discriminant analysis beside class names."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number
from fewshot.heads.base import (
    LinearForm,
    LinearHead,
    Support,
    linear_scores,
)
from fewshot.heads.solvers.selection import folds, loss_of
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

# The middle of the authors' range, where their search starts.
DEFAULT_ALPHA = 0.1
ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)


class GDA(LinearHead):
    r"""Gaussian discriminant analysis with one covariance, added to zero-shot logits.

    Wang et al., "A Hard-to-Beat Baseline for Training-Free CLIP-based Adaptation", ICLR 2024:

        score_c(x) = logit_scale t_c . x + alpha (w_c . x + b_c)
        w_c = P m_c,    b_c = log(1 / N) - m_c' P m_c / 2
        P = D ((n - 1) S + trace(S) I)^-1

    with class means m_c, text vectors t_c, and S the covariance of the n deviations of the shots
    from their class means. P is the estimate of the inverse covariance of Kubokawa and
    Srivastava, "Estimation of the Precision Matrix of a Singular Wishart Distribution", JMVA
    2008. ``(n - 1) S`` is a product of n deviations, so that P m is found by Woodbury's identity
    in O(n^2 D) without a D x D matrix.

    Features of unit length are assumed, as in the paper; for others the two terms scale
    differently.

    Parameters
    ----------
    text : {"classes", "none"}
        "classes" adds the zero-shot logits. "none" leaves them out: discriminant analysis alone,
        whatever alpha.
    alpha : float >= 0, or "search"
        Weight of the discriminant analysis. The authors search 10^-4, 10^-3, ..., 100 on validation
        images for every data set. "search", the default, goes through the same seven values on the
        shots only: mistakes on the j-th shot of every class by a fit without them, and among equals
        the cross-entropy. Where no class has two shots, alpha = 0.1, the middle of that range and
        the value their program starts from.

    Notes
    -----
    If no shot deviates from its class mean, one shot per class included, S is zero and P
    undefined. The authors then have crops of each image; here the covariance is taken to be the
    identity times the variance, per dimension, of the shots about their common mean, which
    makes this part nearest class mean. If all shots are the same, it is left out.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    alpha_ : Tensor of shape (E,)
    """

    tags = HeadTags(any_order_of_shots=False)

    def __init__(
        self,
        text: Literal["classes", "none"] = "classes",
        alpha: float | Literal["search"] = "search",
    ) -> None:
        self.text = text
        self.alpha = alpha

    @property
    def uses(self) -> frozenset[str]:
        """Class names, unless text is "none"."""
        return frozenset() if self.text == "none" else frozenset({"text"})

    def fit(self, support: Support) -> Self:
        """Estimate means and precision, and choose alpha if it is to be searched."""
        self._check_parameters()
        dtype, support = support.features.dtype, support.to(torch.float64)
        weights, biases = gda_form(support)
        self.alpha_ = torch.ones_like(biases[:, 0])
        if self.text == "classes":
            text = support.context.logit_scale * class_text(support, "gda")
            if self.alpha == "search":
                self.alpha_ = _search(support, text)
            else:
                self.alpha_ = self.alpha_ * float(self.alpha)
            weights = text + self.alpha_[:, None, None] * weights
            biases = self.alpha_[:, None] * biases
        self.weights_, self.biases_ = weights.to(dtype), biases.to(dtype)
        return self

    def linear(self) -> LinearForm:
        """Weights that depend on the shots through the covariance as well."""
        return LinearForm(self.weights_, self.biases_, None)

    def _check_parameters(self) -> None:
        expect_choice("head.gda.text", self.text, ("classes", "none"))
        if self.alpha != "search":
            expect_number("head.gda.alpha", self.alpha, 0, remedy="Or 'search', on the shots.")


def gda_form(support: Support) -> tuple[Tensor, Tensor]:
    """Weights (E, N, D) and biases (E, N) of the discriminant analysis alone, equal priors.

    The common mean is left out of the weights and put into the biases, which changes scores by
    what is common to all classes and keeps the digits that count.
    """
    means, mask = support.means(), support.mask.flatten(1)
    deviations = support.deviations(means).flatten(1, 2)
    centre = means.mean(1, keepdim=True)
    n, D = mask.sum(-1).to(means.dtype), means.shape[-1]
    total = deviations.square().sum((1, 2))
    around = (support.features.flatten(1, 2) - centre) * mask[..., None]
    spread = around.square().sum((1, 2))
    # Identical shots deviate from their mean by rounding.
    rounding = torch.finfo(means.dtype).eps * support.features.square().sum((1, 2, 3))
    known = total > rounding
    deviations = deviations * known[:, None, None]
    ridge = torch.where(known, total / (n - 1).clamp_min(1), spread / n)
    there = ridge > rounding
    ridge = torch.where(there, ridge, 1.0)[:, None, None]
    apart = means - centre
    inner = deviations @ deviations.mT
    inner.diagonal(dim1=-2, dim2=-1).add_(ridge[..., 0])
    coefficients = torch.cholesky_solve(deviations @ apart.mT, torch.linalg.cholesky(inner))
    weights = (apart - coefficients.mT @ deviations) * (there[:, None, None] * D / ridge)
    biases = -(weights * (means + centre)).sum(-1) / 2
    return weights, biases


def _search(support: Support, text: Tensor) -> Tensor:
    """The value of ALPHAS that is best for the held-out shots of every episode: (E,)."""
    known = support.mask & (support.counts > 1)[..., None]
    shots = support.features.flatten(1, 2)
    analysis = torch.zeros(*known.shape, known.shape[1], dtype=shots.dtype, device=shots.device)
    for rest, held in folds(support, support.mask.shape[-1]):
        scores = linear_scores(shots, *gda_form(rest)).unflatten(1, held.shape[1:])
        analysis = torch.where(held[..., None], scores, analysis)
    zero_shot = (shots @ text.mT).unflatten(1, known.shape[1:])
    losses = torch.stack([loss_of(zero_shot + alpha * analysis, known) for alpha in ALPHAS])
    best = torch.tensor(ALPHAS, dtype=shots.dtype, device=shots.device)[losses.argmin(0)]
    return best.where(known.any(-1).any(-1), DEFAULT_ALPHA)
