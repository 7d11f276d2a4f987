"""Figures of classification over several backbones, heads or data sets."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from fewshot.report.comparison.ranks import ranks
from fewshot.report.figures.curves import accuracy_matrix, error_of_backbones
from fewshot.report.figures.ranks import rank_diagram
from fewshot.tasks.classification.schema import ClassificationSummary


def joint_figures(cells: Sequence[ClassificationSummary]) -> dict[str, Figure]:
    """Figures that compare several backbones, heads or data sets, by the names of their files."""
    figures = {
        "error_of_backbones": error_of_backbones(cells),
        "accuracy_matrix": accuracy_matrix(cells),
    }
    figures |= {
        f"ranks_{ranking['of'].replace(' ', '_')}": rank_diagram(ranking)
        for ranking in ranks(cells)
    }
    return {name: figure for name, figure in figures.items() if figure is not None}
