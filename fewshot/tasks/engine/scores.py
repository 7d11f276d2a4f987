"""A function of the scores of all queries, mapped over episodes: for tasks of one's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, Query, check_scores
from fewshot.tasks.engine.batches import (
    DEVICE_BYTES,
    QUERY_BYTES,
    chunks,
    gather,
    load_support,
    map_chunks,
    random_order,
)
from fewshot.tasks.engine.settings import Settings

OnScores = Callable[[Tensor, Tensor], Tensor]


def map_scores(
    bank: FeatureBank, episodes: EpisodeSet, head: Head, function: OnScores, settings: Settings
) -> Tensor:
    """``function(scores, mask)`` of a few episodes at a time, joined in order, on the CPU.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
    head : Head
        Unfitted; a clone is fitted on the supports of each chunk.
    function : callable
        From scores (E, N, Q, N) of the queries of each class, under each class, and their mask
        (E, N, Q), False in the padding, to a tensor (E, ...).
    settings : Settings
        Device, threads and progress.

    Raises
    ------
    FewshotError
        A largest score is NaN or infinite.
    """
    ways, device = episodes.ways, settings.device
    shuffle = "queries" in head.uses  # a transductive head shall not see the classes in order

    def work(start: int, stop: int) -> Tensor:
        support = load_support(bank, episodes, start, stop, device, head.uses)
        fitted = head.clone().fit(support)
        rows = episodes.query_rows(start, stop).reshape(stop - start, -1)
        order = random_order(rows.shape, episodes.seed or 0, start) if shuffle else None
        shuffled = rows if order is None else np.take_along_axis(rows, order, 1)
        query = Query(*gather(bank, shuffled, device))
        scores, mask = fitted.scores(query), query.mask
        check_scores(fitted, scores.amax(-1), mask)
        if order is not None:
            place = torch.from_numpy(order).to(device)
            scores = torch.empty_like(scores).scatter_(
                1, place[..., None].expand_as(scores), scores
            )
            mask = torch.empty_like(mask).scatter_(1, place, mask)
        shape = (stop - start, ways, -1)
        return function(scores.view(*shape, ways), mask.view(shape)).cpu()

    images = ways * (episodes.shots + episodes.largest_query)
    limit = QUERY_BYTES if device.type == "cpu" else DEVICE_BYTES
    pieces = []
    ranges = chunks(len(episodes), images * (bank.dim + ways) * 4, limit)
    for piece in map_chunks(work, ranges, device, settings.threads):
        pieces.append(piece)
        if settings.progress:
            settings.progress(len(piece))
    return torch.cat(pieces)
