"""Figures of the measures that a task declares."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from fewshot.report.charts.measured import measures_chart
from fewshot.report.figures.lines import drawn
from fewshot.report.figures.plots import Plot, plot_each
from fewshot.report.wording import Cell

if TYPE_CHECKING:
    from fewshot.report.tasks.base import TaskReport


def measured_figures(report: TaskReport, cells: Sequence[Cell]) -> list[Plot]:
    """Figures of each data set and backbone: all shares in one, every other measure in its own.

    Measures of parts of a cell are left out.
    """
    measures = [measure for measure in report.task.measures if measure.of is None]
    shares = {m.name: report.long_title(m.name) for m in measures if m.fraction}
    kinds = {f"{report.task.name}_vs_shots": shares} if shares else {}
    kinds |= {
        f"{report.task.name}_{m.name}_vs_shots": {m.name: report.long_title(m.name)}
        for m in measures
        if not m.fraction
    }

    def draw(titles: dict[str, str], cells: Sequence[Cell], *, title: str) -> Figure | None:
        return drawn(measures_chart(report.task, titles, cells, title, report.chance))

    return [
        plot
        for kind, titles in kinds.items()
        for plot in plot_each(cells, kind, partial(draw, titles))
    ]
