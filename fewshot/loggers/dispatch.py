"""Build the loggers of a configuration before a run, and log finished runs and sweeps to them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fewshot.exceptions import FewshotError, expect
from fewshot.loggers import loggers
from fewshot.loggers.base import Logger
from fewshot.loggers.record import Record
from fewshot.results.schema import JoinedSummary, RunSummary

# Settings in a sweep's record; settings that differ between jobs are in the names of its metrics.
SWEEP_SETTINGS = ["task", "seed", "episodes", "features", "calibration", "logger", "paths"]


def loggers_of(settings_by_name: Any) -> list[Logger]:
    """Loggers of ``logger=[...]``, built from {name: settings} and checked.

    Raises
    ------
    FewshotError
        An unknown name or setting, or a package that is not installed.
    """
    built = []
    for name, settings in (settings_by_name or {}).items():
        expect(
            isinstance(settings, Mapping),
            f"logger.{name}",
            f"expected settings by name, got {settings}",
        )
        logger: Logger = loggers.create_from(name, settings)
        logger.check()
        built.append(logger)
    return built


def tell(
    active: Sequence[Logger],
    folder: Path,
    summary: RunSummary | JoinedSummary,
    settings: Mapping[str, Any],
    kind: str = "run",
) -> list[str]:
    """Log a finished run or sweep to all loggers, and return the names of those that failed.

    The failure of a logger is a warning on stderr: the run folder is complete and is the result,
    so that neither the exit code nor a sweep's count of failures changes.
    """
    failed = []
    for logger in active:
        try:
            logger.log(Record.of(folder, summary, settings, kind))
        except Exception as error:  # third-party code, servers, disks: any exception is possible
            reason = _without_secrets(" ".join(str(error).split())) or type(error).__name__
            print(f"fewshot: warning: logger {logger.name}: {reason} ({folder} is complete)",
                  file=sys.stderr)  # fmt: skip
            failed.append(logger.name)
    return failed


def _without_secrets(text: str) -> str:
    """`text` with the user information of URIs (in front of ``@``) masked."""
    return re.sub(r"://[^/\s@]+@", "://***@", text)


def tell_of_sweep(config: DictConfig) -> None:
    """Log all cells of a sweep as one record, after its report."""
    from fewshot.results.folders import find_runs
    from fewshot.results.store import read_runs

    folder = Path(config.hydra.sweep.dir)
    settings: Any = OmegaConf.to_container(
        OmegaConf.masked_copy(config, SWEEP_SETTINGS), resolve=True
    )
    active = loggers_of(settings["logger"])
    try:
        runs = find_runs([folder]) if active else []
    except FewshotError:  # every job failed
        return
    if runs:
        tell(active, folder, read_runs(runs)[0], settings, kind="sweep")
