"""A multirun from its beginning to its last lines."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path
from fewshot.paths import KEPT
from fewshot.sweeps import launchers as launching
from fewshot.sweeps.lock import hold, let_go
from fewshot.sweeps.records import Follower, forget_notes, read_notes
from fewshot.sweeps.rerun import arguments_of, shell_line
from fewshot.text.llm.settings import check_no_secret

FAILURES = "failures.jsonl"
GONE = "its process is gone, perhaps killed for want of memory; fewer jobs at a time need less"
# How long nobody has to be at work before jobs of a launcher that gave up are taken to be over.
QUIET = 3.0  # seconds


class Refused(BaseException):
    """Carries an error past Hydra, which makes warnings of what callbacks raise."""

    def __init__(self, error: FewshotError) -> None:
        self.error = error
        super().__init__(error)


class Sweep:
    """What the process that started a multirun has to do besides waiting."""

    def __init__(self, config: DictConfig) -> None:
        check_no_secret(config.llm)  # launchers and Hydra write the configuration down
        launching.check(config.hydra.launcher)
        _check_loggers(config)
        self.report_code = 0
        self.launcher = config.hydra.launcher
        self.runs = Path(str(config.paths.runs))
        self.folder = Path(str(config.hydra.sweep.dir))
        self.lock = hold(self.folder)
        forget_notes(self.folder)
        (self.folder / FAILURES).unlink(missing_ok=True)
        self.follower = Follower(self.folder) if launching.in_parallel(self.launcher) else None
        launching.bound(config)
        each = launching.cores_each(self.launcher)
        self.variables = launching.prepare(self.launcher, each)

    def jobs_are_over(self) -> None:
        """Show the last of what they printed."""
        if self.follower:
            self.follower.stop()

    def wait_for_others(self) -> None:
        """After a launcher gave up: let jobs that still run end; those of a cluster do anyway."""
        if launching.kind_of(self.launcher) not in ("ray", "local"):
            return
        seen = time.monotonic()
        while time.monotonic() - seen < QUIET:
            if any(note.at_work() for note in read_notes(self.folder)):
                seen = time.monotonic()
            time.sleep(0.2)

    def close(self) -> None:
        """Leave folder and process as they were."""
        self.jobs_are_over()
        if launching.kind_of(self.launcher) == "ray":
            import ray

            ray.shutdown()
        for key in self.variables:
            os.environ.pop(key, None)
        let_go(self.lock)


class Sweeping(Callback):
    """Hydra's callback; it lives in the process that started the multirun."""

    now: Sweep | None = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder."""
        try:
            Sweeping.now = Sweep(config)
        except FewshotError as error:
            raise Refused(error) from None

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Let the jobs have the last word before the report."""
        if Sweeping.now:
            Sweeping.now.jobs_are_over()


class SweepReport(Callback):
    """One report over the runs of a sweep."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Join the runs that were finished."""
        report_over(Path(config.hydra.sweep.dir))
        if config.logger:
            from fewshot.loggers.dispatch import tell_of_sweep

            tell_of_sweep(config)


def _check_loggers(config: DictConfig) -> None:
    """Raise unless the loggers can be made; without any, nothing is imported."""
    if config.logger:
        from fewshot.loggers.dispatch import loggers_of

        loggers_of(OmegaConf.to_container(config.logger, resolve=True))


def report_over(folder: Path) -> None:
    """The page over all runs in the folder of a sweep, of earlier sweeps too."""
    from fewshot.report.write import join_report
    from fewshot.results.store import find_runs

    try:
        runs = find_runs([folder])
    except FewshotError:  # every cell failed
        return
    try:
        code = 2 if join_report(runs, folder / "report.html") else 0  # left some out
    except FewshotError as error:
        print(f"fewshot: error: {error}", file=sys.stderr)
        code = 2
    except Exception:  # Hydra would make a warning of it
        traceback.print_exc()
        code = 1
    if Sweeping.now:
        Sweeping.now.report_code = code


def conclude(sweep: Sweep, typed: Sequence[str], lost: BaseException | None = None) -> int:
    """Print how many cells there are, what failed, and how to run just that.

    Parameters
    ----------
    typed : sequence of str
        The arguments of the command line.
    lost : exception, optional
        Of a launcher, one of whose processes is gone.

    Returns
    -------
    int
        The exit code: 0, 2 if anything failed, 1 after a defect.
    """
    notes = read_notes(sweep.folder)
    for note in notes:
        if lost and not note.ended:
            note.fail(f"{GONE} ({type(lost).__name__})", arguments_of(note.overrides))
    failures = [one for note in notes for one in note.failed]
    if lost and not failures:
        failures = [{"overrides": "launcher", "error": str(lost), "arguments": []}]
    computed, taken = (sum(getattr(note, what) for note in notes) for what in ("computed", "taken"))
    print(
        f"\n{_many(len(notes), 'job')}: {_many(computed, 'cell')} computed, "
        f"{taken} taken from earlier runs, {len(failures)} failed",
        flush=True,
    )
    if not failures:
        return sweep.report_code
    _write_failures(sweep.folder, failures)
    for one in failures:
        error = " ".join(one["error"].split())
        print(f"fewshot: failed: {one['overrides']}: {error}", file=sys.stderr)
        if one["arguments"]:
            print(f"  just that: {shell_line(one['arguments'], typed)}", file=sys.stderr)
    print(f"fewshot: only what is missing: {_again(typed)}", file=sys.stderr)
    return 1 if sweep.report_code == 1 or any(note.defect for note in notes) else 2


def interrupted(sweep: Sweep, typed: Sequence[str]) -> None:
    """Say what an interrupted sweep leaves, and how to go on."""
    kept = sum(1 for _ in (sweep.runs / KEPT).glob("[0-9a-f]*/summary.json"))
    notes = read_notes(sweep.folder)
    ended = [note for note in notes if note.ended]
    cells = sum(note.computed + note.taken for note in ended) + kept
    print(
        f"\nfewshot: interrupted. {_many(len(ended), 'job')} complete, {_many(cells, 'cell')} "
        f"kept, and features extracted so far. To go on: {_again(typed)}",
        file=sys.stderr,
    )
    if launching.kind_of(sweep.launcher) == "slurm":
        print("fewshot: jobs of the cluster go on; scancel ends them.", file=sys.stderr)


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _again(typed: Sequence[str]) -> str:
    given = [one for one in typed if one not in ("-m", "--multirun")]
    return shell_line(given, multirun=True)


def _write_failures(folder: Path, failures: Sequence[dict[str, Any]]) -> None:
    with atomic_path(folder / FAILURES) as partial:
        lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in failures]
        partial.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
