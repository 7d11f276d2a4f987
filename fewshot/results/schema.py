"""Columns of the tables, and their schema version."""

from __future__ import annotations

SCHEMA_VERSION = 2

# Keys that identify a cell: its rows differ in the episode only.
CELL_COLUMNS = {
    "task": "str",
    "dataset": "str",
    "backbone": "str",
    "feature": "str",
    "head": "str",
    "ways": "int64",
    "shots": "int64",
    "seed": "int64",
}

EPISODE_COLUMNS = {
    **CELL_COLUMNS,
    "episode": "int64",
    "classes": "list<str>",
    "queries": "int64",
    "actual_error": "float64",
    "accuracy": "float64",
    "query_error": "float64",
}

# Verification: cells have measures by target class instead of errors.
VERIFICATION = "verification"
MEASURES = ("auroc", "average_precision", "fpr95")

VERIFICATION_COLUMNS = {
    **CELL_COLUMNS,
    "episode": "int64",
    "target": "str",
    "positives": "int64",
    "negatives": "int64",
    **dict.fromkeys(MEASURES, "float64"),
}

# One-class: the head is a decision rule; the sources of confusers and negatives are keys too.
ONE_CLASS = "one_class"
ONE_CLASS_KEYS = ("source", "against")
ONE_CLASS_MEASURES = (
    "macro_f1", "f1", "balanced_accuracy", "auroc", "average_precision", "regret",
)  # fmt: skip

ONE_CLASS_COLUMNS = {
    **CELL_COLUMNS,
    **dict.fromkeys(ONE_CLASS_KEYS, "str"),
    "episode": "int64",
    "target": "str",
    "prevalence": "float64",
    "positives": "int64",
    "negatives": "int64",
    **dict.fromkeys(ONE_CLASS_MEASURES, "float64"),
}

PREDICTION_COLUMNS = {
    **CELL_COLUMNS,
    "episode": "int64",
    "estimator": "str",
    "calibration": "str",
    "predicted_error": "float64",
    "lower": "float64",
    "upper": "float64",
    "reason": "str",
    "actual_error": "float64",
}


TASK = "classification"
