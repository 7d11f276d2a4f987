"""Figures over several backbones, heads or data sets."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from fewshot.report.comparison.ranks import ranks
from fewshot.report.figures.backbones import error_of_backbones
from fewshot.report.figures.matrix import accuracy_matrix
from fewshot.report.figures.ranks import rank_diagram
from fewshot.report.tasks.verification import of_task
from fewshot.report.wording import Cell


def joint_figures(cells: Iterable[Cell]) -> dict[str, Figure]:
    """Figures that compare several backbones, heads or data sets, by file name."""
    classification = of_task(cells, verification=False)
    figures = {
        "error_of_backbones": error_of_backbones(classification),
        "accuracy_matrix": accuracy_matrix(classification),
    }
    figures |= {
        f"ranks_{ranking['of'].replace(' ', '_')}": rank_diagram(ranking)
        for ranking in ranks(classification)
    }
    return {name: figure for name, figure in figures.items() if figure is not None}
