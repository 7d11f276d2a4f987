"""Runs on disk: atomic writing, search, joint reading and migration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fewshot.files import atomic_path, writing
from fewshot.results.aside import aside_text
from fewshot.results.encoding import arrow_schema, without_dictionaries, without_nan
from fewshot.results.folders import SUMMARY
from fewshot.results.joining import Store
from fewshot.results.migration import VERSION_KEY, table_version
from fewshot.results.schema import SCHEMA_VERSION, JoinedSummary, RunSummary
from fewshot.tasks import table_columns, tables


def write_tables(folder: Path, summary: RunSummary, rows: Mapping[str, pd.DataFrame]) -> None:
    """Write ``<table>.parquet`` for each table of `rows`, and ``summary.json``, into `folder`."""
    for name, table in rows.items():
        _write_parquet(folder / f"{name}.parquet", table, table_columns(name))
    text = json.dumps(without_nan(summary), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / SUMMARY).write_text(text + "\n", encoding="utf-8")


def _write_parquet(path: Path, rows: pd.DataFrame, columns: dict[str, str]) -> None:
    schema = arrow_schema(columns)
    table = pa.Table.from_pandas(rows[list(columns)], schema=schema, preserve_index=False)
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), VERSION_KEY: str(SCHEMA_VERSION).encode()}
    )
    pq.write_table(table, path, compression="zstd")


def read_runs(
    runs: Sequence[Path],
    columns: Mapping[str, Sequence[str]] | None = None,
    argument: str = "report",
) -> tuple[JoinedSummary, pd.DataFrame, pd.DataFrame]:
    """Join runs: summary, episodes, predictions.

    If several runs have a cell, the one with the most episodes counts, among equals the latest.

    Parameters
    ----------
    runs : sequence of Path
        As returned by `find_runs`.
    columns : mapping, optional
        By table, ``episodes`` or ``predictions``, the columns to read; all by default.
        A million rows of ``classes`` take longer than all others together.
    argument : str
        Argument that errors name.

    Returns
    -------
    dict
        As returned by `fewshot.results.joining.Store.summary`: ``unreadable`` lists runs that were
        left out because they are damaged or of a newer version.
    DataFrame, DataFrame
        Names are categories.

    Raises
    ------
    FewshotError
        No run can be read.
    """
    store = Store(runs, argument)
    columns_of_table = columns or {}
    while True:
        run_count = len(store.runs)
        tables = [
            store.rows(name, columns_of_table.get(name)) for name in ("episodes", "predictions")
        ]
        if len(store.runs) == run_count:  # else a run was removed after the first table was read
            return store.summary(), tables[0], tables[1]


def read_table(runs: Sequence[Path], name: str) -> pd.DataFrame:
    """Join the rows of a table of runs, as `read_runs` does; empty if there are none."""
    return Store(runs).rows(name)


def store_warnings(joined: JoinedSummary) -> list[str]:
    """Warnings about runs left out, cells left aside, and runs dated in the future."""
    lines = [f"left out: {run['run']}: {run['reason']}" for run in joined["unreadable"]]
    lines += [f"left aside: {line}" for line in aside_text(joined.get("left_aside") or [])]
    return lines + [
        f"{run['run']} says that it was made at {run['created']}, which is to come: of cells that "
        "were run again over as many episodes with other settings, the last by the clock counts"
        for run in joined["ahead"]
    ]


def migrate_run(folder: Path) -> int | None:
    """Rewrite a run folder in the current schema version; return the version that it had.

    Each file is written atomically, the summary last. Every file has its version, so that a folder
    whose migration was interrupted reads as before, and the next call continues.

    Returns
    -------
    int or None
        None if the folder is in the current version already.

    Raises
    ------
    FewshotError
        The run is of a newer version, damaged (nothing is changed then), or may not be written.
    """
    from fewshot.results.reading import open_run

    run = open_run(folder, "fewshot results migrate")
    raw = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    files = [folder / f"{name}.parquet" for name in tables()]
    outdated = [path for path in files if path.is_file() and _is_old(path)]
    if raw["schema_version"] == SCHEMA_VERSION and not outdated:
        return None
    # All of them, before any is written.
    migrated = {path: without_dictionaries(run.table(path.stem)) for path in outdated}
    with writing("fewshot results migrate", folder):
        for path, table in migrated.items():
            with atomic_path(path) as partial:
                pq.write_table(table, partial, compression="zstd")
        with atomic_path(folder / SUMMARY) as partial:
            text = json.dumps(run.summary, indent=2, ensure_ascii=False, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
    return int(raw["schema_version"])


def _is_old(path: Path) -> bool:
    return table_version(pq.read_schema(path)) < SCHEMA_VERSION
