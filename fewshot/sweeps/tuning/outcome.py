"""What tuning came to: best values, their error beside that of the settings as they were."""

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

from fewshot.statistics.predictions import mean_interval
from fewshot.sweeps.tuning.trial import cells_of, mean_error

# What belongs to the search, and not to the evaluation afterwards.
OF_THE_SEARCH = re.compile(r"^\+{0,2}(tune|launcher|estimator|episodes\.part|hydra[./].*)=")


@dataclass(frozen=True)
class Outcome:
    """The best trial of a search, and a run with none of its settings changed.

    Attributes
    ----------
    best : dict
        Value by setting.
    trials : int
        Finished ones.
    part : str
        The classes that they were judged on: "base" or "validation".
    error, default : dict
        Mean error with its interval over episodes; None for `default` where there is none.
    difference : dict or None
        Best minus default on the same episodes.
    command : str
        Evaluates the best values on novel classes.
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


def _line(what: str, found: Mapping[str, Any], sign: bool = False) -> str:
    half = (found["upper"] - found["lower"]) / 2
    return f"  {what:<30}  {100 * found['mean']:{'+' if sign else ''}.2f} ± {100 * half:.2f} %"


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
        What the sweeper found.
    overrides : sequence of str
        As they were given to the search.
    part : str
    default : Path, optional
        Run folder of the settings as they were, on the same episodes.
    earlier : collection of Path
        Run folders of an earlier search in the same folder, perhaps for something else.
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
        mean_interval(values - others) if comparable and others is not None else None,
        novel_command(overrides, best),
    )


def trials(folder: Path) -> list[Path]:
    """Run folders of a search, in the order of their numbers."""
    found = [path.parent for path in folder.glob("*/summary.json")]
    return sorted((run for run in found if not run.name.startswith(".")), key=_number)


def _number(run: Path) -> tuple[int, str]:
    number = re.match(r"\d+", run.name)
    return (int(number[0]) if number else -1, run.name)


def episode_errors(run: Path) -> NDArray[np.float64]:
    """Error of each episode (E,), the mean over the cells of a run, which share their episodes."""
    rows = pd.read_parquet(run / "episodes.parquet", columns=["episode", "actual_error"])
    errors: NDArray[np.float64] = rows.groupby("episode")["actual_error"].mean().to_numpy()
    return errors


def unchanged(overrides: Sequence[str], best: Mapping[str, Any]) -> list[str]:
    """The given settings without those that were searched."""
    keys = {key.lstrip("+") for key in best}
    return [one for one in overrides if one.partition("=")[0].lstrip("+") not in keys]


def novel_command(overrides: Sequence[str], best: Mapping[str, Any]) -> str:
    """A command for the shell that evaluates the best values on novel classes."""
    kept = [one for one in unchanged(overrides, best) if not OF_THE_SEARCH.match(one)]
    return shlex.join(["fewshot", *kept, *(f"{key}={value}" for key, value in best.items())])


def save(found: Outcome, path: Path) -> None:
    """Write the outcome as JSON."""
    path.write_text(json.dumps(vars(found), indent=2, ensure_ascii=False, default=float) + "\n")
