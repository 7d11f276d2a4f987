"""Matching networks on frozen features."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.solvers.transforms import length_of, unit_length
from fewshot.heads.tags import HeadTags


class Matching(Head):
    """Attention over the shots by cosine.

    Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016, eq. (1) and section
    2.1.1, with the identity for both embeddings: the full context embeddings need training.
    ``P(c | x) = sum_i a(x, x_i) [y_i = c]``, a the softmax over all shots of
    ``cos(x, x_i) / temperature``. O(T N K D).

    Parameters
    ----------
    temperature : float > 0
        Cosines are divided by it before the softmax. 1 is the paper's; smaller attends to fewer
        shots, and 0 in the limit is the nearest neighbour. Fixed, nothing is chosen from data.
    priors : {"uniform", "empirical"}
        Mean attention of a class's shots ("uniform"), or their sum ("empirical"), the paper's, by
        which a class with more shots wins. The same where all classes have K shots.

    Attributes
    ----------
    shots_ : Tensor of shape (E, N, K, D)
        Shots of unit length.
    mask_ : Tensor of shape (E, N, K)
    """

    references = ("vinyals2016matching",)
    tags = HeadTags(scale_invariant=True)

    def __init__(
        self, temperature: float = 1.0, priors: Literal["uniform", "empirical"] = "uniform"
    ) -> None:
        self.temperature = temperature
        self.priors = priors

    def fit(self, support: Support) -> Self:
        """Keep the directions of the shots."""
        remedy = "1 is the paper's."
        expect_number("head.matching.temperature", self.temperature, 0, above=True, remedy=remedy)
        expect_choice("head.matching.priors", self.priors, ("uniform", "empirical"))
        self.shots_, self.mask_ = unit_length(support.features), support.mask
        return self

    def scores(self, query: Query) -> Tensor:
        """Log probabilities (E, T, N)."""
        products = query.features @ self.shots_.flatten(1, 2).mT
        cosines = products / length_of(query.features)
        return log_attention(
            cosines / self.temperature, self.mask_[:, None], self.priors == "uniform"
        )

    def leave_one_out(self, support: Support) -> Tensor:
        """Log probabilities (E, N, K, N) of every shot from the others."""
        shots = unit_length(support.features.flatten(1, 2))
        E, N, K = support.mask.shape
        others = ~torch.eye(N * K, dtype=torch.bool, device=shots.device).view(1, N * K, N, K)
        logits = shots @ shots.mT / self.temperature
        mask = support.mask[:, None] & others
        return log_attention(logits, mask, self.priors == "uniform").view(E, N, K, N)


def log_attention(logits: Tensor, mask: Tensor, uniform: bool) -> Tensor:
    """Log of the attention that classes receive.

    Parameters
    ----------
    logits : Tensor of shape (E, T, N * K)
    mask : Tensor of shape (E, T or 1, N, K), bool
    uniform : bool
        Average over the shots of a class instead of summing.

    Returns
    -------
    Tensor of shape (E, T, N)
        Minus infinity for a class without shots.
    """
    by_class = logits.unflatten(-1, mask.shape[2:]).masked_fill(~mask, -torch.inf)
    summed = by_class.logsumexp(-1)
    if uniform:
        summed = summed - mask.sum(-1).to(logits.dtype).log().nan_to_num(0.0, neginf=0.0)
    return summed.log_softmax(-1)
