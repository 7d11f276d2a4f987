"""The figures of classification for which there is data."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fewshot.report.charts.rows import labelled
from fewshot.report.figures.curves import (
    calibration_curve,
    coverage_vs_nominal,
    error_vs_shots,
    mae_vs_shots,
    predicted_vs_actual,
)
from fewshot.report.figures.joint import joint_figures
from fewshot.report.figures.plots import Plot, groups_with_suffixes
from fewshot.report.wording import Group, display_name, oracle_names
from fewshot.tasks.classification.schema import ClassificationSummary


def classification_figures(
    cells: Sequence[ClassificationSummary], episodes: pd.DataFrame, predictions: pd.DataFrame
) -> list[Plot]:
    """As `group_figures`, and the figures that compare several data sets or backbones."""
    joint = joint_figures(cells)
    return [
        *group_figures(cells, episodes, predictions),
        *(Plot(name, name, figure) for name, figure in joint.items()),
    ]


def group_figures(
    cells: Sequence[ClassificationSummary], episodes: pd.DataFrame, predictions: pd.DataFrame
) -> list[Plot]:
    """Figures of every data set and backbone.

    Parameters
    ----------
    cells : sequence of dict
    episodes, predictions : DataFrame
        Their rows.
    """
    plots = []
    for group, members, suffix in groups_with_suffixes(cells):
        rows = labelled(_of(episodes, group))
        guesses = _named(labelled(_of(predictions, group)), oracle_names(members))
        about = group.text
        figures = {
            "predicted_vs_actual": predicted_vs_actual(guesses, title=about),
            "error_vs_shots": error_vs_shots(rows, guesses, title=about),
            "mae_vs_shots": mae_vs_shots(guesses, title=about),
            "calibration_curve": calibration_curve(guesses, title=about),
            "coverage_vs_nominal": coverage_vs_nominal(members, title=about),
        }
        plots += [
            Plot(f"{kind}{suffix}", kind, figure)
            for kind, figure in figures.items()
            if figure is not None
        ]
    return plots


def _of(rows: pd.DataFrame, group: Group) -> pd.DataFrame:
    for name, value in group._asdict().items():
        rows = rows[rows[name].astype(str) == value]
    return rows


def _named(predictions: pd.DataFrame, oracles: set[str]) -> pd.DataFrame:
    """Predictions with the names of oracles marked."""
    names = [display_name(str(name), name in oracles) for name in predictions["estimator"]]
    return predictions.assign(estimator=names) if oracles else predictions
