"""Covariates of supports and actual errors, for episodes of several data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.estimators import estimators as estimator_registry
from fewshot.estimators.base import NO_BASE, BaseClasses
from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.regimes import REGIMES, regime_of
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Head, Support
from fewshot.progress import counted_work
from fewshot.tasks.engine.base_classes import base_moments, draw_base_episodes, has_moments
from fewshot.tasks.engine.episodes import actual_errors
from fewshot.tasks.engine.supports import map_supports

WAYS = (2, 5, 10)
SHOTS = (1, 2, 3, 5, 10, 20)
HEADS = ("ncm", "lda")
# Estimators that get a calibrator each, by head.
ESTIMATORS = ("margin", "gaussian", "loo")
# Images in a support up to which heads are refitted for held-out shots.
MOST_REFITTED = 25


@dataclass(frozen=True)
class CalibrationPlan:
    """Episodes that a calibrator is fitted on.

    Attributes
    ----------
    ways, shots : tuples of int
    heads : tuple of str
    episodes : int
        Per bank, head, ways and shots.
    seed : int
    weights : dict of str to float
        Of groups that count for more or less than 1.
    """

    ways: tuple[int, ...] = WAYS
    shots: tuple[int, ...] = SHOTS
    heads: tuple[str, ...] = HEADS
    episodes: int = 120
    seed: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Cell:
    """Evidence and errors of the episodes of one bank, head, ways and shots in one regime."""

    regime: str
    group: str
    dataset: str
    backbone: str
    head: str
    ways: int
    shots: int
    x: NDArray = field(repr=False)  # (E, N, P)
    actual: NDArray = field(repr=False)  # (E, N)
    constant: float
    raw: dict[str, NDArray] = field(repr=False)  # predictions (E,) by estimator
    weight: float = 1.0


def calibration_cells(
    groups: Mapping[str, Sequence[FeatureBank]],
    plan: CalibrationPlan,
    progress: Callable[[str], object] = lambda text: None,
) -> list[Cell]:
    """Errors and evidence on episodes of all groups: what a calibrator is fitted on.

    Nearly all of the time of a fit; `fit_calibrator` may use the cells several times.

    Parameters
    ----------
    groups : mapping of str to sequence of FeatureBank
        A group is one set of images under one or several backbones.
    plan : CalibrationPlan
    progress : callable, optional
        Called with a line on each bank before it is evaluated.
    """
    cells: list[Cell] = []
    pairs = [(group, bank) for group, banks in groups.items() for bank in banks]
    for group, bank in counted_work(pairs, "calibration", "sets of features"):
        progress(f"{group}: {bank.info.get('dataset')} {bank.info.get('backbone')}")
        cells += list(_cells(group, halved(bank, plan.seed), plan))
    return cells


def halved(bank: FeatureBank, seed: int) -> FeatureBank:
    """The bank with its base/novel split, or with a random half of its classes as base classes."""
    if bank.parts is not None and "novel" in bank.parts and "base" in bank.parts:
        return bank
    order = np.random.default_rng(seed).permutation(len(bank.classnames))
    base = set(order[: len(order) // 2].tolist())
    parts = tuple("base" if c in base else "novel" for c in range(len(bank.classnames)))
    return replace(bank, parts=parts)


def _cells(group: str, bank: FeatureBank, plan: CalibrationPlan) -> Iterable[Cell]:
    for ways in plan.ways:
        for shots in plan.shots:
            try:
                episodes = sample_episodes(
                    bank.labels,
                    ways,
                    shots,
                    "all",
                    plan.episodes,
                    plan.seed,
                    classes=bank.classes("novel"),
                    min_images="drop",
                )
            except FewshotError:
                continue  # too few classes or images for this cell
            for name in plan.heads:
                if name != "ncm" and ways * shots > MOST_REFITTED * 2:
                    continue
                yield from _head_cells(group, bank, episodes, name, plan)


def _head_cells(
    group: str, bank: FeatureBank, episodes: EpisodeSet, name: str, plan: CalibrationPlan
) -> Iterable[Cell]:
    device = torch.device("cpu")
    head = head_registry.create(name)
    actual, _ = actual_errors(bank, episodes, head, device=device)
    ways, shots = episodes.ways, episodes.shots
    base = draw_base_episodes(bank, ways, shots, "all", plan.episodes, plan.seed)
    constant = float("nan")
    if base.episodes is not None:
        constant = float(actual_errors(bank, base.episodes, head, device=device)[0].mean())
    base_classes = BaseClasses(moments=lambda: base_moments(bank)) if has_moments(bank) else NO_BASE
    regimes: dict[str, None] = {}

    def covariates(support: Support, fitted: Head) -> Tensor:
        """Covariates of all regimes side by side, and leave-one-out, the same for all classes."""
        with_base, without = (
            Evidence(support, fitted, base_classes),
            Evidence(support, fitted, NO_BASE),
        )
        names = [regime_of(support, fitted, classes)[0] for classes in (base_classes, NO_BASE)]
        if names[0] == "closed, base classes":
            names.append("closed, some base classes")
        regimes.update(dict.fromkeys(names))
        pieces = [
            (without if regime == names[1] else with_base).stack(REGIMES[regime])
            for regime in names
        ]
        pieces.append(_raw(support, fitted, base_classes))
        return torch.cat(pieces, -1)

    evidence = torch.cat(
        list(map_supports(bank, episodes, head, covariates, device=device))
    ).numpy()
    raw = dict(zip(ESTIMATORS, evidence[:, 0, -len(ESTIMATORS) :].T, strict=True))
    start = 0
    for regime in regimes:
        stop = start + len(REGIMES[regime])
        yield Cell(
            regime,
            group,
            str(bank.info.get("dataset", "features")),
            str(bank.info.get("backbone", "unknown")),
            name,
            episodes.ways,
            episodes.shots,
            evidence[..., start:stop],
            actual,
            constant,
            raw,
        )
        start = stop


def _raw(support: Support, head: Head, base: BaseClasses) -> Tensor:
    """Predictions of ESTIMATORS, the same for all classes: (E, N, R); NaN if they would be slow."""
    E, N, K, _ = support.features.shape
    form = head.linear()
    closed = form is not None and form.response is not None
    columns = torch.full((E, len(ESTIMATORS)), torch.nan, dtype=torch.float64)
    for i, name in enumerate(ESTIMATORS):
        if closed or N * K <= MOST_REFITTED:
            estimator = estimator_registry.create(name).fit(base)
            columns[:, i] = estimator.predict(support, head).error.double()
    return columns[:, None].expand(-1, N, -1)
