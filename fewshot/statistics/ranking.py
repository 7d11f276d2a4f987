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
    hit, miss = ((images & mask).gather(-1, order).double() for images in (positive, ~positive))
    P, N = hit.sum(-1), miss.sum(-1)
    above, hits, misses = accepted(hit, miss, tied(scores.gather(-1, order)))
    enough = hits * RECALL[1] >= RECALL[0] * P[..., None]
    fewest = misses.masked_fill(~enough, scores.shape[-1]).amin(-1)
    defined = (P > 0) & (N > 0)
    measures = (
        area_under_curve(miss, above, hits, P, N),
        average_precision(hit, hits, misses, P),
        fewest / N,
    )
    return Ranking(*(measure.where(defined, torch.nan) for measure in measures))


def open_set_rate(
    scores: Tensor, right: Tensor, known: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Area under the open-set classification rate (OSCR; Dhamija et al., NeurIPS 2018).

    The rate of known images that are accepted and of the right class, against that of unknown
    images that are accepted, over all thresholds: the probability that a known image is classified
    rightly and scores above an unknown one, ties counted half. It is at most the accuracy.

    Parameters
    ----------
    scores : Tensor of shape (..., T), floating
        Larger where an image is more likely of a known class; no NaN.
    right : Tensor of shape (..., T), bool
        Whether an image was given its own class.
    known : Tensor of shape (..., T), bool
        False for images of no known class.
    mask : Tensor of shape (..., T), bool, optional
        False for padding.

    Returns
    -------
    Tensor of shape (...), float64
        In [0, 1]; NaN without a known or without an unknown image.
    """
    if mask is None:
        mask = torch.ones_like(known)
    scores = scores.masked_fill(~mask, -torch.inf)
    order = scores.argsort(-1, descending=True)
    kinds = (right & known & mask, ~known & mask)
    hit, miss = (images.gather(-1, order).double() for images in kinds)
    above, hits, _ = accepted(hit, miss, tied(scores.gather(-1, order)))
    of_known, of_unknown = (known & mask).sum(-1), (~known & mask).sum(-1)
    area = area_under_curve(miss, above, hits, of_known, of_unknown)
    return area.where((of_known > 0) & (of_unknown > 0), torch.nan)


def accepted(
    hit: Tensor, miss: Tensor, ties: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers of accepted images at the threshold that each image is at, in falling order.

    Parameters
    ----------
    hit, miss : Tensor of shape (..., T), floating
        1 for positives and for negatives in the order of falling scores; both 0 for padding.
    ties : tuple of Tensor, or None
        From `tied`: images with equal scores are accepted together.

    Returns
    -------
    above, hits, misses : Tensor of shape (..., T)
        Positives at the next higher threshold; positives and negatives at this one.
    """
    hits, misses = hit.cumsum(-1), miss.cumsum(-1)
    above = hits - hit
    if ties is None:
        return above, hits, misses
    first, last = ties
    return above.gather(-1, first), hits.gather(-1, last), misses.gather(-1, last)


def area_under_curve(miss: Tensor, above: Tensor, hits: Tensor, P: Tensor, N: Tensor) -> Tensor:
    """Area (...) under the ROC curve, float64, from `accepted` and the numbers of images (...)."""
    beaten = (miss.double() * (above + hits)).sum(-1)  # twice: half of the ties count
    return beaten / (2 * P.double() * N)


def average_precision(hit: Tensor, hits: Tensor, misses: Tensor, P: Tensor) -> Tensor:
    """Average precision (...), in the dtype of `hit`, from `accepted` and the positives (...)."""
    return (hit * (hits / (hits + misses).clamp_min(1))).sum(-1) / P


def tied(ranked: Tensor, ignored: Tensor | None = None) -> tuple[Tensor, Tensor] | None:
    """First and last position (..., T) of the scores equal to the score at each position.

    None if no two are equal, those at positions `ignored` (..., T), bool, aside.
    """
    change = ranked[..., 1:] != ranked[..., :-1]
    if ignored is not None:
        change = change | ignored[..., 1:]
    if bool(change.all()):
        return None
    size = ranked.shape[-1]
    place = torch.arange(size, device=ranked.device).expand(ranked.shape)
    edge = torch.ones_like(ranked[..., :1], dtype=torch.bool)
    first = place.masked_fill(~torch.cat([edge, change], -1), 0).cummax(-1).values
    last = place.masked_fill(~torch.cat([change, edge], -1), size)
    return first, last.flip(-1).cummin(-1).values.flip(-1)
