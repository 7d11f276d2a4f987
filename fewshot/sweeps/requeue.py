"""Jobs of submitit at their time limit: requeued, and not a failure of the cell at hand."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fewshot.sweeps import launchers as launching


class TimeLimitError(BaseException):
    """The job has to end and is not requeued; no Exception, so that no cell fails by it."""


@contextmanager
def time_limit_respected(launcher: Any) -> Iterator[None]:
    """Let submitit's signal before the time limit end the job, whatever it is doing.

    submitit has a handler that requeues the job and exits, by SystemExit. If it may not be
    requeued any more, the handler raises an exception for the job to end by; a cell would catch
    it as its own failure, and the next one would begin.
    """
    number = getattr(signal, f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}", None)
    if launching.kind_of(launcher) not in ("local", "slurm") or number is None:
        yield
        return
    before = signal.getsignal(number)
    if not callable(before):
        yield
        return

    def end(received: int, frame: Any) -> None:
        try:
            before(received, frame)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise TimeLimitError(
                f"stopped before its time limit (hydra.launcher.timeout_min). {reason}"
            ) from error

    signal.signal(number, end)
    try:
        yield
    finally:
        signal.signal(number, before)
