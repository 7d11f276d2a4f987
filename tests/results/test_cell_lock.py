"""Locks on cells: one of several processes computes a cell, the others wait for it."""

import errno
import os
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from fewshot.paths import KEPT
from fewshot.results import cells as cell_lock
from fewshot.results.cells import alone_with, forget_cells
from fewshot.results.result import Result

KEY = "a" * 64


def made(source=KEPT):
    return Result({}, {"key": KEY, "reused_from": source})


def test_whoever_comes_second_waits_and_takes_it(workplace, monkeypatch, capfd):
    finished = []
    monkeypatch.setattr(cell_lock, "read_cell", lambda *_: finished[0] if finished else None)
    held, others = threading.Event(), []

    def second():
        held.wait()
        with alone_with(workplace, KEY) as cell:
            others.append(cell)

    thread = threading.Thread(target=second)
    thread.start()
    with alone_with(workplace, KEY) as cell:
        assert cell is None
        held.set()
        thread.join(0.3)
        assert others == []
        finished.append(made())
    thread.join(5)
    assert others == finished
    assert f"waiting for it ({Path(workplace, KEPT, KEY)}.lock)" in capfd.readouterr().err
    assert not (workplace / KEPT).exists()


def test_a_run_that_was_completed_while_one_waited(workplace, monkeypatch):
    monkeypatch.setattr(cell_lock, "read_cell", lambda *_: None)
    monkeypatch.setattr(cell_lock, "find_cells", lambda *_: {KEY: made("run")})
    (workplace / KEPT).mkdir()
    held = threading.Event()

    def other():
        with FileLock(workplace / KEPT / f"{KEY}.lock"):
            held.set()
            time.sleep(0.1)

    threading.Thread(target=other).start()
    held.wait()
    with alone_with(workplace, KEY) as cell:
        assert cell.summary["reused_from"] == "run"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)), NotImplementedError("flock")]
)
def test_a_disk_without_locks(workplace, monkeypatch, error):
    def acquire(self, **_):
        Path(self.lock_file).touch()
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with alone_with(workplace, KEY) as cell:
        assert cell is None
    forget_cells(workplace, [KEY])  # at the end of the run
    assert list(workplace.iterdir()) == []


def test_always_asks_nobody(workplace):
    with alone_with(workplace, KEY, "always") as cell:
        assert cell is None
        assert list(workplace.iterdir()) == []
