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
    """By the name of the file; only those that compare something."""
    own = of_task(cells, verification=False)
    figures = {
        "error_of_backbones": error_of_backbones(own),
        "accuracy_matrix": accuracy_matrix(own),
    }
    figures |= {f"ranks_{one['of'].replace(' ', '_')}": rank_diagram(one) for one in ranks(own)}
    return {name: figure for name, figure in figures.items() if figure is not None}
