"""``fewshot [run]``: the main job under Hydra, with Hydra's errors as FewshotError."""

from __future__ import annotations

import os
import shlex
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fewshot.cli.arguments import is_override
from fewshot.cli.configuration import is_shown, print_configuration
from fewshot.cli.run_options import check_options
from fewshot.config.compose import combinations
from fewshot.config.errors import in_house_form, is_of_settings
from fewshot.config.overrides import prepared
from fewshot.config.suggestions import stray_word
from fewshot.config.task_choice import composing
from fewshot.exceptions import FewshotError
from fewshot.files import writing
from fewshot.paths import resource_dir
from fewshot.results.schema import Failed
from fewshot.sweeps.grid import check_sweep
from fewshot.sweeps.job import sweep_job
from fewshot.sweeps.process import multirun
from fewshot.sweeps.tuning.checks import check_tuning

DRY_RUN = "--dry-run"
MULTIRUN = ("-m", "--multirun")

_errors: list[FewshotError] = []
_failed: list[Failed] = []  # cells within a run
_dry = ContextVar("dry_run", default=False)  # whether a run is estimated only


def job(config: DictConfig) -> float | None:
    """Run a job of Hydra: a single run, or a job of a multirun; return the error of a trial."""
    mode = HydraConfig.get()
    if mode.mode == RunMode.MULTIRUN:
        return sweep_job(config)
    from fewshot.evaluation.run import estimate, run

    try:
        if _dry.get():
            print(estimate(config))
            return None
        _failed.extend(run(config, Path(mode.runtime.output_dir)).failed)
    except FewshotError as error:  # Hydra would print an additional message
        _errors.append(error)
    return None


def main(arguments: list[str]) -> int:
    """Run Hydra with `arguments`; return 2 if a cell failed, 1 after an internal error."""
    if DRY_RUN in arguments:
        return _dry_runs([word for word in arguments if word != DRY_RUN])
    arguments = check_options(arguments)
    with composing(arguments):
        _expect_settings(arguments)
        if is_shown(arguments):
            return print_configuration(arguments, _run_hydra)
        return _run_hydra(arguments)


def _dry_runs(arguments: list[str]) -> int:
    """Say how long a run would take, or each of those of a multirun."""
    multirun_words = [word for word in arguments if word in MULTIRUN]
    options = [word for word in arguments if word not in MULTIRUN]
    token = _dry.set(True)
    try:
        if not multirun_words:
            return main(options)
        ready = [word for word in options if word.startswith(("sweep=", "tune="))]
        if ready:
            raise FewshotError(DRY_RUN, f"expected values on the command line, got {ready[0]}",
                               "fewshot list sweeps --long says how long they take.")  # fmt: skip
        check_sweep([*multirun_words, *options])
        for chosen in combinations(options):
            print(f"\n{shlex.join(chosen)}")
            main(chosen)
    finally:
        _dry.reset(token)
    return 0


def _expect_settings(arguments: list[str]) -> None:
    """Raise for a path or a name among the settings."""
    for before, word in zip(["", *arguments], arguments, strict=False):
        value_of_option = before.startswith("-") and before not in (*MULTIRUN, "--resolve")
        if not value_of_option and not is_override(word):
            raise stray_word(word) or FewshotError(
                "arguments", f"expected SETTING=VALUE, got {word!r}", "See fewshot --help."
            )


def _run_hydra(arguments: list[str]) -> int:
    # Let Hydra raise exceptions; by default it prints a traceback and exits.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    # Hydra accepts -m before the settings only.
    arguments = sorted(arguments, key=lambda argument: argument not in MULTIRUN)
    typed = arguments
    arguments = prepared(typed, multirun=typed[:1] in (["-m"], ["--multirun"]))
    check_sweep(arguments)
    check_tuning(arguments)
    before, sys.argv = sys.argv, ["fewshot", *arguments]
    wrapped = hydra.main(
        version_base="1.3", config_path=str(resource_dir("conf")), config_name="config"
    )(job)
    _errors.clear()
    _failed.clear()
    try:
        with writing("paths.runs", Path(_last_value(arguments, "paths.runs") or "runs")):
            code = multirun(wrapped, typed)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise in_house_form(error) from None
    except ValueError as error:
        if "No trials are completed" in str(error):  # Optuna's
            raise FewshotError("tune", "every trial failed") from None
        if str(error).startswith("Only one of --run"):  # -m --cfg job
            raise FewshotError("arguments", str(error)) from None
        # Hydra's words for `episodes=3`
        if "override must be" not in str(error) and not is_of_settings(error):
            raise
        raise in_house_form(error) from None
    except Exception as error:
        if not is_of_settings(error):
            raise
        raise in_house_form(error) from None
    finally:
        sys.argv = before
    if _errors:
        raise _errors.pop()
    if _failed:
        return _exit_code(_failed)
    return code


def _last_value(arguments: list[str], key: str) -> Any:
    values = [
        argument.partition("=")[2] for argument in arguments if argument.partition("=")[0] == key
    ]
    return values[-1] if values else None


def _exit_code(failed: list[Failed]) -> int:
    """Return 1 if a cell failed by an internal error, 2 if by another error, else 0."""
    codes = [1 if cell["defect"] else 2 for cell in failed]
    return min(codes, default=0)
