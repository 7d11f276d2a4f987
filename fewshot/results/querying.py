"""Cells as a flat table, and queries of the rows of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    suggestion,
)
from fewshot.results.joining import Store
from fewshot.results.reading import IDENTITY, TABLE_COLUMNS
from fewshot.results.schema import (
    MEASURES,
    ONE_CLASS,
    ONE_CLASS_MEASURES,
    VERIFICATION,
)

CELLS = "cells"
TABLES = (CELLS, *TABLE_COLUMNS)
# Columns of each estimator, such as `auto_mae`.
ESTIMATOR_COLUMNS = ("predicted_error", "mae", "rmse", "bias", "spearman", "skill", "coverage")
LAST_COLUMNS = ("seconds", "key", "reused_from", "run")


def cells_table(
    summary: Mapping[str, Any], estimators: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return a table with a row per cell; per cell and prevalence for one-class tasks.

    Parameters
    ----------
    summary : mapping
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
    kept = [name for name in table if name in IDENTITY[:8] or table[name].notna().any()]
    return table[kept]


def _flat(
    cell: Mapping[str, Any], summary: Mapping[str, Any], estimators: Sequence[str] | None
) -> list[dict[str, Any]]:
    row = {name: cell.get(name) for name in (*IDENTITY, "queries", "episodes")}
    row["queries"] = str(row["queries"])  # "all", or a number
    row |= _accuracies(cell)
    if cell["task"] == VERIFICATION:
        row |= _bounded({name: cell.get(name) for name in MEASURES})
    for name, metrics in (cell.get("estimators") or {}).items():
        if estimators is None or name in estimators:
            row |= {f"{name}_{column}": metrics.get(column) for column in ESTIMATOR_COLUMNS}
    made = summary["made"][cell["run"]]["name"] if "made" in summary else None
    row |= {"seconds": cell.get("duration_s"), "key": cell.get("key"),
            "reused_from": cell.get("reused_from"), "run": made}  # fmt: skip
    if cell["task"] != ONE_CLASS:
        return [row]
    return [
        {**row, "prevalence": share["prevalence"],
         **_bounded({name: share.get(name) for name in ONE_CLASS_MEASURES})}
        for share in cell["prevalences"]
    ]  # fmt: skip


def _accuracies(cell: Mapping[str, Any]) -> dict[str, Any]:
    accuracy = cell.get("accuracy")
    if not accuracy:
        return {}
    row = {"accuracy": accuracy["mean"], "lower": accuracy["lower"], "upper": accuracy["upper"]}
    for population in ("images", "classes"):
        interval = (cell.get("accuracy_intervals") or {}).get(population) or {}
        row |= {f"{population}_{side}": interval.get(side) for side in ("lower", "upper")}
    return row | {"error": (cell.get("actual_error") or {}).get("mean")}


def _bounded(measures: Mapping[str, Any]) -> dict[str, Any]:
    """Means and bounds of measures; for verification, of the interval over episodes."""
    row: dict[str, Any] = {}
    for name, measure in measures.items():
        interval = measure or {}
        interval = interval.get("episodes", interval)
        row |= {name: interval.get("mean")}
        row |= {f"{name}_{side}": interval.get(side) for side in ("lower", "upper")}
    return row


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
    table : {"cells", "episodes", "predictions", "verification", "one_class"}
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
    expect_choice("--table", table, TABLES)
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
        names = {name for cell in summary["cells"] for name in cell.get("estimators") or {}}
        for name in estimators or ():
            _check_value("--estimator", name, names)
        rows = cells_table(summary, estimators)
        needed = [name for name in needed if name != "estimator"]
        check_columns([*needed, *(columns or ())], list(map(str, rows)), table)
        return rows
    columns_of_table = list(TABLE_COLUMNS[table])
    check_columns([*needed, *(columns or ())], columns_of_table, table)
    return store.rows(table, None if columns is None else list(dict.fromkeys([*columns, *needed])))


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
    for value in values:
        if present:
            _check_value(f"--{name}", value, present)
    return as_text.isin(list(values))


def _check_value(option: str, value: str, present: set[str]) -> None:
    if value not in present:
        raise FewshotError(option, f"no row has {value!r}", suggestion(value, present))
