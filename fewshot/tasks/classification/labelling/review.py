"""Which labels to check, so that few of the others are wrong."""

from __future__ import annotations

import torch
from torch import Tensor


def to_review(probabilities: Tensor, budget: float) -> Tensor:
    """Which labels to look at, so that of the others at most a share is expected to be wrong.

    The surest labels are accepted as long as the mean of one minus their probability stays within
    the budget.

    Parameters
    ----------
    probabilities : Tensor of shape (M,)
        Of the labels that were given; 0 for images that are to be looked at in any case.
    budget : float in [0, 1)
        Expected share of wrong labels among those that are not looked at.

    Returns
    -------
    Tensor of shape (M,), bool
    """
    order = probabilities.argsort(descending=True, stable=True)
    wrong = (1 - probabilities[order].double()).cumsum(0)
    mean = wrong / torch.arange(1, len(order) + 1)
    review = torch.empty(len(order), dtype=torch.bool)
    review[order] = mean > budget
    return review
