"""A job of a multirun, in the process of its launcher."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from fewshot.exceptions import FewshotError
from fewshot.memory import memory_error
from fewshot.progress import whole_command
from fewshot.report.text.left_out import failure_text
from fewshot.sweeps import launchers as launching
from fewshot.sweeps.lock import exit_with_sweep
from fewshot.sweeps.records import JobRecord, printing_to_file
from fewshot.sweeps.requeue import TimeLimitError, time_limit_respected
from fewshot.sweeps.rerun import cell_arguments, job_arguments
from fewshot.sweeps.tuning.trial import run_trial


def sweep_job(config: DictConfig) -> float | None:
    """Run a job, record its failure if any, and return the error that a search minimizes."""
    mode = HydraConfig.get()
    sweep = launching.sweep_folder(mode)
    record = JobRecord(int(mode.job.num), list(mode.overrides.task))
    with _job_process(config, mode, sweep, record), time_limit_respected(mode.launcher):
        record.write(sweep)
        try:
            return _run_job(config, mode, sweep, record)
        except TimeLimitError as error:
            print(f"fewshot: {error}", file=sys.stderr)
            record.stopped = True
            record.fail(str(error), job_arguments(record.overrides))
        except Exception as error:
            mistake = error if isinstance(error, FewshotError) else memory_error(error)
            if mistake is None:  # an internal error, which does not stop the other jobs
                traceback.print_exc()
                record.defect = True
            else:
                print(f"fewshot: error: {mistake}", file=sys.stderr)
            reason = f"{type(error).__name__}: {error}" if mistake is None else str(mistake)
            record.fail(reason, job_arguments(record.overrides))
            if mistake is not None and mode.runtime.choices.get("tune"):
                raise mistake from None
        finally:
            record.ended = not isinstance(sys.exception(), KeyboardInterrupt | SystemExit)
            record.write(sweep)
    return None


def _run_job(config: DictConfig, mode: Any, sweep: Path, record: JobRecord) -> float | None:
    from fewshot.evaluation.run import run

    folder = sweep / mode.sweep.subdir
    label = f"{mode.job.num}_{mode.job.override_dirname}"
    if mode.runtime.choices.get("tune"):
        trial, error = run_trial(config, folder, label)
        record.computed, record.taken = trial.computed, trial.taken
        return error
    outcome = run(config, folder, label=label)
    record.computed, record.taken = outcome.computed, outcome.taken
    record.defect = any(cell["defect"] for cell in outcome.failed)
    if outcome.failed:
        settings: Any = OmegaConf.to_container(config, resolve=True)
        for cell in outcome.failed:
            record.fail(failure_text(cell), cell_arguments(record.overrides, settings, cell))
    return None


@contextmanager
def _job_process(config: DictConfig, mode: Any, sweep: Path, record: JobRecord) -> Iterator[None]:
    """Set threads, working folder and output of a job; end it with the sweep."""
    words = " ".join(record.overrides)
    if not launching.in_parallel(mode.launcher):
        print(f"\n[{record.number}] {words}")
        yield
        return
    if config.threads is None:
        config.threads = launching.cores_per_job(mode.launcher)
    os.chdir(mode.runtime.cwd)  # a launcher may start processes in another folder
    tqdm.set_lock(threading.RLock())  # the default, a semaphore, would outlive a killed process
    with printing_to_file(sweep, record.number), whole_command("job"):
        print(words)
        if not launching.on_this_machine(mode.launcher):
            yield
            return
        with exit_with_sweep(sweep):
            yield
