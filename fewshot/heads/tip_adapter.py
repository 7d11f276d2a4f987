"""Tip-Adapter: a cache of the shots beside class names."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.selection import loss_of
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

# The ranges of the authors' ImageNet settings, in 20 steps each (theirs: 20 and 200).
ALPHAS = [0.1 + step * 2.9 / 20 for step in range(20)]
BETAS = [0.1 + step * 6.9 / 20 for step in range(20)]


class TipAdapter(Head):
    r"""Zero-shot logits plus a cache of the shots, without training.

    Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification", ECCV
    2022: with unit-length features of query x, shots f_i and class texts t_c,

        score_c(x) = logit_scale t_c . x + alpha sum_(i of class c) exp(-beta (1 - f_i . x))

    The sum favours classes with more shots, as in the paper. O(N K D) a query.

    Parameters
    ----------
    alpha : float >= 0, or "search"
        Weight of the cache; 1 as in the paper. "search" chooses among 20 values from 0.1 to 3,
        together with beta.
    beta : float > 0, or "search"
        Sharpness of the affinities; 5.5 as in the paper. "search" chooses among 20 values from 0.1
        to 7. The authors go on to search both on validation images; here only the shots are used:
        every shot is classified with its own entry taken out of the cache, and mistakes, among
        equals the cross-entropy, decide. One shot per class then always speaks against its own
        cache and gets the smallest alpha.

    Attributes
    ----------
    keys_ : Tensor of shape (E, N, K, D)
        The cache; `mask_`, of shape (E, N, K), says which entries are there.
    text_ : Tensor of shape (E, N, D)
    alpha_, beta_ : Tensor of shape (E,)
    """

    references: tuple[str, ...] = ("zhang2022tip",)
    tags = HeadTags(scale_invariant=True)

    name = "tip_adapter"

    def __init__(
        self,
        alpha: float | Literal["search"] = 1.0,
        beta: float | Literal["search"] = 5.5,
    ) -> None:
        self.alpha = alpha
        self.beta = beta

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    def fit(self, support: Support) -> Self:
        """Store the shots, and choose what is to be searched."""
        self._check_parameters()
        self.text_ = class_text(support, self.name)
        self.scale_, self.mask_ = support.context.logit_scale, support.mask
        self.keys_ = unit_length(support.features)
        self.alpha_, self.beta_ = self._settings()
        return self

    def scores(self, query: Query) -> Tensor:
        """Zero-shot logits and cache logits: (E, T, N)."""
        x = unit_length(query.features)
        affinities = (x @ self.keys_.flatten(1, 2).mT).unflatten(-1, self.mask_.shape[1:])
        cache = cache_sums(affinities, self.mask_[:, None], self.beta_[:, None, None, None])
        return self.scale_ * (x @ self.text_.mT) + self.alpha_[:, None, None] * cache

    def leave_one_out(self, support: Support) -> Tensor | None:
        """Scores (E, N, K, N) of every shot with its own entry taken out of the cache."""
        if "search" in (self.alpha, self.beta):
            return None  # what is chosen depends on the shots as well
        fitted = self.clone().fit(support)
        cache = fitted._cache_without_own(fitted.beta_[:, None, None, None, None])
        return fitted._zero_shot() + fitted.alpha_[:, None, None, None] * cache

    def _settings(self) -> tuple[Tensor, Tensor]:
        """alpha and beta of every episode: (E,) each."""
        alphas = ALPHAS if self.alpha == "search" else [float(self.alpha)]
        betas = BETAS if self.beta == "search" else [float(self.beta)]
        pairs = [(alpha, beta) for beta in betas for alpha in alphas]
        table = self.keys_.new_tensor(pairs)
        if len(pairs) == 1:
            return tuple(table.expand(len(self.keys_), 2).unbind(-1))  # type: ignore[return-value]
        zero_shot, losses = self._zero_shot(), []
        for beta in betas:
            cache = self._cache_without_own(beta)
            losses += [loss_of(zero_shot + alpha * cache, self.mask_) for alpha in alphas]
        return tuple(table[torch.stack(losses).argmin(0)].unbind(-1))  # type: ignore[return-value]

    def _zero_shot(self) -> Tensor:
        return self.scale_ * torch.einsum("enkd,ecd->enkc", self.keys_, self.text_)

    def _cache_without_own(self, beta: float | Tensor) -> Tensor:
        flat = self.keys_.flatten(1, 2)
        ways, shots = self.mask_.shape[1:]
        others = ~torch.eye(ways * shots, dtype=torch.bool, device=flat.device)
        there = (others & self.mask_.flatten(1)[:, None]).view(-1, ways, shots, ways, shots)
        return cache_sums((flat @ flat.mT).view(there.shape), there, beta)

    def _check_parameters(self) -> None:
        remedy = "Or 'search', on the shots."
        if self.alpha != "search":
            expect_number(f"head.{self.name}.alpha", self.alpha, 0, remedy=remedy)
        if self.beta != "search":
            expect_number(f"head.{self.name}.beta", self.beta, 0, above=True, remedy=remedy)


def cache_sums(affinities: Tensor, mask: Tensor, beta: float | Tensor) -> Tensor:
    """``sum_k exp(-beta (1 - a_ck))`` over the entries of a class: (..., N, K) to (..., N)."""
    return (torch.exp(beta * (affinities - 1)) * mask).sum(-1)
