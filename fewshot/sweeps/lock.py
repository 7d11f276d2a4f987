"""A sweep holds a lock in its folder as long as it goes on."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fewshot.exceptions import FewshotError
from fewshot.files import writing

NAME = ".sweep.lock"
INTERVAL = 1.0  # seconds
TERMINATED = 143  # as after SIGTERM


def hold(folder: Path) -> FileLock:
    """Take the lock of a sweep; the system lets it go when the process ends, however it ends.

    Raises
    ------
    FewshotError
        Another sweep goes on in that folder.
    """
    with writing("hydra.sweep.dir", folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / NAME, thread_local=False)
        try:
            lock.acquire(timeout=1, poll_interval=0.1)  # jobs look whether it is held
        except Timeout:
            raise FewshotError(
                "hydra.sweep.dir",
                f"another sweep goes on in {folder}",
                "Wait for it, or leave hydra.sweep.dir out: every sweep gets a folder of its own.",
            ) from None
        except NotImplementedError:  # of some versions of filelock
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from None
    return lock


def let_go(lock: FileLock) -> None:
    """Release the lock and remove its file."""
    Path(lock.lock_file).unlink(missing_ok=True)  # while nobody else can have it
    lock.release()


@contextmanager
def ending_with(folder: Path) -> Iterator[None]:
    """End this process when the sweep in `folder` is over, whoever ended it and however."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL):
            if not _goes_on(folder):
                os._exit(TERMINATED)  # some launchers make their processes deaf to signals

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _goes_on(folder: Path) -> bool:
    if not (folder / NAME).exists():
        return False
    lock = FileLock(folder / NAME, thread_local=False)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # cannot be looked at now
        return True
