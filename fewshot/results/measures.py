"""Measures of cells of any task, as the tasks declare them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from fewshot.exceptions import FewshotError, expect_choice, suggestion
from fewshot.results.schema import CellSummary
from fewshot.tasks import known_tasks, task_named
from fewshot.tasks.base import WHERE_EMPTY, Measure, Task, Value, dataset_label, head_label

AnyCell = TypeVar("AnyCell", bound=CellSummary)

INTERVALS = ("episodes", "images", "classes", "none")
# Names by which people may choose cells beside those of the columns.
LABELS = {"head": head_label, "dataset": dataset_label}
# The column that these names have from it.
QUALIFIERS = {"head": "variant", "dataset": "part"}


def all_measures() -> dict[str, Measure]:
    """Measures of all tasks by name; those of one name are alike in direction."""
    measures: dict[str, Measure] = {}
    for task in known_tasks():
        for measure in task.measures:
            measures.setdefault(measure.name, measure)
    return measures


def measure_named(name: str) -> Measure:
    """The measure of a name, of any task."""
    known = all_measures()
    expect_choice("--measure", name, known)
    return known[name]


def tasks_of(measure: str) -> list[str]:
    """Return the tasks whose cells have the measure."""
    measure_named(measure)
    return [task.name for task in known_tasks() if task.measure(measure) is not None]


def main_measure(task: str) -> str:
    """The first measure of a task."""
    return task_named(task).measures[0].name


def measure_of(cell: CellSummary, measure: str, interval: str) -> Value | None:
    """Return the measure of a cell, or of a part of it; None if missing.

    Parameters
    ----------
    cell : mapping
        With the keys of a cell, updated with those of a part, as of `entries`.
    interval : {"episodes", "images", "classes", "none"}
        Population of the interval; without one in the summary, `Value.half` is None.
    """
    return task_named(cell["task"]).value(cell, measure, interval)


def entries(
    cells: Sequence[CellSummary], measure: str, estimators: Sequence[str] | None
) -> Iterator[CellSummary]:
    """Yield the cells that have the measure; one per part of them, as estimator, that has it.

    Raises
    ------
    FewshotError
        No cell has the measure, or the estimator.
    """
    tasks = tasks_of(measure)
    selected = [cell for cell in cells if cell["task"] in tasks]
    if not selected:
        has = sorted({main_measure(cell["task"]) for cell in cells})
        raise FewshotError("--measure", f"no cell has {measure!r}", f"Try {' or '.join(has)}.")
    names = {cell["task"] for cell in selected}
    if len(names) > 1:
        raise FewshotError("--task", f"cells of several tasks have {measure!r}", "Choose a task.")
    task = task_named(names.pop())
    parts = list(_parts(task, selected, measure))
    if has_estimators(task, measure):
        _check_estimators(parts, estimators)
        if estimators is not None:
            parts = [part for part in parts if part.get("estimator") in estimators]
    yield from parts


def _parts(task: Task, cells: Iterable[CellSummary], measure: str) -> Iterator[CellSummary]:
    for cell in cells:
        yield from task.entries(cell, measure)


def has_estimators(task: Task, measure: str) -> bool:
    """Whether cells of the task have the measure once per estimator."""
    declared = task.measure(measure)
    return declared is not None and declared.of is not None and declared.of.name == "estimator"


def _check_estimators(parts: Iterable[CellSummary], estimators: Sequence[str] | None) -> None:
    names = {str(part.get("estimator")) for part in parts}
    for estimator in estimators or ():
        if estimator not in names:
            raise FewshotError(
                "--estimator", f"no cell has {estimator!r}", suggestion(estimator, names)
            )


def names_of(cell: Mapping[str, object], key: str) -> set[str]:
    """Texts by which a cell is chosen: its value, and the name under which it is shown."""
    shown = {LABELS[key](cell)} if key in LABELS else set()
    if key in WHERE_EMPTY and not cell.get(key):
        shown = {WHERE_EMPTY[key]}
    return {str(cell.get(key)), *shown}


def chosen_cells(cells: Iterable[AnyCell], filters: Mapping[str, Sequence[str]]) -> list[AnyCell]:
    """Return the cells that match every filter.

    Parameters
    ----------
    filters : mapping of str to sequence of str
        By key of a cell, the values to select, as text; also as shown: ``lda (shrinkage=0.1)``.

    Raises
    ------
    FewshotError
        No cell has one of the values.
    """
    selected = list(cells)
    for name, values in filters.items():
        present = set().union(*(names_of(cell, name) for cell in selected))
        for value in values:
            if value not in present:
                raise FewshotError(
                    f"--{name}", f"no cell has {value!r}", suggestion(value, present)
                )
        selected = [cell for cell in selected if not values or names_of(cell, name) & set(values)]
    return selected
