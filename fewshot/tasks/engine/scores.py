"""A function of the scores of all queries, mapped over episodes: for tasks of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, check_scores
from fewshot.tasks.engine.batches import (
    DEVICE_BYTES,
    QUERY_BYTES,
    chunks,
    load_queries,
    load_support,
    map_chunks,
    query_images,
    support_images,
)
from fewshot.tasks.engine.equal_ways import joined
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
        (E, N, Q), False in the padding, to a tensor (E, ...). Episodes of varying ways come in
        groups of equal ways.
    settings : Settings
        Device, threads and progress.

    Raises
    ------
    FewshotError
        A largest score is NaN or infinite.
    """

    def mapped(part: EpisodeSet) -> Iterator[Tensor]:
        return _mapped(bank, part, head, function, settings)

    return torch.cat(list(joined(episodes, mapped)))


def _mapped(
    bank: FeatureBank, episodes: EpisodeSet, head: Head, function: OnScores, settings: Settings
) -> Iterator[Tensor]:
    ways, device = episodes.ways, settings.device

    def work(start: int, stop: int) -> Tensor:
        support = load_support(bank, episodes, start, stop, device, head.uses)
        fitted = head.clone().fit(support)
        query, by_class = load_queries(bank, episodes, start, stop, device, head.uses)
        scores = fitted.scores(query)
        check_scores(fitted, scores.amax(-1), query.mask)
        scores = by_class(scores).view(stop - start, ways, -1, ways)
        return function(scores, by_class(query.mask).view(scores.shape[:3])).cpu()

    images = support_images(episodes, head.uses) + query_images(episodes, head.uses)
    limit = QUERY_BYTES if device.type == "cpu" else DEVICE_BYTES
    ranges = chunks(len(episodes), images * (bank.dim + ways) * 4, limit)
    for piece in map_chunks(work, ranges, device, settings.threads):
        yield piece
        if settings.progress:
            settings.progress(len(piece))
