"""Few-shot classification as a task: its rows, measures and what determines a cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from fewshot.tasks.base import Value, value_of
from fewshot.tasks.classification.schema import (
    CLASSES,
    CONFUSION,
    EPISODES,
    MEASURES,
    NAME,
    PREDICTIONS,
    ClassificationSummary,
)
from fewshot.tasks.engine.episodic import EpisodicTask

if TYPE_CHECKING:
    from fewshot.episodes.episode_set import EpisodeSet
    from fewshot.evaluation.evaluation import Evaluation
    from fewshot.features.bank import FeatureBank
    from fewshot.heads.base import Head
    from fewshot.results.result import Result
    from fewshot.results.schema import CellSummary, Interval

ESTIMATOR_COLUMNS = ("predicted_error", "mae", "rmse", "bias", "spearman", "skill", "coverage")
LOGGED = ("predicted_error", "mae", "coverage")


class Classification(EpisodicTask):
    """Which of the N classes of an episode is a query of? With predictions of the error."""

    name = NAME
    forecast = "fewshot.evaluation.predict:predict"
    title = "Classification"
    references = ()
    tables = (EPISODES, PREDICTIONS, CLASSES, CONFUSION)
    measures = MEASURES
    report = "fewshot.report.tasks.classification:ClassificationReport"

    def evaluate(
        self,
        bank: FeatureBank,
        episodes: EpisodeSet,
        head: tuple[str, Head],
        evaluation: Evaluation,
        seed: int,
    ) -> Result:
        """Actual and predicted errors of a head, with `evaluate_cell`."""
        from fewshot.tasks.classification.cell import evaluate_cell

        return evaluate_cell(bank, episodes, head, evaluation.estimators, evaluation.settings, seed)

    def check(self, evaluation: Evaluation, bank: FeatureBank) -> None:
        """Check the calibration before anything is computed."""
        from fewshot.tasks.calibration.choosing import check_calibration

        check_calibration(evaluation.settings, bank)

    def causes(self, evaluation: Evaluation) -> dict[str, Any]:
        """Estimators and their calibration."""
        from fewshot.tasks.engine.keys import estimator_causes

        return estimator_causes(evaluation.estimators, evaluation.settings)

    def value(self, entry: CellSummary, measure: str, population: str = "episodes") -> Value | None:
        """Accuracies have intervals by population, and an error is one minus the accuracy."""
        if measure == "accuracy":
            cell = _summary(entry)
            intervals = cell.get("accuracy_intervals") or {}
            return value_of(intervals.get(population) or cell.get("accuracy"), population)
        if measure == "error":
            accuracy = self.value(entry, "accuracy", population)
            return accuracy and Value(1 - accuracy.mean, accuracy.half, accuracy.level)
        return value_of(entry.get("mae_interval" if measure == "mae" else measure), population)

    def flat(self, cell: CellSummary) -> list[dict[str, Any]]:
        """Accuracy with its intervals, the error, and columns of every estimator."""
        summary = _summary(cell)
        row = _accuracies(summary)
        for name, metrics in (summary.get("estimators") or {}).items():
            row |= {f"{name}_{column}": metrics.get(column) for column in ESTIMATOR_COLUMNS}
        return [row]

    def metrics(self, cell: CellSummary) -> Iterator[tuple[str, int, float]]:
        """Accuracy and error, and those of the estimators, by shots."""
        shots, summary = int(cell["shots"]), _summary(cell)
        means = {"accuracy": summary["accuracy"], "error": summary["actual_error"]}
        for name, interval in means.items():
            yield name, shots, float(cast("float", interval["mean"]))
        for estimator, row in (summary.get("estimators") or {}).items():
            # Of another kind than the curve of the same estimator from the support alone.
            label = f"{estimator} (unlabelled)" if row.get("sees_unlabelled") else estimator
            for name in LOGGED:
                if (value := row.get(name)) is not None:
                    yield f"{label}/{name}", shots, float(cast("float", value))


def _summary(cell: CellSummary) -> ClassificationSummary:
    return cast("ClassificationSummary", cell)


def _accuracies(cell: ClassificationSummary) -> dict[str, Any]:
    accuracy = cell.get("accuracy")
    if not accuracy:
        return {}
    row: dict[str, Any] = {
        "accuracy": accuracy["mean"],
        "lower": accuracy["lower"],
        "upper": accuracy["upper"],
    }
    for population in ("images", "classes"):
        interval: Interval = (cell.get("accuracy_intervals") or {}).get(population) or {}
        row |= {f"{population}_{side}": interval.get(side) for side in ("lower", "upper")}
    return row | {"error": (cell.get("actual_error") or {}).get("mean")}
