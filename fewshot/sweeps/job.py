"""One job of a multirun, in the process that a launcher gave it."""

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
from fewshot.report.text.left_out import failure_text
from fewshot.sweeps import launchers as launching
from fewshot.sweeps.lock import ending_with
from fewshot.sweeps.records import Note, printing_to_file
from fewshot.sweeps.rerun import arguments_of, arguments_of_cell
from fewshot.sweeps.tuning.trial import run_trial


def sweep_job(config: DictConfig) -> float | None:
    """Run one job, which may fail without the others; gives back what a search makes small."""
    mode = HydraConfig.get()
    sweep = launching.sweep_folder(mode)
    note = Note(int(mode.job.num), list(mode.overrides.task))
    with _surroundings(config, mode, sweep, note):
        note.write(sweep)
        try:
            return _work(config, mode, sweep, note)
        except FewshotError as error:
            print(f"fewshot: error: {error}", file=sys.stderr)
            note.fail(str(error), arguments_of(note.overrides))
            if mode.runtime.choices.get("tune"):
                raise
        except Exception as error:  # a defect, which shall not cost the other jobs
            traceback.print_exc()
            note.defect = True
            note.fail(f"{type(error).__name__}: {error}", arguments_of(note.overrides))
        finally:
            note.ended = not isinstance(sys.exception(), KeyboardInterrupt | SystemExit)
            note.write(sweep)
    return None


def _work(config: DictConfig, mode: Any, sweep: Path, note: Note) -> float | None:
    from fewshot.evaluation.run import run

    folder = sweep / mode.sweep.subdir
    label = f"{mode.job.num}_{mode.job.override_dirname}"
    if mode.runtime.choices.get("tune"):
        trial, error = run_trial(config, folder, label)
        note.computed, note.taken = trial.computed, trial.taken
        return error
    done = run(config, folder, label=label)
    note.computed, note.taken = done.computed, done.taken
    note.defect = any(one["defect"] for one in done.failed)
    if done.failed:
        settings: Any = OmegaConf.to_container(config, resolve=True)
        for one in done.failed:
            note.fail(failure_text(one), arguments_of_cell(note.overrides, settings, one))
    return None


@contextmanager
def _surroundings(config: DictConfig, mode: Any, sweep: Path, note: Note) -> Iterator[None]:
    """Threads, folder, output and end of a process that is not the one that began."""
    words = " ".join(note.overrides)
    if not launching.in_parallel(mode.launcher):
        print(f"\n[{note.number}] {words}")
        yield
        return
    if config.threads is None:
        config.threads = launching.cores_each(mode.launcher)
    os.chdir(mode.runtime.cwd)  # a launcher may have begun elsewhere
    tqdm.set_lock(threading.RLock())  # its own would be left behind by a process that is killed
    with printing_to_file(sweep, note.number):
        print(words)
        if not launching.on_this_machine(mode.launcher):
            yield
            return
        with ending_with(sweep):
            yield
