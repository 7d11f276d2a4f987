"""Tables, sentences, figures and page of classification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from fewshot.report.charts.base import Chart
from fewshot.report.charts.unlabelled import unlabelled_chart
from fewshot.report.payload.entries import (
    MeasureEntry,
    PairEntry,
    Predictions,
    measure_entry,
    pair_entry,
)
from fewshot.report.tasks.base import TaskReport
from fewshot.report.text.classification import classification_markdown, classification_text
from fewshot.report.wording import RECOMMENDED, Cell
from fewshot.tasks.classification.schema import ClassificationSummary

if TYPE_CHECKING:
    import pandas as pd

    from fewshot.report.cell_rows import CellRows
    from fewshot.report.charts.details import Details
    from fewshot.report.comparison.paired import ClassifiedCell, EvaluatedCell
    from fewshot.report.figures.plots import Plot


NOT_KEPT = (
    "the run that computed this cell did not keep it; results.policy=always computes it again"
)


class ClassificationReport(TaskReport):
    """Measured and predicted errors."""

    order = 0
    long_titles: ClassVar[Mapping[str, str]] = {"accuracy": "Accuracy", "error": "Error"}
    columns: ClassVar[Mapping[str, Sequence[str]]] = {
        "episodes": ("episode", "classes", "actual_error"),
        "predictions": (
            "episode", "estimator", "sees_unlabelled", "predicted_error", "lower", "upper",
            "actual_error",
        ),
        "classes": ("class", "episodes", "queries", "accuracy", "lower", "upper"),
        "confusion": ("class", "taken_for", "queries", "opportunities"),
    }  # fmt: skip
    cost_caption = (
        f"{TaskReport.cost_caption} Time of a cell has its base-class episodes and estimators too."
    )
    averaged = "accuracies"
    error_of = "accuracy"
    sections = frozenset({"matrix", "ranks"})

    def text(self, cells: Sequence[Cell], *, explained: bool = True) -> str:
        """Measured errors, and predicted ones beside them."""
        return classification_text(_typed(cells), explained=explained)

    def markdown(self, cells: Sequence[Cell]) -> str:
        """The same numbers as GitHub-flavoured Markdown tables."""
        return classification_markdown(_typed(cells))

    def lines(self, evaluated: Sequence[EvaluatedCell]) -> list[str]:
        """The best combination by shots, the gain of more shots, and predicted errors."""
        from fewshot.report.comparison.best import classification_lines

        return classification_lines(_classified(evaluated))

    def brief(self, evaluated: Sequence[EvaluatedCell]) -> list[str]:
        """The best combination and its predicted errors, at the fewest and the most shots."""
        from fewshot.report.comparison.best import brief_lines

        return brief_lines(_classified(evaluated))

    def recommended(self, cells: Sequence[Cell]) -> tuple[Sequence[Cell], Sequence[str]]:
        """Cells that have the recommended estimator with that one alone."""
        shown: list[Cell] = []
        others: dict[str, None] = {}
        for cell in _typed(cells):
            if RECOMMENDED in cell["estimators"]:
                others |= dict.fromkeys(name for name in cell["estimators"] if name != RECOMMENDED)
                chosen = {RECOMMENDED: cell["estimators"][RECOMMENDED]}
                shown.append(cast("ClassificationSummary", {**cell, "estimators": chosen}))
            else:
                shown.append(cell)
        return shown, list(others)

    def overall(self, datasets: Sequence[Sequence[EvaluatedCell]]) -> list[str]:
        """The best combination on the ways and shots that all data sets share."""
        from fewshot.report.comparison.candidates import over_all

        return over_all([_classified(evaluated) for evaluated in datasets])

    @property
    def plots(self) -> Mapping[str, str]:
        """Errors by shots, and predictions of them."""
        return {
            "shots": "error_vs_shots",
            "predicted": "predicted_vs_actual",
            "mae": "mae_vs_shots",
            "calibration": "calibration_curve",
            "coverage": "coverage_vs_nominal",
            "unlabelled": "mae_vs_unlabelled",
            "backbones": "error_of_backbones",
        }

    def figures(self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]) -> list[Plot]:
        """Errors and predictions of each data set and backbone, and comparisons of several."""
        from fewshot.report.figures.classification import classification_figures

        return classification_figures(_typed(cells), rows["episodes"], rows["predictions"])

    def evaluated(
        self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]
    ) -> list[EvaluatedCell]:
        """Cells with the errors of their episodes, measured and predicted."""
        from fewshot.report.cell_rows import RowsByCell

        tables = RowsByCell(rows["episodes"], rows["predictions"])
        return [(cell, tables.of(cell)) for cell in cells]

    def lines_on_page(self, cells: Sequence[Cell]) -> list[Chart]:
        """Predicted errors by the number of unlabelled images."""
        charts = (unlabelled_chart(_typed(cells), measure) for measure in ("mae", "width"))
        return [chart for chart in charts if chart is not None]

    def details(
        self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]
    ) -> Sequence[Details | None]:
        """Accuracy per class and confused pairs, of cells whose runs kept them."""
        from fewshot.report.charts.confusion import confusion_charts
        from fewshot.report.charts.details import Details

        charts = confusion_charts(cells, rows["classes"], rows["confusion"])
        return [None if chart is None else Details(confusion=chart) for chart in charts]

    def measures(self, cell: Cell) -> list[MeasureEntry]:
        """The accuracy; predictions of the error have a section of their own."""
        accuracy = self.task.measures[0]
        (summary,) = _typed([cell])
        intervals = {"episodes": summary["accuracy"], **(summary.get("accuracy_intervals") or {})}
        return [measure_entry(accuracy.name, accuracy.better, intervals)]

    def comparisons(self, cell: Cell) -> list[PairEntry]:
        """Differences of estimators in their mean absolute error."""
        return [
            pair_entry(
                row["first"], row["second"], "mae", row["difference"], episodes=row["episodes"]
            )
            for row in _typed([cell])[0].get("comparisons") or []
        ]

    def predictions(self, cell: Cell, rows: CellRows | None) -> Predictions:
        """Metrics of the estimators, their calibration, and the episodes missed by most."""
        from fewshot.report.payload.estimators import predictions_of

        return predictions_of(_typed([cell])[0], rows)

    def facts(self, cell: Cell) -> Iterable[tuple[str, str]]:
        """Why there is no accuracy per class, where there is none."""
        return () if "class_rows" in cell else (("Accuracy per class", NOT_KEPT),)

    def main_value(self, cell: Cell) -> float | None:
        """The mean accuracy."""
        return _typed([cell])[0]["accuracy"]["mean"]


def _typed(cells: Sequence[Cell]) -> Sequence[ClassificationSummary]:
    """The cells, all of classification, by the type of their summaries."""
    return cast("Sequence[ClassificationSummary]", cells)


def _classified(evaluated: Sequence[EvaluatedCell]) -> Sequence[ClassifiedCell]:
    return cast("Sequence[ClassifiedCell]", evaluated)
