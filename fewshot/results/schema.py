"""Columns of the tables of rows, and the version of their meaning."""

from __future__ import annotations

SCHEMA_VERSION = 2

# What names a cell: rows of one cell differ only in the episode.
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

# The other task; its cells have measures by target class in place of errors.
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

# The third task: a cell has a rule as head; where confusers and negatives come from names it too.
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
