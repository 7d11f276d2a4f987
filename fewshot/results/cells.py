"""Cells by key: search in earlier runs, reading, and storage while a run is in progress."""

from __future__ import annotations

import errno
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout

from fewshot.estimators.calibration.transferred import General, load_general
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.files import (
    atomic_path,
    forget_abandoned,
    plain_name,
    regular_file,
    writing,
)
from fewshot.paths import KEPT
from fewshot.results.encoding import without_dictionaries
from fewshot.results.folders import SUMMARY, run_folders
from fewshot.results.migration import migrated_summary
from fewshot.results.reading import Run, checked_summary, open_run
from fewshot.results.result import Result, join_rows
from fewshot.results.schema import SCHEMA_VERSION, CellSummary, RunSummary
from fewshot.results.store import write_tables
from fewshot.tasks import Table, task_named

POLICIES = ("only-missing", "always", "never")
KEY = re.compile(r'"key": "([0-9a-f]{64})"')


def write_cells(
    folder: Path, summary: RunSummary, cells: Sequence[Result]
) -> dict[str, pd.DataFrame]:
    """Write rows, summary and calibrators of `cells`; return the rows by table."""
    rows = join_rows(cells)
    write_tables(folder, summary, rows)
    several = len({cell.summary["seed"] for cell in cells}) > 1
    for cell in cells:  # no folder without any
        if cell.calibrator is not None:
            cell.calibrator.save(_calibrators(folder, cell.summary)[not several])
    return rows


def _calibrators(folder: Path, cell: CellSummary) -> tuple[Path, Path, Path]:
    """Files of the calibrator of a cell: with its seed, without, and without its variant."""
    plain = "{head}_{ways}way_{shots}shot".format(**cell)
    name = f"{plain}_{cell['variant']}" if cell.get("variant") else plain
    names = (f"{name}_seed{cell['seed']}", name, plain)
    first, second, third = (folder / "calibrators" / plain_name(f"{n}.json") for n in names)
    return first, second, third


def find_cells(runs: Path, keys: Iterable[str]) -> dict[str, Result]:
    """Find the cells with these keys in the runs under `runs`.

    ``summary["reused_from"]`` is the run of the cell, as a path under `runs`; ``.cells`` for a run
    that was interrupted. Cells that do not exist or cannot be read are missing in the result.
    """
    requested = set(keys)
    kept = {key for key in requested if (runs / KEPT / key).is_dir()}
    cells = _read_cells(runs, requested)
    unread = kept - cells.keys()  # damaged, or in a run that was completed while we looked
    return cells | _read_cells(runs, unread) if unread else cells


def _read_cells(runs: Path, keys: set[str]) -> dict[str, Result]:
    cells: dict[str, Result] = {}
    for folder in run_folders(runs, kept=True):
        matching = _keys(folder) & (keys - cells.keys())
        summaries = _summaries(folder) if matching else {}
        for key in sorted(matching & summaries.keys()):
            cell = _load_cell(folder, summaries[key])
            if cell is not None:
                kept = folder.parent.name == KEPT
                cell.summary["reused_from"] = KEPT if kept else _source_name(folder, runs)
                cells[key] = cell
    return cells


def _source_name(folder: Path, runs: Path) -> str:
    return folder.relative_to(runs).as_posix() if folder != runs else folder.resolve().name


