"""Measures of predicted errors: accuracy, calibration and coverage of their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.statistics.paired import all_pairs
from fewshot.statistics.populations import LEVELS, mean_interval

# Bounds may have been float32; an error of exactly 0.2 is inside [0.2, 0.3].
ROUNDING = 1e-6
# Constant predictions may differ in the last digit, which is not an order.
SAME = 1e-12


def prediction_metrics(
    predicted: NDArray, actual: NDArray, constant: NDArray | None = None
) -> dict[str, Any]:
    """Return metrics of predicted errors against actual ones, over episodes with both.

    Parameters
    ----------
    predicted, actual : ndarray of shape (E,)
        NaN without a prediction.
    constant : ndarray of shape (E,), optional
        Predictions of the constant baseline on the same episodes.

    Returns
    -------
    dict
        ``defined`` (episodes with a prediction), ``mae`` with its interval over episodes,
        ``rmse``, ``bias`` (predicted minus actual), ``relative_error`` (mean of
        ``|predicted - actual| / (1 - actual)``, the metric of Bendou et al. 2023), ``spearman``,
        ``slope`` and ``intercept`` of the regression of actual on predicted errors (1 and 0 when
        calibrated), ``skill`` (1 - MAE / MAE of the constant). None where undefined.
    """
    defined = np.isfinite(predicted) & np.isfinite(actual)
    metrics: dict[str, Any] = {"defined": int(defined.sum())}
    names = ("predicted_error", "mae", "rmse", "bias", "relative_error")
    metrics |= dict.fromkeys((*names, "spearman", "slope", "intercept", "skill"))
    metrics["mae_interval"] = None
    if not defined.any():
        return metrics
    p, a = predicted[defined], actual[defined]
    miss = np.abs(p - a)
    metrics["predicted_error"] = float(p.mean())
    metrics["mae"] = float(miss.mean())
    metrics["mae_interval"] = mean_interval(miss)
    metrics["rmse"] = float(np.sqrt(np.mean((p - a) ** 2)))
    metrics["bias"] = float((p - a).mean())
    right = a < 1
    if right.any():
        metrics["relative_error"] = float(np.mean(miss[right] / (1 - a[right])))
    metrics["spearman"] = rank_correlation(p, a)
    if np.ptp(p) > SAME:
        slope = float(np.cov(p, a, bias=True)[0, 1] / np.var(p))
        metrics["slope"], metrics["intercept"] = slope, float(a.mean() - slope * p.mean())
    if constant is not None and np.isfinite(constant[defined]).all():
        baseline = float(np.abs(constant[defined] - a).mean())
        metrics["skill"] = 1 - metrics["mae"] / baseline if baseline > 0 else None
    return metrics


def rank_correlation(predicted: NDArray, actual: NDArray) -> float | None:
    """Spearman's correlation of predicted and actual errors (E,), over episodes with both.

    None where all predictions, or all errors, are the same.

    Examples
    --------
    >>> import numpy as np
    >>> from fewshot.statistics.predictions import rank_correlation
    >>> rank_correlation(np.array([0.1, 0.2, 0.4, np.nan]), np.array([0.0, 0.3, 0.3, 0.5]))
    0.866...
    >>> rank_correlation(np.array([0.2, 0.2]), np.array([0.1, 0.3])) is None
    True
    """
    defined = np.isfinite(predicted) & np.isfinite(actual)
    p, a = predicted[defined], actual[defined]
    if len(p) < 2 or np.ptp(p) <= SAME or np.ptp(a) == 0:
        return None
    return float(np.corrcoef(_ranks(p), _ranks(a))[0, 1])


def hindsight_mae(predicted: NDArray, actual: NDArray) -> float | None:
    """Mean absolute error of a constant that is known only afterwards, on the same episodes.

    The constant is the mean actual error of the episodes that have a prediction: what somebody who
    knew how hard these tasks are on average, and nothing of any one of them, would say. The mean is
    not the constant of the least mean absolute error, which is the median.

    Parameters
    ----------
    predicted : ndarray of shape (E,)
        NaN without a prediction; says which episodes count.
    actual : ndarray of shape (E,)

    Returns
    -------
    float or None
        In [0, 0.5]; None without an episode.

    Examples
    --------
    >>> import numpy as np
    >>> from fewshot.statistics.predictions import hindsight_mae
    >>> hindsight_mae(np.array([0.5, 0.5, np.nan]), np.array([0.25, 0.75, 0.9]))
    0.25
    """
    a = actual[np.isfinite(predicted) & np.isfinite(actual)]
    return float(np.abs(a - a.mean()).mean()) if len(a) else None


def _ranks(values: NDArray) -> NDArray:
    """Ranks; equal values share their mean rank."""
    return pd.Series(values).rank().to_numpy()


def interval_metrics(lower: NDArray, upper: NDArray, actual: NDArray) -> dict[str, Any]:
    """Return the coverage of the actual error by intervals (E,), and their mean width.

    Returns
    -------
    dict
        ``coverage`` and ``width``; None without intervals.
    """
    defined = np.isfinite(lower) & np.isfinite(upper) & np.isfinite(actual)
    if not defined.any():
        return {"coverage": None, "width": None}
    low, high, a = lower[defined], upper[defined], actual[defined]
    inside = (a >= low - ROUNDING) & (a <= high + ROUNDING)
    return {"coverage": float(inside.mean()), "width": float((high - low).mean())}


def coverage_curve(bands: NDArray, actual: NDArray) -> list[list[float]] | None:
    """Pairs of nominal and measured coverage for bounds (E, 2, L); None without intervals."""
    measured = [
        interval_metrics(bands[:, 0, i], bands[:, 1, i], actual)["coverage"]
        for i in range(len(LEVELS))
    ]
    if any(coverage is None for coverage in measured):
        return None
    return [[level, coverage] for level, coverage in zip(LEVELS, measured, strict=True)]


def compare_estimators(predicted: Mapping[str, NDArray], actual: NDArray) -> list[dict[str, Any]]:
    """Return the paired differences of absolute errors between every two estimators.

    Over episodes for which both have a prediction. The interval is over episodes.

    Returns
    -------
    list of dict
        ``first``, ``second``, ``difference`` (an interval of the mean of first minus second:
        negative if the first is more accurate) and ``episodes``.
    """
    misses = {name: np.abs(values - actual) for name, values in predicted.items()}
    rows = []
    for first, second, gaps in all_pairs(misses):
        gap = gaps[np.isfinite(gaps)]
        if len(gap) > 1:
            difference = mean_interval(gap)
            rows.append(
                {"first": first, "second": second, "difference": difference, "episodes": len(gap)}
            )
    return rows
