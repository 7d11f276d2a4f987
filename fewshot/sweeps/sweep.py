"""A multirun in the process that started it: callbacks, report and final messages."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path
from fewshot.paths import KEPT
from fewshot.progress import Work, stage
from fewshot.sweeps import launchers as launching
from fewshot.sweeps.grid import number_of_jobs
from fewshot.sweeps.lock import acquire_lock, release_lock
from fewshot.sweeps.records import Follower, read_records
from fewshot.sweeps.rerun import job_arguments, shell_line
from fewshot.sweeps.traces import FAILURES, Traces
from fewshot.text.llm.settings import check_no_secret
from fewshot.units import counted

if TYPE_CHECKING:
    from fewshot.report.text.terminal import Estimators

GONE = "its process is gone, perhaps killed for want of memory; fewer jobs at a time need less"
# What a job of Slurm without a result may have met.
NO_RESULT = "it ended without a result: cancelled, at its time limit, or killed for want of memory"
# Seconds without a running job after which the jobs of a failed launcher count as ended.
QUIET = 3.0


class Refused(BaseException):
    """Carries a FewshotError through Hydra, which turns exceptions of callbacks into warnings."""

    def __init__(self, error: FewshotError) -> None:
        self.error = error
        super().__init__(error)


class Sweep:
    """State of a multirun in the process that started it: lock, log follower, variables."""

    def __init__(self, config: DictConfig) -> None:
        check_no_secret(config.llm)  # launchers and Hydra write the configuration down
        launching.check(config.hydra.launcher)
        _check_loggers(config)
        self.report_code = 0
        self.broken_off = False  # interrupted, or the launcher failed: jobs may still go on
        self.launcher = config.hydra.launcher
        self.runs = Path(str(config.paths.runs))
        self.folder = Path(str(config.hydra.sweep.dir))
        self.traces = Traces(self.folder)
        self.lock = acquire_lock(self.folder)
        self.traces.put_aside()
        self.follower = Follower(self.folder) if launching.in_parallel(self.launcher) else None
        self.jobs = jobs = number_of_jobs(config)
        if jobs:
            print(f"fewshot: {counted(jobs, 'job')}", file=sys.stderr, flush=True)
        self.estimators = config.report.estimators
        self.waiting, self.work = ExitStack(), Work("sweep")
        self.work = self.waiting.enter_context(
            stage("sweep", jobs, "jobs ended", count=self._number_of_ended_jobs)
        )
        launching.limit_batch(config)
        cores = launching.cores_per_job(self.launcher)
        self.variables = launching.prepare(self.launcher, cores)

    def _number_of_ended_jobs(self) -> int:
        ended = [record for record in read_records(self.folder) if record.ended]
        computed, taken = (
            sum(getattr(record, what) for record in ended) for what in ("computed", "taken")
        )
        if not ended:
            return 0
        self.work.note = f"{counted(computed, 'cell')} computed, {taken} taken from earlier runs"
        return len(ended)

    def stop_following(self) -> None:
        """Print the remaining lines of the logs of the jobs."""
        if self.follower:
            self.follower.stop()

    def wait_for_others(self) -> None:
        """Wait for the running jobs of a failed launcher."""
        if launching.kind_of(self.launcher) == "slurm":
            from fewshot.sweeps.slurm import wait_for_jobs

            wait_for_jobs()
            return
        if launching.kind_of(self.launcher) not in ("ray", "local"):
            return
        seen = time.monotonic()
        while time.monotonic() - seen < QUIET:
            if any(record.is_running() for record in read_records(self.folder)):
                seen = time.monotonic()
            time.sleep(0.2)

    def close(self) -> None:
        """Release the lock, stop Ray, restore the environment variables; undo a refused sweep."""
        self.stop_following()
        self.waiting.close()
        if launching.kind_of(self.launcher) == "ray":
            import ray

            ray.shutdown()
        for key in self.variables:
            os.environ.pop(key, None)
        release_lock(self.lock)
        if self.is_refused():
            self.traces.undo()
        else:
            self.traces.keep()

    def is_refused(self) -> bool:
        """Whether every job that began was refused before it had a cell."""
        return not self.broken_off and all(
            record.is_refused() for record in read_records(self.folder)
        )


class Sweeping(Callback):
    """Hydra's callback that holds the state of the multirun; in the process that started it."""

    now: Sweep | None = None
    single: Traces | None = None

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Remember which folders a single run makes, as Hydra makes them before any check."""
        Sweeping.single = Traces(Path(str(config.hydra.run.dir)))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Lock the folder of the sweep and start to follow its jobs."""
        try:
            Sweeping.now = Sweep(config)
        except FewshotError as error:
            raise Refused(error) from None

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the remaining output of the jobs before the report."""
        if Sweeping.now:
            Sweeping.now.stop_following()


class SweepReport(Callback):
    """Hydra's callback that writes one report over the runs of a sweep."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Write the report over the finished runs, and pass the sweep to the loggers."""
        if Sweeping.now and Sweeping.now.is_refused():
            return
        write_sweep_report(Path(config.hydra.sweep.dir), config.report.estimators)
        if config.logger:
            from fewshot.loggers.dispatch import tell_of_sweep

            tell_of_sweep(config)


