"""Scalar measures of a cell, and whether higher or lower is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fewshot.exceptions import FewshotError, expect_choice, suggestion
from fewshot.results.schema import (
    MEASURES,
    ONE_CLASS,
    ONE_CLASS_MEASURES,
    VERIFICATION,
)

HIGHER, LOWER, NEITHER = "higher", "lower", "neither"
CLASSIFICATION = "classification"
OF_HEADS = {"accuracy": HIGHER, "error": LOWER}
OF_ESTIMATORS = {
    "mae": LOWER, "rmse": LOWER, "relative_error": LOWER, "width": LOWER,
    "spearman": HIGHER, "skill": HIGHER,
    "predicted_error": NEITHER, "bias": NEITHER, "coverage": NEITHER, "slope": NEITHER,
}  # fmt: skip
OTHERS = {
    **dict.fromkeys((*MEASURES, *ONE_CLASS_MEASURES), HIGHER),
    "fpr95": LOWER,
    "regret": LOWER,
}
BETTER = {**OF_HEADS, **OF_ESTIMATORS, **OTHERS}
# Not fractions, so not shown in percent.
PLAIN = ("spearman", "skill", "slope")
FIRST = {CLASSIFICATION: "accuracy", VERIFICATION: "auroc", ONE_CLASS: "macro_f1"}
INTERVALS = ("episodes", "images", "classes", "none")


class Value(NamedTuple):
    """A measure of a cell; `half` is half the width of its interval, None without an interval."""

    mean: float
    half: float | None
    level: float | None


def tasks_of(measure: str) -> list[str]:
    """Return the tasks whose cells have the measure."""
    expect_choice("--measure", measure, BETTER)
    if measure in OF_HEADS or measure in OF_ESTIMATORS:
        return [CLASSIFICATION]
    return [VERIFICATION] * (measure in MEASURES) + [ONE_CLASS] * (measure in ONE_CLASS_MEASURES)


def measure_of(cell: Mapping[str, Any], measure: str, interval: str) -> Value | None:
    """Return the measure of a cell, or of one estimator or prevalence of it; None if missing.

    Parameters
    ----------
    cell : mapping
        With the keys of a cell, updated with those of an estimator or of a prevalence.
    interval : {"episodes", "images", "classes", "none"}
        Population of the interval; without one in the summary, `Value.half` is None.
    """
    if measure == "accuracy":
        value = (cell.get("accuracy_intervals") or {}).get(interval) or cell.get("accuracy")
    elif measure == "error":
        accuracy = measure_of(cell, "accuracy", interval)
        return accuracy and Value(1 - accuracy.mean, accuracy.half, accuracy.level)
    elif measure == "mae":
        value = cell.get("mae_interval")
    else:
        value = cell.get(measure)
    if isinstance(value, Mapping) and "mean" not in value:  # verification: by population
        value = value.get(interval) or value["episodes"]
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return Value(float(value), None, None)
    if value.get("mean") is None:
        return None
    lower, upper = value.get("lower"), value.get("upper")
    same_population = value.get("population", interval) == interval
    half = (
        (upper - lower) / 2 if same_population and lower is not None and upper is not None else None
    )
    return Value(float(value["mean"]), half, value.get("level"))


def entries(
    cells: Sequence[Mapping[str, Any]], measure: str, estimators: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    """Yield the cells that have the measure; one per estimator or prevalence if it is of these.

    Raises
    ------
    FewshotError
        No cell has the measure, or the estimator.
    """
    tasks = tasks_of(measure)
    selected = [cell for cell in cells if cell["task"] in tasks]
    if not selected:
        has = sorted({FIRST[cell["task"]] for cell in cells})
        raise FewshotError("--measure", f"no cell has {measure!r}", f"Try {' or '.join(has)}.")
    if len({cell["task"] for cell in selected}) > 1:
        raise FewshotError("--task", f"cells of several tasks have {measure!r}", "Choose a task.")
    if measure in OF_ESTIMATORS:
        names = {name for cell in selected for name in cell.get("estimators") or {}}
        for estimator in estimators or ():
            if estimator not in names:
                raise FewshotError(
                    "--estimator", f"no cell has {estimator!r}", suggestion(estimator, names)
                )
    for cell in selected:
        if measure in OF_ESTIMATORS:
            for name, row in (cell.get("estimators") or {}).items():
                if estimators is None or name in estimators:
                    yield {**cell, **row, "estimator": name}
        elif cell["task"] == ONE_CLASS:
            yield from ({**cell, **share} for share in cell["prevalences"])
        else:
            yield dict(cell)


def chosen_cells(
    cells: Iterable[dict[str, Any]], filters: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return the cells that match every filter.

    Parameters
    ----------
    filters : mapping of str to sequence of str
        By key of a cell, the values to select, as text.

    Raises
    ------
    FewshotError
        No cell has one of the values.
    """
    selected = list(cells)
    for name, values in filters.items():
        present = {str(cell.get(name)) for cell in selected}
        for value in values:
            if value not in present:
                raise FewshotError(
                    f"--{name}", f"no cell has {value!r}", suggestion(value, present)
                )
        selected = [cell for cell in selected if not values or str(cell.get(name)) in values]
    return selected
