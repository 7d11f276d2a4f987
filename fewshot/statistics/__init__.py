"""Intervals, paired tests, measures of rankings and backbones: pure functions of arrays."""

from typing import TYPE_CHECKING

from fewshot.lazy import lazy

if TYPE_CHECKING:
    from fewshot.statistics.confidence import Reliability as Reliability
    from fewshot.statistics.confidence import calibration_error_draws as calibration_error_draws
    from fewshot.statistics.confidence import (
        calibration_error_interval as calibration_error_interval,
    )
    from fewshot.statistics.confidence import (
        expected_calibration_error as expected_calibration_error,
    )
    from fewshot.statistics.confidence import reliability as reliability
    from fewshot.statistics.conformal import conformal_quantile as conformal_quantile
    from fewshot.statistics.doubts import LabelDoubts as LabelDoubts
    from fewshot.statistics.doubts import label_doubts as label_doubts
    from fewshot.statistics.doubts import outlier_chances as outlier_chances
    from fewshot.statistics.paired import compare_on_episodes as compare_on_episodes
    from fewshot.statistics.populations import mean_interval as mean_interval
    from fewshot.statistics.populations import population_intervals as population_intervals
    from fewshot.statistics.predictions import compare_estimators as compare_estimators
    from fewshot.statistics.predictions import coverage_curve as coverage_curve
    from fewshot.statistics.predictions import interval_metrics as interval_metrics
    from fewshot.statistics.predictions import prediction_metrics as prediction_metrics
    from fewshot.statistics.transferability import TRANSFER_SCORES as TRANSFER_SCORES
    from fewshot.statistics.transferability import gbc as gbc
    from fewshot.statistics.transferability import h_score as h_score
    from fewshot.statistics.transferability import logme as logme
    from fewshot.statistics.transferability import transrate as transrate

# Names by the module that has them.
_HOMES = {
    "LabelDoubts": "doubts",
    "Reliability": "confidence",
    "TRANSFER_SCORES": "transferability",
    "calibration_error_draws": "confidence",
    "calibration_error_interval": "confidence",
    "compare_estimators": "predictions",
    "compare_on_episodes": "paired",
    "conformal_quantile": "conformal",
    "coverage_curve": "predictions",
    "expected_calibration_error": "confidence",
    "gbc": "transferability",
    "h_score": "transferability",
    "label_doubts": "doubts",
    "interval_metrics": "predictions",
    "logme": "transferability",
    "mean_interval": "populations",
    "outlier_chances": "doubts",
    "population_intervals": "populations",
    "reliability": "confidence",
    "prediction_metrics": "predictions",
    "transrate": "transferability",
}
__all__ = [*_HOMES]  # noqa: PLE0604
__getattr__, __dir__ = lazy(__name__, _HOMES)
