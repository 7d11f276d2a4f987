"""Labelled episodes of base classes for heads that choose a setting on them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.class_pool import images_needed
from fewshot.episodes.draws import uniform
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.episodes.unlabelled_sampling import ORDER
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Query, Support
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.tasks.engine.base_drawing import (
    BASE_STREAM,
    KEPT,
    draw_base_episodes,
    fold_banks,
    number_of_folds,
)
from fewshot.tasks.engine.context import context_of, with_moments

# Most episodes, most bytes of their features, and most queries of a class. A choice among a few
# settings needs some thousand queries, and takes no longer than judging a head by as many.
MOST_EPISODES = 100
MOST_BYTES = 64 << 20
BATCH_BYTES = 8 << 20
QUERIES = 10
# Raise it when other episodes are drawn, so that cells of heads that choose on them are recomputed.
VERSION = 2
_DRAWING = Lock()


class _Drawn(NamedTuple):
    """Episodes of some base classes, and a bank whose base classes are the others."""

    episodes: EpisodeSet
    others: FeatureBank


class _Size(NamedTuple):
    """Ways, shots and queries per class that base classes have images for."""

    ways: int
    shots: int
    queries: int


def labelled_episodes(
    bank: FeatureBank, judged: EpisodeSet, uses: frozenset[str], device: torch.device
) -> LabelledEpisodes | None:
    """Labelled episodes of base classes like the judged ones; None if base classes are too few.

    They have the nominal ways of `judged` and the harmonic mean of its shots, or as many as the
    base classes have images for, and a few queries of every class. Where a head uses moments of
    base classes, these come from other base classes than those of the episode, so that they tell as
    much as of novel ones.

    Parameters
    ----------
    bank : FeatureBank
    judged : EpisodeSet
        Decides ways, shots and seed.
    uses : frozenset of str
        What a head declares.
    device : torch.device
    """
    with _DRAWING:  # threads share what is chosen on the episodes, and so the object
        return _labelled_episodes(
            bank,
            judged.nominal_ways,
            judged.harmonic_shots,
            judged.seed or 0,
            uses - {"base_episodes"},
            device,
        )


@lru_cache(maxsize=8)  # the same for every head with these uses, and every chunk of a run
def _labelled_episodes(
    bank: FeatureBank,
    ways: int,
    shots: int,
    seed: int,
    uses: frozenset[str],
    device: torch.device,
) -> LabelledEpisodes | None:
    drawn = [*_draw(bank, ways, shots, seed, in_folds="base" in uses)]

    def labelled() -> Iterator[LabelledBatch]:
        for fold in drawn:
            yield from _load(bank, fold, uses, device)

    return LabelledEpisodes(labelled) if drawn else None


def _draw(bank: FeatureBank, ways: int, shots: int, seed: int, in_folds: bool) -> Iterator[_Drawn]:
    """Row numbers of the episodes, and whose moments they get."""
    sizes = _sizes(bank)
    usable = int((sizes > 1).sum())
    size = _fitting(sizes, min(ways, usable // 2 if in_folds else usable), shots)
    if size is None:
        return
    banks = [(bank, bank)]
    if in_folds:
        enough = sizes >= images_needed(size.shots, size.queries)
        banks = fold_banks(bank, number_of_folds(int(enough.sum()), size.ways))
    images = size.ways * (max(size.shots, 1) + size.queries)
    count = max(1, min(MOST_EPISODES, MOST_BYTES // (images * bank.dim * 4)))
    for inside, others in banks:
        fold = _fitting(_sizes(inside), size.ways, size.shots)
        if fold is None:
            continue
        number = -(-count // len(banks))
        episodes = draw_base_episodes(inside, *fold, number, seed).episodes
        if episodes is not None:
            yield _Drawn(episodes, others)


def _sizes(bank: FeatureBank) -> NDArray:
    """Images of every base class."""
    count = np.bincount(bank.labels[bank.labels >= 0], minlength=len(bank.classnames))
    return count[bank.classes("base")]


def _fitting(sizes: NDArray, ways: int, shots: int) -> _Size | None:
    """At most so many ways and shots, with queries, from most classes of so many images each."""
    sizes = np.sort(sizes[sizes > 1])[::-1]
    if min(len(sizes), ways) < 2:
        return None
    room = int(sizes[int(np.ceil(KEPT * len(sizes))) - 1])
    shots = min(shots, room - 1)
    queries = max(1, min(QUERIES, room - max(shots, 1)))
    enough = int((sizes >= images_needed(shots, queries)).sum())
    return _Size(min(ways, enough), shots, queries) if enough > 1 else None


def _load(
    bank: FeatureBank, drawn: _Drawn, uses: frozenset[str], device: torch.device
) -> Iterator[LabelledBatch]:
    """The features of a few episodes at a time, with context and labels."""
    episodes, E = drawn.episodes, len(drawn.episodes)
    assert episodes.query is not None
    rows, way = (values.reshape(E, -1) for values in (episodes.query, _ways_of(episodes.query)))
    if "queries" in uses:  # in no order that tells their classes
        order = uniform(episodes.seed or 0, (BASE_STREAM, ORDER), 0, E, rows.shape[1]).argsort(1)
        rows, way = (np.take_along_axis(values, order, 1) for values in (rows, way))
    size = max(1, BATCH_BYTES // (rows[0].size + episodes.support[0].size) // (bank.dim * 4))
    for start in range(0, E, size):
        some = slice(start, start + size)
        features = _features(bank, episodes.support[some], device)
        context = context_of(bank, episodes.classes[some], uses - {"base"}, features)
        if "base" in uses:
            context = with_moments(context, drawn.others, features)
        yield LabelledBatch(
            Support.of(features, None, context, least_shots=0),
            Query.of(_features(bank, rows[some], device)),
            torch.from_numpy(way[some]).to(device),
            torch.from_numpy(episodes.classes[some]).to(device),
        )


def _ways_of(query: NDArray) -> NDArray:
    """Way (E, N, Q) of every query."""
    return np.broadcast_to(np.arange(query.shape[1])[:, None], query.shape).copy()


def _features(bank: FeatureBank, rows: NDArray, device: torch.device) -> Tensor:
    """Features (..., D) of rows (...), none of which is padding."""
    taken = bank.take(torch.from_numpy(rows.reshape(-1))).to(device)
    return taken.view(*rows.shape, bank.dim)
