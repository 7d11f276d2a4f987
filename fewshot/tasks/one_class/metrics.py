"""Measures of decisions and of their ranking, at several prevalences after one sort."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.statistics.ranking import accepted, area_under_curve, average_precision, tied


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
    # Ignored images are neither hits nor misses; their ties do not matter.
    ties = tied(ranked, ranked == -torch.inf)
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
    above, hits, misses = accepted(hit, miss, ties)
    true, false = (hit * yes).sum(-1), (miss * yes).sum(-1)
    f1 = 2 * true / (P + true + false)
    macro = macro_f1(true, false, P, N)
    balanced = (true / P + (N - false) / N) / 2
    area = area_under_curve(miss, above, hits, P, N)
    average = average_precision(hit, hits, misses, P)
    none_accepted = macro_f1(torch.zeros_like(P), torch.zeros_like(P), P, N)
    best = macro_f1(hits, misses, P[..., None], N[..., None]).amax(-1).maximum(none_accepted)
    return macro, f1, balanced, area, average, best - macro
