"""Matplotlib figures of errors, predictions and intervals, without pyplot's global state."""

from fewshot.report.figures.calibration import calibration_curve
from fewshot.report.figures.coverage import coverage_vs_nominal
from fewshot.report.figures.scatter import predicted_vs_actual
from fewshot.report.figures.shots import error_vs_shots, mae_vs_shots

__all__ = [
    "calibration_curve",
    "coverage_vs_nominal",
    "error_vs_shots",
    "mae_vs_shots",
    "predicted_vs_actual",
]
