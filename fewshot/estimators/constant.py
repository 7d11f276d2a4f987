"""Constant prediction, the baseline of all estimators."""

from __future__ import annotations

from typing import Self

import numpy as np

from fewshot.estimators.base import (
    BaseClasses,
    CalibrationSettings,
    ErrorEstimator,
    Prediction,
)
from fewshot.estimators.calibration.calibrated import bounded, inflation
from fewshot.estimators.calibration.calibrators import Offset
from fewshot.estimators.calibration.intervals import LEVEL, Residuals, check_level
from fewshot.estimators.tags import EstimatorTags
from fewshot.heads.base import Head, Support


class Constant(ErrorEstimator):
    """Mean actual error of base-class episodes with the same ways, shots and head.

    It depends on the data set and not on the episode. An estimator with a larger mean absolute
    error than this one is of no use. Its interval is that of the base-class errors, widened for
    other classes.

    Parameters
    ----------
    level : float in (0, 0.99]
        Nominal coverage of the interval.

    Attributes
    ----------
    mean_ : float
    residuals_ : Residuals
    """

    references = ()
    tags = EstimatorTags(varies=False, at_one_shot=True, without_base=False, has_interval=True)

    least_shots = 0
    calibrates_itself = True

    def __init__(self, level: float = LEVEL) -> None:
        self.level = level

    def configured(self, settings: CalibrationSettings) -> Self:
        """Return it with the level of the run, unless its level is not the default."""
        return self.with_params(level=settings.level) if self.level == LEVEL else self

    def fit(self, base: BaseClasses) -> Self:
        """Compute the mean and the residuals of the base-class errors."""
        super().fit(base)
        if base.errors is not None:
            actual = base.errors.double().numpy()
            mean = np.full(len(actual), actual.mean())
            self.mean_ = float(actual.mean())
            self.residuals_ = Residuals.of(mean, actual, inflation(mean, base))
        return self

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return the mean error of the base-class episodes for each episode (E,)."""
        level = check_level("estimator.constant.level", self.level)
        if self.base_.errors is None:
            return Prediction.undefined(support, self.base_.reason)
        raw = np.full((len(support.features), 1), self.mean_)
        return bounded(support, raw, Offset(0.0), self.residuals_, level)
