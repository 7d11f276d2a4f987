"""Rows and measures of verification."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from fewshot.results.schema import CellSummary, Interval
from fewshot.tasks.base import Table

Intervals = dict[str, Interval]  # by population


class VerifierComparison(TypedDict):
    """Difference of two heads in each measure on the same episodes."""

    first: str
    second: str
    auroc: Intervals | None
    average_precision: Intervals | None
    fpr95: Intervals | None


class VerificationSummary(CellSummary):
    """Summary of a cell of verification; measures are None where no target has a value."""

    prevalence: float
    targets: int
    rows: NotRequired[int]  # of episodes of varying ways
    auroc: Intervals | None
    average_precision: Intervals | None
    fpr95: Intervals | None
    comparisons: list[VerifierComparison]


NAME = "verification"
MEASURES = ("auroc", "average_precision", "fpr95")
TARGETS = Table(
    "verification",
    {
        "target": "str",
        "positives": "int64",
        "negatives": "int64",
        **dict.fromkeys(MEASURES, "float64"),
    },
    per_episode="ways",
    total="rows",
)
