"""The mean actual IoU of the other draws, which nobody has beforehand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fewshot.tasks.segmentation.estimators.base import (
    Held,
    SegmentationEstimator,
    SegmentationPrediction,
)
from fewshot.tasks.segmentation.measures import class_iou, mean_over_classes, pixel_accuracy

ONE_DRAW = "there is no other draw"


class Constant(SegmentationEstimator):
    """Predicts of a draw what the others actually reached: the best that is the same for all.

    It knows the truth of the queries, so that it is no estimate but a yardstick: whatever is said
    of single draws has to be better to be of use in telling them apart.
    """

    references = ()
    sees_truth = True

    def predict(self, held: Held) -> SegmentationPrediction:
        """Nothing: it is asked by `predict_from`."""
        return SegmentationPrediction.none(held.fitted.shape[-1], ONE_DRAW)

    def predict_from(self, actual: NDArray, level: float, first: int = 0) -> SegmentationPrediction:
        """Means over the other draws, with Student's interval for one more of them."""
        if not len(actual):
            return SegmentationPrediction.none(actual.shape[-1], ONE_DRAW)
        iou = class_iou(actual)
        means = mean_over_classes(iou[:, first:])
        half = self._half(means[:, None], level)[0]
        halves = self._half(iou, level)
        by_class = mean_over_classes(iou.T)
        return SegmentationPrediction.within(
            by_class,
            halves,
            float(mean_over_classes(means)),
            half,
            pixel_error=float(1 - mean_over_classes(pixel_accuracy(actual))),
        )

    @staticmethod
    def _half(values: NDArray, level: float) -> NDArray:
        """Half widths (N,) from values (E, N); NaN with a single draw."""
        count = len(values)
        if count < 2:
            return np.full(values.shape[1], np.nan)
        t = stats.t.ppf((1 + level) / 2, count - 1)
        return np.asarray(t * values.std(0, ddof=1) * math.sqrt(1 + 1 / count))
