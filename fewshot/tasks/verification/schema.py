"""Rows and measures of verification."""

from __future__ import annotations

from fewshot.tasks.base import Table

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
)
