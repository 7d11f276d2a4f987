"""Cells as a flat table, and queries of the rows of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pandas as pd

from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    suggestion,
)
from fewshot.results.joining import Store
from fewshot.results.measures import LABELS, QUALIFIERS
from fewshot.results.schema import CellSummary, JoinedCell, JoinedSummary, RunSummary
from fewshot.tasks import table_columns, tables, task_named
from fewshot.tasks.base import CELL_COLUMNS, EPISODIC_KEYS, WHERE_EMPTY

CELLS = "cells"
LAST_COLUMNS = ("seconds", "key", "reused_from", "run")


def table_names() -> tuple[str, ...]:
    """Names of the tables: that of the cells, and those of all tasks."""
    return (CELLS, *tables())


def cells_table(
    summary: RunSummary | JoinedSummary, estimators: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return a table with a row per cell; per cell and prevalence for one-class tasks.

    Parameters
    ----------
    summary : RunSummary or JoinedSummary
        As returned by `Store.summary`.
    estimators : sequence of str, optional
        Estimators with columns; all by default.

    Returns
    -------
    DataFrame
        Keys of a cell; ``queries``, ``episodes``; ``accuracy`` with ``lower`` and ``upper``
        (interval over episodes), ``images_lower`` ... ``classes_upper`` and ``error``; measures
        of other tasks with ``auroc_lower`` ...; ``<estimator>_mae`` ...; ``seconds``, ``key``,
        ``reused_from`` and ``run``. Columns without any value are left out.
    """
    rows = [row for cell in summary["cells"] for row in _flat(cell, summary, estimators)]
    table = pd.DataFrame(rows)
    last = [name for name in LAST_COLUMNS if name in table]
    table = table[[*(name for name in table if name not in last), *last]]
    kept = [name for name in table if name in CELL_COLUMNS or _has_values(table[name])]
    return table[kept]


def _has_values(column: pd.Series) -> bool:
    """Whether there is any value; an empty text that identifies cells says that there is none."""
    present = column.notna()
    if column.name in EPISODIC_KEYS:
        present &= column != ""
    return bool(present.any())


def _flat(
    cell: CellSummary, summary: RunSummary | JoinedSummary, estimators: Sequence[str] | None
) -> list[dict[str, Any]]:
    task = task_named(cell["task"])
    row = {name: cell.get(name) for name in (*task.identity, "queries", "episodes")}
    row["queries"] = str(row["queries"])  # "all", or a number
    if estimators is not None and (known := _estimators(cell)):
        chosen = {name: known[name] for name in estimators if name in known}
        cell = cast("CellSummary", {**cell, "estimators": chosen})
    runs = cast("JoinedSummary", summary).get("made")
    made = None if runs is None else runs[cast("JoinedCell", cell)["run"]]["name"]
    last = {"seconds": cell.get("duration_s"), "key": cell.get("key"),
            "reused_from": cell.get("reused_from"), "run": made}  # fmt: skip
    return [{**row, **part, **last} for part in task.flat(cell)]


def _estimators(cell: CellSummary) -> Mapping[str, object]:
    """Estimators of a cell by name; none where the task has none."""
    return cast("Mapping[str, object] | None", cell.get("estimators")) or {}


def query(
    store: Store,
    table: str = CELLS,
    filters: Mapping[str, Sequence[str]] | None = None,
    columns: Sequence[str] | None = None,
    sort: str | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """Return the rows of a table, filtered, sorted and limited.

    Parameters
    ----------
    table : str
        "cells", or a table of any task, as ``episodes``.
    filters : mapping of str to sequence of str, optional
        By column, the values to select.
    columns : sequence of str, optional
        All by default.
    sort : str, optional
        A column, with the suffix ``:desc`` for descending order.
    limit : int, optional
        Maximum number of rows.

    Raises
    ------
    FewshotError
        Unknown table, column or value; the error lists the available ones.
    """
    expect_choice("--table", table, table_names())
    filters = {name: values for name, values in (filters or {}).items() if values}
    by, _, direction = (sort or "").partition(":")
    expect_choice("--sort", direction or "asc", ("asc", "desc"))
    expect(by != "classes", "--sort", "lists of names have no order", "Choose another column.")
    rows = _rows(store, table, [*filters, *([by] if by else [])], columns, filters)
    for name, values in filters.items():
        if table == CELLS and name == "estimator":
            continue
        rows = rows[_chosen(rows, name, values)]
    if by:
        rows = rows.sort_values(by, ascending=direction != "desc", kind="stable")
    rows = rows if columns is None else rows[list(columns)]
    return (rows if limit is None else rows.head(limit)).reset_index(drop=True)


def _rows(
    store: Store,
    table: str,
    needed: Sequence[str],
    columns: Sequence[str] | None,
    filters: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    if table == CELLS:
        summary = store.summary()
        estimators = filters.get("estimator")
        names = {name for cell in summary["cells"] for name in _estimators(cell)}
        for name in estimators or ():
            _check_value("--estimator", name, names)
        rows = cells_table(summary, estimators)
        needed = [name for name in needed if name != "estimator"]
        check_columns([*needed, *(columns or ())], list(map(str, rows)), table)
        return rows
    columns_of_table = list(table_columns(table))
    check_columns([*needed, *(columns or ())], columns_of_table, table)
    labelled = [QUALIFIERS[name] for name in needed if name in QUALIFIERS]
    read = None if columns is None else list(dict.fromkeys([*columns, *needed, *labelled]))
    return store.rows(table, read)


def check_columns(columns: Sequence[str], available: Sequence[str], table: str) -> None:
    """Raise FewshotError unless all `columns` are in `available`."""
    for name in columns:
        if name not in available:
            raise FewshotError(
                "column", f"the table {table} has no column {name!r}", suggestion(name, available)
            )


def _chosen(rows: pd.DataFrame, name: str, values: Sequence[str]) -> pd.Series:
    """Mask of the rows with one of the values; raises if a value does not occur."""
    column = rows[name]
    as_text = column.astype(str) if column.dtype != "category" else column
    present = set(map(str, column.unique()))
    # Only for names as they are shown: a million rows of labels take a second.
    shown = None if present.issuperset(values) else _shown(rows, name)
    present |= set() if shown is None else set(shown.unique())
    for value in values:
        if present:
            _check_value(f"--{name}", value, present)
    chosen = as_text.isin(list(values))
    return chosen if shown is None else chosen | shown.isin(list(values))


def _shown(rows: pd.DataFrame, name: str) -> pd.Series | None:
    """Names under which the values of a column are shown, as heads with their variants."""
    if name in WHERE_EMPTY:
        texts = rows[name].astype(str)
        return texts.where(texts != "", WHERE_EMPTY[name])
    columns = [name, QUALIFIERS.get(name, name)]
    if name not in QUALIFIERS or any(column not in rows for column in columns):
        return None
    distinct = rows[columns].astype(str).drop_duplicates()
    records: list[dict[str, Any]] = distinct.to_dict("records")  # type: ignore[assignment]
    labels = {tuple(record.values()): LABELS[name](record) for record in records}
    pairs = zip(*(rows[column].astype(str) for column in columns), strict=True)
    return pd.Series([labels[pair] for pair in pairs], index=rows.index, dtype=str)


def _check_value(option: str, value: str, present: set[str]) -> None:
    if value not in present:
        raise FewshotError(option, f"no row has {value!r}", suggestion(value, present))
