"""TIMO: class texts as further shots of discriminant analysis."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number
from fewshot.heads.base import LinearForm, LinearHead, Support, linear_scores
from fewshot.heads.gda import gda_form
from fewshot.heads.solvers.selection import cautious, held_out_scores, mistakes_of
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

# The authors' values, from zero-shot classification to discriminant analysis alone.
ALPHAS = tuple(10.0**power for power in range(4, -5, -1))


class TIMO(LinearHead):
    r"""Discriminant analysis of shots and class texts together, beside zero-shot logits.

    Li et al., "Text and Image Are Mutually Beneficial: Enhancing Training-Free Few-Shot
    Classification with CLIP", AAAI 2025, for one text vector t_c per class: with m_c the direction
    of the mean of the shots of class c, the text joins the shots as ``(m_c . t_c) t_c``
    (text-guided image), and

        score_c(x) = logit_scale (t_c . x + (w_c . x + b_c) / alpha)

    with w, b the discriminant analysis of `GDA` on shots and texts. The paper has many prompts per
    class and weights them by their cosines with m_c in both places; of image-guided text nothing
    is left with one vector, which then weighs 1. The factor ``logit_scale / alpha``, which the
    authors' program does not have, changes no decision.

    Parameters
    ----------
    alpha : float > 0, or "search"
        Weight of the zero-shot cosines. The authors search 10^-4, 10^-3, ..., 10^4 on validation
        images. "search" goes through the same nine values on the shots only: the largest whose
        mistakes, on the j-th shot of every class by a fit without them, are within one standard
        error of the fewest, as `fewshot.heads.solvers.selection.cautious` has it. Where no class
        has two shots, alpha = 10^4, their value nearest to zero-shot classification.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    alpha_ : Tensor of shape (E,)
    """

    references = ("li2025text", "wang2024hard")
    tags = HeadTags(any_order_of_shots=False)

    def __init__(self, alpha: float | Literal["search"] = "search") -> None:
        self.alpha = alpha

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    def fit(self, support: Support) -> Self:
        """Estimate means and precision with the texts among the shots; choose alpha."""
        if self.alpha != "search":
            remedy = "Or 'search', on the shots."
            expect_number("head.timo.alpha", self.alpha, 0, above=True, remedy=remedy)
        dtype, support = support.features.dtype, support.to(torch.float64)
        text, scale = class_text(support, "timo"), support.context.logit_scale
        weights, biases = gda_form(with_texts(support, text))
        if self.alpha == "search":
            self.alpha_ = _search(support, text)
        else:
            self.alpha_ = torch.full_like(biases[:, 0], float(self.alpha))
        share = scale / self.alpha_[:, None]
        self.weights_ = (scale * text + share[..., None] * weights).to(dtype)
        self.biases_ = (share * biases).to(dtype)
        return self

    def linear(self) -> LinearForm:
        """Weights that depend on the shots through covariance and cosines as well."""
        return LinearForm(self.weights_, self.biases_, None)


def with_texts(support: Support, text: Tensor) -> Support:
    """Shots (E, N, K, D) and, in front of them, the texts (E, N, D) times their cosine with the
    class means: (E, N, 1 + K, D)."""
    means = unit_length(support.means())
    guided = (means * text).sum(-1, keepdim=True) * text
    features = torch.cat([guided[:, :, None], support.features], 2)
    mask = torch.cat([torch.ones_like(support.mask[..., :1]), support.mask], 2)
    return Support(features, mask, support.context)


def _search(support: Support, text: Tensor) -> Tensor:
    """The largest of ALPHAS that the held-out shots of an episode speak for: (E,)."""

    def scores(rest: Support, shots: Tensor) -> Tensor:
        return linear_scores(shots, *gda_form(with_texts(rest, text)))

    analysis, known = held_out_scores(support, scores)
    shots = support.features.flatten(1, 2)
    cosines = (shots @ text.mT).unflatten(1, known.shape[1:])
    wrong = torch.stack([mistakes_of(cosines + analysis / alpha).flatten(1) for alpha in ALPHAS])
    values = torch.tensor(ALPHAS, dtype=shots.dtype, device=shots.device)
    return values[cautious(wrong.to(shots.dtype), known.flatten(1))]
