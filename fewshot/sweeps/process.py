"""The process that starts a multirun: signals, launchers that give up, and the exit code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fewshot.sweeps.launchers import is_a_death
from fewshot.sweeps.sweep import (
    Refused,
    Sweeping,
    conclude,
    interrupted,
    report_over,
)

INTERRUPTED, TERMINATED = 130, 143  # as shells have it: 128 and the number of the signal


def multirun(work: Callable[[], object], typed: Sequence[str]) -> int:
    """Do `work`, which is Hydra; if it turns out to be a multirun, see to its end.

    Parameters
    ----------
    typed : sequence of str
        The arguments of the command line.

    Returns
    -------
    int
        The exit code.
    """
    Sweeping.now = None
    signals: list[int] = []
    try:
        with _terminable(typed, signals):
            work()
    except Refused as refused:
        raise refused.error from None
    except (KeyboardInterrupt, SystemExit):
        if Sweeping.now is None:
            raise
        interrupted(Sweeping.now, typed)
        return TERMINATED if signals else INTERRUPTED
    except Exception as error:
        if Sweeping.now is None or not is_a_death(error):
            raise
        return _after_a_death(error, typed)
    else:
        return conclude(Sweeping.now, typed) if Sweeping.now else 0
    finally:
        if Sweeping.now is not None:
            Sweeping.now.close()
            Sweeping.now = None


def _after_a_death(error: Exception, typed: Sequence[str]) -> int:
    sweep: Any = Sweeping.now
    sweep.wait_for_others()
    sweep.jobs_are_over()
    report_over(sweep.folder)
    return conclude(sweep, typed, lost=error)


@contextmanager
def _terminable(typed: Sequence[str], signals: list[int]) -> Iterator[None]:
    """Let SIGTERM end a multirun as Ctrl-C does, and note it in `signals`."""
    many = any(one in ("-m", "--multirun") for one in typed)
    if not many or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: Any) -> None:
        signals.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
