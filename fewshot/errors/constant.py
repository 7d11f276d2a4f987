"""The same number for every episode: the baseline to beat."""

from __future__ import annotations

from fewshot.errors.base import NO_BASE, ErrorEstimator, Prediction
from fewshot.heads.base import Head, Support


class Constant(ErrorEstimator):
    """Mean actual error of base-class episodes with the same ways, shots and head.

    It knows how hard the data set is on average and nothing about the episode. An estimator
    with a larger mean absolute error than this one has added nothing.
    """

    def predict(self, support: Support, head: Head) -> Prediction:
        """The mean error of the base-class episodes, E times."""
        base = getattr(self, "base_", NO_BASE)
        if base.errors is None:
            return Prediction.undefined(support, base.reason)
        mean = base.errors.to(support.features).mean()
        return Prediction(mean.expand(len(support.features)).clone())
