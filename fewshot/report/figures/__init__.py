"""Matplotlib figures of errors, predictions and intervals, without pyplot's global state."""

from fewshot.report.figures.curves import (
    calibration_curve,
    coverage_vs_nominal,
    error_vs_shots,
    mae_vs_shots,
    predicted_vs_actual,
)

__all__ = [
    "calibration_curve",
    "coverage_vs_nominal",
    "error_vs_shots",
    "mae_vs_shots",
    "predicted_vs_actual",
]
