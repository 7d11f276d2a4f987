"""What ``tune=optuna`` must not be asked, told before anything is computed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from fewshot.exceptions import FewshotError, expect, install_command
from fewshot.paths import option

PLUGIN = "hydra_plugins.hydra_optuna_sweeper"
INSTALL = install_command("optuna")
# Choosing among these would choose the easiest question, not the best answer.
QUESTIONS = ("dataset", "episodes", "seed", "task", "estimator", "calibration", "one_class", "tune")
EXAMPLE = "For instance 'head.logistic.C=tag(log, interval(0.001, 100))'."


def check_tuning(arguments: Sequence[str]) -> None:
    """Raise if these arguments tune, and cannot or should not.

    Raises
    ------
    FewshotError
        No ``-m``, the plugin is not installed, nothing to tune, something that is no
        hyper-parameter, or novel classes to tune on.
    """
    given = {key: value for key, _, value in (one.partition("=") for one in arguments)}
    chosen = given.get("tune", "null")
    if given.get("hydra/sweeper") == "optuna":
        expect(chosen != "null", "hydra/sweeper", "Optuna's sweeper alone would choose "
               "hyper-parameters on the classes that are judged", "Use tune=optuna.")  # fmt: skip
    if chosen in ("null", "", "None"):
        return
    option("tune", chosen)  # or did you mean
    multirun = any(one in ("-m", "--multirun") for one in arguments)
    expect(multirun, "tune", "it runs many settings, and wants -m", "fewshot -m tune=optuna ...")
    if not installed(PLUGIN):
        raise FewshotError("tune", f"{chosen} needs hydra-optuna-sweeper", f"Run: {INSTALL}.")
    expect(
        given.get("episodes.part", "base") in ("base", "validation"),
        "episodes.part",
        f"expected base or validation with tune={chosen}, got {given.get('episodes.part')}: "
        "hyper-parameters must not be chosen on what is judged",
    )
    _check_searched(searched(arguments), chosen)


def _check_searched(keys: Sequence[str], chosen: str) -> None:
    expect(bool(keys), "tune", f"expected a setting to tune with tune={chosen}, got none", EXAMPLE)
    for key in keys:
        group = key.partition(".")[0].partition("/")[0]
        expect(
            group not in QUESTIONS,
            key,
            f"with tune={chosen} expected settings of heads, backbones or features to choose "
            f"among, got {key}, which changes the question",
            f"Tune for one at a time. {EXAMPLE}",
        )


def searched(arguments: Sequence[str]) -> list[str]:
    """Settings that are given a choice, a range or an interval."""
    words = [one for one in arguments if not one.startswith("-") and "=" in one]
    try:
        parsed = OverridesParser.create().parse_overrides(words)
    except HydraException:  # Hydra says it better
        return ["head"]
    own = [one.get_key_element() for one in parsed if one.is_sweep_override()]
    space = [one.get_key_element() for one in parsed]
    prefix = "hydra.sweeper.params."
    return own + [key.lstrip("+").removeprefix(prefix) for key in space if prefix in key]


def installed(module: str) -> bool:
    """Whether a module could be imported; nothing is, except the packages around it."""
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
