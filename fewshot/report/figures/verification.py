"""Figure of the measures of verification by shots."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from fewshot.report.figures.measured import measures_vs_shots
from fewshot.report.wording import Cell
from fewshot.tasks import task_named

TITLES = {"auroc": "AUROC", "average_precision": "AP", "fpr95": "FPR95"}


def verification_vs_shots(cells: Sequence[Cell], *, title: str = "") -> Figure | None:
    """Mean AUROC, average precision and FPR95 of every head with intervals over episodes.

    Parameters
    ----------
    cells : sequence of dict
        Cells of verification, of one data set and backbone. A row of panels per number of ways.
    title : str
        Title of the figure.
    """
    task = task_named(cells[0]["task"])
    return measures_vs_shots(task, TITLES, cells, title=title, chance=_chance)


def _chance(cells: Sequence[Cell], measure: str) -> float:
    """Approximate value of a measure for a random order."""
    shares = [cell["prevalence"] for cell in cells]
    return {"auroc": 0.5, "average_precision": sum(shares) / len(shares), "fpr95": 0.95}[measure]
