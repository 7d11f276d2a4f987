"""Intervals of means and of paired differences, as summaries have them. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

Interval = Mapping[str, Any]  # with "mean", "lower" and "upper"


def half_width(interval: Interval | None) -> float | None:
    """Return half the width of an interval; None without finite bounds."""
    lower, upper = (interval or {}).get("lower"), (interval or {}).get("upper")
    if lower is None or upper is None:
        return None
    half = (upper - lower) / 2
    return half if math.isfinite(half) else None


@dataclass(frozen=True)
class Difference:
    """Mean of first minus second over the same episodes, with its intervals.

    Attributes
    ----------
    mean : float
        Above 0 where the first has the larger values, whether or not these are the better ones.
    lower, upper : float
        For other episodes: other draws from the same images of the same classes; or for the
        population of the interval that it was made from.
    classes : float or None
        Half the width of the interval for other classes; None where every episode has all classes.
    """

    mean: float
    lower: float
    upper: float
    classes: float | None = None

    @classmethod
    def around(cls, mean: float, half: float, classes: float | None = None) -> Difference:
        """Create from half the widths of symmetric intervals."""
        return cls(mean, mean - half, mean + half, classes)

    @classmethod
    def of(
        cls, interval: Interval | None, classes: Interval | None = None, sign: int = 1
    ) -> Difference | None:
        """Create from an interval, and one for other classes; None without bounds.

        With `sign` -1 the pair is swapped: second minus first.
        """
        if interval is None or half_width(interval) is None:
            return None
        lower, upper = sorted((sign * interval["lower"], sign * interval["upper"]))
        return cls(sign * interval["mean"], lower, upper, half_width(classes))

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.upper - self.lower) / 2

    @property
    def above(self) -> bool:
        """Whether the first clearly has the larger values: the interval is above 0."""
        return self.lower > 0

    @property
    def below(self) -> bool:
        """Whether the first clearly has the smaller values: the interval is below 0."""
        return self.upper < 0

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.above or self.below

    @property
    def clear_elsewhere(self) -> bool | None:
        """Whether the interval over classes excludes 0; None if there is none."""
        return None if self.classes is None else abs(self.mean) > self.classes


def over_seeds(differences: Sequence[Difference]) -> Difference:
    """Return the mean difference over seeds: independent episodes, but of the same classes.

    Parameters
    ----------
    differences : sequence of Difference
        One per seed, at least one.
    """
    classes = [gap.classes for gap in differences if gap.classes is not None]
    return Difference.around(
        fmean(gap.mean for gap in differences),
        math.hypot(*(gap.half for gap in differences)) / len(differences),
        fmean(classes) if len(classes) == len(differences) else None,
    )
