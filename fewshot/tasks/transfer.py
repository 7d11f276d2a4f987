"""Fit a calibrator on several data sets, and see how it does on each one left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.errors import estimators as estimator_registry
from fewshot.errors.base import NO_BASE, BaseClasses
from fewshot.errors.calibrated import Steps
from fewshot.errors.calibration import Slope, probit
from fewshot.errors.evidence import Evidence
from fewshot.errors.general import Curve, General, Model
from fewshot.errors.intervals import GRID, Residuals, spread
from fewshot.errors.probit import fit_probit
from fewshot.errors.regimes import REGIMES, regime_of
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Head, LinearHead, Support
from fewshot.tasks.base_classes import base_moments, draw_base_episodes, has_moments
from fewshot.tasks.judging import actual_errors
from fewshot.tasks.supports import map_supports

WAYS = (2, 5, 10)
SHOTS = (1, 2, 3, 5, 10, 20)
HEADS = ("ncm", "lda")
# Every data set weighs as much as this many Bernoulli trials, whatever its size: what is to be
# learned is how data sets differ, and 12 of them are 12 observations of that.
GROUP_WEIGHT = 100.0
# Estimators that get a calibrator each, by head.
ESTIMATORS = ("margin", "gaussian", "loo")
# Images in a support up to which heads are refitted for held-out shots.
MOST_REFITTED = 25
# Ways of the figures on data sets left out; all ways are fitted.
SHOWN = 5
SLOPE_PRECISION, INTERCEPT_PRECISION = 1.0, 1e-3


@dataclass(frozen=True)
class Plan:
    """What episodes to fit on.

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


def fit_general(
    groups: Mapping[str, Sequence[FeatureBank]],
    plan: Plan | None = None,
    notes: str = "",
    progress: Callable[[str], object] = lambda text: None,
) -> General:
    """Fit on groups of banks; a group is one set of images under one or several backbones.

    Half of each bank's classes (its own base/novel split, if it has one) are novel and give
    the episodes; the others serve as base classes, for the regimes that have them.

    Raises
    ------
    FewshotError
        Fewer than three groups: nothing could be said about one left out.
    """
    plan = plan or Plan()
    _enough(groups)
    return from_cells(gather_cells(groups, plan, progress), groups, plan, notes)


def gather_cells(
    groups: Mapping[str, Sequence[FeatureBank]],
    plan: Plan,
    progress: Callable[[str], object] = lambda text: None,
) -> list[Cell]:
    """Evidence and errors of all groups: nearly all of the work."""
    cells: list[Cell] = []
    for group, banks in groups.items():
        for bank in banks:
            progress(f"{group}: {bank.info.get('dataset')} {bank.info.get('backbone')}")
            cells += list(_cells(group, halved(bank, plan.seed), plan))
    return cells


def from_cells(
    cells: list[Cell], groups: Mapping[str, Sequence[FeatureBank]], plan: Plan, notes: str = ""
) -> General:
    """The calibrator that the cells of these groups give."""
    _enough(groups)
    for name in sorted(plan.weights.keys() - groups.keys()):
        raise FewshotError(
            "calibrate", f"no group {name!r} to weigh; there are {', '.join(groups)}"
        )
    cells = _weighed([cell for cell in cells if cell.group in groups], plan.weights)
    models, left_out = {}, []
    for regime, names in REGIMES.items():
        own = [cell for cell in cells if cell.regime == regime]
        if len({cell.group for cell in own}) >= 3:
            models[regime], rows = _fit_regime(names, own)
            left_out += rows
    if not models:
        raise FewshotError("calibrate", "no regime has episodes from three data sets")
    banks = [bank for some in groups.values() for bank in some]
    described = [describe(bank, group, plan) for group, some in groups.items() for bank in some]
    return General(
        models, _others(cells), _curves(cells), _shared_space(banks), described, left_out, notes
    )


def _enough(groups: Mapping[str, Any]) -> None:
    expect(len(groups) >= 3, "calibrate", f"expected three data sets or more, got {len(groups)}")


def _weighed(cells: list[Cell], weights: Mapping[str, float]) -> list[Cell]:
    return [replace(cell, weight=weights.get(cell.group, 1.0)) for cell in cells]


