"""Join of several runs: one run per cell, the runs left out, and the rows of all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fewshot.exceptions import FewshotError
from fewshot.results.aside import counting_cells, left_aside
from fewshot.results.reading import Run, identity, open_run, rows_expected
from fewshot.results.schema import (
    CellSummary,
    Failed,
    JoinedCell,
    JoinedSummary,
    LeftOut,
    Made,
    Unreadable,
)
from fewshot.results.variants import Variants, complete_variants, with_variants
from fewshot.tasks import table_columns, task_named, task_of_table
from fewshot.tasks.base import CELL_COLUMNS
from fewshot.units import counted

# Runs made further in the future than this are reported.
AHEAD = timedelta(minutes=10)
# Identity of the cell, first row and one past the last row, as of `segments`.
Spans = list[tuple[tuple[Any, ...], int, int]]
AnyEntry = TypeVar("AnyEntry", LeftOut, Failed)


class Store:
    """Runs opened together; rows are read on demand.

    Parameters
    ----------
    runs : sequence of Path
        Run folders, as returned by `find_runs`.
    argument : str
        Argument that errors name.

    Attributes
    ----------
    runs : list of Run
        Runs that can be read.
    unreadable : list of Unreadable
        ``run`` and ``reason`` of each run that cannot be read.

    Raises
    ------
    FewshotError
        No run can be read.
    """

    def __init__(self, runs: Sequence[Path], argument: str = "report") -> None:
        self.runs: list[Run] = []
        self.unreadable: list[Unreadable] = []
        self._errors: list[FewshotError] = []
        for folder in runs:
            try:
                self.runs.append(open_run(folder, argument))
            except FewshotError as error:
                self._leave_out(folder, error)
        self._check_any_left()
        self._variants: dict[Path, Variants] = {
            run.folder: variants
            for run, variants in zip(self.runs, complete_variants(self.runs), strict=True)
        }

    def _leave_out(self, folder: Path, error: FewshotError) -> None:
        self.unreadable.append({"run": str(folder), "reason": error.problem})
        self._errors.append(error)

    def _check_any_left(self) -> None:
        if not self.runs and self._errors:
            first, more = self._errors[0], len(self._errors) - 1
            others = f", and {counted(more, 'more run')} neither" if more else ""
            raise FewshotError(first.argument, first.problem + others, first.remedy)

    def counting(self) -> dict[tuple[Any, ...], tuple[int, CellSummary]]:
        """Select the run that counts for each cell: identity to index of `runs` and the cell.

        The run with the most episodes; among equals the one made last, then by folder name. Cells
        with the same key have the same rows, so that their choice does not matter.
        """
        return counting_cells(self.runs, self._by_age())

    def _by_age(self) -> list[int]:
        return sorted(
            range(len(self.runs)),
            key=lambda i: (
                _timestamp(self.runs[i].summary.get("created")),
                self.runs[i].folder.name,
                str(self.runs[i].folder),
            ),
        )

    def summary(self) -> JoinedSummary:
        """Return the summary of the last run, with the cells, failures and names of all runs.

        ``cells`` have ``run``, an index of ``made``, which has a dict per run: ``name``,
        ``folder``, ``created``, ``duration_s``, ``environment`` and ``data``. ``unreadable`` has
        a dict per run that was left out, ``ahead`` one per run made in the future, ``left_aside``
        one per cell that another run has over more episodes, or with later settings
        (`fewshot.results.aside.left_aside`).
        """
        counting = self.counting()
        summaries = [run.summary for run in (self.runs[i] for i in self._by_age())]
        joined = cast("JoinedSummary", dict(summaries[-1]))
        joined["cells"] = [cast("JoinedCell", {**cell, "run": i}) for i, cell in counting.values()]
        joined["runs"] = [run.folder.name for run in self.runs]
        joined["made"] = [_made(run) for run in self.runs]
        joined["left_out"] = _unique(
            entry for summary in summaries for entry in summary.get("left_out") or []
        )
        joined["failed"] = _unique(
            failure
            for run in self.runs
            for failure in run.summary.get("failed") or []
            if not _computed_elsewhere(failure, run, counting)
        )
        joined["left_aside"] = left_aside(self.runs, self._by_age(), counting)
        joined["unreadable"] = list(self.unreadable)
        joined["ahead"] = [
            {"run": run["folder"], "created": run["created"]}
            for run in joined["made"]
            if _timestamp(run["created"]) > (datetime.now(UTC) + AHEAD).timestamp()
        ]
        return joined

    def rows(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows of table `name` of all cells, each from the run that counts for it.

        A run whose table is damaged is moved to `unreadable`; its cells are then taken from other
        runs that have them.

        Parameters
        ----------
        name : str
            A table of any task, as ``episodes``.
        columns : sequence of str, optional
            All of the table by default.

        Returns
        -------
        DataFrame
            Names and reasons as categories, which saves memory with millions of rows.
        """
        selected = list(table_columns(name) if columns is None else columns)
        identity_columns = list(task_of_table(name).identity)
        read: dict[Path, tuple[pa.Table, Spans]] = {}
        while True:
            before = len(self.runs)
            counting = self.counting()
            owners = {i for i, cell in counting.values() if rows_expected(cell, name) != 0}
            for run in [self.runs[i] for i in sorted(owners)]:
                if run.folder not in read:
                    self._read(run, name, list(dict.fromkeys([*identity_columns, *selected])), read)
            if len(self.runs) == before:
                break
        parts = [(i, *read[self.runs[i].folder]) for i in sorted(owners)]
        return _counting_rows(parts, counting, selected)

    def _read(
        self, run: Run, name: str, columns: list[str], read: dict[Path, tuple[pa.Table, Spans]]
    ) -> None:
        try:
            table = with_variants(run.table(name, columns), self._variants[run.folder])
            spans = list(segments(table, list(task_of_table(name).identity)))
            _check_cells(run, name, spans)
            read[run.folder] = table, spans
        except FewshotError as error:
            self.runs.remove(run)
            self._leave_out(run.folder, error)
            self._check_any_left()


