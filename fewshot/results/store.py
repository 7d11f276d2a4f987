"""Runs on disk: written whole, read back one or many."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fewshot.exceptions import FewshotError
from fewshot.results.schema import (
    CELL_COLUMNS,
    EPISODE_COLUMNS,
    ONE_CLASS,
    ONE_CLASS_COLUMNS,
    ONE_CLASS_KEYS,
    PREDICTION_COLUMNS,
    SCHEMA_VERSION,
    VERIFICATION,
    VERIFICATION_COLUMNS,
)

# What names a cell of any task.
IDENTITY = (*CELL_COLUMNS, *ONE_CLASS_KEYS)
ARROW = {
    "str": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "list<str>": pa.list_(pa.string()),
}


def write_tables(
    folder: Path,
    summary: dict[str, Any],
    episodes: pd.DataFrame,
    predictions: pd.DataFrame,
    verification: pd.DataFrame | None = None,
    one_class: pd.DataFrame | None = None,
) -> None:
    """Write ``episodes.parquet``, ``predictions.parquet`` and ``summary.json`` into `folder`.

    And ``verification.parquet`` and ``one_class.parquet``, where there are such rows.
    """
    if one_class is not None and len(one_class):
        _write_parquet(folder / "one_class.parquet", one_class, ONE_CLASS_COLUMNS)
    if verification is not None and len(verification):
        _write_parquet(folder / "verification.parquet", verification, VERIFICATION_COLUMNS)
    _write_parquet(folder / "episodes.parquet", episodes, EPISODE_COLUMNS)
    _write_parquet(folder / "predictions.parquet", predictions, PREDICTION_COLUMNS)
    text = json.dumps(_without_nan(summary), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: a number that does not exist, as the interval of one episode, is null."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _write_parquet(path: Path, rows: pd.DataFrame, columns: dict[str, str]) -> None:
    schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
    table = pa.Table.from_pandas(rows[list(columns)], schema=schema, preserve_index=False)
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), b"fewshot.schema_version": str(SCHEMA_VERSION).encode()}
    )
    pq.write_table(table, path, compression="zstd")


def find_runs(folders: Iterable[str | Path]) -> list[Path]:
    """Run folders at or under each of `folders`, oldest name first.

    Raises
    ------
    FewshotError
        A folder does not exist or has no run in it.
    """
    found: list[Path] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise FewshotError("report", f"expected folders of runs, got {str(folder)!r}")
        # A hidden folder is the rest of a run that was killed, or cells of one that goes on.
        runs = sorted(
            path.parent
            for path in folder.rglob("summary.json")
            if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        )
        if not runs:
            raise FewshotError(
                "report",
                f"no run under {str(folder)!r} (a run has a summary.json)",
                "Give a folder that `fewshot` printed.",
            )
        found += [run for run in runs if run not in found]
    return found


def read_runs(runs: Sequence[Path]) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Join runs: summary, episodes, predictions. Of a cell that was run again, the last counts."""
    summaries = [_read_summary(run) for run in runs]
    order, cells = _newest(summaries)
    joined = dict(summaries[order[-1]])
    joined["cells"] = [cell for _, cell in cells.values()]
    joined["runs"] = [run.name for run in runs]
    left_out = [one for i in order for one in summaries[i].get("left_out", [])]
    joined["left_out"] = [one for i, one in enumerate(left_out) if one not in left_out[:i]]
    episodes = _read_rows(runs, cells, "episodes.parquet")
    predictions = _read_rows(runs, cells, "predictions.parquet")
    return joined, episodes, predictions


def read_verification(runs: Sequence[Path]) -> pd.DataFrame:
    """Join the rows of verification of runs, as `read_runs` does; empty where there are none."""
    return _read_task(runs, VERIFICATION, VERIFICATION_COLUMNS)


def read_one_class(runs: Sequence[Path]) -> pd.DataFrame:
    """Join the rows of one-class tasks of runs, as `read_runs` does; empty where there are none."""
    return _read_task(runs, ONE_CLASS, ONE_CLASS_COLUMNS)


def _read_task(runs: Sequence[Path], task: str, columns: dict[str, str]) -> pd.DataFrame:
    """Rows of one task, from ``<task>.parquet``."""
    _, cells = _newest([_read_summary(run) for run in runs])
    own = {key: one for key, one in cells.items() if one[1]["task"] == task}
    if not own:
        return pd.DataFrame(columns=list(columns))
    return _read_rows(runs, own, f"{task}.parquet")


def _newest(
    summaries: Sequence[dict[str, Any]],
) -> tuple[list[int], dict[tuple, tuple[int, dict[str, Any]]]]:
    """Runs from old to new, and of every cell the run that counts for it, with the cell."""
    order = sorted(range(len(summaries)), key=lambda i: summaries[i].get("created", ""))
    cells: dict[tuple, tuple[int, dict[str, Any]]] = {}
    for i in order:
        for cell in summaries[i]["cells"]:
            cells[_identity(cell)] = (i, cell)
    return order, cells


def _identity(cell: dict[str, Any] | pd.Series) -> tuple:
    return (
        *(cell[name] for name in CELL_COLUMNS),
        *(cell.get(name, "") for name in ONE_CLASS_KEYS),
    )


def _read_summary(run: Path) -> dict[str, Any]:
    try:
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        version = int(summary["schema_version"])
        if not [_identity(cell) for cell in summary["cells"]]:
            raise ValueError("no cells")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FewshotError("report", f"{run / 'summary.json'} cannot be read: {error!r}") from None
    if version > SCHEMA_VERSION:
        raise FewshotError(
            "report",
            f"{run} has schema version {version}; this fewshot knows up to {SCHEMA_VERSION}",
            "Update fewshot.",
        )
    return summary


def _read_rows(
    runs: Sequence[Path], cells: dict[tuple, tuple[int, dict[str, Any]]], name: str
) -> pd.DataFrame:
    """Rows of each cell from the run that counts for it."""
    pieces = []
    for i, run in enumerate(runs):
        wanted = pd.DataFrame(
            [identity for identity, (owner, _) in cells.items() if owner == i],
            columns=list(IDENTITY),
        )
        if wanted.empty:
            continue
        try:
            # No partitions: `head=ncm` in the name of a folder is not a column.
            rows = pq.read_table(run / name, partitioning=None).to_pandas()
            names = [*CELL_COLUMNS, *(name for name in ONE_CLASS_KEYS if name in rows)]
            pieces.append(rows.merge(wanted[names].drop_duplicates(), on=names))
        except (OSError, pa.ArrowException, KeyError) as error:
            raise FewshotError("report", f"{run / name} cannot be read: {error}") from None
    return pd.concat(pieces, ignore_index=True)