def halved(bank: FeatureBank, seed: int) -> FeatureBank:
    """The bank with its own split, or with a random half of its classes as base classes."""
    if bank.parts is not None and "novel" in bank.parts and "base" in bank.parts:
        return bank
    order = np.random.default_rng(seed).permutation(len(bank.classnames))
    base = set(order[: len(order) // 2].tolist())
    parts = tuple("base" if c in base else "novel" for c in range(len(bank.classnames)))
    return replace(bank, parts=parts)


def _cells(group: str, bank: FeatureBank, plan: Plan) -> Iterable[Cell]:
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
    group: str, bank: FeatureBank, episodes: EpisodeSet, name: str, plan: Plan
) -> Iterable[Cell]:
    device = torch.device("cpu")
    head = head_registry.create(name)
    actual, _ = actual_errors(bank, episodes, head, device=device)
    ways, shots = episodes.ways, episodes.shots
    base = draw_base_episodes(bank, ways, shots, "all", plan.episodes, plan.seed)
    constant = float("nan")
    if base.episodes is not None:
        constant = float(actual_errors(bank, base.episodes, head, device=device)[0].mean())
    known = BaseClasses(moments=lambda: base_moments(bank)) if has_moments(bank) else NO_BASE
    regimes: dict[str, None] = {}

    def look(support: Support, fitted: Head) -> Tensor:
        """Covariates of all regimes side by side, and leave-one-out, the same for all classes."""
        with_base, without = Evidence(support, fitted, known), Evidence(support, fitted, NO_BASE)
        found = [regime_of(support, fitted, one)[0] for one in (known, NO_BASE)]
        if found[0] == "closed, base classes":
            found.append("closed, some base classes")
        regimes.update(dict.fromkeys(found))
        pieces = [(without if one == found[1] else with_base).stack(REGIMES[one]) for one in found]
        pieces.append(_raw(support, fitted, known))
        return torch.cat(pieces, -1)

    looked = torch.cat(list(map_supports(bank, episodes, head, look, device=device))).numpy()
    raw = dict(zip(ESTIMATORS, looked[:, 0, -len(ESTIMATORS) :].T, strict=True))
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
            looked[..., start:stop],
            actual,
            constant,
            raw,
        )
        start = stop


def _raw(support: Support, head: Head, base: BaseClasses) -> Tensor:
    """Predictions of ESTIMATORS, the same for all classes: (E, N, R); NaN if they would be slow."""
    E, N, K, _ = support.features.shape
    closed = isinstance(head, LinearHead) and head.linear().response is not None
    columns = torch.full((E, len(ESTIMATORS)), torch.nan, dtype=torch.float64)
    for i, name in enumerate(ESTIMATORS):
        if closed or N * K <= MOST_REFITTED:
            estimator = estimator_registry.create(name).fit(base)
            columns[:, i] = estimator.predict(support, head).error.double()
    return columns[:, None].expand(-1, N, -1)


def _fit_regime(names: tuple[str, ...], cells: list[Cell]) -> tuple[Model, list[dict[str, Any]]]:
    """The model on all groups, with residuals and figures of every group left out."""
    every = np.concatenate([cell.x.reshape(-1, len(names)) for cell in cells])
    centre, scale = every.mean(0), every.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    shots = sorted({cell.shots for cell in cells})
    shots = [K for K in shots if len({c.group for c in cells if c.shots == K}) >= 3]
    coefficients, residuals, left_out = [], [], []
    for K in shots:
        own = [cell for cell in cells if cell.shots == K]
        coefficients.append(_fit(own, centre, scale))
        empty = np.zeros((1, len(GRID)))
        misses = []
        for group in sorted({cell.group for cell in own}):
            b = _fit([cell for cell in own if cell.group != group], centre, scale)
            model = Model(names, centre, scale, np.array([float(K)]), b[None], empty)
            out = [cell for cell in own if cell.group == group]
            misses.append([(_predict(model, cell), cell) for cell in out])
        residuals.append(_pooled(misses))
        for i, one in enumerate(misses):
            others = _pooled(misses[:i] + misses[i + 1 :])
            left_out += [
                _figures(predicted, cell, others) for predicted, cell in one if cell.ways == SHOWN
            ]
    model = Model(
        names,
        centre,
        scale,
        np.array(shots, dtype=float),
        np.stack(coefficients),
        np.stack([one.quantiles for one in residuals]),
    )
    return model, left_out


def _others(cells: list[Cell]) -> dict[str, dict[str, Steps]]:
    """A slope calibrator for every estimator, head and number of shots, over all groups."""
    found: dict[str, dict[str, Steps]] = {}
    for name in ESTIMATORS:
        for head in sorted({cell.head for cell in cells}):
            # Each cell occurs in several regimes with the same raw predictions: one will do.
            own = {
                (c.group, c.dataset, c.backbone, c.ways, c.shots): c
                for c in cells
                if c.head == head
            }
            usable = [c for c in own.values() if np.isfinite(c.raw[name]).all()]
            shots = [
                K
                for K in sorted({c.shots for c in usable})
                if len({c.group for c in usable if c.shots == K}) >= 3
            ]
            if shots:
                pairs = [_step(name, [c for c in usable if c.shots == K]) for K in shots]
                steps = Steps(np.array(shots, dtype=float), *map(list, zip(*pairs, strict=True)))
                found.setdefault(name, {})[head] = steps
    return found


