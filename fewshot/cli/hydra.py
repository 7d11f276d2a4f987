"""Hydra around the main job, with its errors in the house form."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fewshot.cli.mistakes import in_house_form
from fewshot.cli.sweep import SweepReport, record_failure
from fewshot.exceptions import FewshotError
from fewshot.report.left_out import failure_text
from fewshot.resources import resource_dir
from fewshot.storage import writing

_errors: list[FewshotError] = []
_failed: list[dict[str, Any]] = []  # cells within a run


def job(config: DictConfig) -> None:
    """One job of Hydra: a run, or one cell of a multirun, which may fail without the others."""
    from fewshot.cli.run import run

    mode = HydraConfig.get()
    folder = Path(mode.runtime.output_dir)
    if mode.mode != RunMode.MULTIRUN:
        try:
            _failed.extend(run(config, folder).failed)
        except FewshotError as error:  # Hydra would print a line of its own if it saw it
            _errors.append(error)
        return
    overrides = " ".join(mode.overrides.task)
    print(f"\n[{mode.job.num}] {overrides}")
    try:
        done = run(config, folder, label=f"{mode.job.num}_{mode.job.override_dirname}")
        for one in done.failed:
            record_failure(folder, overrides, failure_text(one))
    except FewshotError as error:
        print(f"fewshot: error: {error}", file=sys.stderr)
        record_failure(folder, overrides, str(error))


def main(arguments: list[str]) -> int:
    """Hand `arguments` to Hydra; 2 if a cell of a sweep failed."""
    # Errors shall reach us as exceptions; Hydra would print a traceback and exit.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    # Hydra takes -m in front of the settings only.
    arguments = sorted(arguments, key=lambda argument: argument not in ("-m", "--multirun"))
    before, sys.argv = sys.argv, ["fewshot", *arguments]
    wrapped = hydra.main(
        version_base="1.3", config_path=str(resource_dir("conf")), config_name="config"
    )(job)
    SweepReport.failures = []
    _errors.clear()
    _failed.clear()
    try:
        with writing("paths.runs", Path(_given(arguments, "paths.runs") or "runs")):
            wrapped()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise in_house_form(error) from None
    except ValueError as error:
        if "override must be" not in str(error):  # Hydra's words for `episodes=3`
            raise
        raise in_house_form(error) from None
    finally:
        sys.argv = before
    if _errors:
        raise _errors.pop()
    failures = SweepReport.failures
    for failure in failures:
        print(f"fewshot: failed: {failure['overrides']}: {failure['error']}", file=sys.stderr)
    return 2 if failures or _failed else 0


def _given(arguments: list[str], key: str) -> Any:
    values = [a.partition("=")[2] for a in arguments if a.partition("=")[0] == key]
    return values[-1] if values else None
