"""Reading of one run folder, with checks that its summary and tables are consistent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NotRequired

import pyarrow as pa
import pyarrow.parquet as pq

from fewshot.exceptions import FewshotError
from fewshot.files import regular_file
from fewshot.results.folders import SUMMARY
from fewshot.results.migration import (
    added_columns,
    check_version,
    migrated_summary,
    migrated_table,
    table_version,
)
from fewshot.results.schema import (
    CellSummary,
    Failed,
    LeftOut,
    RunFacts,
    RunSummary,
)
from fewshot.tasks import table_columns, tables, task_named
from fewshot.tasks.base import identity_of


class _CheckedCell(CellSummary):
    """What is checked of a cell beside the facts of all tasks; whole tables rely on it."""

    comparisons: NotRequired[list[dict[str, Any]] | None]
    estimators: NotRequired[dict[str, dict[str, Any]]]


class _CheckedRun(RunFacts):
    """A summary as it is checked when it is read."""

    cells: list[_CheckedCell]


@dataclass(frozen=True)
class Run:
    """A run folder whose summary and tables have consistent numbers of rows.

    Attributes
    ----------
    folder : Path
    summary : RunSummary
        In the current schema version.
    argument : str
        Argument that errors name.
    """

    folder: Path
    summary: RunSummary
    argument: str

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a table, strings as dictionaries; all columns by default.

        Raises
        ------
        FewshotError
            The table cannot be read, or a column is missing.
        """
        path = self.folder / f"{name}.parquet"
        kinds = table_columns(name)
        try:
            metadata = pq.read_metadata(regular_file(self.argument, path, largest=None))
            schema = metadata.schema.to_arrow_schema()
            check_version(table_version(schema), path, self.argument)
            _check_columns(name, schema)
            there = schema.names
            texts = [c for c, kind in kinds.items() if kind == "str" and c in there]
            with pq.ParquetFile(path, read_dictionary=texts, metadata=metadata) as file:
                selected = [c for c in (kinds if columns is None else columns) if c in there]
                rows = file.read(selected, use_threads=False)
            rows = migrated_table(name, rows, path, self.argument, self.summary["cells"])
            return _without_notes(rows.select(list(kinds if columns is None else columns)))
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            if isinstance(error, FewshotError):
                raise
            raise unreadable(path, error, self.argument) from None


def _without_notes(rows: pa.Table) -> pa.Table:
    """The table without pandas' own notes on it, JSON of which nothing is needed."""
    notes = rows.schema.metadata or {}
    return rows.replace_schema_metadata({key: notes[key] for key in notes if key != b"pandas"})


def open_run(folder: Path, argument: str = "report") -> Run:
    """Read the summary of a run and check the numbers of rows of its tables.

    Raises
    ------
    FewshotError
        Summary or tables are missing, damaged, inconsistent, or of a newer version.
    """
    path = folder / SUMMARY
    try:
        raw = json.loads(regular_file(argument, path).read_text(encoding="utf-8"))
        # First: a newer version without `cells` is not damaged.
        check_version(raw["schema_version"], folder, argument)
        summary = migrated_summary(raw, folder, argument)
        if not summary["cells"]:
            raise ValueError("no cells")
        checked_summary(summary)
    except FewshotError:
        raise
    except FileNotFoundError:
        raise FewshotError(argument, f"{folder} has rows but no summary.json") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise unreadable(path, error, argument) from None
    run = Run(folder, summary, argument)
    for cell in summary["cells"]:
        try:
            task_named(cell["task"])
        except FewshotError as error:
            problem = f"{folder} has cells of the task {cell['task']!r}: {error.problem}"
            raise FewshotError(argument, problem, error.remedy) from None
    for name in tables():
        _check_length(run, name)
    return run


def checked_summary(summary: object) -> None:
    """Check the types of a summary in the current version, once.

    Raises
    ------
    ValueError
        One line: the place in the summary, and what is expected there.
    """
    from pydantic import ValidationError

    try:
        _summaries().validate_python(summary)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}, got {first['input']!r:.60}") from None


@cache
def _summaries() -> Any:
    """Checker of summaries; keys that it does not know pass, as tasks have their own."""
    from pydantic import ConfigDict, TypeAdapter, with_config

    for kind in (_CheckedCell, LeftOut, Failed, _CheckedRun):
        with_config(ConfigDict(extra="allow", strict=True))(kind)
    return TypeAdapter(_CheckedRun)


def unreadable(path: Path, error: Exception, argument: str) -> FewshotError:
    """Error for a file that cannot be read, with the reason in one line."""
    reasons: dict[type[Exception], str] = {
        PermissionError: "permission denied",
        FileNotFoundError: "there is no such file",
    }
    lines = str(error).splitlines() or [""]
    reason = reasons.get(type(error)) or (repr(error) if path.suffix == ".json" else lines[0])
    return FewshotError(argument, f"{path} cannot be read: {reason}")


def identity(cell: Mapping[str, object]) -> tuple[Any, ...]:
    """Return the values that identify a cell among those of all runs."""
    return identity_of(cell, task_named(str(cell["task"])).keys)


def rows_expected(cell: CellSummary, name: str) -> int | None:
    """Number of rows that a cell has in table `name`; None if the summary does not say."""
    table = next((t for t in task_named(cell["task"]).tables if t.name == name), None)
    return 0 if table is None else table.rows_of(cell)


def _check_columns(name: str, schema: pa.Schema) -> None:
    """Raise KeyError unless a file has the columns of its version."""
    added = added_columns(table_version(schema))
    for column in table_columns(name):
        if column not in schema.names and column not in added:
            raise KeyError(f"no column {column}")


def _check_length(run: Run, name: str) -> None:
    """Raise unless the table has as many rows as the cells say; reads the file's footer only."""
    cells = run.summary["cells"]
    path = run.folder / f"{name}.parquet"
    try:
        expected = [rows_expected(cell, name) for cell in cells]
        if set(expected) == {0} and not path.exists():
            return
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
        check_version(table_version(schema), path, run.argument)
        _check_columns(name, schema)
        count = metadata.num_rows
    except FewshotError:
        raise
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise unreadable(path, error, run.argument) from None
    if None not in expected and count != sum(expected):  # type: ignore[arg-type]
        raise FewshotError(
            run.argument,
            f"{path} has {count} rows where the summary of its run has {sum(expected)}",  # type: ignore[arg-type]
        )
