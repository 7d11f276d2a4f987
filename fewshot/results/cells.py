"""Cells by key: search in earlier runs, reading, and storage while a run is in progress."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from fewshot.estimators.calibration.transferred import General, load_general
from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path, forget_abandoned, plain_name, writing
from fewshot.paths import KEPT
from fewshot.results.migration import migrated_summary
from fewshot.results.result import (
    Result,
    join_one_class,
    join_rows,
    join_verification,
)
from fewshot.results.schema import (
    ONE_CLASS,
    ONE_CLASS_KEYS,
    SCHEMA_VERSION,
    VERIFICATION,
)
from fewshot.results.store import write_tables

KEY = re.compile(r'"key": "([0-9a-f]{64})"')


def write_cells(
    folder: Path, summary: dict[str, Any], cells: Sequence[Result]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write rows, summary and calibrators of `cells`; return episodes and predictions."""
    episodes, predictions = join_rows(cells)
    others = join_verification(cells), join_one_class(cells)
    write_tables(folder, summary, episodes, predictions, *others)
    for cell in cells:  # no folder without any
        if cell.calibrator is not None:
            cell.calibrator.save(_calibrator(folder, cell.summary))
    return episodes, predictions


def _calibrator(folder: Path, cell: dict[str, Any]) -> Path:
    return folder / "calibrators" / plain_name("{head}_{ways}way_{shots}shot.json".format(**cell))


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
    for folder in _run_folders(runs):
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


def _run_folders(runs: Path) -> Iterator[Path]:
    """Folders with a summary: complete runs, then cells of interrupted runs."""
    kept = []
    for root, subfolders, files in os.walk(runs):
        if "summary.json" in files:
            folder = Path(root)
            if folder.parent.name == KEPT:
                kept.append(folder)
            else:
                yield folder
            if folder != runs:
                subfolders.clear()
        # Other hidden folders are partial writes of killed runs.
        subfolders[:] = sorted(
            name for name in subfolders if name == KEPT or not name.startswith(".")
        )
    yield from kept


def _keys(folder: Path) -> frozenset[str]:
    """Keys of the cells in the summary of a run folder; empty if it cannot be read."""
    path = folder / "summary.json"
    try:
        status = path.stat()
        return _keys_in(path, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        return frozenset()


@cache  # every job of a sweep looks through all runs
def _keys_in(path: Path, *_: int) -> frozenset[str]:
    """Keys in a summary, without parsing it: most summaries have none of the requested keys."""
    return frozenset(KEY.findall(path.read_text(encoding="utf-8")))


def _summaries(folder: Path) -> dict[str, dict[str, Any]]:
    """Summaries of the cells of a run by key; empty if damaged or of a newer version."""
    try:
        raw = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        cells = migrated_summary(raw, folder)["cells"]
        keys = [cell.get("key") for cell in cells]
        return {k: cell for k, cell in zip(keys, cells, strict=True) if k and keys.count(k) == 1}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # FewshotError is a ValueError


def read_cell(folder: Path, key: str) -> Result | None:
    """Read one cell of a run folder; None if it is damaged or of a newer version."""
    summary = _summaries(folder).get(key)
    return None if summary is None else _load_cell(folder, summary)


def _load_cell(folder: Path, cell: dict[str, Any]) -> Result | None:
    try:
        names = ("episodes", "predictions")
        tables = {name: _read_rows(folder / f"{name}.parquet", cell) for name in names}
        expected = {"episodes": cell["episodes"]}
        if cell["task"] == VERIFICATION:
            tables[VERIFICATION] = _read_rows(folder / f"{VERIFICATION}.parquet", cell)
            expected = {VERIFICATION: cell["episodes"] * cell["ways"]}
        elif cell["task"] == ONE_CLASS:
            tables[ONE_CLASS] = _read_rows(folder / f"{ONE_CLASS}.parquet", cell, ONE_CLASS_KEYS)
            expected = {ONE_CLASS: cell["episodes"] * len(cell["prevalences"])}
        else:
            expected["predictions"] = cell["episodes"] * len(cell["estimators"])
        if any(len(table) != expected.get(name, 0) for name, table in tables.items()):
            return None
        return Result(summary=cell, calibrator=_load_calibrator(folder, cell), **tables)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
        return None


def _read_rows(path: Path, cell: dict[str, Any], further: Sequence[str] = ()) -> pd.DataFrame:
    """Rows of one cell, identified within a run by head, ways, shots and `further` columns."""
    filters = [(name, "==", cell[name]) for name in ("head", "ways", "shots", *further)]
    # No partitions: `head=ncm` in the name of a folder is not a column.
    return pq.read_table(path, partitioning=None, filters=filters).to_pandas()


def _load_calibrator(folder: Path, cell: dict[str, Any]) -> General | None:
    """Load the calibrator fitted on base classes; None if the cell has none."""
    path = _calibrator(folder, cell)
    return load_general(path) if path.is_file() else None


def keep_cell(runs: Path, cell: Result) -> None:
    """Write a finished cell to ``<runs>/.cells/<key>/`` atomically.

    Raises
    ------
    FewshotError
        The disk is full, or may not be written.
    """
    folder = runs / KEPT / cell.summary["key"]
    summary = {"schema_version": SCHEMA_VERSION, "cells": [cell.summary]}
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
