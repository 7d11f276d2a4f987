"""Measures of a ranking of images by score: area under the ROC curve, precision, FPR at 95 %.

An image is accepted as one of the class if its score reaches a threshold. Every score that
occurs is a threshold; images with equal scores are accepted together.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# False positives are counted at this recall or above: 19 / 20.
# As integers, since 0.95 is not a binary fraction.
RECALL = (19, 20)


class Ranking(NamedTuple):
    """Measures of rankings; NaN without a positive or without a negative.

    Attributes
    ----------
    auroc : Tensor (...)
        Probability that a positive scores above a negative, ties counted half: the area under
        the receiver operating characteristic.
    average_precision : Tensor (...)
        Sum over thresholds of precision times the gain in recall, without interpolation; that of
        a random order is near the share of positives.
    fpr95 : Tensor (...)
        Share of negatives accepted at the highest threshold that accepts 95 % of the positives
        or more, which is the smallest such share.
    """

    auroc: Tensor
    average_precision: Tensor
    fpr95: Tensor


def ranking(scores: Tensor, positive: Tensor, mask: Tensor | None = None) -> Ranking:
    """Compute the area under the ROC curve, average precision and FPR at 95 % recall.

    Parameters
    ----------
    scores : Tensor of shape (..., T), floating
        Larger where an image is more likely of the class; no NaN.
    positive : Tensor of shape (..., T), bool
        Images of the class.
    mask : Tensor of shape (..., T), bool, optional
        False for padding.

    Returns
    -------
    Ranking
        Of shape (...), float64. O(T log T) each.
    """
    if mask is None:
        mask = torch.ones_like(positive)
    scores = scores.masked_fill(~mask, -torch.inf)  # padding is last and not counted
    order = scores.argsort(-1, descending=True)
    ranked = scores.gather(-1, order)
    hit, miss = ((images & mask).gather(-1, order).long() for images in (positive, ~positive))
    hits, misses = hit.cumsum(-1), miss.cumsum(-1)
    P, F = hits[..., -1].double(), misses[..., -1].double()
    first, last = _ties(ranked)
    # Accepted at the threshold that an image is at, and at the next higher one.
    above = (hits - hit).gather(-1, first)
    hits, misses = hits.gather(-1, last), misses.gather(-1, last)
    beaten = (miss * (above + hits)).sum(-1).double() / 2
    precision = hits.double() / (hits + misses).clamp_min(1)
    enough = hits * RECALL[1] >= RECALL[0] * P[..., None]
    accepted = misses.masked_fill(~enough, scores.shape[-1]).amin(-1)
    defined = (P > 0) & (F > 0)
    measures = (beaten / (P * F), (hit * precision).sum(-1) / P, accepted / F)
    return Ranking(*(measure.where(defined, torch.nan) for measure in measures))


def _ties(ranked: Tensor) -> tuple[Tensor, Tensor]:
    """First and last position (..., T) of the scores equal to the score at each position."""
    size = ranked.shape[-1]
    place = torch.arange(size, device=ranked.device).expand(ranked.shape)
    edge = torch.ones_like(ranked[..., :1], dtype=torch.bool)
    change = ranked[..., 1:] != ranked[..., :-1]
    begins = torch.cat([edge, change], -1)
    ends = torch.cat([change, edge], -1)
    first = place.masked_fill(~begins, 0).cummax(-1).values
    last = place.masked_fill(~ends, size).flip(-1).cummin(-1).values.flip(-1)
    return first, last
