"""Measures and comparisons of a cell in the same form for all tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fewshot.report.tasks.one_class import TITLES as ONE_CLASS_TITLES
from fewshot.report.tasks.verification import MEASURES, ONE_CLASS, VERIFICATION
from fewshot.report.wording import Cell, task_of
from fewshot.units import is_number

POPULATIONS = ("episodes", "images", "classes")
LOWER_IS_BETTER = ("fpr95", "regret")
NOT_STATED = "the run did not say"
BOOTSTRAP = "one-class tasks have an interval over classes only"
LEVEL = 0.95

Interval = Mapping[str, Any]


def level_of(cell: Cell) -> float:
    """The nominal level of a cell's intervals."""
    return float((cell.get("accuracy") or {}).get("level") or LEVEL)


def measures(cell: Cell) -> list[dict[str, Any]]:
    """Every measure with its intervals by population; the one for ranking comes first."""
    task = task_of(cell)
    if task == VERIFICATION:
        return [_measure(name, _by_population(cell[name])) for name in MEASURES if cell[name]]
    if task == ONE_CLASS:
        return list(_of_one_class(cell))
    by_population = {"episodes": cell["accuracy"]} | (cell.get("accuracy_intervals") or {})
    return [_measure("accuracy", by_population)]


def _by_population(intervals: Mapping[str, Interval]) -> Mapping[str, Interval]:
    return {name: intervals[name] for name in POPULATIONS if name in intervals}


def _of_one_class(cell: Cell) -> Iterator[dict[str, Any]]:
    """Measures of a one-class cell: macro F1 at every share of positives, then the others."""
    for first in (True, False):
        for name in ONE_CLASS_TITLES:
            if (name == "macro_f1") != first:
                continue
            for entry in cell["prevalences"]:
                if entry.get(name):
                    measure = _measure(name, {"classes": entry[name]}, BOOTSTRAP)
                    yield measure | {"at": entry["prevalence"]}


def _measure(
    name: str, intervals: Mapping[str, Interval], otherwise: str = NOT_STATED
) -> dict[str, Any]:
    bounds, reasons = {}, {}
    for population in POPULATIONS:
        interval = intervals.get(population) or {}
        lower, upper = interval.get("lower"), interval.get("upper")
        bounded = is_number(lower) and is_number(upper)
        bounds[population] = [lower, upper] if bounded else None
        if not bounded:
            reasons[population] = interval.get("reason") or otherwise
    mean = next((interval["mean"] for interval in intervals.values() if interval), None)
    return {
        "name": name,
        "better": "lower" if name in LOWER_IS_BETTER else "higher",
        "mean": mean,
        "intervals": bounds,
        "reasons": reasons,
        "at": None,
    }


def comparisons(cell: Cell) -> list[dict[str, Any]]:
    """Paired differences: of estimators in MAE, of heads or rules in the task's measures."""
    task, rows = task_of(cell), cell.get("comparisons") or []
    if task == VERIFICATION:
        return [
            _pair(row["first"], row["second"], name, row[name]["episodes"])
            for row in rows
            for name in MEASURES
            if row.get(name)
        ]
    if task == ONE_CLASS:
        return [
            _pair(_rule(row, "first"), _rule(row, "second"), "macro_f1", entry["macro_f1"])
            | {"at": entry["prevalence"]}
            for row in rows
            for entry in row["prevalences"]
        ]
    return [
        _pair(row["first"], row["second"], "mae", row["difference"], row["episodes"])
        for row in rows
    ]


def _pair(
    first: str, second: str, measure: str, difference: Interval, episodes: int | None = None
) -> dict[str, Any]:
    gap = {name: difference.get(name) for name in ("mean", "lower", "upper")}
    pair = {"first": first, "second": second, "measure": measure, "at": None}
    return pair | {"difference": gap, "episodes": episodes}


def _rule(row: Mapping[str, Any], which: str) -> str:
    source = row[f"{which}_source"]
    return str(row[which]) if source == "none" else f"{row[which]} ({source})"
