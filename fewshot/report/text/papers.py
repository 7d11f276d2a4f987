"""Tables for papers: a pivot per task, and one of the MAE of predicted errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fewshot.report.text.pivot import latex_table, markdown_table
from fewshot.report.wording import oracle_names
from fewshot.results.joining import Store
from fewshot.results.measures import entries, has_estimators, main_measure
from fewshot.results.pivot import Pivot, keys, pivot
from fewshot.tasks import task_named

# Compared objects are in rows, conditions in columns; other keys only where they differ.
ROWS = ("backbone", "feature", "head", "variant", "source", "estimator")
COLUMNS = ("dataset", "part", "against", "ways", "shots", "queries", "prevalence")
ALWAYS = ("backbone", "head", "dataset", "shots")
MAE = "mae"


def paper_tables(store: Store, tables: str) -> str:
    """All tables as text.

    Parameters
    ----------
    store : Store
        Cells of the report.
    tables : {"latex", "markdown"}
    """
    write = {"latex": latex_table, "markdown": markdown_table}[tables]
    return "\n".join(write(table) for table in paper_pivots(store))


def paper_pivots(store: Store) -> list[Pivot]:
    """A pivot of the main measure per task, and one of the MAE of all estimators."""
    cells = store.summary()["cells"]
    tasks = list(dict.fromkeys(str(cell["task"]) for cell in cells))
    pivots = [_pivot(store, cells, task, None) for task in tasks]
    return pivots + [
        _pivot(store, cells, task, MAE)
        for task in tasks
        if has_estimators(task_named(task), MAE)
        and any(_has_mae(cell) for cell in cells if cell["task"] == task)
    ]


def _has_mae(cell: Any) -> bool:
    return any(row.get(MAE) is not None for row in (cell.get("estimators") or {}).values())


def _pivot(store: Store, cells: Iterable[Any], task: str, measure: str | None) -> Pivot:
    task_cells = [cell for cell in cells if cell["task"] == task]
    estimators = _without_oracles(task_cells) if measure == MAE else None
    shown = list(entries(task_cells, measure or main_measure(task), estimators))
    rows, columns = _differing(shown, ROWS), _differing(shown, COLUMNS)
    if measure == MAE and "estimator" not in rows:
        rows = (*rows, "estimator")
    return pivot(store, rows, columns, measure, estimators, filters={"task": [task]})


def _without_oracles(cells: Sequence[Any]) -> list[str]:
    """Names of the estimators that are not oracles, which use the labels of the queries."""
    names = dict.fromkeys(name for cell in cells for name in cell.get("estimators") or {})
    return [name for name in names if name not in oracle_names(cells)]


def _differing(shown: Sequence[Any], names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that are always shown or of which the cells have several values."""
    return tuple(
        name
        for name in names
        if name in keys() and (name in ALWAYS or len({str(entry.get(name)) for entry in shown}) > 1)
    )