def _check_loggers(config: DictConfig) -> None:
    """Raise unless the loggers can be created; without loggers, nothing is imported."""
    if config.logger:
        from fewshot.loggers.dispatch import loggers_of

        loggers_of(OmegaConf.to_container(config.logger, resolve=True))


def write_sweep_report(folder: Path, estimators: Estimators) -> None:
    """Write the report over all runs in the folder of a sweep, also of earlier sweeps."""
    from fewshot.report.write import join_report
    from fewshot.results.folders import find_runs, typed_name

    try:
        runs = find_runs([folder])
    except FewshotError:  # every cell failed
        return
    try:
        left_out = join_report(runs, folder / "report.html", estimators=estimators)
        print(f"To print this again: fewshot report {typed_name(folder)}")
        code = 2 if left_out else 0
    except FewshotError as error:
        print(f"fewshot: error: {error}", file=sys.stderr)
        code = 2
    except Exception:  # Hydra would turn it into a warning
        traceback.print_exc()
        code = 1
    if Sweeping.now:
        Sweeping.now.report_code = code


def report_outcome(sweep: Sweep, typed: Sequence[str], lost: BaseException | None = None) -> int:
    """Print the numbers of cells, the failures, and commands that repeat only the failed parts.

    Parameters
    ----------
    typed : sequence of str
        The arguments of the command line.
    lost : exception, optional
        Of a launcher whose worker process died.

    Returns
    -------
    int
        The exit code: 0, 2 if anything failed, 1 after a defect.
    """
    records = read_records(sweep.folder)
    for record in records:
        if lost and not record.ended:
            slurm = launching.kind_of(sweep.launcher) == "slurm"
            reason = NO_RESULT if slurm else f"{GONE} ({type(lost).__name__})"
            record.fail(reason, job_arguments(record.overrides))
    failures = [failure for record in records for failure in record.failed]
    if lost and all(record.ended for record in records):  # one that has not begun
        failures.append({"overrides": "launcher", "error": str(lost), "arguments": []})
    elif lost and (waiting := sweep.jobs - len(records)) > 0:
        error = f"{counted(waiting, 'job')} never began"
        failures.append({"overrides": "launcher", "error": error, "arguments": []})
    computed, taken = (
        sum(getattr(record, what) for record in records) for what in ("computed", "taken")
    )
    print(
        f"\n{counted(len(records), 'job')}: {counted(computed, 'cell')} computed, "
        f"{taken} taken from earlier runs, {len(failures)} failed",
        flush=True,
    )
    if not failures:
        return sweep.report_code
    _write_failures(sweep.folder, failures)
    for failure in failures:
        error = " ".join(failure["error"].split())
        print(f"fewshot: failed: {failure['overrides']}: {error}", file=sys.stderr)
        if failure["arguments"]:
            print(f"  just that: {shell_line(failure['arguments'], typed)}", file=sys.stderr)
    print(f"fewshot: only what is missing: {_rerun_line(typed)}", file=sys.stderr)
    return 1 if sweep.report_code == 1 or any(record.defect for record in records) else 2


def report_interruption(sweep: Sweep, typed: Sequence[str]) -> None:
    """Print what an interrupted sweep has finished, and the command that continues it."""
    sweep.broken_off = True
    kept = sum(1 for _ in (sweep.runs / KEPT).glob("[0-9a-f]*/summary.json"))
    records = read_records(sweep.folder)
    ended = [record for record in records if record.ended]
    cells = sum(record.computed + record.taken for record in ended) + kept
    print(
        f"\nfewshot: interrupted. {counted(len(ended), 'job')} complete, {counted(cells, 'cell')} "
        f"kept, and features extracted so far. To go on: {_rerun_line(typed)}",
        file=sys.stderr,
    )
    if launching.kind_of(sweep.launcher) == "slurm":
        from fewshot.sweeps.slurm import cancelling

        print(f"fewshot: jobs of the cluster go on; to end them: {cancelling()}", file=sys.stderr)


def _rerun_line(typed: Sequence[str]) -> str:
    arguments = [argument for argument in typed if argument not in ("-m", "--multirun")]
    return shell_line(arguments, multirun=True)


def _write_failures(folder: Path, failures: Sequence[dict[str, Any]]) -> None:
    with atomic_path(folder / FAILURES) as partial:
        lines = [json.dumps(failure, ensure_ascii=False) + "\n" for failure in failures]
        partial.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
