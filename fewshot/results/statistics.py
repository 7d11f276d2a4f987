"""Intervals that name their population, and how well errors were predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95


def mean_interval(values: NDArray, level: float = LEVEL) -> dict[str, Any]:
    """Mean over episodes and its normal interval.

    The population is *episodes*: other draws from these images of these classes. It says
    nothing about other images or other classes, whose interval is several times as wide.

    Returns
    -------
    dict with ``mean``, ``lower``, ``upper``, ``level``, ``population``
    """
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    half = float("nan")
    if len(values) > 1:
        z = float(stats.norm.ppf(0.5 + level / 2))
        half = z * float(values.std(ddof=1)) / len(values) ** 0.5
    return {
        "mean": mean,
        "lower": mean - half,
        "upper": mean + half,
        "level": level,
        "population": "episodes",
    }


def prediction_metrics(
    predicted: NDArray, actual: NDArray, constant: NDArray | None = None
) -> dict[str, Any]:
    """How near predicted errors come to actual ones, over the episodes that have both.

    Parameters
    ----------
    predicted, actual : ndarray of shape (E,)
        NaN where there is no prediction.
    constant : ndarray of shape (E,), optional
        Predictions of the constant baseline on the same episodes.

    Returns
    -------
    dict
        ``defined`` (episodes with a prediction), ``mae`` with its interval over episodes,
        ``rmse``, ``bias`` (predicted minus actual), ``relative_error`` (mean of
        |predicted - actual| / (1 - actual), the metric of Bendou et al. 2023), ``spearman``,
        ``slope`` and ``intercept`` of the regression of actual on predicted errors (1 and 0 when
        calibrated), ``skill`` (1 - MAE / MAE of the constant). None where undefined.
    """
    known = np.isfinite(predicted) & np.isfinite(actual)
    metrics: dict[str, Any] = {"defined": int(known.sum())}
    names = ("predicted_error", "mae", "rmse", "bias", "relative_error")
    metrics |= dict.fromkeys((*names, "spearman", "slope", "intercept", "skill"))
    metrics["mae_interval"] = None
    if not known.any():
        return metrics
    p, a = predicted[known], actual[known]
    miss = np.abs(p - a)
    metrics["predicted_error"] = float(p.mean())
    metrics["mae"] = float(miss.mean())
    metrics["mae_interval"] = mean_interval(miss)
    metrics["rmse"] = float(np.sqrt(np.mean((p - a) ** 2)))
    metrics["bias"] = float((p - a).mean())
    right = a < 1
    if right.any():
        metrics["relative_error"] = float(np.mean(miss[right] / (1 - a[right])))
    if np.ptp(p) > 0 and np.ptp(a) > 0:
        metrics["spearman"] = float(stats.spearmanr(p, a).statistic)
    if np.ptp(p) > 1e-12:
        fit = stats.linregress(p, a)
        metrics["slope"], metrics["intercept"] = float(fit.slope), float(fit.intercept)
    if constant is not None and np.isfinite(constant[known]).all():
        baseline = float(np.abs(constant[known] - a).mean())
        metrics["skill"] = 1 - metrics["mae"] / baseline if baseline > 0 else None
    return metrics
