"""Errors of heads on nested supports: the same tasks with more and more shots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.episodes import EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Head
from fewshot.tasks.calibration.cells import CalibrationPlan, confusable, each_bank
from fewshot.tasks.engine.episodes import actual_errors

DRAWS = 2  # of the images of a task: the error with one draw says how hard it is to the other
EPISODES_PER_TASK = 8  # tasks of a cell are fewer than its episodes by this factor
# Shots beyond those of a plan that goes up to `MANY`, where a bank has so many images.
FURTHER, MANY = 50, 20
QUERIES = 5  # images of a class that are left to be classified, at least
MOST_IMAGES = 250  # of a support
SIMILAR = 0.75  # share of the classes from which on a longer ladder replaces a shorter one


@dataclass(frozen=True, eq=False)
class Ladder:
    """Errors of T tasks with S numbers of shots, each support the beginning of the next.

    Attributes
    ----------
    group, dataset, backbone, head : str
    ways : int
    confusable : bool
        Whether the classes of a task are near each other.
    shots : ndarray of shape (S,)
        Ascending.
    errors : ndarray of shape (T, `DRAWS`, S)
        Mean over the classes of the share of all other images that are misclassified.
    """

    group: str
    dataset: str
    backbone: str
    head: str
    ways: int
    confusable: bool
    shots: NDArray
    errors: NDArray = field(repr=False)


def nested_errors(
    groups: Mapping[str, Sequence[FeatureBank]],
    plan: CalibrationPlan,
    progress: Callable[[str], object] = lambda text: None,
) -> list[Ladder]:
    """Ladders of all groups: what learning curves are fitted on.

    Parameters
    ----------
    groups : mapping of str to sequence of FeatureBank
        A group is one set of images under one or several backbones.
    plan : CalibrationPlan
        Its ways, shots (and 50 beyond 20), heads, number of episodes and seed.
    progress : callable, optional
        Called with a line on each bank before it is evaluated.
    """
    ladders: list[Ladder] = []
    for group, bank in each_bank(groups, "learning curves", progress):
        for ways in plan.ways:
            for shots, classes in _classes(bank, ways, plan):
                for near in (False, True):
                    drawn = _tasks(bank, classes, ways, shots[-1], near, plan)
                    if drawn is not None:
                        ladders += _ladders(group, bank, drawn, shots, near, plan)
    return ladders


def _classes(
    bank: FeatureBank, ways: int, plan: CalibrationPlan
) -> Iterator[tuple[list[int], NDArray]]:
    """Numbers of shots, and the classes that have images for the largest of them and queries."""
    size = np.bincount(bank.labels[bank.labels >= 0])
    further = {FURTHER} if max(plan.shots) >= MANY else set()
    numbers = sorted({*plan.shots, *further})
    usable = [(K, np.flatnonzero(size >= K + QUERIES)) for K in numbers if K * ways <= MOST_IMAGES]
    usable = [(K, classes) for K, classes in usable if len(classes) >= ways]
    for i, (K, classes) in enumerate(usable):
        longer = len(usable[i + 1][1]) if i + 1 < len(usable) else 0
        if longer < SIMILAR * len(classes):
            shots = [number for number in numbers if number <= K]
            if len(shots) > 1:
                yield shots, classes


def _tasks(
    bank: FeatureBank, classes: NDArray, ways: int, shots: int, near: bool, plan: CalibrationPlan
) -> EpisodeSet | None:
    """Tasks of random classes or of classes near each other, `DRAWS` episodes of each."""
    rng = np.random.default_rng([plan.seed, ways, shots, near])
    pools = [classes]
    if near:
        pools = confusable(bank, classes, ways, plan.seed)
    if not pools:
        return None
    count = max(2, plan.episodes // EPISODES_PER_TASK)
    chosen = np.stack([rng.choice(pools[t % len(pools)], ways, False) for t in range(count)])
    chosen = chosen.repeat(DRAWS, 0)
    rows = {c: np.flatnonzero(bank.labels == c) for c in np.unique(chosen)}
    support = [[rng.choice(rows[c], shots, False) for c in task] for task in chosen]
    return EpisodeSet(chosen, np.array(support), None, bank.labels)


def _ladders(
    group: str,
    bank: FeatureBank,
    drawn: EpisodeSet,
    shots: Sequence[int],
    near: bool,
    plan: CalibrationPlan,
) -> Iterator[Ladder]:
    """A ladder per head."""
    for name in plan.heads:
        errors = [_errors(bank, drawn, K, head_registry.create(name)) for K in shots]
        yield Ladder(
            group,
            str(bank.info.get("dataset", "features")),
            str(bank.info.get("backbone", "unknown")),
            name,
            drawn.ways,
            near,
            np.array(shots, dtype=np.float64),
            np.stack(errors, -1).reshape(-1, DRAWS, len(shots)),
        )


def _errors(bank: FeatureBank, drawn: EpisodeSet, shots: int, head: Head) -> NDArray:
    """Errors (E,) with the first shots of the supports."""
    episodes = EpisodeSet(drawn.classes, drawn.support[..., :shots], None, drawn.labels)
    errors, _ = actual_errors(bank, episodes, head, device=torch.device("cpu"))
    mean: NDArray = np.nanmean(errors, -1)
    return mean