def _keys(folder: Path) -> frozenset[str]:
    """Keys of the cells in the summary of a run folder; empty if it cannot be read."""
    path = folder / SUMMARY
    try:
        status = path.stat()
        return _keys_in(path, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        return frozenset()


@cache  # every job of a sweep looks through all runs
def _keys_in(path: Path, *_: int) -> frozenset[str]:
    """Keys in a summary, without parsing it: most summaries have none of the requested keys."""
    return frozenset(KEY.findall(regular_file("paths.runs", path).read_text(encoding="utf-8")))


def _summaries(folder: Path) -> dict[str, CellSummary]:
    """Summaries of the cells of a run by key; empty if damaged or of a newer version."""
    try:
        raw = json.loads(regular_file("paths.runs", folder / SUMMARY).read_text(encoding="utf-8"))
        summary = migrated_summary(raw, folder)
        checked_summary(summary)
        cells = summary["cells"]
        keys = [cell.get("key") for cell in cells]
        return {k: cell for k, cell in zip(keys, cells, strict=True) if k and keys.count(k) == 1}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # FewshotError is a ValueError


def read_cell(folder: Path, key: str) -> Result | None:
    """Read one cell of a run folder; None if it is damaged or of a newer version."""
    summary = _summaries(folder).get(key)
    return None if summary is None else _load_cell(folder, summary)


def load_run(folder: Path) -> tuple[RunSummary, list[Result]]:
    """Summary and cells of a run folder, in order.

    Raises
    ------
    FewshotError
        The folder is damaged, or of a newer version.
    """
    run = open_run(folder, "load")
    cells = []
    for cell in run.summary["cells"]:
        loaded = _load_cell(folder, cell)
        if loaded is None:
            raise FewshotError(
                "load", f"{folder}: the rows of {cell['head']} do not fit its summary"
            )
        cells.append(loaded)
    return run.summary, cells


def _load_cell(folder: Path, cell: CellSummary) -> Result | None:
    try:
        task = task_named(cell["task"])
        run = Run(folder, {"schema_version": SCHEMA_VERSION, "cells": [cell]}, "results")
        tables = {table.name: _rows(run, table, cell) for table in task.tables}
        if any(len(tables[table.name]) != table.rows_of(cell) for table in task.tables):
            return None
        return Result(tables, cell, _load_calibrator(folder, cell))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
        return None  # FewshotError is a ValueError


def _rows(run: Run, table: Table, cell: CellSummary) -> pd.DataFrame:
    """Rows of one cell of a run."""
    task = task_named(cell["task"])
    if table.rows_of(cell) == 0 and not (run.folder / f"{table.name}.parquet").exists():
        # Of a run from before there was the table.
        return pd.DataFrame(columns=list(task.columns(table.name)))
    rows = without_dictionaries(run.table(table.name))
    names = task.identity
    columns: Mapping[str, object] = cell
    chosen = reduce(pc.and_, (pc.equal(rows.column(name), columns[name]) for name in names))
    return rows.filter(chosen).to_pandas()


def _load_calibrator(folder: Path, cell: CellSummary) -> General | None:
    """Load the calibrator fitted on base classes; None if the cell has none."""
    path = next((path for path in _calibrators(folder, cell) if path.is_file()), None)
    return None if path is None else load_general(path)


def keep_cell(runs: Path, cell: Result) -> None:
    """Write a finished cell to ``<runs>/.cells/<key>/`` atomically.

    Raises
    ------
    FewshotError
        The disk is full, or may not be written.
    """
    folder = runs / KEPT / str(cell.summary["key"])
    summary: RunSummary = {"schema_version": SCHEMA_VERSION, "cells": [cell.summary]}
    try:
        with writing("paths.runs", runs), _ignore_existing_target(), atomic_path(folder) as partial:
            partial.mkdir(parents=True)
            write_cells(partial, summary, [cell])
            shutil.rmtree(folder, ignore_errors=True)  # damaged, or it would have been used
    except FewshotError:
        forget_cells(runs, [])
        raise


@contextmanager
def _ignore_existing_target() -> Iterator[None]:
    """Suppress the error that another process wrote the same cell at the same time."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def forget_cells(runs: Path, keys: Iterable[str]) -> None:
    """Remove stored cells that a complete run has now, and partial writes of killed processes."""
    folder = runs / KEPT
    for key in keys:
        shutil.rmtree(folder / key, ignore_errors=True)
        with suppress(OSError):  # there where a process was killed, or a disk has no locks
            (folder / f"{key}.lock").unlink()
        for leftover in folder.glob(f".{key}.*.partial"):
            forget_abandoned(leftover)
    with suppress(OSError):  # not there, or not empty: other runs go on
        folder.rmdir()


@contextmanager
def alone_with(runs: Path, key: str, policy: str = "only-missing") -> Iterator[Result | None]:
    """Lock the cell with this key; yield it if another process has finished it in the meantime.

    The operating system releases the lock when its process ends, however it ends. A process holds
    one lock at a time, so there is no deadlock. On file systems without locks, several processes
    may compute the same cell.
    """
    if policy == "always":
        yield None
        return
    lock = FileLock(runs / KEPT / f"{key}.lock", thread_local=False)
    waited = _acquire(lock)
    try:
        yield _finished_cell(runs, key, waited)
    finally:
        if lock.is_locked:
            Path(lock.lock_file).unlink(missing_ok=True)  # while nobody else can have it
            lock.release()
        with suppress(OSError):  # others are at work
            (runs / KEPT).rmdir()


def _acquire(lock: FileLock) -> bool:
    """Acquire the lock; return whether another process had it."""
    with suppress(OSError, NotImplementedError):  # a full disk, or one without locks
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(
                f"Another process computes this cell; waiting for it ({lock.lock_file}).",
                file=sys.stderr,
            )
            lock.acquire()
            return True
    return False


def _finished_cell(runs: Path, key: str, waited: bool) -> Result | None:
    """Return the cell if another process has stored it or completed its run; else None."""
    cell = read_cell(runs / KEPT / key, key)
    if cell is not None:
        cell.summary["reused_from"] = KEPT
    elif waited:
        cell = find_cells(runs, [key]).get(key)
    return cell


@dataclass(frozen=True)
class CellStore:
    """Where finished cells are found and kept.

    Attributes
    ----------
    runs : Path, optional
        Folder of runs; None keeps nothing.
    policy : {"only-missing", "always", "never"}
        Which cells are computed.
    """

    runs: Path | None = None
    policy: str = "only-missing"

    def __post_init__(self) -> None:
        expect_choice("results.policy", self.policy, POLICIES)

    def find(self, keys: Sequence[str]) -> dict[str, Result]:
        """Cells of earlier runs by key, as far as there are any."""
        return {} if self.policy == "always" or self.runs is None else find_cells(self.runs, keys)

    def recall(self, keys: Sequence[str]) -> dict[str, Result] | None:
        """Cells by key from earlier runs; None unless all are available.

        Raises
        ------
        FewshotError
            A cell is missing and the policy is "never".
        """
        cells = self.find(keys)
        if keys and len(cells) == len(set(keys)):
            return cells
        if self.policy == "never":
            raise FewshotError(
                "results.policy",
                f"never to compute, but no earlier run has {len(keys)} cells such as these",
                "Set results.policy=only-missing to compute them.",
            )
        return None

    @contextmanager
    def alone_with(self, key: str) -> Iterator[Result | None]:
        """As `alone_with`, where there is a folder of runs."""
        if self.runs is None:
            yield None
            return
        with alone_with(self.runs, key, self.policy) as cell:
            yield cell

    def keep(self, cell: Result) -> None:
        """As `keep_cell`, where there is a folder of runs."""
        if self.runs is not None:
            keep_cell(self.runs, cell)

    def forget(self, cells: Iterable[Result]) -> None:
        """As `forget_cells`, of cells that a complete run has."""
        if self.runs is not None:
            forget_cells(self.runs, [key for c in cells if (key := c.summary.get("key"))])
