"""Checks of ``tune=optuna`` before anything is computed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_positive_int,
    install_command,
)
from fewshot.paths import option
from fewshot.tasks import known_tasks

PLUGIN = "hydra_plugins.hydra_optuna_sweeper"
INSTALL = install_command("optuna")
# Settings that change the task: a search over them would choose the easiest task.
QUESTIONS = ("dataset", "episodes", "seed", "task", "estimator", "calibration", "tune")
MOST_TRIALS = 1_000_000
EXAMPLE = "For instance 'head.logistic.C=tag(log, interval(0.001, 100))'."


def check_tuning(arguments: Sequence[str]) -> None:
    """Check the arguments of a search; without ``tune`` nothing is checked.

    Raises
    ------
    FewshotError
        No ``-m``, the plugin is not installed, no setting to tune, a setting that is not a
        hyper-parameter, or a search on novel classes.
    """
    values = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    chosen = values.get("tune", "null")
    if values.get("hydra/sweeper") == "optuna":
        expect(chosen != "null", "hydra/sweeper", "Optuna's sweeper alone would choose "
               "hyper-parameters on the classes that are judged", "Use tune=optuna.")  # fmt: skip
    if chosen in ("null", "", "None"):
        return
    option("tune", chosen)  # raises with a suggestion
    multirun = any(argument in ("-m", "--multirun") for argument in arguments)
    expect(multirun, "tune", "it runs many settings, and wants -m", "fewshot -m tune=optuna ...")
    if not installed(PLUGIN):
        raise FewshotError("tune", f"{chosen} needs hydra-optuna-sweeper", f"Run: {INSTALL}.")
    expect(
        values.get("episodes.part", "base") in ("base", "validation"),
        "episodes.part",
        f"expected base or validation with tune={chosen}, got {values.get('episodes.part')}: "
        "hyper-parameters must not be chosen on what is judged",
    )
    for name in ("n_trials", "n_jobs"):
        key = f"hydra.sweeper.{name}"
        if (number := values.get(key, "1")).lstrip("-").isdecimal():  # Hydra refuses all others
            expect_positive_int(key, int(number[:20]), maximum=MOST_TRIALS)
    _check_searched(searched(arguments), chosen)


def _check_searched(keys: Sequence[str], chosen: str) -> None:
    expect(bool(keys), "tune", f"expected a setting to tune with tune={chosen}, got none", EXAMPLE)
    for key in keys:
        group = key.partition(".")[0].partition("/")[0]
        expect(
            group not in (*QUESTIONS, *(task.name for task in known_tasks())),
            key,
            f"with tune={chosen} expected settings of heads, backbones or features to choose "
            f"among, got {key}, which changes the question",
            f"Tune for one at a time. {EXAMPLE}",
        )


def searched(arguments: Sequence[str]) -> list[str]:
    """Return the settings whose value is a choice, a range or an interval."""
    words = [override for override in arguments if not override.startswith("-") and "=" in override]
    try:
        parsed = OverridesParser.create().parse_overrides(words)
    except HydraException:  # Hydra raises it again with a better message
        return ["head"]
    swept = [override.get_key_element() for override in parsed if override.is_sweep_override()]
    space = [override.get_key_element() for override in parsed]
    prefix = "hydra.sweeper.params."
    return swept + [key.lstrip("+").removeprefix(prefix) for key in space if prefix in key]


def installed(module: str) -> bool:
    """Whether a module is installed; imports its parent packages only."""
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
