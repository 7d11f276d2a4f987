"""Writing of a run folder: rows, summary, episodes, images and report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fewshot.episodes import EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.files import (
    atomic_path,
    claimed,
    plain_name,
    writing,
)
from fewshot.report.text.left_out import reused_text
from fewshot.results.cells import write_cells
from fewshot.results.images import write_images
from fewshot.results.result import Result


def write_run(
    target: Path,
    settings: dict[str, Any],
    summary: dict[str, Any],
    bank: FeatureBank,
    cells: list[Result],
    drawn: list[EpisodeSet],
    figures: Sequence[str] = (),
    explained: bool = True,
) -> Path:
    """Write the run folder atomically, print its table and path, and return the path.

    The printed table has a legend if `explained`.
    """
    from fewshot.report import summary_table, write_report

    with writing("paths.runs", target), claimed(target) as folder, atomic_path(folder) as partial:
        partial.mkdir(parents=True)
        (partial / "config.yaml").write_text(OmegaConf.to_yaml(settings), encoding="utf-8")
        episodes, predictions = write_cells(partial, summary, cells)
        (partial / "episodes").mkdir()
        for episode_set in drawn:
            episode_set.save(
                partial / "episodes" / f"{episode_set.ways}way_{episode_set.shots}shot.safetensors"
            )
        write_images(partial, bank, drawn)
        write_report(partial, summary, episodes, predictions, figures)
    table = summary_table(summary["cells"], explained=explained)
    print(table + reused_text(summary["cells"]))
    print(f"\nRows and summary: {folder}\nReport: {folder / 'report.html'}")
    return folder


def default_name(bank: FeatureBank) -> str:
    """Return the default name of a run folder: time, data set and backbone."""
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return plain_name(f"{now}_{bank.info.get('dataset')}_{bank.info.get('backbone')}")
