"""Rows and measures of one-class tasks."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from fewshot.results.schema import CellColumns, CellSummary, Interval
from fewshot.tasks.base import Entries, Table


class ShareSummary(TypedDict, total=False):
    """Measures over classes at one share of positives; `tasks` is the number with a value."""

    prevalence: float
    tasks: int
    macro_f1: Interval | None
    f1: Interval | None
    balanced_accuracy: Interval | None
    auroc: Interval | None
    average_precision: Interval | None
    regret: Interval | None


class ShareDifference(TypedDict):
    """Difference in macro F1 at one share of positives."""

    prevalence: float
    macro_f1: Interval


class RuleComparison(TypedDict):
    """Differences of two rules of one source, or of one rule with two sources."""

    first: str
    first_source: str
    second: str
    second_source: str
    prevalences: list[ShareDifference]


class ConfusersUsed(TypedDict):
    """Confusers of a source, by target class: their record, mean number, names and gaps."""

    record: dict[str, Any]
    mean: float
    names: dict[str, list[str]]
    dropped: dict[str, list[list[str]]]
    fallbacks: dict[str, str]


class OneClassColumns(CellColumns):
    """What identifies a cell of one-class tasks."""

    source: str
    against: str


class OneClassSummary(CellSummary):
    """Summary of a cell of one-class tasks: a rule with a source of confusers."""

    source: str
    against: str
    targets: NotRequired[int]
    dropped_targets: NotRequired[list[str]]
    prevalences: list[ShareSummary]
    comparisons: NotRequired[list[RuleComparison] | None]
    confusers: NotRequired[ConfusersUsed | None]


NAME = "one_class"
KEYS = {"source": "str", "against": "str"}
MEASURES = ("macro_f1", "f1", "balanced_accuracy", "auroc", "average_precision", "regret")
SHARES = Entries("prevalences", "prevalence")
DECISIONS = Table(
    "one_class",
    {
        "target": "str",
        "prevalence": "float64",
        "positives": "int64",
        "negatives": "int64",
        **dict.fromkeys(MEASURES, "float64"),
    },
    per_episode="prevalences",
)
