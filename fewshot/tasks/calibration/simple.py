"""Calibrators of single estimators, and learning curves, over several data sets."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

from fewshot.estimators.calibration.calibrated import Steps
from fewshot.estimators.calibration.calibrators import Slope, probit
from fewshot.estimators.calibration.intervals import Residuals
from fewshot.estimators.calibration.transferred import Curve
from fewshot.tasks.calibration.cells import ESTIMATORS, Cell
from fewshot.tasks.calibration.regression import pooled_residuals


def slope_calibrators(cells: list[Cell]) -> dict[str, dict[str, Steps]]:
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


def _step(name: str, cells: list[Cell]) -> tuple[Slope, Residuals]:
    def fit(some: list[Cell]) -> Slope:
        size = Counter(c.group for c in some)
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
    return fit(cells), pooled_residuals(misses)


def learning_curves(cells: list[Cell]) -> dict[str, Curve]:
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
