"""Intervals of measures over draws and over query images, and of paired differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fewshot.results.schema import Interval

LEVEL = 0.95
RESAMPLES = 500
OWN_QUERIES = "the draws have queries of their own: their spread is in the interval over draws"
ONE_DRAW = "there is only one draw"
ONE_IMAGE = "there is only one query image"
ONE_GROUP = "all query images are of one group"
Measure = Callable[[NDArray], NDArray]  # from counts (..., 3, N) to values (...)


class Resampling:
    """Bootstrap samples of the query images of a set of draws.

    The population *episodes* are other draws from the same annotated images, judged on the same
    queries: Student's t over the draws' values. *images* are other queries as well: with the
    variance over bootstrap samples of images (of groups, where there are any) of the mean over
    draws, half of the interval is sqrt(t^2 v_draws + z^2 v_images), never less than half of that
    over draws (Graybill and Wang, JASA 75, 1980).

    Parameters
    ----------
    queries : ndarray of shape (E, Q), int64
        Rows of the queries of every draw; negative in the padding.
    groups : sequence of str, optional
        Group of every row of the data set.
    """

    def __init__(self, queries: NDArray[np.int64], groups: Sequence[str] | None = None) -> None:
        self.queries = queries
        rows = np.unique(queries[queries >= 0])
        units = (
            rows if groups is None else np.unique([groups[r] for r in rows], return_inverse=True)[1]
        )
        numbers, unit = np.unique(units, return_inverse=True)
        generator = np.random.Generator(np.random.PCG64(len(rows)))  # no seed of the draws': fixed
        share = np.full(len(numbers), 1 / len(numbers))
        drawn = generator.multinomial(len(numbers), share, size=RESAMPLES)
        self._weights = drawn[:, unit].astype(float)  # (B, rows)
        self._place = np.searchsorted(rows, queries)
        shared = len(queries) == 1 or bool((queries >= 0).sum(1).mean() > len(rows) / 2)
        self.reason = None if shared else OWN_QUERIES
        if len(numbers) < 2:
            self.reason = ONE_IMAGE if len(rows) < 2 else ONE_GROUP

    def values(self, counts: NDArray, measure: Measure) -> NDArray:
        """A measure of every draw: (E,), from counts (E, Q, 3, N)."""
        return np.asarray(measure(counts.sum(1)), dtype=float)

    def resampled(self, counts: NDArray, measure: Measure) -> NDArray:
        """Means over draws of a measure on bootstrap samples of the queries: (B,).

        Over the draws for which it is defined on the sample; NaN where it is for none.
        """
        total, defined = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
        for e, per_image in enumerate(counts):
            real = self.queries[e] >= 0
            weights = self._weights[:, self._place[e, real]]
            flat = per_image[real].reshape(int(real.sum()), -1).astype(float)
            sums = (weights @ flat).reshape(RESAMPLES, *per_image.shape[1:])
            values = measure(sums)
            total += np.nan_to_num(values, nan=0.0)
            defined += np.isfinite(values)
        return np.where(defined > 0, total / np.maximum(defined, 1), np.nan)

    def intervals(self, counts: NDArray, measure: Measure) -> dict[str, Interval] | None:
        """Intervals of the mean over draws, by population; None where no draw has a value.

        They are symmetric, so that those of few draws may leave [0, 1].
        """
        return self._intervals(
            self.values(counts, measure), lambda: self.resampled(counts, measure)
        )

    def differences(
        self, first: NDArray, second: NDArray, measure: Measure
    ) -> dict[str, Interval] | None:
        """Intervals of first minus second on the same draws and images, by population."""
        return self._intervals(
            self.values(first, measure) - self.values(second, measure),
            lambda: self.resampled(first, measure) - self.resampled(second, measure),
        )

    def _intervals(
        self, values: NDArray, resampled: Callable[[], NDArray]
    ) -> dict[str, Interval] | None:
        known = values[np.isfinite(values)]
        if not len(known):
            return None
        mean, count = float(known.mean()), len(known)
        of_draws = float(known.var(ddof=1)) / count if count > 1 else math.nan
        over_draws = student_half(of_draws, count - 1)
        result = {"episodes": _interval(mean, over_draws, "episodes", ONE_DRAW)}
        if self.reason is not None:
            result["images"] = _interval(mean, math.nan, "images", self.reason)
            return result
        samples = resampled()
        of_images = float(np.nanvar(samples, ddof=1))
        over_images = student_half(of_images, math.inf)  # their variance is known well
        half = over_images if count == 1 else math.hypot(over_images, over_draws)
        result["images"] = _interval(mean, half, "images", None)
        return result


def student_half(variance: float, freedom: float) -> float:
    """Half the width of Student's interval; NaN where the variance is unknown."""
    if math.isnan(variance):
        return math.nan
    upper = (1 + LEVEL) / 2
    quantile = stats.t.ppf(upper, freedom) if math.isfinite(freedom) else stats.norm.ppf(upper)
    return float(quantile * math.sqrt(variance))


def _interval(mean: float, half: float, population: str, reason: str | None) -> Interval:
    """A mean with bounds; the reason where there are none."""
    row: Interval = {"mean": mean, "level": LEVEL, "population": population, "reason": None}
    if math.isnan(half):
        return row | {"lower": None, "upper": None, "reason": reason}
    return row | {"lower": mean - half, "upper": mean + half}
