"""Covariates of supports and actual errors, for episodes of several data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes import EpisodeSet, UnlabelledSampling, sample_episodes
from fewshot.episodes.unlabelled_sampling import MIXED, QUERIES
from fewshot.estimators import estimators as estimator_registry
from fewshot.estimators.base import NO_BASE, BaseClasses
from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.regimes import (
    MEASURED,
    NUMBERS,
    REGIMES,
    regime_of,
    with_number,
)
from fewshot.estimators.calibration.unlabelled_covariates import UnlabelledEvidence
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Head, Support
from fewshot.progress import counted_work
from fewshot.tasks.engine.base_classes import base_moments, has_moments
from fewshot.tasks.engine.base_drawing import QUERIES_LEFT, draw_base_episodes
from fewshot.tasks.engine.episodes import actual_errors
from fewshot.tasks.engine.supports import map_supports
from fewshot.tasks.engine.unlabelled import map_unlabelled

WAYS = (2, 5, 10, 20)
SHOTS = (1, 2, 3, 5, 10, 20)
HEADS = ("ncm", "lda", "ridge", "logistic", "knn")
# With unlabelled images, fewer cells: the models are interpolated between them, and what the head
# decides on the images tells more than which head it is.
UNLABELLED_HEADS = ("ncm", "lda", "knn")
UNLABELLED_SHOTS = (1, 2, 5, 10)
UNLABELLED_WAYS = (2, 5, 10)
USUAL_WAYS = 5
USUAL_NUMBER = 15
POOLS = 4  # groups of classes that are near each other
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
    unlabelled : tuple of int or "measured"
        Numbers of unlabelled images per class; "measured": the queries.
    """

    ways: tuple[int, ...] = WAYS
    shots: tuple[int, ...] = SHOTS
    heads: tuple[str, ...] = HEADS
    episodes: int = 120
    seed: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    unlabelled: tuple[int | str, ...] = (*NUMBERS, MEASURED)

    def with_unlabelled(self) -> Iterator[tuple[int, int, int | str]]:
        """Ways, shots and numbers of unlabelled images of the cells that have any."""
        for number in self.unlabelled:
            ways = [N for N in self.ways if N in UNLABELLED_WAYS]
            if number != USUAL_NUMBER and USUAL_WAYS in ways:
                ways = [USUAL_WAYS]
            for N in ways:
                yield from ((N, K, number) for K in self.shots if K in UNLABELLED_SHOTS)


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
    confusable: bool = False  # whether the classes of an episode are near each other


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
    for group, bank in each_bank(groups, "calibration", progress):
        cells += list(_cells(group, halved(bank, plan.seed), plan))
    return cells


def each_bank(
    groups: Mapping[str, Sequence[FeatureBank]], what: str, progress: Callable[[str], object]
) -> Iterator[tuple[str, FeatureBank]]:
    """The banks of all groups with their group, each announced by a line.

    Parameters
    ----------
    groups : mapping of str to sequence of FeatureBank
    what : str
        What is made of them, for the progress bar.
    progress : callable
        Called with a line on each bank before it is evaluated.
    """
    pairs = [(group, bank) for group, banks in groups.items() for bank in banks]
    for group, bank in counted_work(pairs, what, "sets of features"):
        progress(f"{group}: {bank.info.get('dataset')} {bank.info.get('backbone')}")
        yield group, bank


