"""Measures of any task with their intervals by population, and their text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from fewshot.report.wording import percent_interval
from fewshot.results.schema import CellSummary, Interval
from fewshot.statistics.intervals import half_width
from fewshot.tasks.base import Task
from fewshot.units import decimal, is_number, percent

POPULATIONS = ("episodes", "images", "classes")

Intervals = Mapping[str, Interval]  # by population: mean, lower, upper, reason


def by_population(measured: Any) -> dict[str, Interval]:
    """Intervals by population of a measure as it stands in a summary; empty without a value.

    Parameters
    ----------
    measured : number, interval, or mapping of population to interval
        A number has no bounds; an interval that does not say its population is over episodes.
    """
    if not isinstance(measured, Mapping):
        number = isinstance(measured, (int, float)) and is_number(measured)
        return {"episodes": {"mean": float(measured)}} if number else {}
    if "mean" not in measured:
        return {name: measured[name] for name in POPULATIONS if measured.get(name)}
    return {str(measured.get("population", "episodes")): cast("Interval", measured)}


def intervals_of(task: Task, entry: CellSummary, measure: str) -> Intervals:
    """Intervals of a measure of a cell, or of a part of it; empty without a value.

    Where the summary has none under the name of the measure, the task is asked for its value.
    """
    intervals = by_population(entry.get(measure))
    value = None if intervals else task.value(entry, measure)
    if value is None:
        return intervals
    interval: Interval = {"mean": value.mean}
    if value.half is not None:
        interval["lower"] = value.mean - value.half
        interval["upper"] = value.mean + value.half
    return {"episodes": interval}


def main_interval(intervals: Intervals) -> Interval | None:
    """The interval over episodes, else over the first population that there is."""
    return intervals.get("episodes") or next(iter(intervals.values()), None)


def half_text(interval: Interval | None, missing: str = "-", *, share: bool = True) -> str:
    """``1.5``: half the width of an interval, of a share in points."""
    half = half_width(interval)
    return percent(half, missing) if share else decimal(half, missing)


def interval_text(interval: Interval | None, missing: str = "-", *, share: bool = True) -> str:
    """``63.1 ± 0.8``: a mean and half the width of its interval, a share in percent."""
    if share or interval is None:
        return percent_interval(interval, missing)
    half = half_width(interval)
    # A third digit where two would show a width of 0.
    digits = 3 if half is not None and 0 < half < 0.005 else 2
    texts = (f"{number:.{digits}f}" for number in (interval["mean"], half) if is_number(number))
    return " ± ".join(texts) or missing
