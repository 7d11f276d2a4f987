"""One process at a time computes a cell; others wait and take it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fewshot.places import KEPT
from fewshot.results.cells import find_cells, read_cell
from fewshot.results.result import Result


@contextmanager
def alone_with(runs: Path, key: str, policy: str = "only-missing") -> Iterator[Result | None]:
    """Hold the cell of that key; yields it if another process has finished it in the meantime.

    The lock is let go when its process ends, however it ends. A process holds one at a time, so
    that none can wait for another in a circle. Where there are no file locks, cells are computed
    by whoever wants them.
    """
    if policy == "always":
        yield None
        return
    lock = FileLock(runs / KEPT / f"{key}.lock", thread_local=False)
    waited = _acquired(lock)
    try:
        yield _found(runs, key, waited)
    finally:
        if lock.is_locked:
            Path(lock.lock_file).unlink(missing_ok=True)  # while nobody else can have it
            lock.release()
        with suppress(OSError):  # others are at work
            (runs / KEPT).rmdir()


def _acquired(lock: FileLock) -> bool:
    """Acquire the lock; whether another process had it."""
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


def _found(runs: Path, key: str, waited: bool) -> Result | None:
    """The cell, where another process kept it, or has finished its run since."""
    cell = read_cell(runs / KEPT / key, key)
    if cell is not None:
        cell.summary["reused_from"] = KEPT
    elif waited:
        cell = find_cells(runs, [key]).get(key)
    return cell
