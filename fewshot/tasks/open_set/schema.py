"""Rows and measures of open-set classification."""

from __future__ import annotations

from typing_extensions import TypedDict

from fewshot.results.schema import CellSummary, Interval
from fewshot.tasks.base import Table

Intervals = dict[str, Interval]  # by population


class OpenSetComparison(TypedDict):
    """Difference of two heads in each measure on the same episodes and unknown queries."""

    first: str
    second: str
    auroc: Intervals
    closed_accuracy: Intervals
    oscr: Intervals
    average_precision: Intervals
    fpr95: Intervals


class OpenSetSummary(CellSummary):
    """Summary of a cell of open-set classification."""

    unknown: str
    score: str
    unknown_ways: int
    unknown_queries: int
    auroc: Intervals
    closed_accuracy: Intervals
    oscr: Intervals
    average_precision: Intervals
    fpr95: Intervals
    comparisons: list[OpenSetComparison]


NAME = "open_set"
MEASURES = ("auroc", "closed_accuracy", "oscr", "average_precision", "fpr95")
# What identifies a cell beside the episodes: the unknown queries, and the score.
KEYS = {"unknown": "str", "score": "str"}
EPISODES = Table(
    "open_set",
    {
        "classes": "list<str>",
        "unknown_classes": "list<str>",
        "queries": "int64",
        "unknown_images": "int64",
        **dict.fromkeys(MEASURES, "float64"),
    },
)
