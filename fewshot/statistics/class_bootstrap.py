"""Bootstrap intervals of means over tasks for other target classes, all cells at once.

The bootstrap (Efron 1979) draws target classes with replacement, each with all its tasks, and takes
percentiles. Negatives are not resampled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.exceptions import expect
from fewshot.statistics.populations import LEVEL

DRAWS = 2000
ONE_CLASS = "there is only one target class"


def class_intervals(
    values: NDArray, classes: NDArray, seed: int = 0, draws: int = DRAWS, level: float = LEVEL
) -> list[dict[str, Any]]:
    """Return the mean over tasks and its interval for other target classes, for X columns.

    The same classes are drawn for every column, so that columns of differences are paired.

    Parameters
    ----------
    values : ndarray of shape (T, X)
        NaN where a task has no value.
    classes : ndarray of shape (T,)
        Target class of each task.
    seed : int
    draws : int
        Number of bootstrap samples.
    level : float

    Returns
    -------
    list of X dicts
        ``mean``, ``lower``, ``upper``, ``level``, ``population`` ("classes") and ``reason``; the
        bounds are None where there is a reason, the mean as well where there is no value.
    """
    expect(
        values.ndim == 2 and classes.shape == values.shape[:1],
        "values",
        f"expected (T, X) and classes (T,), got {values.shape} and {classes.shape}",
    )
    defined = np.isfinite(values)
    _, place = np.unique(classes, return_inverse=True)
    members = np.zeros((place.max(initial=-1) + 1, len(place)))
    members[place, np.arange(len(place))] = 1
    sums, sizes = members @ np.where(defined, values, 0), members @ defined.astype(float)
    weights = _draws(len(members), draws, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (weights @ sums) / (weights @ sizes)
        means = sums.sum(0) / sizes.sum(0)
    tails = ((1 - level) / 2, (1 + level) / 2)
    several = (sizes > 0).sum(0) > 1
    return [
        _interval(means[x], drawn[:, x], tails, bool(several[x]), level) for x in range(len(means))
    ]


def _draws(classes: int, draws: int, seed: int) -> NDArray:
    """Number of times that each class is drawn: (draws, classes)."""
    generator = np.random.default_rng([seed, classes])
    weights = generator.multinomial(classes, np.full(classes, 1 / classes), size=draws)
    return weights.astype(np.float64)


def _interval(
    mean: float, drawn: NDArray, tails: tuple[float, float], several: bool, level: float
) -> dict[str, Any]:
    shared = {"level": level, "population": "classes"}
    if not np.isfinite(mean):
        return {"mean": None, "lower": None, "upper": None, **shared, "reason": "no task has it"}
    if not several:
        return {"mean": float(mean), "lower": None, "upper": None, **shared, "reason": ONE_CLASS}
    lower, upper = np.quantile(drawn[np.isfinite(drawn)], tails)
    return {"mean": float(mean), "lower": float(lower), "upper": float(upper), **shared,
            "reason": None}  # fmt: skip
