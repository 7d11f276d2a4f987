"""The result of one cell: its rows, summary and calibrator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from fewshot.exceptions import FewshotError
from fewshot.results.encoding import arrow_schema
from fewshot.results.schema import CellSummary
from fewshot.tasks import table_columns
from fewshot.tasks.base import Task

if TYPE_CHECKING:
    from fewshot.estimators.calibration.transferred import General


@dataclass(frozen=True, eq=False)
class Result:
    """Rows and summary of one cell.

    Attributes
    ----------
    tables : dict of str to DataFrame
        Rows by the name of the table, of those that the task of the cell has.
    summary : CellSummary
        Means, intervals, the estimators' metrics, hashes; JSON types only.
    calibrator : General or None
        Fitted on base classes; ``.save(path)`` stores it for features of the same kind.
    """

    tables: dict[str, pd.DataFrame]
    summary: CellSummary
    calibrator: General | None = None

    def rows(self, table: str) -> pd.DataFrame:
        """Rows of a table; none if the task of the cell has no such table."""
        if table in self.tables:
            return self.tables[table]
        return pd.DataFrame(columns=list(table_columns(table)))

    @property
    def episodes(self) -> pd.DataFrame:
        """One row per episode of classification."""
        return self.rows("episodes")

    @property
    def predictions(self) -> pd.DataFrame:
        """One row per episode and estimator of classification."""
        return self.rows("predictions")

    def __repr__(self) -> str:
        summary = self.summary
        keys = ("task", "dataset", "backbone", "head", "ways", "shots")
        facts = ", ".join(f"{key}={summary.get(key)!r}" for key in keys if key in summary)
        return f"{type(self).__name__}({facts})"


def join_rows(results: Iterable[Result]) -> dict[str, pd.DataFrame]:
    """Concatenate the rows of several cells, by table."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for result in results:
        for name, rows in result.tables.items():
            parts.setdefault(name, []).append(rows)
    return {
        name: pd.concat([rows for rows in frames if len(rows)] or frames[:1], ignore_index=True)
        for name, frames in parts.items()
    }


def check_rows(task: Task, result: Result) -> None:
    """Check the rows of a cell against what its task declares.

    Raises
    ------
    FewshotError
        One line: the table, the column, what is expected and what came.
    """
    unknown = sorted(result.tables.keys() - {table.name for table in task.tables})
    if unknown:
        raise _wrong(task, f"it has no table {unknown[0]!r}")
    for table in task.tables:
        rows = result.tables.get(table.name)
        if rows is None:
            raise _wrong(task, f"expected rows of the table {table.name!r}, got none")
        _check_table(task, table.name, rows, result.summary)
        expected = table.rows_of(result.summary)
        if expected is not None and len(rows) != expected:
            raise _wrong(task, f"table {table.name}: expected {expected} rows, got {len(rows)}")


def _check_table(task: Task, name: str, rows: pd.DataFrame, summary: CellSummary) -> None:
    columns = task.columns(name)
    for column in columns:
        if column not in rows:
            raise _wrong(task, f"table {name}: expected a column {column!r}, got none")
    extra = [column for column in rows if column not in columns]
    if extra:
        raise _wrong(task, f"table {name}: it has no column {extra[0]!r}")
    for column in task.identity:
        if len(rows) and not (rows[column] == summary.get(column)).all():
            raise _wrong(
                task, f"table {name}: expected {column}={summary.get(column)!r} in every row"
            )
    for column, kind in columns.items():
        try:
            pa.Array.from_pandas(rows[column], type=arrow_schema({column: kind}).types[0])
        except (pa.ArrowException, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise _wrong(
                task, f"table {name}: column {column!r}: expected {kind}, {reason}"
            ) from None


def _wrong(task: Task, problem: str) -> FewshotError:
    return FewshotError(f"task={task.name}", f"{problem} (its rows do not match what it declares)")
