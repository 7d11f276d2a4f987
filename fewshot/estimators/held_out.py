"""Held-out scores and errors: shots classified by heads refitted without them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.heads.base import Head, Query, Support
from fewshot.progress import counted_work


def leave_one_out_scores(head: Head, support: Support) -> Tensor:
    """Score every shot by the head refitted without it.

    Heads with a closed form implement ``leave_one_out``; others are refitted N K times, on whole
    batches of episodes.

    Returns
    -------
    Tensor of shape (E, N, K, N)
        NaN for the only shot of a class, and for padding.
    """
    scores = head.leave_one_out(support)
    if scores is None:
        scores = refitted_scores(head, support)
    defined = support.mask & (support.counts > 1)[..., None]
    return torch.where(defined[..., None], scores, torch.nan)


def refitted_scores(head: Head, support: Support) -> Tensor:
    """Leave-one-out scores (E, N, K, N) by N K refits of a clone of `head`."""
    E, N, K, _ = support.features.shape
    scores = support.features.new_full((E, N, K, N), torch.nan)
    for n in range(N):
        for k in range(K):
            selected = support.mask[:, n, k] & (support.counts[:, n] > 1)
            if not bool(selected.any()):
                continue
            mask = support.mask[selected].clone()
            mask[:, n, k] = False
            rest = Support.of(support.features[selected], mask, support.context[selected])
            query = Query.of(support.features[selected][:, n, k : k + 1])
            scores[selected, n, k] = head.clone().fit(rest).scores(query)[:, 0]
    return scores


def stratified_scores(head: Head, support: Support, most_fits: int | None = None) -> Tensor:
    """Score the k-th shot of all classes by the head refitted without any of them.

    K refits instead of N K, or none by heads that implement ``leave_one_of_each_out``. One shot at
    a time is held out of every class with two shots or more. The scores are cached in the support,
    as several estimators need them.

    Parameters
    ----------
    head : Head
        Fitted on `support`.
    support : Support
    most_fits : int, optional
        Refits at most: with more shots several of a class are held out together, every
        `most_fits`-th.

    Returns
    -------
    Tensor of shape (E, N, K, N)
        NaN for the only shot of a class, and for padding.
    """
    remembered = support.memory.get("stratified")
    folds = min(support.mask.shape[-1], most_fits or support.mask.shape[-1])
    if remembered is not None and remembered[0] is head and remembered[1] == folds:
        scores: Tensor = remembered[2]
        return scores
    scores = _stratified(head, support, folds)
    support.memory["stratified"] = (head, folds, scores)
    return scores


def _stratified(head: Head, support: Support, folds: int) -> Tensor:
    features, mask = support.features, support.mask
    E, N, K, _ = features.shape
    spare = support.counts > 1
    scores = features.new_full((E, N, K, N), torch.nan)
    if not bool(spare.any()):
        return scores
    closed = head.leave_one_of_each_out(support)
    if closed is not None:
        return torch.where((spare[..., None] & mask)[..., None], closed, torch.nan)
    place = torch.arange(K, device=features.device) % folds
    for fold in counted_work(range(folds), "fits without some shots"):
        held = place == fold
        if support.complete:  # fewer rows are faster than rows that are masked
            rest = Support.of(features[:, :, ~held], None, support.context)
        else:
            mask_without = mask & ~(held & spare[..., None])
            rest = Support.of(features, mask_without, support.context)
        query = Query.of(features[:, :, held].flatten(1, 2))
        scores_of_shots = head.clone().fit(rest).scores(query).view(E, N, -1, N)
        defined = spare[..., None] & mask[:, :, held]
        scores[:, :, held] = torch.where(defined[..., None], scores_of_shots, torch.nan)
    return scores


def misclassified(head: Head, shots: Tensor, mask: Tensor) -> Tensor:
    """Return which shots the fitted head misclassifies, as its queries.

    Parameters
    ----------
    head : Head
    shots : Tensor of shape (E, N, J, D)
    mask : Tensor of shape (E or 1, N, J), bool
        False for padding.

    Returns
    -------
    Tensor of shape (E, N, J), bool
    """
    labels = torch.arange(shots.shape[1], device=shots.device)[:, None]
    query = Query(shots.flatten(1, 2), mask.expand(shots.shape[:3]).flatten(1, 2))
    return (head.predict(query).view(shots.shape[:3]) != labels) & mask


def select_shots(support: Support, positions: Tensor, mask: Tensor) -> Support:
    """Select shots by their positions in their class, possibly repeated.

    Parameters
    ----------
    support : Support
    positions : Tensor of shape (E or 1, N, J), int64
        In 0..K - 1.
    mask : Tensor of shape (E or 1, N, J), bool
        False for padding of classes with fewer than J selected shots. A class may have none if no
        head is fitted to the result.
    """
    E, N, K, D = support.features.shape
    # Whole rows by one index, several times as fast as gathering element by element.
    rows = torch.arange(E * N, device=positions.device).view(E, N, 1) * K + positions
    taken = support.features.reshape(-1, D).index_select(0, rows.flatten()).view(*rows.shape, D)
    if not bool(mask.all()):
        taken.masked_fill_(~mask[..., None], 0.0)
    return Support(taken, mask.expand(rows.shape), support.context)


def shot_positions(mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the positions of the shots that masks (P, E, N, K) select, for `select_shots`.

    Yields
    ------
    positions : Tensor of shape (E, N, J), int64
        J is the largest number of shots that the p-th mask selects in a class.
    taken : Tensor of shape (E, N, J), bool
    """
    order = torch.argsort((~mask).int(), dim=-1, stable=True)
    counts = mask.sum(-1, keepdim=True)
    steps = torch.arange(mask.shape[-1], device=mask.device)
    for p, size in enumerate(counts.flatten(1).amax(1).tolist()):
        yield order[p, ..., :size], steps[:size] < counts[p]


def packed(support: Support) -> Support:
    """Return the support with the shots of every class first and minimal padding."""
    return (
        support
        if support.complete
        else select_shots(support, *next(shot_positions(support.mask[None])))
    )


def pattern_mask(support: Support) -> Tensor:
    """Return the mask; (1, N, K) if no episode has padding, so that all share their draws."""
    return support.mask[:1] if support.complete else support.mask


def class_mean(shares: Tensor, support: Support) -> Tensor:
    """Mean over classes of the mean over their shots of (E, N, K), zero for padding: (E,)."""
    return (shares.sum(-1) / support.counts).mean(-1)


def uniform_draws(seed: int, numbers: int, support: Support) -> Tensor:
    """Uniform numbers (P, 1, N, K) in [0, 1) for P partitions or resamples.

    They depend on the seed, the index of the partition and the position of a shot, not on the
    batch, and those of K shots are a prefix of those of K + 1.
    """
    ways, shots = support.mask.shape[1:]
    return torch.from_numpy(_draws(seed, numbers, ways, shots)).to(support.mask.device)


@lru_cache(maxsize=32)
def _draws(seed: int, numbers: int, ways: int, shots: int) -> NDArray[np.float64]:
    each = (np.random.default_rng((seed, p)).random((shots, ways)).T for p in range(numbers))
    return np.stack(list(each))[:, None]
