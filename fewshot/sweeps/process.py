"""The process that starts a multirun: interruption, failing launchers, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fewshot import signals
from fewshot.sweeps.launchers import is_worker_death
from fewshot.sweeps.sweep import (
    Refused,
    Sweeping,
    report_interruption,
    report_outcome,
    write_sweep_report,
)


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
    Sweeping.now = Sweeping.single = None
    try:
        work()
    except Refused as refused:
        raise refused.error from None
    except (KeyboardInterrupt, SystemExit):
        if Sweeping.now is None:
            raise
        report_interruption(Sweeping.now, typed)
        return signals.exit_code()
    except Exception as error:
        if Sweeping.now is None or signals.is_stopped() or not is_worker_death(error):
            raise
        return _finish_after_worker_death(error, typed)
    else:
        return report_outcome(Sweeping.now, typed) if Sweeping.now else 0
    finally:
        if Sweeping.now is not None:
            Sweeping.now.close()
            Sweeping.now = None
        if Sweeping.single is not None:
            Sweeping.single.remove_empty()
            Sweeping.single = None


def _finish_after_worker_death(error: Exception, typed: Sequence[str]) -> int:
    sweep: Any = Sweeping.now
    sweep.broken_off = True
    sweep.wait_for_others()
    sweep.stop_following()
    write_sweep_report(sweep.folder, sweep.estimators)
    return report_outcome(sweep, typed, lost=error)
