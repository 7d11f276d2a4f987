"""Types of a cell on the page, and measures and differences in the form that all tasks share."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from fewshot.report.intervals import POPULATIONS, Intervals
from fewshot.results.schema import Interval
from fewshot.tasks.base import Better
from fewshot.units import is_number

NOT_STATED = "the run did not say"

Bounds = list[float] | None


class MeasureEntry(TypedDict):
    """A measure of a cell: mean, bounds by population, and reasons where there are none.

    ``at`` is the part of the cell that it is the measure of, as a share of positives; None for the
    whole cell.
    """

    name: str
    better: Better
    mean: float | None
    intervals: dict[str, Bounds]
    reasons: dict[str, str]
    at: float | str | None


class PairEntry(TypedDict):
    """Mean of first minus second on the same episodes, with the bounds of its interval.

    ``episodes`` is their number if it is not that of the cell.
    """

    first: str
    second: str
    measure: str
    at: float | str | None
    difference: dict[str, float | None]
    episodes: int | None


class EstimatorEntry(TypedDict):
    """Metrics of an estimator over the episodes of a cell, and its binned calibration curve."""

    name: str
    calibration: str
    sees_queries: bool
    sees_unlabelled: bool
    reason: str | None
    fallbacks: int
    fallback_reason: str | None
    reservations: list[tuple[str, int]]
    defined: int
    predicted: float | None
    mae_interval: Bounds
    spearman_interval: Bounds
    order: str | None
    bins: list[list[float]]
    mae: NotRequired[float | None]
    rmse: NotRequired[float | None]
    bias: NotRequired[float | None]
    relative_error: NotRequired[float | None]
    spearman: NotRequired[float | None]
    slope: NotRequired[float | None]
    intercept: NotRequired[float | None]
    skill: NotRequired[float | None]
    level: NotRequired[float | None]
    coverage: NotRequired[float | None]
    width: NotRequired[float | None]
    coverage_curve: NotRequired[list[list[float]] | None]
    seconds_per_episode: NotRequired[float | None]


class WorstEntry(TypedDict):
    """An episode whose error was predicted badly."""

    episode: int
    predicted: float
    actual: float
    lower: float
    upper: float
    classes: list[str]


class Predictions(TypedDict):
    """Estimators of a cell, the one shown in short, and the episodes that it missed by most."""

    estimators: list[EstimatorEntry]
    spokesman: str | None
    worst: list[WorstEntry]


def measure_entry(
    name: str,
    better: Better,
    intervals: Intervals,
    *,
    at: float | str | None = None,
    otherwise: str = NOT_STATED,
) -> MeasureEntry:
    """A measure from its intervals by population; `otherwise` is the reason where none is given."""
    bounds: dict[str, Bounds] = {}
    reasons = {}
    for population in POPULATIONS:
        interval = intervals.get(population) or {}
        lower, upper = interval.get("lower"), interval.get("upper")
        bounds[population] = [lower, upper] if is_number(lower) and is_number(upper) else None
        if bounds[population] is None:
            reasons[population] = interval.get("reason") or otherwise
    mean = next((interval["mean"] for interval in intervals.values() if interval), None)
    return {
        "name": name,
        "better": better,
        "mean": mean,
        "intervals": bounds,
        "reasons": reasons,
        "at": at,
    }


def pair_entry(
    first: str,
    second: str,
    measure: str,
    difference: Interval,
    *,
    at: float | str | None = None,
    episodes: int | None = None,
) -> PairEntry:
    """A paired difference from its interval."""
    gap = {
        "mean": difference.get("mean"),
        "lower": difference.get("lower"),
        "upper": difference.get("upper"),
    }
    return {
        "first": first,
        "second": second,
        "measure": measure,
        "at": at,
        "difference": gap,
        "episodes": episodes,
    }
