"""What processes that were killed have left of folders that they were writing."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

# Seconds after which what a killed process was writing is taken for abandoned.
ABANDONED = 3600


def forget_abandoned(partial: Path) -> None:
    """Remove a partial folder if whoever wrote it was killed."""
    with suppress(OSError):
        if _abandoned(partial):
            shutil.rmtree(partial, ignore_errors=True)


def _abandoned(partial: Path) -> bool:
    """Whether no process of this machine is writing it, and none elsewhere can be.

    Clocks jump, and differ among machines: a time to come is as old as one that has passed.
    """
    age = abs(time.time() - partial.stat().st_mtime)
    return age > ABANDONED and not _alive(partial.name.split(".")[-3])


def _alive(process: str) -> bool:
    """Whether there is a process of that number; elsewhere than on POSIX, asking would end it."""
    if os.name != "posix" or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True
