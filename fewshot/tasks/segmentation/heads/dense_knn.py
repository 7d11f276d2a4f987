"""Nearest annotated tokens."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number, expect_positive_int
from fewshot.tasks.segmentation.heads.base import NEVER, DenseHead, DenseSupport

# Similarities (query tokens x support tokens) that are held at a time.
BLOCK = 2**23


class DenseKNN(DenseHead):
    """Votes of the k annotated tokens of largest cosine, weighted by exp(cosine / temperature).

    A token votes for every class by its share of the annotated pixels that the token stands for,
    and scores are the shares of the votes: dense retrieval of Balazevic et al., "Towards
    In-Context Scene Understanding", NeurIPS 2023 (k = 30, temperature 0.02), by exact search and
    with the tokens of all annotated images. Similarities are found in blocks, so that memory is
    that of the support's tokens and one block.

    Parameters
    ----------
    k : int >= 1
        Neighbours; all tokens where there are fewer.
    temperature : float > 0

    Attributes
    ----------
    keys_ : Tensor of shape (R, D)
        Annotated tokens at unit length.
    votes_ : Tensor of shape (R, N)
        Shares of the classes.
    present_ : Tensor of shape (N,), bool
    """

    references = ("balazevic2023towards",)
    unit_length = True
    cheap_to_refit = True

    def __init__(self, k: int = 30, temperature: float = 0.02) -> None:
        expect_positive_int("k", k)
        expect_number("temperature", temperature, 0, above=True)
        self.k, self.temperature = k, temperature

    def fit(self, support: DenseSupport, seed: int = 0) -> Self:
        """Keep the annotated tokens; `seed` is not used."""
        tokens, labels = support.annotated()
        self.keys_ = self.prepared(tokens)
        self.votes_ = labels / labels.sum(1, keepdim=True)
        self.present_ = support.counts() > 0
        return self

    def scores(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Shares of the votes (T, N), in [0, 1]; `NEVER` for classes without pixels."""
        queries = self.prepared(tokens)
        rows = max(1, BLOCK // max(1, len(self.keys_)))
        scores = torch.cat([self._votes(block) for block in queries.split(rows)])
        return scores.masked_fill(~self.present_, NEVER)

    def _votes(self, queries: Tensor) -> Tensor:
        cosines, nearest = (queries @ self.keys_.mT).topk(min(self.k, len(self.keys_)))
        weights = (cosines / self.temperature).softmax(-1)
        return torch.einsum("tk,tkn->tn", weights, self.votes_[nearest])
