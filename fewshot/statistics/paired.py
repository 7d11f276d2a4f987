"""Paired comparison on the same episodes, and tests of several heads over data sets.

A difference is always first minus second, of one pair of values per episode, task or class: an
interval of the mean difference is as much narrower than those of the two means as these move
together. Whether it is clear is said by :class:`fewshot.statistics.intervals.Difference`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.exceptions import expect
from fewshot.statistics.intervals import Difference
from fewshot.statistics.populations import (
    LEVEL,
    class_variance,
    episode_means,
    half_width,
    mean_interval,
    population_intervals,
)

FLIPS = 9999
# With fewer data sets Friedman's approximation and the critical difference are not reliable.
ENOUGH_SETS = 5
FLIP_BYTES = 8 << 20
# Differences of shares below this are 0.
ROUNDING = 1e-12
Name = TypeVar("Name")


def differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return first minus second, float64; 0 where sums of equal shares differ in the last digit.

    Parameters
    ----------
    first, second : array-like of one shape
        Values in [0, 1] of the same episodes; NaN where there is none.

    Raises
    ------
    FewshotError
        `first` and `second` differ in shape.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    expect(
        a.shape == b.shape,
        "second",
        f"expected the shape of first, {a.shape}, got {b.shape}",
        "Compare on the same episodes.",
    )
    return _rounded(a - b)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(values) < ROUNDING, 0, values)


def all_pairs(
    values: Mapping[Name, NDArray],
) -> Iterator[tuple[Name, Name, NDArray[np.float64]]]:
    """Yield the `differences` of every two of the values of the same episodes, in their order."""
    for first, second in itertools.combinations(values, 2):
        yield first, second, differences(values[first], values[second])


def mean_difference(
    gaps: NDArray, classes: NDArray | None = None, level: float = LEVEL
) -> Difference | None:
    """Return the mean of paired differences with its intervals; None of fewer than two.

    Parameters
    ----------
    gaps : ndarray of shape (E,)
        From `differences`.
    classes : ndarray of shape (E, N), optional
        Names or numbers of the classes of every episode, for the interval for other classes.
    """
    if len(gaps) < 2:
        return None
    mean, draw = float(gaps.mean()), float(gaps.var(ddof=1)) / len(gaps)
    between = None if classes is None else class_variance(gaps, classes)
    if classes is None or between is None:
        return Difference.around(mean, half_width(draw, level))
    elsewhere = half_width(draw + between, level, len(np.unique(classes)) - 1)
    return Difference.around(mean, half_width(draw, level), elsewhere)


def compare_on_episodes(
    first: NDArray,
    second: NDArray,
    classes: NDArray,
    labels: NDArray,
    support: NDArray,
    query: NDArray | None,
    level: float = LEVEL,
    seed: int = 0,
    *,
    impostors: bool = False,
    related: bool = False,
) -> dict[str, Any]:
    """Return the mean of first minus second on the same episodes, with its intervals.

    Parameters
    ----------
    first, second : ndarray of shape (E, N)
        Accuracies of each way under either head or backbone.
    classes, labels, support, query
        Episodes that both were evaluated on, as in `population_intervals`.
    seed : int
        Seed of the random signs.
    impostors : bool
        As in `population_intervals`; also if only the mean over the ways is available, as every
        query of the episode then acts on it.
    related : bool
        As in `population_intervals`.

    Returns
    -------
    dict
        ``intervals`` of the mean difference by population; numbers of episodes in which the first
        was ``better``, ``equal`` and ``worse``; and ``p``, the two-sided `sign_flip` p-value. Its
        population is `episodes`: other draws from these images of these classes. For other images
        or classes, see whether their interval contains 0.

    Raises
    ------
    FewshotError
        `first` and `second` differ in shape.
    """
    difference = differences(first, second)
    intervals = population_intervals(
        difference,
        classes,
        labels,
        support,
        query,
        level,
        impostors=impostors,
        related=related,
    )
    by_episode = episode_means(difference, classes)
    return {"intervals": intervals, **_tested(_rounded(by_episode), seed)}


def compare_values(
    first: NDArray, second: NDArray, level: float = LEVEL, seed: int = 0
) -> dict[str, Any]:
    """Return the mean of first minus second on the same episodes, with its t interval over them.

    Parameters
    ----------
    first, second : ndarray of shape (E,)
        A value per episode; episodes in which either is NaN are left out.

    Returns
    -------
    dict
        As of `compare_on_episodes`, with the population ``episodes`` alone.

    Raises
    ------
    FewshotError
        They differ in shape, or no episode is left.
    """
    difference = differences(first, second)
    difference = _rounded(difference[np.isfinite(difference)])
    expect(len(difference) > 0, "second", "no episode in which both have a value")
    interval = mean_interval(difference, level)
    if len(difference) > 1:
        # Of few episodes, as of draws of annotated images: Student's t, not the normal one.
        variance = float(difference.var(ddof=1)) / len(difference)
        half = half_width(variance, level, len(difference) - 1)
        interval |= {"lower": interval["mean"] - half, "upper": interval["mean"] + half}
    return {"intervals": {"episodes": interval}, **_tested(difference, seed)}


def _tested(by_episode: NDArray, seed: int) -> dict[str, Any]:
    """Numbers of episodes in which the first was better, equal and worse, and the p-value."""
    return {
        "better": int((by_episode > 0).sum()),
        "equal": int((by_episode == 0).sum()),
        "worse": int((by_episode < 0).sum()),
        "p": sign_flip(by_episode, seed=seed),
    }


def sign_flip(differences: ArrayLike, flips: int = FLIPS, seed: int = 0) -> float:
    """Two-sided p-value of the sign-flip permutation test of a mean difference of 0.

    All 2^n signs if these are at most `flips`, else `flips` random ones and the observed one
    (Phipson and Smyth 2010). 1 if all differences are 0.

    Parameters
    ----------
    differences : array-like of shape (n,)
        One per independent unit: episodes, or data sets.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    if len(values) == 0:
        return 1.0
    observed = abs(values.sum()) * (1 - 1e-12)
    if 2 ** len(values) <= flips:
        signs = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float(np.mean(np.abs((2 * signs - 1) @ values) >= observed))
    rng = np.random.default_rng(seed)
    step = max(1, FLIP_BYTES // (8 * len(values)))
    larger = 0
    for start in range(0, flips, step):
        signs = rng.integers(0, 2, (min(step, flips - start), len(values)), dtype=np.int8)
        larger += int(np.sum(np.abs(2 * (signs @ values) - values.sum()) >= observed))
    return (larger + 1) / (flips + 1)


def signed_rank(first: ArrayLike, second: ArrayLike) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test of two heads over data sets.

    Parameters
    ----------
    first, second : array-like of shape (D,)
        A score per data set, the same data sets in the same order.

    Returns
    -------
    float
        1 if all scores are equal.
    """
    from scipy.stats import wilcoxon

    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    expect(
        a.ndim == 1 and a.shape == b.shape and len(a) > 0,
        "second",
        f"expected a score per data set as in first, {a.shape}, got {b.shape}",
    )
    return 1.0 if np.all(a == b) else float(wilcoxon(a, b).pvalue)


@dataclass(frozen=True, eq=False)
class RankTest:
    """Friedman's test of H heads on D data sets, and Nemenyi's critical difference.

    Attributes
    ----------
    average_ranks : ndarray of shape (H,)
        1 is best; equal scores share their mean rank.
    statistic, p : float
        Friedman's chi-square, corrected for ties, and its p-value if all heads were equal.
    critical_difference : float
        Two heads differ at `level` if their average ranks differ by at least this.
    level : float
        Level of the critical difference: 0.95 keeps the family-wise error of all pairs below 5 %.
    """

    average_ranks: NDArray
    statistic: float
    p: float
    critical_difference: float
    level: float


def rank_test(table: ArrayLike, level: float = LEVEL) -> RankTest:
    """Compare H heads over D data sets by their ranks (Demsar 2006).

    Parameters
    ----------
    table : array-like of shape (D, H)
        Scores; higher is better.

    Raises
    ------
    FewshotError
        Fewer than three heads or two data sets, or a score is missing.
    """
    from scipy.stats import chi2, rankdata, studentized_range

    scores = np.asarray(table, dtype=np.float64)
    expect(
        scores.ndim == 2 and scores.shape[0] >= 2 and scores.shape[1] >= 3,
        "table",
        f"expected at least two data sets (rows) by three heads (columns), got {scores.shape}",
        "Compare two heads with signed_rank.",
    )
    expect(
        bool(np.isfinite(scores).all()),
        "table",
        "a score is missing",
        "Leave out data sets on which not every head was judged.",
    )
    sets, heads = scores.shape
    ranks = rankdata(-scores, axis=1)
    average = ranks.mean(0)
    # Within each data set the variance of the ranks; equal scores make it smaller.
    spread = ranks.var(axis=1, ddof=1).mean()
    statistic = sets * np.sum((average - (heads + 1) / 2) ** 2) / spread if spread > 0 else 0.0
    quantile = studentized_range.ppf(level, heads, np.inf) / 2**0.5
    critical = quantile * (heads * (heads + 1) / (6 * sets)) ** 0.5
    p = float(chi2.sf(statistic, heads - 1))
    return RankTest(average, float(statistic), p, float(critical), level)
