"""Columns of the tables of rows, and the version of their meaning."""

from __future__ import annotations

SCHEMA_VERSION = 1

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
