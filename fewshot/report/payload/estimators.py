"""Predicted errors of a cell as data of the page: metrics, calibration, worst episodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewshot.report.cell_rows import CellRows, EstimatorPredictions
from fewshot.report.charts.calibration import calibration_bins
from fewshot.report.comparison.order import order_of, order_text
from fewshot.report.payload.entries import EstimatorEntry, Predictions, WorstEntry
from fewshot.report.wording import (
    estimator_names,
    oracle_names,
    reservations_of,
    shown_estimator,
)
from fewshot.tasks.classification.schema import ClassificationSummary

WORST = 5
METRICS = (
    "mae", "rmse", "bias", "relative_error", "spearman", "slope", "intercept", "skill", "level",
    "coverage", "width", "coverage_curve", "seconds_per_episode",
)  # fmt: skip


def predictions_of(cell: ClassificationSummary, rows: CellRows | None) -> Predictions:
    """Estimators of a cell, the one shown in short, and the episodes that it missed by most."""
    names = estimator_names([cell])
    spokesman = shown_estimator(cell)
    known = {} if rows is None or not len(rows) else {n: rows.predictions(n) for n in names}
    worst = []
    if rows is not None and spokesman in known:
        worst = worst_episodes(rows, known[spokesman])
    return {
        "estimators": [_estimator(cell, name, known.get(name), rows) for name in names],
        "spokesman": spokesman,
        "worst": worst,
    }


def _estimator(
    cell: ClassificationSummary,
    name: str,
    predictions: EstimatorPredictions | None,
    rows: CellRows | None,
) -> EstimatorEntry:
    """Metrics of an estimator, and its binned calibration curve."""
    row = cell["estimators"][name]
    interval = row.get("mae_interval") or {}
    bounds = [interval.get("lower"), interval.get("upper")]
    order = order_of([row])
    metrics: Any = {metric: row.get(metric) for metric in METRICS}
    return metrics | {
        "name": name,
        "calibration": row.get("calibration") or "none",
        "sees_queries": name in oracle_names([cell]),
        "sees_unlabelled": bool(row.get("sees_unlabelled")),
        "reason": row.get("reason"),
        "fallbacks": int(row.get("fallbacks") or 0),
        "fallback_reason": row.get("fallback_reason"),
        "reservations": list(reservations_of(row).items()),
        "defined": int(row.get("defined") or 0),
        "predicted": row.get("predicted_error"),
        "mae_interval": None if None in bounds else bounds,
        "spearman_interval": order.bounds,
        "order": order_text(order) if row.get("defined") else None,
        "bins": [] if predictions is None or rows is None else _bins(predictions, rows),
    }


def _bins(predictions: EstimatorPredictions, rows: CellRows) -> list[list[float]]:
    """Mean predicted error, mean actual error and size of each bin."""
    bins = calibration_bins(predictions.predicted, rows.actual)
    if bins is None:
        return []
    return [list(entry) for entry in zip(*(values.tolist() for values in bins), strict=True)]


def worst_episodes(
    rows: CellRows, predictions: EstimatorPredictions, count: int = WORST
) -> list[WorstEntry]:
    """Episodes with the largest errors of an estimator's prediction, the worst first."""
    defined = np.flatnonzero(np.isfinite(predictions.predicted))
    gap = np.abs(predictions.predicted[defined] - rows.actual[defined])
    # Rounded and sorted stably: rounding errors do not change the order of equal gaps.
    chosen = defined[np.argsort(-gap.round(12), kind="stable")[:count]]
    return [
        {
            "episode": int(rows.episode[i]),
            "predicted": float(predictions.predicted[i]),
            "actual": float(rows.actual[i]),
            "lower": float(predictions.lower[i]),
            "upper": float(predictions.upper[i]),
            "classes": classes,
        }
        for i, classes in zip(chosen, rows.classes(chosen), strict=True)
    ]
