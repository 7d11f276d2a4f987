"""Runs on disk: atomic writing, search, joint reading and migration."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path, writing
from fewshot.paths import KEPT
from fewshot.results.aside import aside_text
from fewshot.results.encoding import ARROW, without_dictionaries, without_nan
from fewshot.results.joining import Store
from fewshot.results.migration import TABLES, VERSION_KEY, table_version
from fewshot.results.schema import (
    EPISODE_COLUMNS,
    ONE_CLASS,
    ONE_CLASS_COLUMNS,
    PREDICTION_COLUMNS,
    SCHEMA_VERSION,
    VERIFICATION,
    VERIFICATION_COLUMNS,
)

# Files that a run folder has.
MARKS = {"summary.json", "episodes.parquet", "predictions.parquet"}


def write_tables(
    folder: Path,
    summary: dict[str, Any],
    episodes: pd.DataFrame,
    predictions: pd.DataFrame,
    verification: pd.DataFrame | None = None,
    one_class: pd.DataFrame | None = None,
) -> None:
    """Write ``episodes.parquet``, ``predictions.parquet`` and ``summary.json`` into `folder`.

    Also ``verification.parquet`` and ``one_class.parquet`` if there are rows of these tasks.
    """
    if one_class is not None and len(one_class):
        _write_parquet(folder / "one_class.parquet", one_class, ONE_CLASS_COLUMNS)
    if verification is not None and len(verification):
        _write_parquet(folder / "verification.parquet", verification, VERIFICATION_COLUMNS)
    _write_parquet(folder / "episodes.parquet", episodes, EPISODE_COLUMNS)
    _write_parquet(folder / "predictions.parquet", predictions, PREDICTION_COLUMNS)
    text = json.dumps(without_nan(summary), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def _write_parquet(path: Path, rows: pd.DataFrame, columns: dict[str, str]) -> None:
    schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
    table = pa.Table.from_pandas(rows[list(columns)], schema=schema, preserve_index=False)
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), VERSION_KEY: str(SCHEMA_VERSION).encode()}
    )
    pq.write_table(table, path, compression="zstd")


def find_runs(folders: Iterable[str | Path], argument: str = "report") -> list[Path]:
    """Find the run folders at or under each of `folders`, sorted by name.

    Folders with tables but no summary, and folders that may not be listed, are included: reading
    them raises an error with the reason.

    Raises
    ------
    FewshotError
        A folder does not exist, or contains no run.
    """
    folders_of_runs: dict[Path, None] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise FewshotError(argument, f"expected folders of runs, got {str(folder)!r}")
        runs = sorted(_runs_under(folder))
        if not runs:
            raise FewshotError(
                argument,
                f"no run under {str(folder)!r} (a run has a summary.json)",
                "Give a folder that `fewshot` printed.",
            )
        folders_of_runs |= dict.fromkeys(runs)
    return list(folders_of_runs)


def is_run(folder: Path) -> bool:
    """Whether the folder itself contains a summary or tables."""
    return any((folder / name).exists() for name in MARKS)


def runs_and_kept(folder: Path, argument: str = "report") -> list[Path]:
    """Find the run folders at or under `folder`, then the stored cells of interrupted runs.

    Raises
    ------
    FewshotError
        As `find_runs`, if there are neither.
    """
    kept = [
        cell
        for kept_folder in sorted(folder.rglob(KEPT))
        for cell in sorted(kept_folder.iterdir())
        if not cell.name.startswith(".")
    ]
    try:
        return find_runs([folder], argument) + kept
    except FewshotError:
        if not kept:
            raise
        return kept


def _runs_under(folder: Path) -> Iterator[Path]:
    """Folders with a summary or a table, and folders that may not be listed."""
    denied: list[OSError] = []
    for root, subfolders, files in os.walk(folder, onerror=denied.append):
        if MARKS & set(files):
            yield Path(root)
            if Path(root) != folder:
                subfolders.clear()
        # A hidden folder is a partial write of a killed run, or cells of a run in progress.
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
    # Other folders that cannot be listed were removed in the meantime.
    yield from (Path(error.filename) for error in denied if isinstance(error, PermissionError))


def read_runs(
    runs: Sequence[Path],
    columns: Mapping[str, Sequence[str]] | None = None,
    argument: str = "report",
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
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


def read_verification(runs: Sequence[Path]) -> pd.DataFrame:
    """Join the rows of verification of runs, as `read_runs` does; empty if there are none."""
    return Store(runs).rows(VERIFICATION)


def read_one_class(runs: Sequence[Path]) -> pd.DataFrame:
    """Join the rows of one-class tasks of runs, as `read_runs` does; empty if there are none."""
    return Store(runs).rows(ONE_CLASS)


def store_warnings(joined: Mapping[str, Any]) -> list[str]:
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
    raw = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    outdated = [path for path in map(folder.joinpath, _files()) if path.is_file() and _is_old(path)]
    if raw["schema_version"] == SCHEMA_VERSION and not outdated:
        return None
    # All of them, before any is written.
    tables = {path: without_dictionaries(run.table(path.stem)) for path in outdated}
    with writing("fewshot results migrate", folder):
        for path, table in tables.items():
            with atomic_path(path) as partial:
                pq.write_table(table, partial, compression="zstd")
        with atomic_path(folder / "summary.json") as partial:
            text = json.dumps(run.summary, indent=2, ensure_ascii=False, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
    return int(raw["schema_version"])


def _files() -> list[str]:
    return [f"{name}.parquet" for name in TABLES]


def _is_old(path: Path) -> bool:
    return table_version(pq.read_schema(path)) < SCHEMA_VERSION
