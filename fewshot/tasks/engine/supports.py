"""Map a function of support and fitted head over all episodes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import OnEpisodes
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.tasks.engine.batches import (
    DEVICE_BYTES,
    SUPPORT_BYTES,
    chunks,
    load_support,
    map_chunks,
    support_images,
)
from fewshot.tasks.engine.equal_ways import joined


def map_supports(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    function: OnEpisodes,
    *,
    device: torch.device,
    threads: int | None = None,
) -> Iterator[Tensor]:
    """``function(support, fitted head)`` of a few episodes at a time, in order, on the CPU."""

    def mapped(part: EpisodeSet) -> Iterator[Tensor]:
        return _mapped(bank, part, head, function, device, threads)

    return joined(episodes, mapped)


def _mapped(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    function: OnEpisodes,
    device: torch.device,
    threads: int | None,
) -> Iterator[Tensor]:
    def work(start: int, stop: int) -> Tensor:
        support = load_support(bank, episodes, start, stop, device, head.uses)
        return function(support, head.clone().fit(support)).cpu()

    images = support_images(episodes, head.uses)
    limit = SUPPORT_BYTES if device.type == "cpu" else DEVICE_BYTES
    ranges = chunks(len(episodes), images * bank.dim * 4, limit)
    return map_chunks(work, ranges, device, threads)