def _made(run: Run) -> Made:
    return {
        "name": run.folder.name,
        "folder": str(run.folder),
        "created": run.summary.get("created"),
        "duration_s": run.summary.get("duration_s"),
        "environment": run.summary.get("environment"),
        "data": run.summary.get("data"),
    }


def _identity_of(run: Run) -> dict[str, object]:
    """Keys that all cells of a run share, from its first cell."""
    first = run.summary["cells"][0]
    names = (*CELL_COLUMNS, *task_named(first["task"]).keys)
    return {name: first.get(name) for name in names}


def _computed_elsewhere(
    failed: Failed, run: Run, counting: dict[tuple[Any, ...], tuple[int, CellSummary]]
) -> bool:
    """Whether another run has a cell that failed in this run."""
    return identity({**_identity_of(run), **failed}) in counting


def _check_cells(run: Run, name: str, spans: Spans) -> None:
    """Raise unless every cell has its number of rows, and there are no other rows."""
    cells = run.summary["cells"]
    expected = {identity(cell): rows_expected(cell, name) for cell in cells}
    counted: dict[tuple[Any, ...], int] = dict.fromkeys(expected, 0)
    for key, start, stop in spans:
        counted[key] = counted.get(key, 0) + stop - start
    for key, count in counted.items():
        expected_count = expected.get(key, 0)
        if expected_count is not None and count != expected_count:
            named = dict(zip(CELL_COLUMNS, key, strict=False))
            head, ways, shots = (named[column] for column in ("head", "ways", "shots"))
            raise FewshotError(
                run.argument,
                f"{run.folder / name}.parquet has {count} rows of {head} ({ways}-way {shots}-shot) "
                f"where the summary has {expected_count}",
            )


def _counting_rows(
    parts: Sequence[tuple[int, pa.Table, Spans]],
    counting: dict[tuple[Any, ...], tuple[int, CellSummary]],
    columns: Sequence[str],
) -> pd.DataFrame:
    """Rows of the cells for which each run counts, one run after the other."""
    pieces = []
    for i, table, spans in parts:
        spans_of_run = [
            (start, stop) for key, start, stop in spans if counting.get(key, (None,))[0] == i
        ]
        if sum(stop - start for start, stop in spans_of_run) == len(table):
            pieces.append(table)
        else:
            pieces += [table.slice(start, stop - start) for start, stop in spans_of_run]
    if not pieces:
        return pd.DataFrame(columns=list(columns))
    joined = pa.concat_tables([piece.select(columns) for piece in pieces])
    rows = joined.unify_dictionaries().to_pandas(self_destruct=True, split_blocks=True)
    for column in rows.select_dtypes("category"):  # in the order of first occurrence so far
        rows[column] = rows[column].cat.reorder_categories(sorted(rows[column].cat.categories))
    return rows


def _unique(entries: Iterable[AnyEntry]) -> list[AnyEntry]:
    """Entries without duplicates, in order of first occurrence."""
    return list({json.dumps(entry, sort_keys=True): entry for entry in entries}.values())


def _timestamp(created: Any) -> float:
    """Seconds since 1970 of an ISO date; minus infinity if it is not one."""
    try:
        when = datetime.fromisoformat(str(created))
    except ValueError:
        return float("-inf")
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def segments(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int, int]]:
    """Yield the runs of consecutive rows of the same cell.

    Parameters
    ----------
    table : pa.Table
    names : sequence of str
        Columns that identify a cell; strings as dictionaries or not.

    Yields
    ------
    tuple
        Identity of the cell, first row, one past the last row. A cell whose rows are not
        consecutive is yielded several times.
    """
    if not len(table):
        return
    change = np.zeros(len(table), dtype=bool)
    change[0] = True
    for name in names:
        if not _constant(table.column(name)):
            codes = _codes(table.column(name))
            change[1:] |= codes[1:] != codes[:-1]
    starts = np.flatnonzero(change)
    first = table.select(list(names)).take(pa.array(starts))
    keys = zip(*(first.column(name).to_pylist() for name in names), strict=True)
    stops = np.append(starts[1:], len(table))
    yield from zip(keys, starts.tolist(), stops.tolist(), strict=True)


def _constant(column: pa.ChunkedArray) -> bool:
    """Whether the column is a dictionary with a single value."""
    return (
        pa.types.is_dictionary(column.type)
        and column.num_chunks == 1
        and column.null_count == 0
        and len(column.chunk(0).dictionary) == 1
    )


def _codes(column: pa.ChunkedArray) -> NDArray:
    """Integer codes that are equal where the values are equal."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.dictionary_encode(column)
    if pa.types.is_dictionary(column.type):
        whole = column.unify_dictionaries().combine_chunks()
        chunks = whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]
        column = pa.chunked_array([pc.fill_null(chunk.indices, -1) for chunk in chunks])
    codes: NDArray = column.to_numpy()
    return codes
