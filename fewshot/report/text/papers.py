"""Tables for papers: a pivot per task, and one of the MAE of predicted errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from fewshot.report.tasks import report_of
from fewshot.report.text.pivot import latex_table, markdown_table
from fewshot.report.wording import Cell, oracle_names
from fewshot.results.joining import Store
from fewshot.results.measures import entries, has_estimators, main_measure
from fewshot.results.pivot import Pivot, Place, keys, pivot, place_order
from fewshot.tasks import task_named
from fewshot.tasks.base import dataset_label, head_label
from fewshot.tasks.classification.schema import ClassificationSummary

ESTIMATOR = "estimator"
ALWAYS = ("backbone", "head", "dataset", "shots")
# By key, the one that is shown with it, and its text.
LABELS = {"dataset": ("part", dataset_label), "head": ("variant", head_label)}
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
    return "\n".join(write(labelled(table)) for table in paper_pivots(store))


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


def _has_mae(cell: Cell) -> bool:
    estimators = cast("ClassificationSummary", cell).get("estimators") or {}
    return any(row.get(MAE) is not None for row in estimators.values())


def _pivot(store: Store, cells: Iterable[Cell], task: str, measure: str | None) -> Pivot:
    task_cells = [cell for cell in cells if cell["task"] == task]
    estimators = (
        _without_oracles(cast("list[ClassificationSummary]", task_cells))
        if measure == MAE
        else None
    )
    shown = list(entries(task_cells, measure or main_measure(task), estimators))
    rows, columns = (_differing(shown, names) for names in _keys(task))
    if measure == MAE and ESTIMATOR not in rows:
        rows = (*rows, ESTIMATOR)
    return pivot(store, rows, columns, measure, estimators, filters={"task": [task]})


def _keys(task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of rows and of columns: what is compared is in rows, conditions in columns."""
    report = report_of(task)
    keys = report.task.keys
    parts = dict.fromkeys(m.of.name for m in report.task.measures if m.of is not None)
    return (
        ("backbone", "feature", "head", "variant",
         *(key for key in keys if key in report.compared),
         *(part for part in parts if part == ESTIMATOR)),
        ("dataset", "part", *(key for key in keys if key not in report.compared),
         "ways", "shots", "queries", *(part for part in parts if part != ESTIMATOR)),
    )  # fmt: skip


def labelled(table: Pivot) -> Pivot:
    """The table with data sets and heads as they are shown, in place of part and variant.

    Unchanged if two of its rows or columns would then have the same names.
    """
    row_keys, rows = _labels(table.row_keys, table.rows)
    column_keys, columns = _labels(table.column_keys, table.columns)
    if len(set(rows.values())) < len(rows) or len(set(columns.values())) < len(columns):
        return table
    entries = {(rows[row], columns[c]): entry for (row, c), entry in table.entries.items()}
    return replace(
        table,
        row_keys=row_keys,
        column_keys=column_keys,
        rows=sorted(rows.values(), key=place_order),
        columns=sorted(columns.values(), key=place_order),
        entries=entries,
    )


def _labels(
    keys: Sequence[str], places: Sequence[Place]
) -> tuple[tuple[str, ...], dict[Place, Place]]:
    """Keys without part and variant, and the places of a table by those with them."""
    folded = {further: name for name, (further, _) in LABELS.items() if {name, further} <= {*keys}}
    kept = tuple(key for key in keys if key not in folded)
    shown = {}
    for place in places:
        values: dict[str, Any] = dict(zip(keys, place, strict=True))
        texts = {name: LABELS[name][1](values) for name in folded.values()}
        shown[place] = tuple(texts.get(key, values[key]) for key in kept)
    return kept, shown


def _without_oracles(cells: Sequence[ClassificationSummary]) -> list[str]:
    """Names of the estimators that are not oracles, which use the labels of the queries."""
    names = dict.fromkeys(name for cell in cells for name in cell.get("estimators") or {})
    return [name for name in names if name not in oracle_names(cells)]


def _differing(shown: Sequence[Cell], names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that are always shown or of which the cells have several values."""
    return tuple(
        name
        for name in names
        if name in keys() and (name in ALWAYS or len({str(entry.get(name)) for entry in shown}) > 1)
    )
