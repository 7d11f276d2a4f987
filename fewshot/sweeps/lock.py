"""The lock in the folder of a sweep, held while the sweep runs."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fewshot.exceptions import FewshotError
from fewshot.files import new_folder, writing

NAME = ".sweep.lock"
INTERVAL = 1.0  # seconds
TERMINATED = 143  # as after SIGTERM


def acquire_lock(folder: Path) -> FileLock:
    """Acquire the lock of a sweep; the system releases it when the process ends or is killed.

    Raises
    ------
    FewshotError
        Another sweep runs in that folder.
    """
    with writing("hydra.sweep.dir", folder), new_folder(folder):
        lock = FileLock(folder / NAME, thread_local=False)
        try:
            lock.acquire(timeout=1, poll_interval=0.1)  # jobs acquire it briefly to test it
        except Timeout:
            raise FewshotError(
                "hydra.sweep.dir",
                f"another sweep goes on in {folder}",
                "Wait for it, or leave hydra.sweep.dir out: every sweep gets a folder of its own.",
            ) from None
        except NotImplementedError:  # of some versions of filelock
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from None
    return lock


def release_lock(lock: FileLock) -> None:
    """Release the lock and remove its file."""
    Path(lock.lock_file).unlink(missing_ok=True)  # before the release, while no other holds it
    lock.release()


@contextmanager
def exit_with_sweep(folder: Path) -> Iterator[None]:
    """End this process when the sweep in `folder` ends, also if that was killed."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL):
            if not _is_running(folder):
                os._exit(TERMINATED)  # some launchers make their processes ignore signals

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _is_running(folder: Path) -> bool:
    if not (folder / NAME).exists():
        return False
    lock = FileLock(folder / NAME, thread_local=False)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # the state of the lock is unknown
        return True
