"""Reading of one run folder, with checks that its summary and tables are consistent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fewshot.exceptions import FewshotError
from fewshot.results.migration import check_version, migrated_summary, migrated_table
from fewshot.results.schema import (
    CELL_COLUMNS,
    EPISODE_COLUMNS,
    ONE_CLASS,
    ONE_CLASS_COLUMNS,
    ONE_CLASS_KEYS,
    PREDICTION_COLUMNS,
    VERIFICATION,
    VERIFICATION_COLUMNS,
)

TABLE_COLUMNS: dict[str, dict[str, str]] = {
    "episodes": EPISODE_COLUMNS,
    "predictions": PREDICTION_COLUMNS,
    VERIFICATION: VERIFICATION_COLUMNS,
    ONE_CLASS: ONE_CLASS_COLUMNS,
}
# Keys that identify a cell of any task.
IDENTITY = (*CELL_COLUMNS, *ONE_CLASS_KEYS)
Cell = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A run folder whose summary and tables have consistent numbers of rows.

    Attributes
    ----------
    folder : Path
    summary : dict
        In the current schema version.
    argument : str
        Argument that errors name.
    """

    folder: Path
    summary: dict[str, Any]
    argument: str

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a table, strings as dictionaries; all columns by default.

        Raises
        ------
        FewshotError
            The table cannot be read, or a column is missing.
        """
        path = self.folder / f"{name}.parquet"
        kinds = TABLE_COLUMNS[name]
        try:
            texts = [column for column, kind in kinds.items() if kind == "str"]
            with pq.ParquetFile(path, read_dictionary=texts) as file:
                missing = sorted(kinds.keys() - set(file.schema_arrow.names))
                if missing:
                    raise KeyError(f"no column {missing[0]}")
                rows = file.read(list(kinds if columns is None else columns), use_threads=False)
            return migrated_table(name, rows, path, self.argument)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            if isinstance(error, FewshotError):
                raise
            raise unreadable(path, error, self.argument) from None


def open_run(folder: Path, argument: str = "report") -> Run:
    """Read the summary of a run and check the numbers of rows of its tables.

    Raises
    ------
    FewshotError
        Summary or tables are missing, damaged, inconsistent, or of a newer version.
    """
    path = folder / "summary.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        # First: a newer version without `cells` is not damaged.
        check_version(raw["schema_version"], folder, argument)
        if not {identity(cell) for cell in raw["cells"]}:
            raise ValueError("no cells")
        summary = migrated_summary(raw, folder, argument)
    except FewshotError:
        raise
    except FileNotFoundError:
        raise FewshotError(argument, f"{folder} has rows but no summary.json") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise unreadable(path, error, argument) from None
    run = Run(folder, summary, argument)
    for name in TABLE_COLUMNS:
        _check_length(run, name)
    return run


def unreadable(path: Path, error: Exception, argument: str) -> FewshotError:
    """Error for a file that cannot be read, with the reason in one line."""
    reasons: dict[type[Exception], str] = {
        PermissionError: "permission denied",
        FileNotFoundError: "there is no such file",
    }
    lines = str(error).splitlines() or [""]
    reason = reasons.get(type(error)) or (repr(error) if path.suffix == ".json" else lines[0])
    return FewshotError(argument, f"{path} cannot be read: {reason}")


def identity(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values that identify a cell among those of all runs."""
    return (
        *(cell[name] for name in CELL_COLUMNS),
        *(cell.get(name) or "" for name in ONE_CLASS_KEYS),
    )


def rows_expected(cell: Cell, name: str) -> int | None:
    """Number of rows that a cell has in table `name`; None if the summary does not say."""
    task, episodes = cell["task"], cell.get("episodes")
    tables_of_task = {VERIFICATION: (VERIFICATION,), ONE_CLASS: (ONE_CLASS,)}
    if name not in tables_of_task.get(task, ("episodes", "predictions")):
        return 0
    if not isinstance(episodes, int):
        return None
    if name == "episodes":
        return episodes
    if name == VERIFICATION:
        return episodes * int(cell["ways"])
    parts = cell.get("prevalences" if name == ONE_CLASS else "estimators")
    return None if parts is None else episodes * len(parts)


def _check_length(run: Run, name: str) -> None:
    """Raise unless the table has as many rows as the cells say; reads the file's footer only."""
    cells = run.summary["cells"]
    path = run.folder / f"{name}.parquet"
    try:
        expected = [rows_expected(cell, name) for cell in cells]
        if set(expected) == {0} and not path.exists():
            return
        with pq.ParquetFile(path) as file:
            count, columns = file.metadata.num_rows, file.schema_arrow.names
        for column in TABLE_COLUMNS[name]:
            if column not in columns:
                raise KeyError(f"no column {column}")
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise unreadable(path, error, run.argument) from None
    if None not in expected and count != sum(expected):  # type: ignore[arg-type]
        raise FewshotError(
            run.argument,
            f"{path} has {count} rows where the summary of its run has {sum(expected)}",  # type: ignore[arg-type]
        )
