"""What the base classes of a bank say about a head, for the estimators that ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.episodes.episode_set import ClassIndex
from fewshot.errors.base import BaseClasses
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank

BASE_STREAM = 1


@dataclass(frozen=True, eq=False)
class BaseEpisodes:
    """Episodes of base classes with the ways, shots and queries of the judged ones.

    Attributes
    ----------
    episodes : EpisodeSet or None
    reason : str
        Why there are none.
    classes : int
        Number of base classes.
    """

    episodes: EpisodeSet | None
    reason: str
    classes: int


def draw_base_episodes(
    bank: FeatureBank, judged: EpisodeSet, count: int, seed: int
) -> BaseEpisodes:
    """Draw `count` base-class episodes like `judged`; small base classes are left out."""
    classes = bank.classes("base")
    if len(classes) == 0:
        return BaseEpisodes(None, BaseClasses().reason, 0)
    try:
        episodes = sample_episodes(
            bank.labels,
            judged.ways,
            judged.shots,
            judged.queries,
            count,
            seed,
            classes=classes,
            min_images="drop",
            stream=BASE_STREAM,
        )
    except FewshotError:
        reason = (
            f"no {judged.ways}-way {judged.shots}-shot episodes of base classes: only "
            f"{len(classes)} base classes, or too few images in them"
        )
        return BaseEpisodes(None, reason, len(classes))
    return BaseEpisodes(episodes, "", len(classes))


def within_class_covariance(bank: FeatureBank) -> Callable[[], Tensor] | None:
    """A function that pools the covariance (D, D) of the base classes; None without any."""
    classes = bank.classes("base")
    index = ClassIndex.of(bank.labels, len(bank.classnames))
    if len(classes) == 0 or index.size[classes].max() < 2:
        return None
    return lambda: pooled_covariance(bank, index, classes)


def pooled_covariance(bank: FeatureBank, index: ClassIndex, classes: NDArray) -> Tensor:
    """Unbiased pooled within-class covariance (D, D), float64, one class in memory at a time."""
    scatter = torch.zeros(bank.dim, bank.dim, dtype=torch.float64)
    freedom = 0
    for c in classes:
        rows = index.rows[index.start[c] : index.start[c] + index.size[c]]
        if len(rows) < 2:
            continue
        own = bank.take(torch.from_numpy(np.sort(rows)))
        own = own - own.mean(0)
        scatter += (own.mT @ own).double()
        freedom += len(rows) - 1
    return scatter / freedom
