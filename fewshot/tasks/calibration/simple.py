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
    """Slope calibrators by estimator and head, with a step for each number of shots."""
    calibrators: dict[str, dict[str, Steps]] = {}
    for name in ESTIMATORS:
        for head in sorted({cell.head for cell in cells}):
            # A cell occurs in several regimes with the same raw predictions: keep it once.
            unique = {
                (c.group, c.dataset, c.backbone, c.ways, c.shots): c
                for c in cells
                if c.head == head
            }
            usable = [c for c in unique.values() if np.isfinite(c.raw[name]).all()]
            shots = [
                K
                for K in sorted({c.shots for c in usable})
                if len({c.group for c in usable if c.shots == K}) >= 3
            ]
            if shots:
                pairs = [_step(name, [c for c in usable if c.shots == K]) for K in shots]
                steps = Steps(np.array(shots, dtype=float), *map(list, zip(*pairs, strict=True)))
                calibrators.setdefault(name, {})[head] = steps
    return calibrators


def _step(name: str, cells: list[Cell]) -> tuple[Slope, Residuals]:
    def fit(subset: list[Cell]) -> Slope:
        size = Counter(c.group for c in subset)
        return Slope.fit(
            np.concatenate([c.raw[name] for c in subset])[:, None],
            np.concatenate([c.actual.mean(-1) for c in subset]),
            np.concatenate(
                [np.full(len(c.actual), c.weight / len(c.actual) / size[c.group]) for c in subset]
            ),
        )

    misses = []
    for group in sorted({cell.group for cell in cells}):
        calibrator = fit([cell for cell in cells if cell.group != group])
        misses.append([(calibrator(c.raw[name][:, None]), c) for c in cells if c.group == group])
    return fit(cells), pooled_residuals(misses)


def learning_curves(cells: list[Cell]) -> dict[str, Curve]:
    """Change of the mean error with the shots, on the probit scale, by head."""
    curves = {}
    for head in sorted({cell.head for cell in cells}):
        errors: dict[tuple[str, str, str, int], dict[int, float]] = {}
        for c in cells:
            if c.head == head:
                bank = (c.group, c.dataset, c.backbone, c.ways)
                errors.setdefault(bank, {})[c.shots] = float(probit(c.actual.mean()))
        shots = sorted({K for by_shots in errors.values() for K in by_shots})
        steps = []
        for now, then in pairwise(shots):
            by_group: dict[str, list[float]] = {}
            for key, by_shots in errors.items():
                if now in by_shots and then in by_shots:
                    by_group.setdefault(key[0], []).append(by_shots[then] - by_shots[now])
            if len(by_group) < 3:
                break
            means = [float(np.mean(changes)) for changes in by_group.values()]
            steps.append((then, np.mean(means), np.std(means, ddof=1)))
        if len(steps) >= 2:
            numbers, change, deviation = (np.array(column) for column in zip(*steps, strict=True))
            curves[head] = Curve(
                np.array([shots[0], *numbers], dtype=float),
                np.concatenate([[0.0], np.cumsum(change)]),
                deviation,
            )
    return curves
