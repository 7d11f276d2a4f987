"""Calibrators of single estimators over several data sets."""

from __future__ import annotations

from collections import Counter

import numpy as np

from fewshot.estimators.calibration.calibrated import Steps
from fewshot.estimators.calibration.calibrators import Slope
from fewshot.estimators.calibration.intervals import Residuals
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
