"""Draw the figures for papers of all tasks, and write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from fewshot.report.tasks import cells_by_task, report_of, tables_of
from fewshot.report.wording import Cell


def write_figures(
    folder: Path,
    cells: Iterable[Cell],
    rows: Mapping[str, pd.DataFrame],
    formats: Sequence[str],
) -> list[Path]:
    """Draw all figures for which there is data, and write them into `folder`.

    Parameters
    ----------
    folder : Path
        An existing folder.
    cells, rows
        As for :func:`fewshot.report.render_report`.
    formats : sequence of {"svg", "pdf", "png"}
    """
    files = []
    for task, group in cells_by_task(cells).items():
        report = report_of(task)
        for plot in report.figures(group, tables_of(report.task, rows)):
            files += plot.save(folder, formats)
    return files
