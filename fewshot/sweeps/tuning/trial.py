"""A trial of a search: a run on base or validation classes, and its mean error."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from fewshot.exceptions import FewshotError
from fewshot.report.text.left_out import failure_text
from fewshot.units import percent

if TYPE_CHECKING:
    from fewshot.evaluation.run import RunOutcome

NO_ERROR = "expected a task whose cells have an error (task=classification), got others"


def run_trial(config: DictConfig, folder: Path, label: str) -> tuple[RunOutcome, float]:
    """Run a configuration; return the outcome of the run and its mean error.

    Raises
    ------
    FewshotError
        The run or one of its cells failed: means over different cells cannot be compared.
    """
    from fewshot.evaluation.run import run

    with contextlib.redirect_stdout(io.StringIO()):  # a table per trial is too much
        outcome = run(config, folder, label=label)
    if outcome.failed:
        raise FewshotError(
            "tune", f"a cell of this trial failed: {failure_text(outcome.failed[0])}"
        )
    error = mean_error(cells_of(outcome.folder))
    print(f"    error on {config.episodes.part} classes {percent(error, digits=2)} %", flush=True)
    return outcome, error


def cells_of(folder: Path) -> list[dict[str, Any]]:
    """Return the summaries of the cells of a run folder."""
    cells: list[dict[str, Any]] = json.loads((folder / "summary.json").read_text("utf-8"))["cells"]
    return cells


def mean_error(cells: Sequence[dict[str, Any]]) -> float:
    """Return the unweighted mean of the actual error over cells."""
    if not cells or any("actual_error" not in cell for cell in cells):
        raise FewshotError("tune", NO_ERROR)
    errors = [float(cell["actual_error"]["mean"]) for cell in cells]
    return sum(errors) / len(errors)
