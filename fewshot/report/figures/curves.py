"""Figures for papers: charts of rows or cells, drawn by matplotlib.

Each takes the rows or cells of one data set and backbone, as its chart says, and ``title``; it is
None where there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from fewshot.report.charts.backbones import backbones_chart
from fewshot.report.charts.calibration import calibration_chart
from fewshot.report.charts.coverage import coverage_chart
from fewshot.report.charts.matrix import accuracy_matrix_of
from fewshot.report.charts.scatter import POINTS, scatter_chart
from fewshot.report.charts.shares import shares_chart
from fewshot.report.charts.shots import error_chart, mae_chart
from fewshot.report.charts.unlabelled import unlabelled_chart
from fewshot.report.figures.lines import drawn
from fewshot.report.figures.matrix import shaded
from fewshot.report.figures.scatter import scattered
from fewshot.tasks.classification.schema import ClassificationSummary
from fewshot.tasks.one_class.schema import OneClassSummary


def predicted_vs_actual(
    predictions: pd.DataFrame, *, title: str = "", points: int = POINTS
) -> Figure | None:
    """`scatter_chart`; the mean absolute errors printed in it are those of all episodes."""
    return scattered(scatter_chart(predictions, title, points))


def error_vs_shots(
    episodes: pd.DataFrame, predictions: pd.DataFrame, *, title: str = ""
) -> Figure | None:
    """`error_chart`."""
    return drawn(error_chart(episodes, predictions, title))


def mae_vs_shots(predictions: pd.DataFrame, *, title: str = "") -> Figure | None:
    """`mae_chart`."""
    return drawn(mae_chart(predictions, title))


def calibration_curve(predictions: pd.DataFrame, *, title: str = "") -> Figure | None:
    """`calibration_chart`."""
    return drawn(calibration_chart(predictions, title))


def coverage_vs_nominal(
    cells: Sequence[ClassificationSummary], *, title: str = ""
) -> Figure | None:
    """`coverage_chart`."""
    return drawn(coverage_chart(cells, title))


def mae_vs_unlabelled(cells: Sequence[ClassificationSummary], *, title: str = "") -> Figure | None:
    """`unlabelled_chart` of the mean absolute error."""
    return drawn(unlabelled_chart(cells, "mae", title))


def width_vs_unlabelled(
    cells: Sequence[ClassificationSummary], *, title: str = ""
) -> Figure | None:
    """`unlabelled_chart` of the width of the intervals."""
    return drawn(unlabelled_chart(cells, "width", title))


def macro_f1_vs_prevalence(cells: Sequence[OneClassSummary], *, title: str = "") -> Figure | None:
    """`shares_chart`."""
    return drawn(shares_chart(cells, title))


def error_of_backbones(cells: Sequence[ClassificationSummary], *, title: str = "") -> Figure | None:
    """`backbones_chart`."""
    return drawn(backbones_chart(cells, title))


def accuracy_matrix(cells: Sequence[ClassificationSummary]) -> Figure | None:
    """`accuracy_matrix_of`."""
    return shaded(accuracy_matrix_of(cells))
