"""Class names alone."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.heads.base import (
    LinearForm,
    LinearHead,
    Query,
    Support,
    linear_scores,
)
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text
from fewshot.heads.verifier import Verifier, cosine


class ZeroShot(LinearHead, Verifier):
    """Cosine of image and class text, times the dual encoder's scale; the shots are ignored.

    The zero-shot classifier of Radford et al., "Learning Transferable Visual Models From Natural
    Language Supervision", ICML 2021, section 3.1: ``logit_scale cos(x, t_c)``. The head leaves out
    the length of the query, ``logit_scale t_c . x``, which makes it linear: no decision depends on
    ``|x|``, and for unit-length features the scores are the same. Nothing is fitted: O(N D).

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
        Text vectors times the scale.
    biases_ : Tensor of shape (E, N), zero
    """

    tags = HeadTags(scale_invariant=True)

    @property
    def least_shots(self) -> int:
        """None: class names are enough."""
        return 0

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    def fit(self, support: Support) -> Self:
        """Take the text vectors."""
        self.weights_ = support.context.logit_scale * class_text(support, "zero_shot")
        self.biases_ = torch.zeros_like(self.weights_[..., 0])
        return self

    def verify(self, query: Query) -> Tensor:
        """Cosine of image and class text: (E, T, N)."""
        return cosine(query.features, self.weights_)

    def linear(self) -> LinearForm:
        """Weights on which the shots have no influence."""
        return LinearForm(self.weights_, self.biases_, torch.zeros_like(self.biases_))

    def leave_one_out(self, support: Support) -> Tensor:
        """Scores (E, N, K, N) of every shot: no shot is missed."""
        fitted = self.clone().fit(support)
        scores = linear_scores(support.features.flatten(1, 2), *fitted.linear()[:2])
        return scores.unflatten(1, support.mask.shape[1:])
