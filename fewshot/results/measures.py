"""What can be said of a cell in one number, and which way is better."""

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
# No shares, and so not shown in percent.
PLAIN = ("spearman", "skill", "slope")
FIRST = {CLASSIFICATION: "accuracy", VERIFICATION: "auroc", ONE_CLASS: "macro_f1"}
INTERVALS = ("episodes", "images", "classes", "none")


class Value(NamedTuple):
    """A measure of a cell; `half` is half the width of its interval, None where there is none."""

    mean: float
    half: float | None
    level: float | None


def tasks_of(measure: str) -> list[str]:
    """Tasks whose cells have the measure."""
    expect_choice("--measure", measure, BETTER)
    if measure in OF_HEADS or measure in OF_ESTIMATORS:
        return [CLASSIFICATION]
    return [VERIFICATION] * (measure in MEASURES) + [ONE_CLASS] * (measure in ONE_CLASS_MEASURES)


def measure_of(cell: Mapping[str, Any], measure: str, interval: str) -> Value | None:
    """The measure of a cell, or of one estimator or prevalence of it; None if it has none.

    Parameters
    ----------
    cell : mapping
        With the keys of a cell, updated with those of an estimator or of a prevalence.
    interval : {"episodes", "images", "classes", "none"}
        Whose interval is wanted; there is none where the summary has none of that population.
    """
    if measure == "accuracy":
        found = (cell.get("accuracy_intervals") or {}).get(interval) or cell.get("accuracy")
    elif measure == "error":
        turned = measure_of(cell, "accuracy", interval)
        return turned and Value(1 - turned.mean, turned.half, turned.level)
    elif measure == "mae":
        found = cell.get("mae_interval")
    else:
        found = cell.get(measure)
    if isinstance(found, Mapping) and "mean" not in found:  # verification: by population
        found = found.get(interval) or found["episodes"]
    if found is None:
        return None
    if not isinstance(found, Mapping):
        return Value(float(found), None, None)
    if found.get("mean") is None:
        return None
    lower, upper = found.get("lower"), found.get("upper")
    known = found.get("population", interval) == interval
    half = (upper - lower) / 2 if known and lower is not None and upper is not None else None
    return Value(float(found["mean"]), half, found.get("level"))


def entries(
    cells: Sequence[Mapping[str, Any]], measure: str, estimators: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    """The cells of the measure's task; one per estimator or prevalence where it is of such.

    Raises
    ------
    FewshotError
        No cell has the measure, or the estimator.
    """
    tasks = tasks_of(measure)
    own = [cell for cell in cells if cell["task"] in tasks]
    if not own:
        has = sorted({FIRST[cell["task"]] for cell in cells})
        raise FewshotError("--measure", f"no cell has {measure!r}", f"Try {' or '.join(has)}.")
    if len({cell["task"] for cell in own}) > 1:
        raise FewshotError("--task", f"cells of several tasks have {measure!r}", "Choose a task.")
    if measure in OF_ESTIMATORS:
        there = {name for cell in own for name in cell.get("estimators") or {}}
        for name in estimators or ():
            if name not in there:
                raise FewshotError("--estimator", f"no cell has {name!r}", suggestion(name, there))
    for cell in own:
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
    """The cells that have one of the values of every filter.

    Parameters
    ----------
    filters : mapping of str to sequence of str
        By key of a cell, the values that are wanted, as text.

    Raises
    ------
    FewshotError
        No cell has a value.
    """
    found = list(cells)
    for name, values in filters.items():
        there = {str(cell.get(name)) for cell in found}
        for value in values:
            if value not in there:
                raise FewshotError(f"--{name}", f"no cell has {value!r}", suggestion(value, there))
        found = [cell for cell in found if not values or str(cell.get(name)) in values]
    return found
