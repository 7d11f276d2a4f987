"""Gaussian discriminant analysis beside class names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number
from fewshot.heads.base import LinearForm, LinearHead, Support, linear_scores
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.selection import (
    cautious,
    choose_on_base,
    held_out_scores,
    loss_of,
    mistakes_of,
)
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

# Where the authors' search starts, and their values.
DEFAULT_ALPHA = 0.1
ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
# What the analysis may add to scores for wrong classes, as a share of how zero-shot scores spread:
# first the safe one, at which they spread by sqrt(1 + 0.05^2) - 1 = 0.1 % more.
SHARES = tuple(0.05 * 10 ** (quarter / 4) for quarter in range(12))
BASE_SHARES = (SHARES[0], 0.0, *SHARES[1:])
PAPER = {"alpha": "search"}
Form = tuple[Tensor, Tensor]


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
    in O(n^2 D) where n < D, else the D x D matrix is inverted.

    Features of unit length are assumed, as in the paper; for others the two terms scale
    differently.

    Parameters
    ----------
    text : {"classes", "none"}
        "classes" adds the zero-shot logits. "none" leaves them out: discriminant analysis alone,
        whatever alpha.
    alpha : float >= 0, "auto" or "search"
        Weight of the discriminant analysis. "auto", the default, is careful not to fall below
        zero-shot: see the notes. "search" takes of 10^-4, 10^-3, ..., 100, which the authors search
        on validation images, the value with the fewest mistakes on the j-th shot of every class by
        a fit without them, and among equals the least cross-entropy. Where no class has two shots
        it is 0.1, where their program starts.
    preset : {"none", "paper"}
        "paper" sets ``alpha="search"``.

    Notes
    -----
    With "auto" the weight is a share times the ratio of how widely scores of the shots for classes
    other than their own spread, by zero-shot and by the analysis. A share of 0.05 widens the spread
    of the sum by ``sqrt(1 + 0.05^2) - 1`` = 0.1 %, so that it costs next to nothing should the
    shots say nothing. It is the first of twelve, up to 28. With base classes the share is the first
    within one standard error of the fewest mistakes on their episodes, 0 being the second; without,
    the first within one standard error of the fewest mistakes on held-out shots of the episode, and
    0.05 where no class has two.

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

    references = (
        "wang2024hard",
        "kubokawa2008estimation",
        "breiman1984classification",
        "agresti1998approximate",
    )
    tags = HeadTags(any_order_of_shots=False)

    def __init__(
        self,
        text: Literal["classes", "none"] = "classes",
        alpha: float | Literal["auto", "search"] = "auto",
        preset: Preset = "none",
    ) -> None:
        self.text = text
        self.alpha = alpha
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """Class names, unless text is "none"; episodes of base classes if alpha is "auto"."""
        settings = with_preset(self, PAPER, "head.gda")
        if settings.text == "none":
            return frozenset()
        return frozenset({"text", "base_episodes"} if settings.alpha == "auto" else {"text"})

    def fit(self, support: Support) -> Self:
        """Estimate means and precision, and choose alpha if it is to be chosen."""
        settings = with_preset(self, PAPER, "head.gda")
        settings._check_parameters()
        dtype, support = support.features.dtype, support.to(torch.float64)
        weights, biases = gda_form(support)
        self.alpha_ = torch.ones_like(biases[:, 0])
        if settings.text == "classes":
            text = support.context.logit_scale * class_text(support, "gda")
            self.alpha_ = self.alpha_ * settings._alpha(support, text, (weights, biases))
            weights = text + self.alpha_[:, None, None] * weights
            biases = self.alpha_[:, None] * biases
        self.weights_, self.biases_ = weights.to(dtype), biases.to(dtype)
        return self

    def _alpha(self, support: Support, text: Tensor, form: Form) -> Tensor | float:
        """The weight of the analysis for all episodes, or for each of them: (E,)."""
        if self.alpha == "search":
            return _search(support, text)
        if self.alpha != "auto":
            return float(self.alpha)
        episodes, ratio = support.context.base_episodes, ratio_of(support, text, form)
        if episodes is None:
            return ratio * _cautious(support, text)
        return ratio * episodes.choose(self, _on_base)

    def linear(self) -> LinearForm:
        """Weights that depend on the shots through the covariance as well."""
        return LinearForm(self.weights_, self.biases_, None)

    def _check_parameters(self) -> None:
        expect_choice("head.gda.text", self.text, ("classes", "none"))
        if self.alpha not in ("auto", "search"):
            remedy = "Or 'search', on the shots, or 'auto'."
            expect_number("head.gda.alpha", self.alpha, 0, remedy=remedy)


def gda_form(support: Support) -> Form:
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
    weights = ridge_solve(deviations, ridge[..., 0], apart) * (there[:, None, None] * D)
    biases = -(weights * (means + centre)).sum(-1) / 2
    return weights, biases


def ridge_solve(rows: Tensor, ridge: Tensor, right: Tensor) -> Tensor:
    """``(rows' rows + ridge I)^-1 right`` of rows (E, n, D), ridge (E, 1), right (E, N, D).

    By Woodbury's identity where there are fewer rows than dimensions.
    """
    if rows.shape[1] > rows.shape[2]:
        inner = rows.mT @ rows
        inner.diagonal(dim1=-2, dim2=-1).add_(ridge)
        return torch.cholesky_solve(right.mT, torch.linalg.cholesky(inner)).mT
    inner = rows @ rows.mT
    inner.diagonal(dim1=-2, dim2=-1).add_(ridge)
    coefficients = torch.cholesky_solve(rows @ right.mT, torch.linalg.cholesky(inner))
    return (right - coefficients.mT @ rows) / ridge[..., None]


def _search(support: Support, text: Tensor) -> Tensor:
    """The value of ALPHAS that is best for the held-out shots of every episode: (E,)."""
    zero_shot, analysis, known = _held_out(support, text)
    losses = torch.stack([loss_of(zero_shot + alpha * analysis, known) for alpha in ALPHAS])
    best = torch.tensor(ALPHAS, dtype=text.dtype, device=text.device)[losses.argmin(0)]
    return best.where(known.any(-1).any(-1), DEFAULT_ALPHA)


def _cautious(support: Support, text: Tensor) -> Tensor:
    """The share that held-out shots speak for, the safe one where they leave it open: (E,)."""
    shares = torch.tensor(SHARES, dtype=text.dtype, device=text.device)
    if int(support.counts.max()) < 2:
        return shares[:1].expand(len(text))
    zero_shot, analysis, known = _held_out(support, text, relative=True)
    mistakes = torch.stack([mistakes_of(zero_shot + share * analysis) for share in SHARES])
    return shares[cautious(mistakes.flatten(2).to(text.dtype), known.flatten(1))]


def ratio_of(support: Support, text: Tensor, form: Form) -> Tensor:
    """How much wider scores for wrong classes spread by zero-shot than by the analysis: (E,).

    The ratio of standard deviations of the scores of the shots for classes other than their own;
    0 if the analysis tells nothing apart.

    Parameters
    ----------
    support : Support
    text : Tensor of shape (E, N, D)
        Text vectors times the factor of the dual encoder.
    form : (Tensor of shape (E, N, D), Tensor of shape (E, N))
        Weights and biases of the analysis.
    """
    shots = support.features.flatten(1, 2)
    ways = torch.eye(text.shape[1], dtype=torch.bool, device=text.device)[:, None]
    other = (support.mask[..., None] & ~ways).flatten(1, 2)  # (E, N K, N)

    def deviation(scores: Tensor) -> Tensor:
        count = other.sum(-1, keepdim=True).clamp_min(1)
        centred = (scores - (scores * other).sum(-1, keepdim=True) / count) * other
        return (centred.square().sum((1, 2)) / other.sum((1, 2))).sqrt()

    analysis = deviation(linear_scores(shots, *form))
    return torch.where(analysis > 0, deviation(shots @ text.mT) / analysis, 0.0)


def _on_base(episodes: LabelledEpisodes) -> float:
    """The share that is about the best for episodes of base classes; none is a share as well."""

    def scores(batch: LabelledBatch) -> Iterator[Tensor]:
        support, queries = batch.support.to(torch.float64), batch.query.features.double()
        text, form = support.context.logit_scale * class_text(support, "gda"), gda_form(support)
        ratio = ratio_of(support, text, form)[:, None, None]
        zero_shot, analysis = queries @ text.mT, ratio * linear_scores(queries, *form)
        return (zero_shot + share * analysis for share in BASE_SHARES)

    return choose_on_base(episodes, BASE_SHARES, scores)


def _held_out(
    support: Support, text: Tensor, relative: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores (E, N, K, N) of shots by text and by a fit without them, and which have any.

    Those of the fits times their `ratio_of` if they shall be relative.
    """

    def scores(rest: Support, shots: Tensor) -> Tensor:
        form = gda_form(rest)
        of_form = linear_scores(shots, *form)
        return of_form * ratio_of(rest, text, form)[:, None, None] if relative else of_form

    analysis, known = held_out_scores(support, scores)
    shots = support.features.flatten(1, 2)
    return (shots @ text.mT).unflatten(1, known.shape[1:]), analysis, known
