"""Queries in random order, for heads that look at all of them together."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.episodes.draws import uniform
from fewshot.heads.base import Head, Query

ORDER = 9  # the stream of uniform numbers that decides the order


def answers_in_disorder(head: Head, query: Query, seed: int, start: int) -> Tensor:
    """Way numbers (E, T) of a transductive head that gets the queries shuffled.

    Queries stand class after class in an episode, which a method could exploit without anybody
    meaning it to. The order of an episode depends on the seed and its number alone.

    Parameters
    ----------
    head : Head
        Fitted on the supports of the same episodes.
    query : Query
    seed, start : int
        Seed of the episodes, and number of the first one.
    """
    E, T, D = query.features.shape
    draws = torch.from_numpy(uniform(seed, (ORDER,), start, start + E, T))
    order = draws.argsort(dim=1).to(query.features.device)
    features = query.features.gather(1, order[..., None].expand(E, T, D))
    shuffled = head.predict(Query(features, query.mask.gather(1, order)))
    return torch.empty_like(shuffled).scatter_(1, order, shuffled)
