"""States of the jobs of a Slurm cluster, so that nobody waits for a job that is no more."""

from __future__ import annotations

import subprocess
import time
from functools import cached_property
from getpass import getuser

from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

# Seconds between two questions to Slurm at most; submitit's 600 are long for whoever waits.
INTERVAL = 30
# In so many answers of squeue in a row a job has to be absent before it counts as gone.
ABSENT = 2
GONE = "GONE"


class QueueWatcher(SlurmInfoWatcher):
    """States by sacct, as submitit asks for them, and by squeue where those are no end.

    A cancelled job has no result, and submitit waits for it until sacct calls it ended. On
    clusters without accounting sacct never does, and of jobs that were preempted or requeued and
    then cancelled it may not: what squeue does not list any more is gone.
    """

    def __init__(self, delay_s: int = INTERVAL) -> None:
        super().__init__(delay_s=delay_s)
        self._absent: dict[str, int] = {}
        self._gone: set[str] = set()

    @cached_property
    def _accounting(self) -> bool:
        """Whether the cluster keeps account of its jobs; assumed unless sacct denies it."""
        command = ["sacct", "--noheader", "--jobs=1"]
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=60, check=False
            )
        except (OSError, subprocess.SubprocessError):
            return True
        return answer.returncode == 0 or "accounting storage is disabled" not in answer.stderr

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        """The state of a job, "GONE" if it has left the queue."""
        state = super().get_state(job_id, mode)
        return GONE if job_id in self._gone else state

    def update(self) -> None:
        """Ask sacct where there is accounting, then squeue."""
        if self._accounting:
            super().update()
        else:  # submitit would ask in vain, and warn, each time
            self._num_calls += 1
            self._last_status_check = time.time()
        unfinished = self._registered - self._finished
        if not unfinished or (queued := _queued()) is None:
            return
        for job_id in unfinished:
            self._absent[job_id] = 0 if job_id in queued else self._absent.get(job_id, 0) + 1
            if self._absent[job_id] >= ABSENT:
                self._gone.add(job_id)
                self._finished.add(job_id)

    def arrays(self) -> list[str]:
        """Numbers of the arrays with jobs that have not ended, as far as is known."""
        return sorted({job_id.partition("_")[0] for job_id in self._registered - self._finished})

    def wait_for_all(self) -> None:
        """Wait until every job has ended."""
        while not all([self.is_done(job_id) for job_id in self._registered]):
            time.sleep(1)


def _queued() -> set[str] | None:
    """Jobs of this user in the queue, a name for each task of an array; None if unknown."""
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getuser()}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return set(answer.stdout.split())


def watch_queue() -> None:
    """Let submitit wait by a `QueueWatcher`."""
    SlurmJob.watcher = QueueWatcher()


def wait_for_jobs() -> None:
    """Wait until every job that was submitted since `watch_queue` has ended."""
    watcher = SlurmJob.watcher
    if isinstance(watcher, QueueWatcher):
        watcher.wait_for_all()


def cancelling() -> str:
    """Return the command that cancels the jobs submitted since `watch_queue`."""
    watcher = SlurmJob.watcher
    return " ".join(["scancel", *(watcher.arrays() if isinstance(watcher, QueueWatcher) else [])])
