"""Episodes of varying ways in groups of equal ways, so that no head sees the padding of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.episode_set import EpisodeSet

T = TypeVar("T")


def groups_of(episodes: EpisodeSet) -> list[tuple[NDArray, EpisodeSet]]:
    """Positions (E',) of episodes, and these as a set of equal ways, for every group.

    Episodes of equal ways are one group, as they are. Others are grouped by their ways and by the
    power of 2 below their most shots, which keeps the padding of shots below half.
    """
    if episodes.equal_ways:
        return [(np.arange(len(episodes)), episodes)]
    doublings = np.frexp(episodes.shot_counts.max(-1))[1]
    _, group = np.unique(np.stack([episodes.way_counts, doublings]), axis=1, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    starts = np.flatnonzero(np.diff(group.reshape(-1)[order])) + 1
    return [(chosen, episodes.subset(chosen)) for chosen in np.split(order, starts)]


def by_group(
    episodes: EpisodeSet, work: Callable[[EpisodeSet], T]
) -> tuple[list[T], NDArray[np.int64]]:
    """Results of `work` for every group, and the place (E,) of each episode in their concatenation.

    Parameters
    ----------
    episodes : EpisodeSet
    work : callable
        From episodes of equal ways to their results, in order.
    """
    groups = groups_of(episodes)
    results = [work(part) for _, part in groups]
    place = np.argsort(np.concatenate([chosen for chosen, _ in groups]), kind="stable")
    return results, place


def padded(
    episodes: EpisodeSet, work: Callable[[EpisodeSet], tuple[NDArray, ...]]
) -> list[NDArray]:
    """Arrays (E, N) of `work`, which gives arrays (E', N') of episodes of equal ways.

    The padding of classes has NaN in arrays of floats, else 0.
    """
    if episodes.equal_ways:
        return list(work(episodes))
    arrays: list[NDArray] = []
    for chosen, part in groups_of(episodes):
        values = work(part)
        if not arrays:
            arrays = [np.full(episodes.classes.shape, _nothing(v), dtype=v.dtype) for v in values]
        for array, value in zip(arrays, values, strict=True):
            array[chosen, : part.ways] = value
    return arrays


def _nothing(values: NDArray) -> float:
    return np.nan if np.issubdtype(values.dtype, np.floating) else 0


def joined(
    episodes: EpisodeSet, work: Callable[[EpisodeSet], Iterator[Tensor]]
) -> Iterator[Tensor]:
    """Pieces (E', ...) of `work` in the order of the episodes; all in one of varying ways."""
    if episodes.equal_ways:
        yield from work(episodes)
        return
    results, place = by_group(episodes, lambda part: torch.cat(list(work(part))))
    yield torch.cat(results)[torch.from_numpy(place)]
