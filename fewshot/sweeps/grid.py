"""The values that a multirun varies, checked before any job is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    OverrideType,
    RangeSweep,
)
from hydra.errors import HydraException
from omegaconf import DictConfig

from fewshot.config.errors import GROUPS
from fewshot.config.nodes import options_of
from fewshot.exceptions import FewshotError, expect

# Jobs of a grid: Hydra makes a list of all of them before it starts the first one.
MOST_JOBS = 100_000


def check_sweep(arguments: Sequence[str]) -> None:
    """Check the values over which a multirun goes.

    Raises
    ------
    FewshotError
        No value, a range that never ends, an interval that is upside down or, on a logarithmic
        scale, not positive; more than ``MOST_JOBS`` jobs.
    """
    if not any(argument in ("-m", "--multirun") for argument in arguments):
        return
    words = [word for word in arguments if "=" in word and not word.startswith("-")]
    try:
        parsed = OverridesParser.create().parse_overrides(words)
    except HydraException:  # Hydra raises it again with a better message
        return
    jobs = 1
    for override in parsed:
        if override.type in (OverrideType.CHANGE, OverrideType.ADD, OverrideType.FORCE_ADD):
            jobs *= _number_of_values(override)
    expect(
        jobs <= MOST_JOBS, "settings", f"expected at most {MOST_JOBS:,} jobs, got {jobs:,}",
        "Name fewer values.",
    )  # fmt: skip


def number_of_jobs(config: DictConfig) -> int:
    """Number of jobs of a multirun: of a grid, or trials of a search; 0 where it is not known."""
    sweeper = config.hydra.sweeper
    if (trials := sweeper.get("n_trials")) is not None:
        return int(trials)
    words = {key: f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()}
    words |= {word.partition("=")[0]: word for word in config.hydra.overrides.task}
    try:
        parsed = OverridesParser.create().parse_overrides([*words.values()])
        return math.prod(map(_number_of_values, parsed))
    except (HydraException, FewshotError):  # reported where the jobs are made
        return 0


def _number_of_values(override: Override) -> int:
    """How many values a setting goes through; checks them."""
    if not override.is_sweep_override():
        return 1
    key, value = override.get_key_element(), override.value()
    if isinstance(value, IntervalSweep):
        _check_interval(key, value)
        return 1
    if isinstance(value, RangeSweep):
        count = _values_of_range(key, value)
    elif isinstance(value, ChoiceSweep):
        count = len(value.list)
    else:
        count = len(_matched(key, value)) if isinstance(value, Glob) else 1
    expect(count > 0, key, f"expected one value or more, got none: {override.input_line}")
    return count


def _matched(key: str, pattern: Glob) -> list[str]:
    """Options of a group that match; of Hydra's own groups, the pattern for all of them."""
    if key.startswith("hydra/"):
        return pattern.include
    expect(key in (*GROUPS, "sweep"), key, "glob() chooses options of a group, and this is none")
    return pattern.filter(list(options_of(key)))


def _check_interval(key: str, value: IntervalSweep) -> None:
    low, high = _number(key, value.start), _number(key, value.end)
    shown = f"interval({value.start}, {value.end})"
    expect(low <= high, key, f"expected an interval whose first number is smaller, got {shown}")
    expect(
        "log" not in value.tags or low > 0,
        key,
        f"expected an interval above 0 on a logarithmic scale, got {shown}",
    )


def _values_of_range(key: str, value: RangeSweep) -> int:
    start, stop, step = (_number(key, bound) for bound in (value.start, value.stop, value.step))
    shown = f"range({value.start}, {value.stop}, {value.step})"
    expect(step != 0, key, f"expected a step other than 0, got {shown}")
    return max(0, math.ceil((stop - start) / step))


def _number(key: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise FewshotError(key, f"expected finite numbers in a range or an interval, got {value}")
    return number