def _curves(cells: list[Cell]) -> dict[str, Curve]:
    """Change of the mean error with the shots, on the probit scale, by head."""
    found = {}
    for head in sorted({cell.head for cell in cells}):
        errors: dict[tuple[str, str, str, int], dict[int, float]] = {}
        for c in cells:
            if c.head == head:
                bank = (c.group, c.dataset, c.backbone, c.ways)
                errors.setdefault(bank, {})[c.shots] = float(probit(c.actual.mean()))
        shots = sorted({K for own in errors.values() for K in own})
        steps = []
        for now, then in pairwise(shots):
            by_group: dict[str, list[float]] = {}
            for key, own in errors.items():
                if now in own and then in own:
                    by_group.setdefault(key[0], []).append(own[then] - own[now])
            if len(by_group) < 3:
                break
            means = [float(np.mean(one)) for one in by_group.values()]
            steps.append((then, np.mean(means), np.std(means, ddof=1)))
        if len(steps) >= 2:
            numbers, change, deviation = (np.array(column) for column in zip(*steps, strict=True))
            found[head] = Curve(
                np.array([shots[0], *numbers], dtype=float),
                np.concatenate([[0.0], np.cumsum(change)]),
                deviation,
            )
    return found


def _step(name: str, cells: list[Cell]) -> tuple[Slope, Residuals]:
    def fit(some: list[Cell]) -> Slope:
        size = {g: sum(c.group == g for c in some) for g in {c.group for c in some}}
        return Slope.fit(
            np.concatenate([c.raw[name] for c in some])[:, None],
            np.concatenate([c.actual.mean(-1) for c in some]),
            np.concatenate(
                [np.full(len(c.actual), c.weight / len(c.actual) / size[c.group]) for c in some]
            ),
        )

    misses = []
    for group in sorted({cell.group for cell in cells}):
        left = fit([cell for cell in cells if cell.group != group])
        misses.append([(left(c.raw[name][:, None]), c) for c in cells if c.group == group])
    return fit(cells), _pooled(misses)


def _fit(cells: list[Cell], centre: NDArray, scale: NDArray) -> NDArray:
    per_group = {
        name: sum(cell.group == name for cell in cells) for name in {c.group for c in cells}
    }
    x = np.concatenate([((c.x - centre) / scale).reshape(-1, len(centre)) for c in cells])
    y = np.concatenate([c.actual.reshape(-1) for c in cells])
    weight = np.concatenate(
        [
            np.full(c.actual.size, GROUP_WEIGHT * c.weight / per_group[c.group] / c.actual.size)
            for c in cells
        ]
    )
    prior = np.zeros(len(centre) + 1)
    prior[0] = ndtri(np.clip(np.average(y, weights=weight), 1e-3, 1 - 1e-3))
    precision = np.array([INTERCEPT_PRECISION, *[SLOPE_PRECISION] * len(centre)])
    return fit_probit(x, y, weight, prior, precision)


def _predict(model: Model, cell: Cell) -> NDArray:
    return model.predict(cell.x, np.full(len(cell.x), float(cell.shots)))


def _pooled(groups: list[list[tuple[NDArray, Cell]]]) -> Residuals:
    """Residual quantiles over groups that weigh the same."""
    scores, weights = [], []
    for group in groups:
        for predicted, cell in group:
            scores.append((cell.actual.mean(-1) - predicted) / spread(predicted))
            weights.append(np.full(len(predicted), cell.weight / (len(predicted) * len(group))))
    score, weight = np.concatenate(scores), np.concatenate(weights)
    order = np.argsort(score, kind="stable")
    cumulated = np.cumsum(weight[order]) / weight.sum()
    return Residuals(np.interp(GRID, cumulated, score[order]))


def _figures(predicted: NDArray, cell: Cell, residuals: Residuals) -> dict[str, Any]:
    actual = cell.actual.mean(-1)
    lower, upper = residuals.interval(predicted)
    inside = (actual >= lower) & (actual <= upper)
    loo = float(np.abs(cell.raw["loo"] - actual).mean())
    row = {
        "regime": cell.regime,
        "group": cell.group,
        "dataset": cell.dataset,
        "backbone": cell.backbone,
        "head": cell.head,
        "ways": cell.ways,
        "shots": cell.shots,
        "actual": float(actual.mean()),
        "mae": float(np.abs(predicted - actual).mean()),
        "mae_constant": float(np.abs(cell.constant - actual).mean()),
        "mae_loo": loo,
        "coverage": float(inside.mean()),
    }
    return {
        key: round(value, 4) if isinstance(value, float) and np.isfinite(value) else _known(value)
        for key, value in row.items()
    }


def _known(value: Any) -> Any:
    return None if isinstance(value, float) else value


def describe(bank: FeatureBank, group: str, plan: Plan) -> dict[str, Any]:
    """What a fitted calibrator remembers of a bank."""
    return {
        "group": group,
        "dataset": bank.info.get("dataset", "features"),
        "backbone": bank.info.get("backbone", "unknown"),
        "images": len(bank),
        "classes": len(bank.classnames),
        "dimensions": bank.dim,
        "features": bank.hash(),
        "weight": plan.weights.get(group, 1.0),
        "episodes": plan.episodes,
        "seed": plan.seed,
    }


def _shared_space(banks: list[FeatureBank]) -> dict[str, str] | None:
    spaces = [
        {
            "backbone": str(bank.info.get("backbone", "unknown")),
            "feature": str(bank.info.get("feature", "given")),
        }
        for bank in banks
    ]
    same = all(space == spaces[0] for space in spaces) and spaces[0]["backbone"] != "unknown"
    return spaces[0] if same else None
