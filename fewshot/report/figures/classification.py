"""The figures of classification for which there is data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fewshot.report.charts.rows import labelled
from fewshot.report.figures.curves import (
    calibration_curve,
    coverage_vs_nominal,
    error_vs_shots,
    mae_vs_shots,
    mae_vs_unlabelled,
    predicted_vs_actual,
    width_vs_unlabelled,
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
            "mae_vs_unlabelled": mae_vs_unlabelled(members, title=about),
            "width_vs_unlabelled": width_vs_unlabelled(members, title=about),
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
    """Predictions with marks at the names of oracles and of what saw unlabelled images.

    Estimators that saw some in one cell and none in another are two.
    """
    if "sees_unlabelled" in predictions:
        sees = predictions["sees_unlabelled"].to_numpy(dtype=bool)
    else:  # rows made by hand
        sees = np.zeros(len(predictions), dtype=bool)
    if not oracles and not sees.any():
        return predictions
    pairs = list(zip(predictions["estimator"].astype(str), sees.tolist(), strict=True))
    names = {pair: display_name(pair[0], pair[0] in oracles, pair[1]) for pair in set(pairs)}
    return predictions.assign(estimator=[names[pair] for pair in pairs])
