"""Episodes of base classes, and base classes in folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fewshot.episodes import EpisodeSet, UnlabelledSampling, sample_episodes
from fewshot.episodes.class_pool import images_needed
from fewshot.episodes.draws import check_memory
from fewshot.episodes.unlabelled_sampling import MIXED, QUERIES
from fewshot.estimators.base import ENOUGH_CLASSES, BaseClasses
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank

BASE_STREAM = 1
# Queries per class that unlabelled images leave at least, where all the rest are queries.
QUERIES_LEFT = 5
# Share of the base classes that unlabelled images must leave large enough to be drawn.
KEPT = 0.75
MOST_FOLDS = 5
JUDGED = "no base classes: they are the judged ones (episodes.part=base)"


@dataclass(frozen=True, eq=False)
class BaseEpisodes:
    """Episodes of base classes with the ways, shots and queries of the evaluated episodes.

    Attributes
    ----------
    episodes : EpisodeSet or None
    reason : str
        Why `episodes` is None.
    classes : int
        Number of base classes.
    again : callable, optional
        ``again(bank, count)`` draws so many such episodes of the base classes of another bank.
    """

    episodes: EpisodeSet | None
    reason: str
    classes: int
    again: Callable[[FeatureBank, int], BaseEpisodes] | None = None


def unlabelled_like(
    episodes: EpisodeSet, uses: frozenset[str] = frozenset()
) -> UnlabelledSampling | None:
    """How base-class episodes get as many unlabelled images as `episodes`; None if those have none.

    What is learned from base classes shall hold for uneven shares and for strangers that nobody
    announced; so both are mixed, whatever those of `episodes` are. Not for a head with "queries" in
    its `uses`, which learns from these images: its errors depend on how they were drawn.
    """
    if not episodes.has_unlabelled:
        return None
    drawn = episodes.unlabelled_sampling
    shares, strangers = MIXED, cast("float | str", MIXED)
    if "queries" in uses and drawn is not None:
        shares, strangers = drawn.shares, drawn.strangers
    if episodes.queries_unlabelled:
        return UnlabelledSampling(QUERIES, strangers=strangers)
    if drawn is not None:
        number = drawn.per_class
    else:
        per_class = episodes.unlabelled_counts.sum() / episodes.way_counts.sum()
        number = max(1, round(float(per_class)))
    return UnlabelledSampling(number, shares, strangers, QUERIES_LEFT)


def draw_base_episodes(
    bank: FeatureBank,
    ways: int,
    shots: int,
    queries: int | str,
    count: int,
    seed: int,
    unlabelled: UnlabelledSampling | None = None,
) -> BaseEpisodes:
    """Draw episodes of base classes; those with too few images are left out.

    Parameters
    ----------
    bank : FeatureBank
        With `parts`; without base classes there are no episodes, and a reason.
    ways, shots : int
    queries : int or "all"
        Query images per class.
    count : int
        Number of episodes.
    seed : int
        Decides the episodes, independently of those of novel classes.
    unlabelled : UnlabelledSampling, optional
        As from `unlabelled_like`. Fewer images per class are drawn where most base classes do not
        have so many; none where they have no room for one.
    """
    classes = bank.classes("base")
    if len(classes) == 0:
        judged = bank.info.get("part") == "base"
        return BaseEpisodes(None, JUDGED if judged else BaseClasses().reason, 0)
    if unlabelled is not None and not unlabelled.are_queries:
        unlabelled = _with_room(unlabelled, bank, classes, ways, shots, queries)
    images = shots + (0 if queries == "all" else int(queries))
    images += 0 if unlabelled is None else unlabelled.per_class
    check_memory(count, ways, images, "calibration.episodes")
    try:
        episodes = sample_episodes(
            bank.labels,
            ways,
            shots,
            queries,
            count,
            seed,
            classes=classes,
            min_images="drop",
            stream=BASE_STREAM,
            unlabelled=unlabelled,
        )
    except FewshotError as error:
        if unlabelled is not None and error.argument == "episodes.strangers":
            mixed = replace(unlabelled, strangers=MIXED)  # as many as there are
            return draw_base_episodes(bank, ways, shots, queries, count, seed, mixed)
        reason = (
            f"no {ways}-way {shots}-shot episodes of base classes: only "
            f"{len(classes)} base classes, or too few images in them"
        )
        return BaseEpisodes(None, reason, len(classes))

    def again(other: FeatureBank, number: int) -> BaseEpisodes:
        return draw_base_episodes(other, ways, shots, queries, number, seed, unlabelled)

    return BaseEpisodes(episodes, "", len(classes), again)


def _with_room(
    sampling: UnlabelledSampling,
    bank: FeatureBank,
    classes: NDArray,
    ways: int,
    shots: int,
    queries: int | str,
) -> UnlabelledSampling | None:
    """The sampling with as many images as most base classes have beside shots and queries."""
    size = np.bincount(bank.labels[bank.labels >= 0], minlength=len(bank.classnames))[classes]
    needed = images_needed(shots, queries)
    large = np.sort(size[size >= needed])[::-1]
    if len(large) < ways:
        return None
    kept = max(ways, int(np.ceil(KEPT * len(large))))
    left = shots + sampling.queries_left if queries == "all" else needed
    room = int(large[kept - 1]) - max(needed, left)
    return replace(sampling, count=min(sampling.per_class, room)) if room > 0 else None


def number_of_folds(classes: int, ways: int) -> int:
    """Folds of base classes: 0 if classes are too few for episodes of some and a prior from others.

    As many as possible, as a prior from fewer classes labels worse than that from all, which serves
    novel classes; but with more classes than ways where that can be, so that episodes differ.
    """
    possible = [
        folds
        for folds in range(2, min(MOST_FOLDS, classes // ways) + 1)
        if classes - -(-classes // folds) >= ENOUGH_CLASSES
    ]
    varied = [folds for folds in possible if classes // folds > ways]
    return max(varied or possible, default=0)


@lru_cache(maxsize=4)  # the same for every head, shot and seed of a run
def fold_banks(bank: FeatureBank, number: int) -> list[tuple[FeatureBank, FeatureBank]]:
    """Per fold: the bank with the classes of the fold as base classes, and with the other ones."""
    if number == 0:
        return []
    classes = bank.classes("base")
    parts = np.array(bank.parts, dtype=object)
    pairs = []
    for fold in range(number):
        inside = np.zeros(len(parts), dtype=bool)
        inside[classes[fold::number]] = True
        base = parts == "base"
        pair = [
            replace(bank, parts=tuple(np.where(base & ~kept, "validation", parts).tolist()))
            for kept in (inside, ~inside)
        ]
        pairs.append((pair[0], pair[1]))
    return pairs
