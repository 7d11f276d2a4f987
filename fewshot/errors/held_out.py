"""Scores of every shot under a head that has not seen it."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.heads.base import Head, Query, Support


def leave_one_out_scores(head: Head, support: Support) -> Tensor:
    """Score every shot by the head refitted without it.

    A head with a closed form gives it by ``leave_one_out``; any other is refitted N K times,
    always on whole batches of episodes.

    Returns
    -------
    Tensor of shape (E, N, K, N)
        NaN where the class has one shot only, and in the padding.
    """
    scores = head.leave_one_out(support)
    if scores is None:
        scores = refitted_scores(head, support)
    known = support.mask & (support.counts > 1)[..., None]
    return torch.where(known[..., None], scores, torch.nan)


def refitted_scores(head: Head, support: Support) -> Tensor:
    """Leave-one-out scores (E, N, K, N) by N K refits of a clone of `head`."""
    E, N, K, _ = support.features.shape
    scores = support.features.new_full((E, N, K, N), torch.nan)
    for n in range(N):
        for k in range(K):
            held = support.mask[:, n, k] & (support.counts[:, n] > 1)
            if not bool(held.any()):
                continue
            mask = support.mask[held].clone()
            mask[:, n, k] = False
            rest = Support.of(support.features[held], mask)
            query = Query.of(support.features[held][:, n, k : k + 1])
            scores[held, n, k] = head.clone().fit(rest).scores(query)[:, 0]
    return scores


def stratified_scores(head: Head, support: Support) -> Tensor:
    """Score the k-th shot of all classes by the head refitted without any of them.

    K refits instead of N K. Every class with two shots or more gives one up at a time.

    Returns
    -------
    Tensor of shape (E, N, K, N)
        NaN where a class has one shot only, and in the padding.
    """
    features, mask = support.features, support.mask
    E, N, K, _ = features.shape
    spare = support.counts > 1
    scores = features.new_full((E, N, K, N), torch.nan)
    for k in range(K):
        kept = mask.clone()
        kept[:, :, k] &= ~spare
        held = head.clone().fit(Support.of(features, kept)).scores(Query.of(features[:, :, k]))
        known = spare & mask[:, :, k]
        scores[:, :, k] = torch.where(known[..., None], held, torch.nan)
    return scores
