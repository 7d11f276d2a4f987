"""Rows and measures of one-class tasks."""

from __future__ import annotations

from fewshot.tasks.base import Entries, Table

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
