"""Conformal prediction: quantiles of scores, and how extreme a score is among others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Of sums of weights, which do not add up exactly.
ROUNDING = 1e-9


def conformal_quantile(scores: Tensor, level: float) -> Tensor:
    """The score that a new one does not exceed with at least the probability `level`.

    The ``ceil((n + 1) level)``-th smallest of n scores. Where these and the
    new one are exchangeable, it holds for any distribution (Vovk, Gammerman and Shafer,
    "Algorithmic Learning in a Random World", 2005; split conformal prediction).

    Parameters
    ----------
    scores : Tensor of shape (..., n), floating
        Of images that the classifier was not fitted on.
    level : float in (0, 1)

    Returns
    -------
    Tensor of shape (...)
        Infinite where n is too small for the level: at 90 % it takes 9 scores, at 99 % 99.
    """
    n = scores.shape[-1]
    rank = math.ceil((n + 1) * level - ROUNDING)
    if rank > n:
        return scores.new_full(scores.shape[:-1], torch.inf)
    return scores.sort(-1).values[..., max(rank, 1) - 1]


def pooled_weights(weights: Tensor, others: int, pseudo_count: float) -> Tensor:
    """Weights (..., n + others) of scores of a task, and of others that count as `pseudo_count`.

    Parameters
    ----------
    weights : Tensor of shape (..., n), floating
        Of the scores of the task, 0 for padding.
    others : int
        Number of scores from elsewhere, which count alike.
    pseudo_count : float >= 0
        What the others weigh together.
    """
    prior = weights.new_full((*weights.shape[:-1], others), pseudo_count / max(others, 1))
    return torch.cat([weights, prior], -1)


def weighted_quantile(values: Tensor, weights: Tensor, level: float) -> Tensor:
    """The smallest value at or below which at least the share `level` of the weight lies.

    Parameters
    ----------
    values : Tensor of shape (..., n), floating
    weights : Tensor of shape (..., n), floating, >= 0
    level : float in (0, 1)

    Returns
    -------
    Tensor of shape (...)
        Infinite where there is no weight.
    """
    if not values.shape[-1]:
        return values.new_full(values.shape[:-1], torch.inf)
    ordered, order = values.sort(dim=-1, stable=True)
    reached = weights.gather(-1, order).cumsum(-1)
    total = reached[..., -1:]
    place = (reached < (level - ROUNDING) * total).sum(-1, keepdim=True)
    found = ordered.gather(-1, place.clamp_max(values.shape[-1] - 1))
    return torch.where(total > 0, found, torch.inf)[..., 0]


def weighted_tail(values: Tensor, weights: Tensor, points: Tensor) -> Tensor:
    """Share of the weight that lies at values as large as points, or larger.

    The p-value of a new score, where values are those of others like it.

    Parameters
    ----------
    values : Tensor of shape (n,), floating
    weights : Tensor of shape (n,), floating, >= 0
    points : Tensor of any shape
        NaN: the share is 0.

    Returns
    -------
    Tensor of the shape of `points`, in [0, 1]
        1 where there is no weight.
    """
    total = weights.sum()
    if not bool(total > 0):
        return torch.ones_like(points)
    ordered, order = values.sort()
    # What weighs at the i-th smallest value and above it; nothing above the largest.
    above = weights[order].flip(0).cumsum(0).flip(0)
    above = torch.cat([above, above.new_zeros(1)]) / total
    place = torch.searchsorted(ordered, points.contiguous())
    return above[place].clamp(0.0, 1.0)
