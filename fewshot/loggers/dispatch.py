"""Loggers of a configuration: made and checked before any work, told after it."""

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

# Settings that a sweep's record states; what its jobs differ in is in the names of the metrics.
SHARED = ["task", "seed", "episodes", "features", "calibration", "logger", "paths"]


def loggers_of(wanted: Any) -> list[Logger]:
    """The loggers that ``logger=[...]`` asks for, from {name: settings}.

    Raises
    ------
    FewshotError
        An unknown name or setting, or a package that is not installed.
    """
    made = []
    for name, given in (wanted or {}).items():
        expect(
            isinstance(given, Mapping), f"logger.{name}", f"expected settings by name, got {given}"
        )
        try:
            logger: Logger = loggers.create(name, **given)
        except TypeError as error:
            raise FewshotError(f"logger.{name}", str(error).split("__init__() ")[-1]) from None
        logger.check()
        made.append(logger)
    return made


def tell(
    told: Sequence[Logger],
    folder: Path,
    summary: Mapping[str, Any],
    settings: Mapping[str, Any],
    kind: str = "run",
) -> list[str]:
    """Tell loggers of a finished run or sweep; gives back the names of those that failed.

    A logger that fails costs a warning and nothing else: the run folder is complete and is the
    result, so that neither the exit code nor a sweep's count of failures knows of it.
    """
    failed = []
    for logger in told:
        try:
            logger.log(Record.of(folder, summary, settings, kind))
        except Exception as error:  # others' code, servers and disks: anything may come
            reason = _without_secrets(" ".join(str(error).split())) or type(error).__name__
            print(f"fewshot: warning: logger {logger.name}: {reason} ({folder} is complete)",
                  file=sys.stderr)  # fmt: skip
            failed.append(logger.name)
    return failed


def _without_secrets(text: str) -> str:
    """Without what URIs, of the environment for instance, have in front of an @."""
    return re.sub(r"://[^/\s@]+@", "://***@", text)


def tell_of_sweep(config: DictConfig) -> None:
    """Tell the loggers of all cells of a sweep, after its report."""
    from fewshot.results.store import find_runs, read_runs

    folder = Path(config.hydra.sweep.dir)
    settings: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, SHARED), resolve=True)
    told = loggers_of(settings["logger"])
    try:
        runs = find_runs([folder]) if told else []
    except FewshotError:  # every job failed
        return
    if runs:
        tell(told, folder, read_runs(runs)[0], settings, kind="sweep")