def halved(bank: FeatureBank, seed: int) -> FeatureBank:
    """The bank with its base/novel split, or with a random half of its classes as base classes."""
    if bank.parts is not None and "novel" in bank.parts and "base" in bank.parts:
        return bank
    order = np.random.default_rng(seed).permutation(len(bank.classnames))
    base = set(order[: len(order) // 2].tolist())
    parts = tuple("base" if c in base else "novel" for c in range(len(bank.classnames)))
    return replace(bank, parts=parts)


def _cells(group: str, bank: FeatureBank, plan: CalibrationPlan) -> Iterable[Cell]:
    base = BaseClasses(moments=lambda: base_moments(bank)) if has_moments(bank) else NO_BASE
    source = _Source(group, bank, base, plan)
    for near in (False, True):
        for ways in plan.ways:
            for shots in plan.shots:
                drawn = source.episodes(ways, shots, near)
                for name in plan.heads:
                    if drawn and (name == "ncm" or ways * shots <= MOST_REFITTED * 2):
                        cells = source.from_supports(drawn, name)
                        yield from (replace(cell, confusable=near) for cell in cells)
        for ways, shots, number in plan.with_unlabelled():
            drawn = source.episodes(ways, shots, near, _unlabelled(number))
            for name in (name for name in plan.heads if name in UNLABELLED_HEADS):
                if drawn and (name == "ncm" or ways * shots <= MOST_REFITTED):
                    cells = source.from_unlabelled(drawn, name, number)
                    yield from (replace(cell, confusable=near) for cell in cells)


def _unlabelled(number: int | str) -> UnlabelledSampling:
    """So many unlabelled images per class, of uneven shares and with strangers among them."""
    if number == MEASURED:
        return UnlabelledSampling(QUERIES, strangers=MIXED)
    return UnlabelledSampling(number, MIXED, MIXED, QUERIES_LEFT)


@dataclass(frozen=True, eq=False)
class _Source:
    """A bank of a group, for which cells are computed."""

    group: str
    bank: FeatureBank
    base: BaseClasses
    plan: CalibrationPlan

    def episodes(
        self, ways: int, shots: int, near: bool, unlabelled: UnlabelledSampling | None = None
    ) -> list[EpisodeSet]:
        """Half of the episodes of a cell: of random classes, or of classes near each other.

        Tasks of users are easier and harder than random classes of a data set; without both the
        calibration would take hard tasks for easier ones than they are. Empty if classes or images
        are too few.
        """
        novel = self.bank.classes("novel")
        half = self.plan.episodes // 2
        pools = [novel]
        if near:
            pools = confusable(self.bank, novel, ways, self.plan.seed)
        sets = []
        for place, pool in enumerate(pools):
            try:
                episodes = sample_episodes(
                    self.bank.labels,
                    ways,
                    shots,
                    "all",
                    -(-half // len(pools)),
                    self.plan.seed + 1000 * (place + near),
                    classes=pool,
                    min_images="drop",
                    unlabelled=unlabelled,
                )
            except FewshotError:
                continue  # too few classes or images for this cell
            sets.append(episodes)
        return sets

    def from_supports(self, drawn: list[EpisodeSet], name: str) -> Iterable[Cell]:
        """Cells of the regimes that look at the support alone."""
        head, device = head_registry.create(name), torch.device("cpu")
        regimes: dict[str, None] = {}

        def covariates(support: Support, fitted: Head) -> Tensor:
            """Covariates of all regimes side by side, and predictions, the same for all classes."""
            names = [regime_of(support, fitted, base)[0] for base in (self.base, NO_BASE)]
            if names[0] == "closed, base classes":
                names.append("closed, some base classes")
            regimes.update(dict.fromkeys(names))
            with_base, without = (Evidence(support, fitted, base) for base in (self.base, NO_BASE))
            pieces = [
                (without if regime == names[1] else with_base).stack(REGIMES[regime])
                for regime in dict.fromkeys(names)
            ]
            return torch.cat([*pieces, _raw(support, fitted, self.base)], -1)

        pieces = [
            piece
            for episodes in drawn
            for piece in map_supports(self.bank, episodes, head, covariates, device=device)
        ]
        evidence = torch.cat(pieces).numpy()
        raw = dict(zip(ESTIMATORS, evidence[:, 0, -len(ESTIMATORS) :].T, strict=True))
        constant = self._constant(drawn[0], head)
        yield from self._split(evidence, list(regimes), drawn, name, constant, raw)

    def from_unlabelled(
        self, drawn: list[EpisodeSet], name: str, number: int | str
    ) -> Iterable[Cell]:
        """Cells of the regimes that look at unlabelled images too."""
        head, device = head_registry.create(name), torch.device("cpu")
        regimes: dict[str, None] = {}

        def covariates(support: Support, fitted: Head, unlabelled: Unlabelled) -> Tensor:
            few = _Few(moments=lambda: base_moments(self.bank)) if self.base.has_prior else NO_BASE
            bases = {
                regime_of(support, fitted, base, unlabelled=True)[0]: base
                for base in (NO_BASE, few, self.base)
            }
            regimes.update(dict.fromkeys(bases))
            pieces = []
            for regime, base in bases.items():
                evidence = UnlabelledEvidence(support, fitted, base, unlabelled)
                pieces.append(evidence.stack(REGIMES[regime]))
            checks = torch.stack([evidence.outside, evidence.shift], -1).double()
            pieces.append(checks[:, None].expand(-1, pieces[0].shape[1], -1))
            return torch.cat(pieces, -1)

        evidence = torch.cat(
            [
                piece
                for episodes in drawn
                for piece in map_unlabelled(self.bank, episodes, head, covariates, device=device)
            ]
        ).numpy()
        raw = {"outside": evidence[:, 0, -2], "shift": evidence[:, 0, -1]}
        for cell in self._split(evidence, list(regimes), drawn, name, float("nan"), raw):
            yield replace(cell, regime=with_number(cell.regime, number))

    def _split(
        self,
        evidence: NDArray,
        regimes: list[str],
        drawn: list[EpisodeSet],
        name: str,
        constant: float,
        raw: dict[str, NDArray],
    ) -> Iterable[Cell]:
        """A cell per regime, of covariates side by side (E, N, P)."""
        head = head_registry.create(name)
        device = torch.device("cpu")
        actual = np.concatenate(
            [actual_errors(self.bank, episodes, head, device=device)[0] for episodes in drawn]
        )
        start = 0
        for regime in regimes:
            stop = start + len(REGIMES[regime])
            yield Cell(
                regime,
                self.group,
                str(self.bank.info.get("dataset", "features")),
                str(self.bank.info.get("backbone", "unknown")),
                name,
                drawn[0].ways,
                drawn[0].shots,
                evidence[..., start:stop],
                actual,
                constant,
                raw,
            )
            start = stop

    def _constant(self, episodes: EpisodeSet, head: Head) -> float:
        """Mean error of base-class episodes; NaN without any."""
        plan = self.plan
        base = draw_base_episodes(
            self.bank, episodes.ways, episodes.shots, "all", plan.episodes, plan.seed
        )
        if base.episodes is None:
            return float("nan")
        device = torch.device("cpu")
        return float(actual_errors(self.bank, base.episodes, head, device=device)[0].mean())


class _Few(BaseClasses):
    """Base classes of which no prior is made, as where there are few of them."""

    @property
    def has_prior(self) -> bool:
        return False


def confusable(bank: FeatureBank, classes: NDArray, ways: int, seed: int) -> list[NDArray]:
    """Groups of classes whose means are near each other: a class and those nearest to it.

    A group has somewhat more classes than a task, for tasks to differ.

    Parameters
    ----------
    bank : FeatureBank
    classes : ndarray of shape (C,), int
    ways : int
        Classes of a task.
    seed : int
        Decides which classes have a group.

    Returns
    -------
    list of at most `POOLS` ndarray
        Empty with fewer than twice the ways in classes, as tasks would be of nearly all of them.
    """
    if len(classes) < 2 * ways:
        return []
    size = max(ways + 1, round(1.4 * ways))
    rows = [torch.from_numpy(np.flatnonzero(bank.labels == c)) for c in classes]
    means = torch.stack([bank.take(images).float().mean(0) for images in rows])
    apart = torch.cdist(means, means).numpy()
    chosen = np.random.default_rng(seed).permutation(len(classes))[:POOLS]
    return [classes[np.argsort(apart[c], kind="stable")[:size]] for c in chosen]


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
