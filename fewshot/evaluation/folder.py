"""Writing of a run folder: rows, summary, episodes, images and report."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from fewshot.evaluation.facts import run_data
from fewshot.files import (
    atomic_path,
    claimed,
    plain_name,
    writing,
)
from fewshot.report.text.left_out import reused_text
from fewshot.results.cells import write_cells
from fewshot.results.folders import episodes_name, typed_name
from fewshot.results.images import IMAGES
from fewshot.results.result import Result, join_rows
from fewshot.results.schema import RunSummary
from fewshot.tasks.base import TaskOutput

if TYPE_CHECKING:
    import pandas as pd


def write_run(
    target: Path,
    settings: dict[str, Any],
    summary: RunSummary,
    output: TaskOutput,
    figures: Sequence[str] = (),
    alone: bool = True,
) -> Path:
    """Write the run folder of the command line, print what it has, and return its path.

    A run that is not `alone` is one of a sweep, which ends with the answer and a legend: it prints
    its table only.
    """
    from fewshot.report.text.terminal import brief_answer, terminal_text

    folder = write_folder(target, summary, output.cells, output, settings, figures)
    again = f"fewshot report {typed_name(folder)}"
    text = terminal_text(
        brief_answer(summary["cells"], join_rows(output.cells)) if alone else [],
        summary["cells"],
        estimators=settings["report"]["estimators"],
        how=f"{again} --estimators all",
        explained=alone,
    )
    print(text + reused_text(summary["cells"]))
    print(f"\nRows and summary: {folder}\nReport: {folder / 'report.html'}")
    if alone:
        print(f"To print this again: {again}")
    return folder


def write_folder(
    target: Path,
    summary: RunSummary,
    cells: Sequence[Result],
    output: TaskOutput | None = None,
    settings: dict[str, Any] | None = None,
    figures: Sequence[str] = (),
    loaded_from: Path | None = None,
) -> Path:
    """Write a run folder atomically, and return its path: numbered if there is one of the name.

    Parameters
    ----------
    target : Path
    summary : RunSummary
        Of the run.
    cells : sequence of Result
    output : TaskOutput, optional
        With the data and episodes, of which images and episodes are written.
    settings : dict, optional
        The configuration.
    figures : sequence of {"svg", "pdf", "png"}
    loaded_from : Path, optional
        Run folder of which the configuration, episodes and images are copied.
    """
    from fewshot.report import write_report

    with writing("paths.runs", target), claimed(target) as folder, atomic_path(folder) as partial:
        partial.mkdir(parents=True)
        if settings is not None:
            (partial / "config.yaml").write_text(OmegaConf.to_yaml(settings), encoding="utf-8")
        if loaded_from is not None:
            _copy_inputs(loaded_from, partial)
        rows = write_rows(partial, summary, cells, output)
        if output is not None:
            run_data(output).write(partial)
        write_report(partial, summary, rows, figures)
    return folder


def write_rows(
    folder: Path, summary: RunSummary, cells: Sequence[Result], output: TaskOutput | None = None
) -> dict[str, pd.DataFrame]:
    """Write summary, rows and episodes into an existing folder; return the rows by table."""
    rows = write_cells(folder, summary, cells)
    if output is not None:
        _write_episodes(folder / "episodes", output)
    return rows


def _copy_inputs(source: Path, target: Path) -> None:
    """Copy what a run folder has beside the results of its cells."""
    for name in ("config.yaml", IMAGES):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    if (source / "episodes").is_dir():
        shutil.copytree(source / "episodes", target / "episodes")


def _write_episodes(folder: Path, output: TaskOutput) -> None:
    """A file per set of episodes, named by ways and shots, and by the seed if there are several."""
    folder.mkdir()
    seeds = {cell.summary["hashes"]["episodes"]: cell.summary["seed"] for cell in output.cells}
    several = len(set(seeds.values())) > 1
    for episodes in output.drawn:
        seed = seeds.get(episodes.hash()) if several else None
        episodes.save(folder / episodes_name(episodes.nominal_ways, episodes.nominal_shots, seed))


def default_name(dataset: str, backbone: str) -> str:
    """Return the default name of a run folder: time, data set and backbone."""
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return plain_name(f"{now}_{dataset}_{backbone}")
