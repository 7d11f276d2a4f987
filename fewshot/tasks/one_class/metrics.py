"""Measures of decisions and of their ranking, at several prevalences after one sort."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Measures(NamedTuple):
    """Measures of decisions, each (..., P), float64; NaN without images or with NaN margins.

    Attributes
    ----------
    macro_f1 : Tensor
        Mean of the F1 of the positive and of the negative class, with "yes" where margin > 0.
    f1 : Tensor
        Of the positive class.
    balanced_accuracy : Tensor
        Mean of the true positive rate and the true negative rate.
    auroc : Tensor
        Probability that a positive has a larger margin than a negative, ties counted half.
    average_precision : Tensor
        Sum over thresholds of precision times the gain in recall, without interpolation.
    regret : Tensor
        Macro F1 at the best threshold of the margins, less that at 0; at least 0.
    """

    macro_f1: Tensor
    f1: Tensor
    balanced_accuracy: Tensor
    auroc: Tensor
    average_precision: Tensor
    regret: Tensor


def measures(margins: Tensor, positive: Tensor, counts: Tensor) -> Measures:
    """Measures of decisions ``margins > 0`` at P prevalences.

    Parameters
    ----------
    margins : Tensor of shape (..., T, n), floating
        s - lambda of n images in T tasks, with any leading batch dimensions, for instance rules.
    positive : Tensor of shape (T, n), bool
        Images of the class.
    counts : Tensor of shape (T, P, 2), int64
        Number of positives and negatives that count at each prevalence, the first ones in the order
        of the columns. Other images, for instance padding, are ignored.

    Returns
    -------
    Measures
        O(n log n + P n) for each task.
    """
    rank = torch.where(positive, positive.cumsum(-1), (~positive).cumsum(-1))
    limits = counts.unbind(-1)
    counted = torch.where(positive, limits[0].amax(-1, True), limits[1].amax(-1, True)) >= rank
    undefined = (margins.isnan() & counted).any(-1)
    ranked, order = margins.masked_fill(~counted, -torch.inf).sort(-1, descending=True)
    yes = ranked > 0
    ties = _ties(ranked)
    kind = positive.expand(margins.shape).gather(-1, order)
    rank = rank.expand(margins.shape).gather(-1, order)
    by_prevalence = []
    for P, N in zip(*(limit.unbind(-1) for limit in limits), strict=True):
        hit = kind & (rank <= P[..., None])
        miss = ~kind & (rank <= N[..., None])
        by_prevalence.append(_at(hit.float(), miss.float(), yes, ties, P, N))
    whole = (torch.stack(parts, -1).double() for parts in zip(*by_prevalence, strict=True))
    return Measures(*(measure.masked_fill(undefined[..., None], torch.nan) for measure in whole))


def macro_f1(hits: Tensor, misses: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean F1 of both classes when `hits` positives and `misses` negatives are accepted."""
    wrong = positives - hits + misses
    return hits / (2 * hits + wrong) + (negatives - misses) / (2 * (negatives - misses) + wrong)


def _at(
    hit: Tensor, miss: Tensor, yes: Tensor, ties: tuple[Tensor, Tensor] | None, P: Tensor, N: Tensor
) -> tuple[Tensor, ...]:
    """Measures (..., T) of 0/1 floats (..., T, n) in the order of falling margins; P, N (T,)."""
    P, N = P.float(), N.float()
    hits, misses = hit.cumsum(-1), miss.cumsum(-1)
    before = hits - hit
    if ties is not None:  # images with one margin are accepted together
        first, last = ties
        before = before.gather(-1, first)
        hits, misses = hits.gather(-1, last), misses.gather(-1, last)
    true, false = (hit * yes).sum(-1), (miss * yes).sum(-1)
    f1 = 2 * true / (P + true + false)
    macro = macro_f1(true, false, P, N)
    balanced = (true / P + (N - false) / N) / 2
    area = (miss.double() * (before + hits)).sum(-1) / (2 * P.double() * N)
    precision = hits / (hits + misses).clamp_min(1)
    average = (hit * precision).sum(-1) / P
    none_accepted = macro_f1(torch.zeros_like(P), torch.zeros_like(P), P, N)
    best = macro_f1(hits, misses, P[..., None], N[..., None]).amax(-1).maximum(none_accepted)
    return macro, f1, balanced, area, average, best - macro


def _ties(ranked: Tensor) -> tuple[Tensor, Tensor] | None:
    """First and last index (..., n) of the margins equal to each margin; None without ties."""
    # Ignored images are neither hits nor misses; their ties do not matter.
    change = (ranked[..., 1:] != ranked[..., :-1]) | (ranked[..., 1:] == -torch.inf)
    if change.all():
        return None
    size = ranked.shape[-1]
    place = torch.arange(size, device=ranked.device).expand(ranked.shape)
    edge = torch.ones_like(ranked[..., :1], dtype=torch.bool)
    first = place.masked_fill(~torch.cat([edge, change], -1), 0).cummax(-1).values
    last = place.masked_fill(~torch.cat([change, edge], -1), size)
    return first, last.flip(-1).cummin(-1).values.flip(-1)
