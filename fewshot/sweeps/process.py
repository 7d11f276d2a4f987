"""The process that starts a multirun: signals, failing launchers, and the exit code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fewshot.sweeps.launchers import is_worker_death
from fewshot.sweeps.sweep import (
    Refused,
    Sweeping,
    report_interruption,
    report_outcome,
    write_sweep_report,
)

INTERRUPTED, TERMINATED = 130, 143  # as shells have it: 128 and the number of the signal


def multirun(work: Callable[[], object], typed: Sequence[str]) -> int:
    """Call `work`, Hydra's main function; if it is a multirun, report its outcome.

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
        report_interruption(Sweeping.now, typed)
        return TERMINATED if signals else INTERRUPTED
    except Exception as error:
        if Sweeping.now is None or not is_worker_death(error):
            raise
        return _finish_after_worker_death(error, typed)
    else:
        return report_outcome(Sweeping.now, typed) if Sweeping.now else 0
    finally:
        if Sweeping.now is not None:
            Sweeping.now.close()
            Sweeping.now = None


def _finish_after_worker_death(error: Exception, typed: Sequence[str]) -> int:
    sweep: Any = Sweeping.now
    sweep.wait_for_others()
    sweep.stop_following()
    write_sweep_report(sweep.folder)
    return report_outcome(sweep, typed, lost=error)


@contextmanager
def _terminable(typed: Sequence[str], signals: list[int]) -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM during a multirun, and append it to `signals`."""
    many = any(word in ("-m", "--multirun") for word in typed)
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
