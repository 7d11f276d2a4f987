"""A fitted linear head as weights and biases alone: all that is kept of it in a file."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.heads.base import Head, LinearForm, LinearHead, Support

CONTIGUOUS = torch.contiguous_format


class FittedLinear(LinearHead):
    """Scores ``weights . x + biases`` of a head that was fitted before.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    """

    references = ()

    def __init__(self, weights: Tensor, biases: Tensor) -> None:
        self.weights_, self.biases_ = weights, biases

    def fit(self, support: Support) -> Self:
        """It is fitted: another support does not change it."""
        raise NotImplementedError("a fitted linear head is not fitted again")

    def linear(self) -> LinearForm:
        """Weights and biases, as given."""
        return LinearForm(self.weights_, self.biases_, None)


def portable(head: Head) -> Head:
    """A fitted head as weights and biases where its scores are linear; else the head itself."""
    form = head.linear()
    if form is None:
        return head
    # Copies in one piece: products of matrices round by how these lie in memory.
    return FittedLinear(*(t.clone(memory_format=CONTIGUOUS) for t in (form.weights, form.biases)))
