"""Outcome of tuning: best values, and their error beside that of the default settings."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.statistics.intervals import half_width
from fewshot.statistics.paired import differences
from fewshot.statistics.populations import mean_interval
from fewshot.sweeps.tuning.trial import cells_of, mean_error
from fewshot.units import plus_minus

# Settings of the search that the evaluation afterwards does not take.
SEARCH_SETTINGS = re.compile(r"^\+{0,2}(tune|launcher|estimator|episodes\.part|hydra[./].*)=")


@dataclass(frozen=True)
class Outcome:
    """The best trial of a search, compared with a run of the default settings.

    Attributes
    ----------
    best : dict
        Value by setting.
    trials : int
        Number of finished trials.
    part : str
        The classes of the trials: "base" or "validation".
    error, default : dict
        Mean error with its interval over episodes; `default` is None if that run failed.
    difference : dict or None
        Best minus default on the same episodes.
    command : str
        Command line that evaluates the best values on novel classes.
    """

    best: dict[str, Any]
    trials: int
    part: str
    error: dict[str, Any]
    default: dict[str, Any] | None
    difference: dict[str, Any] | None
    command: str

    def __str__(self) -> str:
        values = ", ".join(f"{key}={value}" for key, value in self.best.items())
        lines = [f"\nBest of {self.trials} trials on {self.part} classes: {values}"]
        lines.append(_line(f"error on {self.part} classes", self.error))
        if self.default is not None:
            lines.append(_line("with the settings as they were", self.default))
        if self.difference is not None:
            lines.append(_line("difference, same episodes", self.difference, sign=True))
        return "\n".join(
            [
                *lines,
                "± is 95 % over episodes. The best of many looks better than it is: novel classes "
                "tell.",
                f"On novel classes:\n  {self.command}",
            ]
        )


def _line(what: str, interval: Mapping[str, Any], sign: bool = False) -> str:
    text = plus_minus(interval["mean"], half_width(interval), digits=2, sign=sign)
    return f"  {what:<30}  {text} %"


def outcome(
    folder: Path,
    best: Mapping[str, Any],
    overrides: Sequence[str],
    part: str,
    default: Path | None,
    earlier: Collection[Path] = (),
) -> Outcome:
    """Read the trials of a search.

    Parameters
    ----------
    folder : Path
        Of the search, with a run folder per trial.
    best : mapping
        Best value by setting, from the sweeper.
    overrides : sequence of str
        Of the search.
    part : str
    default : Path, optional
        Run folder of the default settings, on the same episodes.
    earlier : collection of Path
        Run folders of earlier searches in the same folder, which are ignored.
    """
    runs = [run for run in trials(folder) if run != default and run not in earlier]
    first = min(runs, key=lambda run: mean_error(cells_of(run)))  # of equal ones, as Optuna does
    values, others = episode_errors(first), None if default is None else episode_errors(default)
    comparable = others is not None and len(values) == len(others)
    return Outcome(
        dict(best),
        len(runs),
        part,
        mean_interval(values),
        None if others is None else mean_interval(others),
        mean_interval(differences(values, others)) if comparable and others is not None else None,
        novel_command(overrides, best),
    )


def trials(folder: Path) -> list[Path]:
    """Return the run folders of a search, sorted by number."""
    folders = [path.parent for path in folder.glob("*/summary.json")]
    return sorted((run for run in folders if not run.name.startswith(".")), key=_number)


def _number(run: Path) -> tuple[int, str]:
    number = re.match(r"\d+", run.name)
    return (int(number[0]) if number else -1, run.name)


def episode_errors(run: Path) -> NDArray[np.float64]:
    """Return the error of each episode (E,), averaged over the cells of a run."""
    rows = pd.read_parquet(run / "episodes.parquet", columns=["episode", "actual_error"])
    errors: NDArray[np.float64] = rows.groupby("episode")["actual_error"].mean().to_numpy()
    return errors


def unchanged(overrides: Sequence[str], best: Mapping[str, Any]) -> list[str]:
    """Return the overrides without the searched settings."""
    keys = {key.lstrip("+") for key in best}
    return [
        override for override in overrides if override.partition("=")[0].lstrip("+") not in keys
    ]


def novel_command(overrides: Sequence[str], best: Mapping[str, Any]) -> str:
    """Return the command line that evaluates the best values on novel classes."""
    kept = [
        override for override in unchanged(overrides, best) if not SEARCH_SETTINGS.match(override)
    ]
    return shlex.join(["fewshot", *kept, *(f"{key}={value}" for key, value in best.items())])


def save(result: Outcome, path: Path) -> None:
    """Write the outcome as JSON."""
    path.write_text(json.dumps(vars(result), indent=2, ensure_ascii=False, default=float) + "\n")
