"""Rows and measures of classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired

from typing_extensions import TypedDict

from fewshot.results.schema import CellSummary, Interval
from fewshot.tasks.base import HIGHER, LOWER, NEITHER, Entries, Measure, Table

if TYPE_CHECKING:
    import pandas as pd


class EstimatorSummary(TypedDict, total=False):
    """Metrics of an estimator in a cell; None where undefined, errors and widths in [0, 1]."""

    calibration: str
    sees_queries: bool
    sees_unlabelled: bool
    knows_images: bool
    defined: int
    reason: str | None
    fallbacks: int
    fallback_reason: str | None
    reservations: dict[str, int]
    predicted_error: float | None
    mae: float | None
    mae_interval: Interval | None
    rmse: float | None
    bias: float | None
    relative_error: float | None
    spearman: float | None
    slope: float | None
    intercept: float | None
    skill: float | None
    level: float | None
    coverage: float | None
    width: float | None
    coverage_curve: list[list[float]] | None
    seconds_per_episode: float | None


class EstimatorComparison(TypedDict):
    """Difference in absolute error of two estimators on the same episodes."""

    first: str
    second: str
    difference: Interval
    episodes: int


class ClassificationSummary(CellSummary):
    """Summary of a cell of classification."""

    accuracy: Interval
    accuracy_intervals: NotRequired[dict[str, Interval]]
    query_accuracy: NotRequired[Interval | None]
    actual_error: Interval
    estimators: dict[str, EstimatorSummary]
    comparisons: NotRequired[list[EstimatorComparison] | None]
    class_rows: NotRequired[int]
    confusion_rows: NotRequired[int]


NAME = "classification"
EPISODES = Table(
    "episodes",
    {
        "classes": "list<str>",
        "support": "int64",
        "queries": "int64",
        "unlabelled": "int64",
        "actual_error": "float64",
        "accuracy": "float64",
        "query_error": "float64",
    },
)
PREDICTIONS = Table(
    "predictions",
    {
        "estimator": "str",
        "calibration": "str",
        "sees_unlabelled": "bool",
        "predicted_error": "float64",
        "lower": "float64",
        "upper": "float64",
        "reason": "str",
        "actual_error": "float64",
    },
    per_episode="estimators",
)
# A row per class with queries: its accuracy over all of them, with an interval over episodes.
CLASSES = Table(
    "classes",
    {
        "class": "str",
        "episodes": "int64",  # that have queries of it
        "queries": "int64",
        "accuracy": "float64",
        "lower": "float64",
        "upper": "float64",
    },
    total="class_rows",
    by_episode=False,
)
# A row per pair of classes of which a query of one was taken for the other.
CONFUSION = Table(
    "confusion",
    {
        "class": "str",  # true
        "taken_for": "str",
        "queries": "int64",  # of the class, that were taken for the other
        "opportunities": "int64",  # queries of the class in episodes that have both
    },
    total="confusion_rows",
    by_episode=False,
)
ESTIMATORS = Entries("estimators", "estimator")


def _accuracy(rows: pd.DataFrame) -> pd.Series:
    return 1 - rows["actual_error"]


def _of_queries(rows: pd.DataFrame) -> pd.Series:
    return 1 - rows["query_error"]


def _absolute(rows: pd.DataFrame) -> pd.Series:
    return (rows["predicted_error"] - rows["actual_error"]).abs()


BOTH_ERRORS = ("predicted_error", "actual_error")
MEASURES = (
    Measure("accuracy", HIGHER, table="episodes", value=_accuracy, columns=("actual_error",)),
    Measure("error", LOWER, table="episodes", columns=("actual_error",),
            value=lambda rows: rows["actual_error"]),
    Measure("query_accuracy", HIGHER, table="episodes", value=_of_queries,
            columns=("query_error",)),
    Measure("mae", LOWER, table="predictions", value=_absolute, columns=BOTH_ERRORS,
            of=ESTIMATORS),
    Measure("rmse", LOWER, of=ESTIMATORS),
    Measure("relative_error", LOWER, of=ESTIMATORS),
    Measure("width", LOWER, of=ESTIMATORS),
    Measure("spearman", HIGHER, fraction=False, of=ESTIMATORS),
    Measure("skill", HIGHER, fraction=False, of=ESTIMATORS),
    Measure("predicted_error", NEITHER, of=ESTIMATORS),
    Measure("bias", NEITHER, of=ESTIMATORS),
    Measure("coverage", NEITHER, of=ESTIMATORS),
    Measure("slope", NEITHER, fraction=False, of=ESTIMATORS),
)  # fmt: skip
