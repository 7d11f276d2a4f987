"""Regression model of ``auto``, fitted with leave-one-data-set-out residuals."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fewshot.estimators.calibration.intervals import GRID, Residuals, spread
from fewshot.estimators.calibration.probit import fit_probit
from fewshot.estimators.calibration.transferred import Model
from fewshot.statistics.predictions import interval_metrics
from fewshot.tasks.calibration.cells import Cell

# Weight of a data set in Bernoulli trials, independent of its size: the regression learns how data
# sets differ, and 12 of them are 12 observations of that.
GROUP_WEIGHT = 100.0
SLOPE_PRECISION, INTERCEPT_PRECISION = 1.0, 1e-3
# Ways of the results on held-out data sets, of random classes; all are fitted.
SHOWN = 5


def fit_regime(names: tuple[str, ...], cells: list[Cell]) -> tuple[Model, list[dict[str, Any]]]:
    """The model fitted on all groups, and the results on every held-out group."""
    every = np.concatenate([cell.x.reshape(-1, len(names)) for cell in cells])
    centre, scale = every.mean(0), every.std(0)
    scale = np.where(scale > 1e-4, scale, 1.0)  # constant, but for rounding
    shots = sorted({cell.shots for cell in cells})
    shots = [K for K in shots if len({c.group for c in cells if c.shots == K}) >= 3]
    coefficients, residuals, left_out = [], [], []
    for K in shots:
        cells_of_shots = [cell for cell in cells if cell.shots == K]
        coefficients.append(_fit(cells_of_shots, centre, scale))
        empty = np.zeros((1, len(GRID)))
        misses = []
        for group in sorted({cell.group for cell in cells_of_shots}):
            b = _fit([cell for cell in cells_of_shots if cell.group != group], centre, scale)
            model = Model(names, centre, scale, np.array([float(K)]), b[None], empty)
            held_out = [cell for cell in cells_of_shots if cell.group == group]
            misses.append([(_predict(model, cell), cell) for cell in held_out])
        residuals.append(pooled_residuals(misses))
        for i, predictions in enumerate(misses):
            others = pooled_residuals(misses[:i] + misses[i + 1 :])
            left_out += [
                _figures(predicted, cell, others)
                for predicted, cell in predictions
                if cell.ways == SHOWN and not cell.confusable
            ]
    model = Model(
        names,
        centre,
        scale,
        np.array(shots, dtype=float),
        np.stack(coefficients),
        np.stack([residual.quantiles for residual in residuals]),
    )
    return model, left_out


def _fit(cells: list[Cell], centre: NDArray, scale: NDArray) -> NDArray:
    per_group = Counter(cell.group for cell in cells)
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


def pooled_residuals(groups: list[list[tuple[NDArray, Cell]]]) -> Residuals:
    """Residual quantiles with equal weight for every group."""
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
    held_out = cell.raw.get("loo")
    loo = float("nan") if held_out is None else float(np.abs(held_out - actual).mean())
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
        "coverage": interval_metrics(lower, upper, actual)["coverage"],
    }
    return {
        key: round(value, 4)
        if isinstance(value, float) and np.isfinite(value)
        else _none_for_nan(value)
        for key, value in row.items()
    }


def _none_for_nan(value: Any) -> Any:
    return None if isinstance(value, float) else value
